"""Loops, in which models get caught: a text that ends in the same words again and again."""

from __future__ import annotations

LOOPS, LOOP_WORDS = 4, 16  # a loop is a run of words that stands so often in a row, and has so many words in all


def ends_in_loop(text: str) -> bool:
    """Whether a text ends in `LOOPS` times the same words or more, `LOOP_WORDS` in all at least."""
    last = text.rsplit(None, 1)[-1:]
    if not last or text.count(last[0]) < LOOPS:  # as nearly always; then the words need not be looked at
        return len(text.split(None, LOOP_WORDS)) < LOOP_WORDS and _is_loop_of_characters(text)
    words = text.split()
    if len(words) < LOOP_WORDS or len(set(words)) * 2 > len(words):  # half of the words of most texts are new
        return len(words) < LOOP_WORDS and _is_loop_of_characters(text)
    words.reverse()
    last_line = len(text.rsplit("\n", 1)[-1].split())  # rows of matrices and tables may be alike
    without_letters = next((place for place, word in enumerate(words) if _has_letter(word)), len(words))
    for period in range(1, len(words) // LOOPS + 1):
        run, most = period, last_line if period <= without_letters else len(words)
        while run < most and words[run] == words[run - period]:
            run += 1
        if run >= max(LOOPS * period, LOOP_WORDS):
            return True
    return False


def _has_letter(word: str) -> bool:
    return any(map(str.isalpha, word))


def _is_loop_of_characters(text: str) -> bool:
    """Whether a text without many spaces ends in a loop (`hahahaha…`, or one in a script without spaces)."""
    tail = text[-200:][::-1]
    if len(tail) < 200:
        return False
    return any(tail[period:] == tail[: len(tail) - period] for period in range(1, len(tail) // LOOPS + 1))
