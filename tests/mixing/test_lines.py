"""Lines made into rows and rows written as lines: buffers, and what is counted on the way."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import orjson
import pytest
from mixing_world import Record, document, documents

from latxa_cli.mixing import lines as module
from latxa_cli.mixing.draw import Picks
from latxa_cli.mixing.lines import LineTable, array_of, from_data, from_lines, with_addresses
from latxa_cli.mixing.rows import InputReading


def table(records: Sequence[Record], *, epochs: int = 1, number: int = 0) -> LineTable:
    data = b"".join(orjson.dumps(record) + b"\n" for record in records)
    array = array_of(data)
    found = from_data(array, len(data), InputReading("docs", number))
    made = array_of(found.made)
    return LineTable(with_addresses(found.rows, array, made), [array, made], ["docs"], [1], epochs)


def picks(rows: Sequence[int], epochs: Sequence[int] | None = None) -> Picks:
    ones = np.ones(len(rows), np.int64)
    return Picks(np.array(rows), np.array(epochs) if epochs else ones, np.zeros(len(rows), np.uint64), ones)


@pytest.mark.parametrize("size", [1, 300, 1 << 20])
def test_a_chunk_is_good_until_two_more_have_been_asked_for(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CHUNK", size)
    records = [document(str(n), more="x" * (n * 37 % 900)) for n in range(60)]
    chunks = list(map(bytes, _held_back(table(records), range(60))))
    assert b"".join(chunks) == b"".join(orjson.dumps(record | {"source": "docs"}) + b"\n" for record in records)
    assert len(chunks) == (60 if size == 1 else 1 if size == 1 << 20 else len(chunks))
    assert size != 300 or 20 < len(chunks) < 60


def _held_back(table: LineTable, rows: Sequence[int]) -> list[bytes]:
    """Return what chunks hold, each looked at when two more have been made."""
    found, waiting = [], []
    for chunk in table.chunks(picks(rows)):
        waiting.append(chunk)
        assert chunk.ends[-1] == len(chunk.data)
        if len(waiting) == 3:
            found.append(waiting.pop(0).data.tobytes())
    return found + [chunk.data.tobytes() for chunk in waiting]


def test_lines_that_copies_make_longer_have_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CHUNK", 100)
    records = [document(str(n)) for n in range(9)]
    order, epochs = [8, 0, 8, 3, 8] * 9, [1, 2, 3, 1000, 2] * 9
    data = b"".join(chunk.data.tobytes() for chunk in table(records, epochs=1000).chunks(picks(order, epochs)))
    found = [orjson.loads(line) for line in data.split(b"\n")[:-1]]
    assert [(int(r["id"]), r.get("metadata", {}).get("epoch", 1)) for r in found] == list(
        zip(order, epochs, strict=True)
    )


def test_the_highest_epoch_is_that_of_all_records() -> None:
    lines = [orjson.dumps(document(str(n), metadata={"epoch": n})) for n in (1, 5, 2)]
    lines.append(orjson.dumps(document("9", metadata={"epoch": 9, "split": "test"})))
    data = b"\n".join(lines)
    assert from_lines(enumerate(lines), InputReading("docs")).last_epoch == 5
    assert from_data(array_of(data), len(data), InputReading("docs")).last_epoch == 5


def test_rows_are_of_their_input() -> None:
    assert set(table(documents(*"abc"), number=3).rows["input"].tolist()) == {3}
