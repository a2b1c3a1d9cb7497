"""The two parts of BertaQA: questions on the whole world, and on the Basque Country (arXiv 2406.07302)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datasets import Dataset


def global_items(items: Dataset) -> Dataset:
    """Return the items on the whole world."""
    return items.filter(lambda item: item["group"] == "Gai orokorrak")


def local_items(items: Dataset) -> Dataset:
    """Return the items on the Basque Country."""
    return items.filter(lambda item: item["group"] == "Euskal gaiak")
