"""Evaluation items, which documents must not contain, and the sources that they leaked from."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

import orjson
from xxhash import xxh3_128_hexdigest

from latxa_cli.stages import save_bytes
from latxa_cli.stream.errors import LatxaError, RecordError
from latxa_cli.stream.inputs import Input
from latxa_cli.stream.reader import explain
from latxa_cli.stream.records import Record
from latxa_cli.text.items import texts


def read_items(path: str) -> Iterator[tuple[str, Record]]:
    """Yield (`FILE:ID`, item) for the JSON objects in a file of evaluation items; raises RecordError."""
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


def save_items(path: Path, items: Iterable[tuple[str, Record]]) -> str:
    """Save the texts of evaluation items (key, item) for workers, and return the hash of the file.

    Raises LatxaError where the items hold no text.
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
    """Return {item key: {source: number of documents}} from the (source, {item key: number of documents}) of parts."""
    by_item: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for source, counts in found:
        for key, documents in counts.items():
            by_item[key][source] += documents
    return {key: dict(sources) for key, sources in sorted(by_item.items())}
