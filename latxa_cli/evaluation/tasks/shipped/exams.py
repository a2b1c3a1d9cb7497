"""Items of exams that can be scored."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datasets import Dataset


def items_with_an_answer(items: Dataset) -> Dataset:
    """Return the items whose answer is one of four choices, unless all of these are blank."""
    return items.filter(lambda item: item["answer"] in range(4) and any(item["candidates"]))


def items_with_a_letter(items: Dataset) -> Dataset:
    """Return the items with one right answer, A to D."""
    return items.filter(lambda item: len(item["answer"]) == 1 and item["answer"][0] in "ABCD")
