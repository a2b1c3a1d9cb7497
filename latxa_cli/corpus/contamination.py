"""Evaluation items that documents must not hold, and where they leaked from."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import orjson
from xxhash import xxh3_128_hexdigest

from latxa_cli.stages import save_bytes
from latxa_cli.stream.errors import LatxaError, RecordError
from latxa_cli.stream.inputs import Input
from latxa_cli.stream.reader import explain
from latxa_cli.stream.records import Record

# Fields that say what an item is or where it comes from, not what is asked.
_ABOUT = frozenset(("id", "source", "licence", "license", "url", "language", "task", "metadata", "role", "model"))


def read_items(path: str) -> Iterator[tuple[str, Record]]:
    """Yield (`FILE:ID`, item) of a file of evaluation items, JSON objects of any kind; raises RecordError."""
    for number, entry in Input(path).entries():
        try:
            item = orjson.loads(entry) if isinstance(entry, bytes) else entry
        except ValueError as error:
            if isinstance(entry, bytes) and entry.strip():
                raise RecordError(f"{path}:{number}", explain(error, entry)) from None
            continue
        if not isinstance(item, dict):
            raise RecordError(f"{path}:{number}", "the line is JSON, but not an object")
        yield f"{Path(path).name}:{item.get('id', number)}", item


def texts(item: Any) -> Iterator[str]:
    """Yield the strings of an evaluation item: questions, passages, choices, messages, however it is built."""
    if isinstance(item, str):
        yield item
    elif isinstance(item, dict):
        for name, value in item.items():
            if name not in _ABOUT:
                yield from texts(value)
    elif isinstance(item, list | tuple):
        for value in item:
            yield from texts(value)


def save_items(path: Path, items: Iterable[tuple[str, Record]]) -> str:
    """Write the texts of evaluation items (key, item) for the workers; return the hash of what was written.

    Raises LatxaError where there is no text among them.
    """
    lines = [
        orjson.dumps({"key": key, "text": text}, option=orjson.OPT_APPEND_NEWLINE)
        for key, item in items
        for text in texts(item)
    ]
    if not lines:
        raise LatxaError("there are no evaluation items to look for", hint="is the file given by `--against` empty?")
    data = b"".join(lines)
    save_bytes(path, data)
    return xxh3_128_hexdigest(data)


def leaks(found: Iterable[tuple[str, dict[str, int]]]) -> dict[str, dict[str, int]]:
    """Return {item key: {source: documents that held it}} from (source, {item key: documents}) of many parts."""
    by_item: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for source, counts in found:
        for key, documents in counts.items():
            by_item[key][source] += documents
    return {key: dict(sources) for key, sources in sorted(by_item.items())}
