"""What a reader is shown of a fault: both texts, cut where they are long, with the parts in which they differ marked.

Two languages differ everywhere. Marked is what should be the same and is not (numbers, code, addresses, letters of
choices), what should not be the same and is (copied passages), and what the fault's detail quotes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from latxa_cli.translation.audit.audit import Example
from latxa_cli.translation.checks.pair import Text
from latxa_cli.translation.checks.parts import numbers_of

SHOWN = 1200  # characters of a text that are shown
_BEFORE = 200  # of them before the first mark
_NUMBER = re.compile(r"\d+(?:[.,:]\d+)*")
_WORD = re.compile(r"\w+")
_PASSAGE = 4  # words in a row that both have
_LONGEST_QUOTED = 400  # characters of a detail that are looked for in the texts

Pieces = list[tuple[str, bool]]  # (text, whether it is marked)


def marked(example: Example) -> tuple[Pieces, Pieces]:
    """Return the pieces of the source and of the translation."""
    source, translation, detail = example.pair.source, example.pair.translation, example.fault.detail
    copied = _copied(source.text, translation.text)
    of_source = [*_lost(source, translation), *_quoted(source.text, detail), *copied[0]]
    of_translation = [*_lost(translation, source), *_quoted(translation.text, detail), *copied[1]]
    return _pieces(source.text, of_source), _pieces(translation.text, of_translation)


def _lost(text: Text, other: Text) -> Iterable[tuple[int, int]]:
    """Yield where a text has numbers or masked parts that the other lacks."""
    numbers = numbers_of(other.text)
    for found in _NUMBER.finditer(text.text):
        if not numbers_of(found[0]).keys() & numbers.keys():
            yield found.span()
    place = 0
    for part in text.masked.parts:
        place = text.text.find(part.text, place)
        if part.text not in other.text:
            yield place, place + len(part.text)
        place += len(part.text)


def _quoted(text: str, detail: str) -> Iterable[tuple[int, int]]:
    """Yield where the text holds what the detail quotes: the detail itself, or what stands in it after a colon."""
    whole = detail.strip("“”…")[:_LONGEST_QUOTED]
    inner = re.search(r"“(.*)”", detail, re.DOTALL)
    for quoted in filter(None, (whole, inner and inner[1], detail.partition(": ")[2])):
        place = text.casefold().rfind(quoted.strip().casefold())
        if len(quoted.strip()) > 1 and place >= 0 and len(text.casefold()) == len(text):
            yield place, place + len(quoted.strip())
            return


def _copied(source: str, translation: str) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """Return where passages stand that both texts have."""
    found: tuple[list[tuple[int, int]], list[tuple[int, int]]] = ([], [])
    words = [[(word[0].casefold(), *word.span()) for word in _WORD.finditer(text)] for text in (source, translation)]
    runs = [
        {tuple(word for word, _, _ in own[n : n + _PASSAGE]) for n in range(len(own) - _PASSAGE + 1)} for own in words
    ]
    shared = runs[0] & runs[1]
    for own, places in zip(words, found, strict=True):
        for number in range(len(own) - _PASSAGE + 1):
            if tuple(word for word, _, _ in own[number : number + _PASSAGE]) in shared:
                places.append((own[number][1], own[number + _PASSAGE - 1][2]))
    return found


def _pieces(text: str, places: Iterable[tuple[int, int]]) -> Pieces:
    """Return a text in pieces, of which those in `places` are marked; a long text is cut round its first mark."""
    merged: list[list[int]] = []
    for start, end in sorted(places):
        if merged and start <= merged[-1][1]:
            merged[-1][1] = max(merged[-1][1], end)
        elif start < end:
            merged.append([start, end])
    first = max(0, merged[0][0] - _BEFORE) if merged and len(text) > SHOWN else 0
    last = min(len(text), first + SHOWN)
    pieces, place = [("… ", False)] if first else [], first
    for start, end in merged:
        if start >= last:
            break
        pieces += [(text[place:start], False), (text[max(start, place) : min(end, last)], True)]
        place = min(end, last)
    pieces.append((text[place:last], False))
    if last < len(text):
        pieces.append((" …", False))
    return [(piece, mark) for piece, mark in pieces if piece]
