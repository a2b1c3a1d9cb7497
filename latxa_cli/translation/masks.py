"""Masks: what must not be translated (see `spans`) gives way to short markers, and comes back byte for byte.

    The key is `Esc`: see https://example.org.   →   The key is [#1]: see [#2].

- Each marker stands for one part. A text that holds a marker of its own has it masked like any other part.
- A table's rows are translated, and only the rule under its head is masked.
- With `comments`, the comments of fenced code stay in sight, and the code around them is masked. How they begin and end
  stands in `comments.toml`, by the name behind the fence.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import NamedTuple

from latxa_cli.text.spans import Span, spans

MARKER = re.compile(r"\[#[0-9]++\]")


class Part(NamedTuple):
    """What a marker stands for: its kind (as in `spans`, or `marker` for what looks like one of ours) and its text."""

    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class Masked:
    """A text whose parts are masked.

    - text: the text with markers `[#1]`, `[#2]` … in order.
    - parts: what they stand for, in order.
    - comments: the numbers of the markers that a comment follows which must stay in its line.
    """

    text: str
    parts: tuple[Part, ...]
    comments: frozenset[int] = frozenset()

    def restore(self, translated: str) -> str | None:
        """Return `translated` with the parts in place of its markers.

        None where a marker is missing, doubled or unknown, or where a comment would end its line too early.
        """
        found = MARKER.findall(translated)
        wanted = {marker(number): part.text for number, part in enumerate(self.parts, 1)}
        if len(found) != len(wanted) or set(found) != wanted.keys():
            return None
        if self.comments and not self._comments_are_whole(translated):
            return None
        return MARKER.sub(lambda match: wanted[match[0]], translated)

    def _comments_are_whole(self, translated: str) -> bool:
        if MARKER.findall(translated) != [marker(number) for number in range(1, len(self.parts) + 1)]:
            return False  # code in another order
        pieces = MARKER.split(translated)
        return not any("\n" in pieces[number] or "*/" in pieces[number] for number in self.comments)

    @property
    def prose(self) -> str:
        """The text without its masked parts, between which words do not grow together."""
        return MARKER.sub(" ", self.text) if self.parts else self.text


def marker(number: int) -> str:
    """Return the marker of a part, from 1 on."""
    return f"[#{number}]"


def mask(text: str, *, comments: bool = False) -> Masked:
    """Return `text` with its parts masked.

    `mask(text).restore(mask(text).text) == text` for every text. Its time is linear in the text's length.
    """
    parts: list[Part] = []
    pieces: list[str] = []
    followed: set[int] = set()
    place = 0
    for span in _with_markers(text):
        pieces.append(text[place : span.start])
        place = span.end
        if comments and span.kind == "fenced":
            for code, comment in _code_and_comments(text, span):
                parts.append(Part("fenced", code))
                pieces += [marker(len(parts)), comment]
                if comment:
                    followed.add(len(parts))
        else:
            parts.append(Part(span.kind, text[span.start : span.end]))
            pieces.append(marker(len(parts)))
    if not parts:
        return Masked(text, ())
    pieces.append(text[place:])
    return Masked("".join(pieces), tuple(parts), frozenset(followed))


def _with_markers(text: str) -> Iterator[Span]:
    """Yield the parts of `text`, and between them what looks like a marker."""
    place = 0
    for span in (*spans(text), Span(len(text), len(text), "")):
        if "[#" in text[place : span.start]:
            for found in MARKER.finditer(text, place, span.start):
                yield Span(found.start(), found.end(), "marker")
        if span.kind:
            yield span
        place = span.end


# --- comments in code ------------------------------------------------------------------------------------------------


def _code_and_comments(text: str, block: Span) -> Iterator[tuple[str, str]]:
    """Yield pieces of a fenced block: code, and the comment that follows it (empty at the end)."""
    code = text[block.start : block.end]
    head = code.split("\n", 1)[0].strip("`~ \t\r")
    grammar = _grammars().get(re.split(r"[\s,{:]", head.lower(), maxsplit=1)[0])
    place = 0
    for found in grammar.finditer(code, code.find("\n") + 1) if grammar and "\n" in code else ():
        start, end = found.span("comment")
        if start < 0 or MARKER.search(code, start, end) or not any(map(str.isalpha, code[start:end])):
            continue
        yield code[place:start], code[start:end]
        place = end
    yield code[place:], ""


@cache
def _grammars() -> dict[str, re.Pattern[str]]:
    """Return an expression for each name of a programming language, which finds strings and comments."""
    table = tomllib.loads((Path(__file__).parent / "comments.toml").read_text(encoding="utf-8"))
    found = {}
    for grammar in table.values():
        strings = [_string(sign) for sign in sorted(grammar["strings"], key=len, reverse=True)]
        line = "|".join(map(re.escape, grammar["line"]))
        comments = [rf"(?:{line})[ \t!/*]*+(?P<comment>[^\n]*+)"] if line else []
        expression = re.compile("|".join([*strings, *comments]))
        found.update(dict.fromkeys(grammar["names"], expression))
    return found


def _string(sign: str) -> str:
    sign = re.escape(sign)
    if len(sign) > 2:
        return rf"{sign}(?:(?!{sign})[\s\S])*+(?:{sign})?+"
    return rf"{sign}(?:[^{sign}\\\n]|\\.)*+{sign}?+"
