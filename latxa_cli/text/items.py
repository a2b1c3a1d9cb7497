"""The texts of a record of any form, such as an item of a benchmark."""

from __future__ import annotations

from collections.abc import Iterator

# Fields about an item, which are no part of the question; but the `source` of a pair is.
_ABOUT = frozenset(("id", "source", "licence", "license", "url", "language", "task", "metadata", "role", "model"))


def texts(item: object) -> Iterator[str]:
    """Yield the strings at any depth of an evaluation item: questions, passages, choices, messages."""
    if isinstance(item, str):
        yield item
    elif isinstance(item, dict):
        is_pair = "target" in item  # then `source` is no name
        for name, value in item.items():
            if name not in _ABOUT or (is_pair and name == "source"):
                yield from texts(value)
    elif isinstance(item, list | tuple):
        for value in item:
            yield from texts(value)
