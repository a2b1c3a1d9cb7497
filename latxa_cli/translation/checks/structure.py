"""The structure of a text: its lines, the items of its lists, the cells of its tables, the letters of its choices."""

from __future__ import annotations

import re
from collections import Counter

from latxa_cli.translation.checks.limits import Limits
from latxa_cli.translation.checks.pair import Pair, Text

_BULLET = re.compile(r"[ \t>]*(?:[-*+•·▪◦–—]|\d{1,3}[.)]|\(\d{1,3}\)|[A-Za-z][.)]|\([A-Za-z]\))\s+(?=\S)")
_HEADING = re.compile(r"#{1,6}\s+\S")
_CHOICE = re.compile(r"[ \t>*]*\(?([A-Ha-h])[.):]\**\s")
# What may be a letter that names a choice: most texts have none, which is quicker to find.
_MAYBE_NAMED = re.compile(r"[A-H](?:[*).:,]|\s*$)", re.MULTILINE)
_NAMED_LETTER = re.compile(r"(?<![\w'’.])\(?\*{0,2}([A-H])(?:\*{0,2}[).:,]|\*{0,2}\s*$|\*\*)", re.MULTILINE)
_LETTER = re.compile(r"(?<![\w'’.])([A-H])(?![\w'’.]\w)(?!\w)")


def lost_item(pair: Pair) -> str | None:
    """Find lists with another number of items; a single line that begins with a number is none."""
    if len(pair.source.lines) < 2 and len(pair.translation.lines) < 2:
        return None
    return _differs(_count(pair.source, _BULLET), _count(pair.translation, _BULLET), "items")


def other_table(pair: Pair) -> str | None:
    """Find tables with other numbers of rows or cells."""
    before, after = _cells(pair.source), _cells(pair.translation)
    if before == after:
        return None
    if len(before) != len(after):
        return f"{len(before)} rows, {len(after)} in the translation"
    one, other = next((one, other) for one, other in zip(before, after, strict=True) if one != other)
    return f"a row of {one} cells, {other} in the translation"


def other_lines(pair: Pair, limits: Limits) -> str | None:
    """Find another number of headings, or of lines that are not blank."""
    if headings := _differs(_count(pair.source, _HEADING), _count(pair.translation, _HEADING), "headings"):
        return headings
    before, after = len(pair.source.lines), len(pair.translation.lines)
    if abs(before - after) <= limits.lines_share * before:
        return None
    return _differs(before, after, "lines")


def other_choice(pair: Pair) -> str | None:
    """Find choices with other letters, and an answer that names another letter than its source."""
    before = _choices(pair.source)
    if len(before) > 1 and before != (after := _choices(pair.translation)):
        return f"{''.join(before)} → {''.join(after)}"
    if not _MAYBE_NAMED.search(pair.source.prose) or not _NAMED_LETTER.search(pair.source.prose):  # as nearly always
        return None
    named, said = _named_letters(pair.source), _named_letters(pair.translation)
    if not named or named == said:
        return None
    # In a translation a case ending or a word may follow the letter; but `A` is a word in many languages.
    loose = said | Counter(letter for letter in _letters(pair.translation) if letter != "A")
    lost, new = named - loose, loose - named
    return f"{next(iter(lost))} → {next(iter(new))}" if lost and new else None


def _named_letters(text: Text) -> Counter[str]:
    """Return the letters that name choices outside the list of choices."""
    return Counter(letter for line in text.lines if not _CHOICE.match(line) for letter in _NAMED_LETTER.findall(line))


def _letters(text: Text) -> list[str]:
    """Return all letters from A to H that stand alone outside the list of choices."""
    return [letter for line in text.lines if not _CHOICE.match(line) for letter in _LETTER.findall(line)]


def _differs(before: int, after: int, what: str) -> str | None:
    return None if before == after else f"{before} {what}, {after} in the translation"


def _count(text: Text, form: re.Pattern[str]) -> int:
    return sum(1 for line in text.lines if form.match(line))


def _choices(text: Text) -> list[str]:
    return [found[1] for line in text.lines if (found := _CHOICE.match(line))]


def _cells(text: Text) -> list[int]:
    rows = [line.strip() for line in text.lines if line.count("|") >= 2 and line.strip().startswith("|")]
    return [row.replace("\\|", "").strip("|").count("|") + 1 for row in rows]
