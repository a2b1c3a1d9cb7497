"""The letter of a generated answer, or that there is none; a guess is never made."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from functools import cache
from typing import Literal

Format = Literal["mcqa", "cloze", "generate", "cot"]  # the formats of tasks, as lm-evaluation-harness 0.5 calls them
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
NO_LETTER = "[invalid]"  # what the harness's own filters give where they find nothing
MARK = "*_`~\"'“”‘’«»„()[]{}<>$#|"  # what may stand round a letter
LATIN = "A-Za-zÀ-ɏ"  # what makes a letter before it the beginning of a word
END = ".,:;!?)]}。、"

# Marks that make a letter in a text an answer, whatever word it may be: (B), [B], **B**, "B", \boxed{B}, or `B.` that
# begins a line.
MARKED = re.compile(
    r"\(([A-Z])\)|\[([A-Z])\]|\*\*\(?([A-Z])[.):]{0,2}\*\*|[\"“«„']([A-Z])[\"”»“']"
    r"|\\boxed\{(?:\\text\{)?\(?([A-Z])\)?\}"
)
FIRST = re.compile(r"[\s*_`(\[]*([A-Z])(?:[.):\]*。、]|[ \t]*(?:\n|$))")


def letter_of(text: object, letters: Sequence[str], answers: Sequence[str], words: Sequence[str] = ()) -> str | None:
    """Return which of `letters` a generated text answers, or None where it names none of them, or several.

    In this order:
    - a text that is a letter and marks alone, such as `b` or `**B.**`;
    - the last letter that one of `answers` announces, so that a reasoned text may change its mind;
    - a letter that begins the text and is marked as an answer there, such as `B) Bilbao`;
    - the only letter that marks set off, such as `(B)` or `\\boxed{B}`;
    - the first letter of a text that goes on after it, unless it is one of `words`.

    Args:
        text: the text, without thoughts; what is no text has no letter.
        letters: capital letters.
        answers: phrases with `{letter}`, of the language of the task.
        words: letters that are words of that language.
    """
    if not isinstance(text, str):
        return None
    plain = unicodedata.normalize("NFKC", text).strip()
    alone = plain.strip(MARK + END + " \t\n").upper()
    if alone in letters and len(alone) == 1:
        return alone
    announced = [match for match in _phrases(tuple(answers)).finditer(plain) if not _is_word(match, words)]
    for match in reversed(announced):
        if (found := match[match.lastindex or 0]) in letters:
            return found
    if (first := FIRST.match(plain)) and first[1] in letters:
        return first[1]
    marked = {group for match in MARKED.finditer(plain) for group in match.groups() if group in letters}
    if marked:
        return marked.pop() if len(marked) == 1 else None
    begins = re.match(r"([A-Z])\s", plain)
    return begins[1] if begins and begins[1] in letters and begins[1] not in words else None


@cache
def _phrases(answers: tuple[str, ...]) -> re.Pattern[str]:
    """Return the pattern of all phrases, in which space may be any space or marks, and a colon follows at will."""
    between = rf"[\s:{re.escape(MARK)}]{{0,8}}"
    patterns = []
    for answer in answers:
        before, _, after = answer.partition("{letter}")
        first, last = (between.join(map(re.escape, part.replace(":", " ").split())) for part in (before, after))
        patterns.append(rf"{first}{between}(?-i:([A-Z]))(?![{LATIN}]){between + last if last else ''}")
    return re.compile("|".join(patterns) or r"(?!)", re.IGNORECASE)


def _is_word(match: re.Match[str], words: Sequence[str]) -> bool:
    """Whether the letter begins a sentence of the answer, such as `Answer: A dog`, and is no letter of a choice."""
    letter = match.lastindex or 0
    before, after = match.string[match.start() : match.start(letter)], match.string[match.end(letter) :]
    return match[letter] in words and before.rstrip().endswith(":") and bool(re.match(r"[ \t][^\W\d_]", after))
