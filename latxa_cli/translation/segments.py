"""Long texts in parts that fit a request, cut between paragraphs, items of lists and lines; joined back exactly.

A text is cut only where it exceeds the budget, at the best places that will do, and never within what is masked: code,
formulas, tables' rules. A line that exceeds the budget stays whole.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from latxa_cli.text.spans import spans
from latxa_cli.translation.layouts import Pair

# Where a text may be cut, the best places first: between paragraphs, before an item or a heading, at any line break.
_BREAKS = (
    re.compile(r"[ \t]*\n(?:[ \t]*\n)+"),
    re.compile(r"[ \t]*\n+(?=[ \t>]*(?:[-*+•‣◦–]|\(?\w{1,3}[.)]|#{1,6})[ \t]+\S)"),
    re.compile(r"[ \t]*\n+"),
)
_BYTES_OF_TOKEN = 3  # about, where no tokenizer is at hand
_GROWTH, _MARGIN = 2.0, 1.3  # tokens of a translation for one of its source: without examples, and beyond theirs


@dataclass(frozen=True, slots=True)
class Budget:
    """The longest text of a request, in tokens, and what counts them."""

    most: int
    measure: Callable[[str], int]


def budget_of(tokenizer: Any, max_tokens: int, context: int | None, pairs: tuple[Pair, ...]) -> Budget:
    """Return the budget by which translations have `max_tokens`, and prompt and translation fit into the context.

    How much longer translations are, in tokens, comes from pairs of texts and translations. Half of the context is left
    to examples.
    """

    def measure(text: str) -> int:
        if tokenizer is None:
            return 1 + len(text.encode("utf-8", "surrogatepass")) // _BYTES_OF_TOKEN
        return len(tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"])

    growth = _GROWTH
    if pairs:
        before, after = (sum(measure(pair[side]) for pair in pairs[:200]) for side in (0, 1))
        growth = max(1.0, _MARGIN * after / max(before, 1))
    most = max_tokens / growth
    if context is not None:
        most = min(most, context / 2 / (1 + growth))
    return Budget(max(1, int(most)), measure)


def segments(text: str, budget: Budget) -> list[tuple[str, str]]:
    """Return the parts of a text, each with the white space behind it; joined they are the text."""
    if budget.measure(text) <= budget.most:
        return [(text, "")]
    whole = [(span.start, span.end) for span in spans(text)]
    return list(_packed(_pieces(text, 0, budget, whole, 0), budget))


def _pieces(
    text: str, start: int, budget: Budget, whole: list[tuple[int, int]], grade: int
) -> Iterator[tuple[str, str, int]]:
    """Yield (part, white space behind it, tokens) of a text at `start`, cut as its grade allows, finer where needed."""
    size = budget.measure(text)
    if size <= budget.most or grade == len(_BREAKS):
        yield text, "", size
        return
    place = 0
    for found in _BREAKS[grade].finditer(text):
        if place < found.start() and not _within(start + found.start(), start + found.end(), whole):
            *before, (last, gap, tokens) = _pieces(text[place : found.start()], start + place, budget, whole, grade + 1)
            yield from before
            yield last, gap + found[0], tokens
            place = found.end()
    if place < len(text):
        rest = text[place:]
        yield from _pieces(rest, start + place, budget, whole, grade + 1)


def _within(start: int, end: int, whole: list[tuple[int, int]]) -> bool:
    """Whether what lies from `start` to `end` touches the inside of one of the spans, which are in order."""
    place = bisect_right(whole, (end, 0)) - 1
    return place >= 0 and whole[place][0] < end and start < whole[place][1]


def _packed(pieces: Iterator[tuple[str, str, int]], budget: Budget) -> Iterator[tuple[str, str]]:
    """Yield neighbours joined as long as they fit the budget."""
    text, gap, tokens = "", "", 0
    for piece, behind, size in pieces:
        if text and tokens + size > budget.most:
            yield text, gap
            text, gap, tokens = "", "", 0
        text, gap, tokens = text + gap + piece, behind, tokens + size
    if text or gap:
        yield text, gap
