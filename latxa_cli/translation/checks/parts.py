"""What a translation must keep unchanged: code, formulas, addresses, placeholders, and the numbers in its prose."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

from latxa_cli.translation.checks.limits import Limits
from latxa_cli.translation.checks.pair import Pair, Text
from latxa_cli.translation.masks import mask

CODE = frozenset(("fenced", "code"))
_PROSE_IN_LATEX = re.compile(r"\\(?:text|textbf|textit|mathrm|mbox)\s*\{[^{}]*\}|[\s$]|\\[,;! ]|\\[()\[\]]")
_COMMENT_WORDS = re.compile(r"[^\n]*")


def altered_code(pair: Pair, *, comments: bool) -> str | None:
    """Find code of the source that the translation has changed, and code that only the translation has.

    comments: those in fenced code may be translated.
    """
    if not pair.source.masked.parts and not pair.translation.masked.parts:
        return None
    before = Counter(_code(pair.source, comments))
    after = Counter(_code(pair.translation, comments))
    if before == after:
        return None
    lost = next(iter(before - after), None)
    return _shown(lost) if lost is not None else f"added: {_shown(next(iter(after - before)))}"


def lost_part(pair: Pair) -> str | None:
    """Find a formula, an address, a placeholder or a tag of the source that the translation lacks."""
    before = Counter(_others(pair.source)) if pair.source.masked.parts else None
    if not before:
        return None
    after = Counter(_others(pair.translation))
    lost = next(iter(before - after), None)
    if lost is None:
        return None
    # A formula may be written with other dollar signs, and a tag in code: what matters is that it is there.
    bare = lost[1].strip("$ ")
    plain = "".join(pair.translation.text.split()) if lost[0] == "latex" else pair.translation.text
    return _shown(lost[1]) if plain.count(bare) < before[lost] else None


def _code(text: Text, comments: bool) -> Iterator[str]:
    for part in text.masked.parts:
        if part.kind == "fenced" and comments:
            yield from (_without_ends(piece.text) for piece in mask(part.text, comments=True).parts)
        elif part.kind == "fenced":
            yield _without_ends(part.text)
        elif part.kind == "code":
            yield part.text.strip("` ")


def _without_ends(code: str) -> str:
    """Return code without blanks at the ends of lines, and without the indentation of its first line in all."""
    lines = code.replace("\r", "").expandtabs(4).split("\n")
    return "\n".join(line.strip() for line in lines)


def _others(text: Text) -> Iterator[tuple[str, str]]:
    for part in text.masked.parts:
        if part.kind == "latex":
            formula = _PROSE_IN_LATEX.sub("", part.text).replace("{,}", ".").replace(",", ".").rstrip(".")
            if len(formula) > 1 or part.text[0] == "$":
                yield "latex", formula
        elif part.kind not in CODE and part.kind not in ("rule", "marker"):
            yield part.kind, part.text


def _shown(text: str) -> str:
    return text if len(text) <= 120 else text[:117] + "…"


# --- numbers ---------------------------------------------------------------------------------------------------------

# Digits with the signs between them, which is quick to find. In them: thousands in groups of three, a decimal part.
_DIGITS = re.compile(r"\d(?:[\d.,:'’·٬٫\u00a0\u202f\u2009 ]*\d)?")
_NUMBER = re.compile(r"\d+(?:[.,'’·٬\u00a0\u202f\u2009 ]\d{3}(?!\d))*(?:[.,٫·:]\d+)*")
_TIME = re.compile(r"(?<![\d.,:])(\d{1,2})[:.]([0-5]\d)(?![\d.,:]?\d)")
_NO_DIGIT = re.compile(r"\D+")
_LONGEST_ITEM = 3  # digits of the number of an item in a list


def other_numbers(pair: Pair, limits: Limits) -> str | None:
    """Find numbers of the source that others stand for in the translation, or many that are lost.

    - Signs between digits do not matter, nor which digits a script has. Words may stand for a number, as two for 2.
    - Numbers that are only cut in another way (`7:55` and `755`) are the same, and so are `2` and `14:00`.
    """
    if _DIGITS.findall(pair.source.prose) == _DIGITS.findall(pair.translation.prose):  # as mostly
        return None
    before, after = numbers_of(pair.source.prose), numbers_of(pair.translation.prose)
    if before == after:
        return None
    lost, new = before - after, after - before
    if not lost or "".join(lost.elements()) == "".join(new.elements()):
        return None
    if not new and (lost.total() < limits.numbers_lost or 2 * lost.total() < before.total()):
        return None
    shown = " ".join(lost.elements())
    return f"{shown} → {' '.join(new.elements())}" if new else f"{shown} lost"


def numbers_of(text: str) -> Counter[str]:
    """Return the numbers in a text by their digits alone, each as often as it is there."""
    found: Counter[str] = Counter()
    for digits in _DIGITS.finditer(text):
        if _is_item(text, digits):
            continue
        whole = digits[0]
        if len(whole) > 2:
            whole = _TIME.sub(_on_a_clock, whole)
        for number in _NUMBER.findall(whole) if len(whole) > 2 else (whole,):
            plain = _NO_DIGIT.sub("", number)
            if not plain.isascii():
                plain = "".join(str(int(digit)) for digit in plain)
            found[plain.lstrip("0") or "0"] += 1
    return found


def _is_item(text: str, digits: re.Match[str]) -> bool:
    """Whether digits number the item of a list: `3. ` or `3) ` at the beginning of a line."""
    start, end = digits.span()
    if end - start > _LONGEST_ITEM or text[end : end + 1] not in (".", ")") or not text[end + 1 : end + 2].isspace():
        return False
    return not text[text.rfind("\n", 0, start) + 1 : start].strip(" \t>")


def _on_a_clock(time: re.Match[str]) -> str:
    """Return a time as clocks with twelve hours have it, without a full hour's minutes."""
    hours = int(time[1])
    if hours > 24:
        return time[0]
    hours = hours - 12 if hours > 12 else hours
    return str(hours) if time[2] == "00" else f"{hours}:{time[2]}"
