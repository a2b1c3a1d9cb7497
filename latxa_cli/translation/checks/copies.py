"""Copies: a translation that is its source, or holds passages of it, and one that says the same again and again.

Names, numbers, code, formulas, JSON and addresses are rightly the same in both languages.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from math import ceil

import numpy as np

from latxa_cli.native.repetition import NGRAMS, TOP, ngrams
from latxa_cli.text.loops import ends_in_loop
from latxa_cli.text.words import Words, length
from latxa_cli.translation.checks.limits import Limits
from latxa_cli.translation.checks.pair import Pair, Text

_RUN = 5  # words of a repeated run
_LOOPS, _LOOP_WORDS = 4, 12  # so often in a row, and so many words in all, are a loop
_LONGEST_LOOP = 24  # words
_SHORTEST = 12  # words of a text in which runs are looked for
_TWICE, _MOST_OF, _SHORT = 3, 0.6, 40  # words that stand twice in a row, and are most of a text of so few words
# Signs of code: calls, assignments, ends of statements, indices, arrows.
_CODE_SIGNS = re.compile(r"[;{}=<>]|\w\(|\)\s*:|\w\[|->|::|&&|\|\|")
_CODE_SHARE = 0.05  # of the characters


def copied(pair: Pair, limits: Limits) -> str | None:
    """Find a translation that is its source, though that is prose."""
    # As nearly always, the first words differ already, and whole texts need not be compared.
    first, other = (text.text.split(None, 1)[:1] for text in (pair.source, pair.translation))
    if not first or not other or first[0].casefold() != other[0].casefold():
        return None
    if pair.source.plain != pair.translation.plain:
        return None
    return pair.translation.text.strip() if prose_words(pair.source) >= limits.copied_words else None


def prose_words(text: Text) -> int:
    """Return how many words of a text would be others in another language."""
    prose = text.prose
    if _is_json(prose) or _is_code(prose):
        return 0
    pieces = [piece.strip("*_\"'“”«»().,;:!?") for piece in prose.split()]
    others = [piece for piece in pieces if not _is_name(piece)]
    first = pieces[:1] if others and pieces[0] not in others else []  # it may have a capital as the sentence's first
    return length(" ".join([*first, *others]), lettered=True)


def _is_name(word: str) -> bool:
    """Whether a word may be a name (a capital and small letters), a short form in capitals, or a single letter."""
    return (len(word) < 2 and word.isascii()) or (word[:1].isupper() and (word[1:].islower() or len(word) <= 5))


def _is_json(text: str) -> bool:
    text = text.strip()
    if not text.startswith(("{", "[")) or not text.endswith(("}", "]")):
        return False
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _is_code(text: str) -> bool:
    """Whether a text without fences is code, by the signs of its lines."""
    lines = [line for line in text.split("\n") if line.strip()]
    coded = [line for line in lines if _CODE_SIGNS.search(line)]
    signs = sum(len(_CODE_SIGNS.findall(line)) for line in coded)
    return 2 * len(coded) >= len(lines) > 0 and signs >= _CODE_SHARE * len(text)


def partly_copied(pair: Pair, limits: Limits) -> str | None:
    """Find passages that the translation has from its source."""
    words = pair.translation.words
    places = _shared_places(words.hashes.tolist(), pair.source.words.hashes.tolist(), limits.partly_copied_passage)
    if not places or len(places) < limits.partly_copied_share * len(words):
        return None
    if _begin_small(words, places) < limits.partly_copied_words:
        return None
    if prose_words(pair.source) < limits.copied_words:
        return None
    prose = pair.translation.prose
    return prose[words.starts[places[0]] : words.ends[places[-1]]][:200]


def _shared_places(words: list[int], source: list[int], size: int) -> list[int]:
    """Return the places of the words in passages of `size` words that the source has too."""
    known, run, ends = set(source), 0, []
    for place, word in enumerate(words):
        run = run + 1 if word in known else 0
        if run >= size:
            ends.append(place + 1)
    if not ends:  # as nearly always
        return []
    passages = set(zip(*(source[offset:] for offset in range(size)), strict=False))
    found = [range(end - size, end) for end in ends if tuple(words[end - size : end]) in passages]
    return sorted(set().union(*found))


def _begin_small(words: Words, places: list[int]) -> int:
    """Return how many of the words at some places begin with a letter that is no capital."""
    firsts = map(chr, words.codepoints[words.starts[places]].tolist())
    return sum(first.isalpha() and not first.isupper() for first in firsts)


def repetition(pair: Pair, limits: Limits) -> str | None:
    """Find a translation with a loop, or one that repeats itself far more than its source does."""
    text, source = pair.translation, pair.source
    if ends_in_loop(text.text) and not ends_in_loop(source.text):
        return "it ends in a loop"
    if part := _repeated_part(pair):
        return f"again and again: {part}"
    if (twice := _said_twice(text.words)) and not _said_twice(source.words):
        return f"twice: {text.prose[text.words.starts[twice[0]] : text.words.ends[twice[1] - 1]]}"
    size = len(text.words)
    if size < _SHORTEST:
        return None
    share = _repeated(text.words)
    if share * size < _RUN:
        return None
    if (loop := _loop(text.words)) and not _loop(source.words):
        return f"again and again: {text.prose[text.words.starts[loop[0]] : text.words.ends[loop[1] - 1]]}"
    share -= _repeated(source.words) if len(source.words) >= _SHORTEST else 0.0
    return f"{share:.0%} of its words are repeated" if share >= limits.repetition_share else None


def _repeated_part(pair: Pair) -> str:
    """Return a masked part that the translation has again and again, and the source has not."""
    parts = pair.translation.masked.parts
    if len(parts) < _LOOPS + len(pair.source.masked.parts):
        return ""
    [(part, count)] = Counter(part.text for part in parts).most_common(1)
    own = sum(found.text == part for found in pair.source.masked.parts)
    return part if count - own >= _LOOPS else ""


def _said_twice(words: Words) -> tuple[int, int] | None:
    """Return the place of a run of words that stands twice in a row, and is most of a short text so."""
    size = len(words)
    if not 2 * _TWICE <= size <= _SHORT:
        return None
    hashes, least = words.hashes.tolist(), max(_TWICE, ceil(_MOST_OF * size / 2))
    if len(set(hashes)) > size - least:  # as nearly always
        return None
    for period in range(size // 2, least - 1, -1):
        for start in range(size - 2 * period + 1):
            if hashes[start : start + period] == hashes[start + period : start + 2 * period]:
                return start, start + period
    return None


def _loop(words: Words) -> tuple[int, int] | None:
    """Return the place of a run of words that stands `_LOOPS` times in a row, and so often is long enough."""
    hashes = words.hashes
    for period in range(1, min(_LONGEST_LOOP, len(hashes) // _LOOPS) + 1):
        same = hashes[period:] == hashes[:-period]
        wanted = max((_LOOPS - 1) * period, _LOOP_WORDS - period)
        if np.count_nonzero(same) < wanted:
            continue
        breaks = np.flatnonzero(np.concatenate(([True], ~same, [True])))
        runs = np.diff(breaks) - 1
        longest = int(runs.argmax())
        if runs[longest] >= wanted:
            return int(breaks[longest]), int(breaks[longest]) + period
    return None


def _repeated(words: Words) -> float:
    """Return the share of characters in runs of `_RUN` words that came before."""
    lengths = (words.ends - words.starts).astype(np.int32)
    figures = np.zeros(NGRAMS, np.float64)
    ngrams(lengths, words.hashes, max(1, int(lengths.sum())), figures)
    return float(figures[len(TOP)])
