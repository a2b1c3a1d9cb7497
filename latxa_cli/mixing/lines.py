"""Lines made into rows, by the kernel where it can, and rows written as lines again.

The kernels and their compiler take half a second to load, so that small inputs are read in plain Python. The lines that
come out are the same.
"""

from __future__ import annotations

import ctypes
import mmap
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
import orjson

from latxa_cli.mixing.draw import Picks
from latxa_cli.mixing.rows import UNSAID, InputReading, RowBuilder, SetAside, epoch_of, key_seeds, later_epoch
from latxa_cli.native.layout import MADE, OTHER_SPLIT, PADDING, ROW, UNREAD
from latxa_cli.stream.errors import LatxaError
from latxa_cli.stream.inputs import LONGEST_LINE, reading
from latxa_cli.stream.parts import Part, data_of, lines_of, where

CHUNK = 1 << 20  # bytes of lines that are written at once
BLOCK = 8 << 20  # bytes that are read at once

_NEWLINE = ord("\n")
_HASH_ENDS = len('{"id":"') + 16  # where a line that had no id has the number of the copy
_GROWTH = 80  # bytes that a line may grow by when it is made again

Item = TypeVar("Item")
Where = Callable[[int], str]  # row number -> `FILE:LINE`


# --- lines to rows ---------------------------------------------------------------------------------------------------


@dataclass
class ScannedLines:
    """What was read: the rows, the lines of those that are `MADE`, what is left out, how many lines there were, and the
    highest epoch that a record has."""

    rows: np.ndarray
    made: bytes
    asides: list[SetAside]
    read: int
    other_split: int
    last_epoch: int


def scan_part(part: Part, reading: InputReading, data: np.ndarray | None) -> ScannedLines:
    """Read a part, whose bytes are `data` (None: in plain Python, line by line).

    Raises RecordError as `RowBuilder` does, LatxaError when the part cannot be read.
    """
    here = partial(where, part)
    if data is None:
        return from_lines(((row, line) for row, _, line in lines_of(part)), reading, here)
    return from_data(data, part.size, reading, here)


def load(part: Part) -> np.ndarray:
    """Return the bytes of a part with zeros behind them (u8); raises LatxaError."""
    data = padded(part.size)
    if part.kind != "jsonl":
        data[: part.size] = np.frombuffer(data_of(part), np.uint8)
        return data
    with reading(part.name), Path(part.path).open("rb", buffering=0) as file:
        file.seek(part.start)
        target = memoryview(data)[: part.size]  # type: ignore[arg-type]
        while target:
            if not (count := file.readinto(target[:BLOCK])):
                raise LatxaError(f"{part.name}: has become shorter while it was read")
            target = target[count:]
    return data


def look_at(part: Part) -> np.ndarray:
    """Return the bytes of a part (u8), mapped where that can be: they are not copied, and take no memory of their own.

    Behind them are those of the next part, or zeros. Nobody writes to them, though it is allowed: for the kernels,
    arrays that are read-only would be of another type. Raises LatxaError.
    """
    if part.kind != "jsonl":
        return load(part)
    with reading(part.name), Path(part.path).open("rb", buffering=0) as file:
        first = part.start - part.start % mmap.ALLOCATIONGRANULARITY
        size = os.fstat(file.fileno()).st_size
        last = min(part.end + PADDING, size)
        behind = size - part.end + -size % mmap.PAGESIZE  # that can be read: zeros fill its last page
        ends_line = os.pread(file.fileno(), 1, part.end - 1) == b"\n"
        if part.end > size or behind < PADDING or (part.end == size and not ends_line):
            return load(part)
        mapped = mmap.mmap(file.fileno(), last - first, flags=mmap.MAP_PRIVATE, offset=first)
    return np.frombuffer(mapped, np.uint8)[part.start - first :]


def padded(size: int) -> np.ndarray:
    """Return an array (u8) for `size` bytes, with zeros behind them."""
    data = np.empty(size + PADDING, np.uint8)
    data[size:] = 0
    return data


def array_of(data: bytes) -> np.ndarray:
    """Return bytes as an array (u8) with zeros behind them."""
    array = padded(len(data))
    array[: len(data)] = np.frombuffer(data, np.uint8)
    return array


def address(data: np.ndarray) -> int:
    """Return where the bytes of an array are in memory."""
    return int(data.ctypes.data)


def from_lines(entries: Iterable[tuple[int, bytes]], reading: InputReading, where: Where = str) -> ScannedLines:
    """Read lines, each with its row number in the part, in plain Python; raises RecordError as `RowBuilder` does."""
    builder = RowBuilder(reading, where)
    builder.make(entries)
    return ScannedLines(
        builder.array(), bytes(builder.lines), builder.asides, builder.read, builder.other_split, builder.last_epoch
    )


def from_data(data: np.ndarray, size: int, reading: InputReading, where: Where = str) -> ScannedLines:
    """Read the lines in `data[:size]`, behind which are `PADDING` bytes; raises RecordError as `RowBuilder` does."""
    if reading.fit:
        return from_lines(enumerate(data[:size].tobytes().split(b"\n")), reading, where)
    from latxa_cli.native.json_lines import count_lines
    from latxa_cli.native.mix_rows import scan

    start, end = address(data), address(data) + size
    rows = np.zeros(count_lines(start, end), ROW)
    seeds = np.array(key_seeds(reading.seed, reading.name), np.uint64)
    split = np.frombuffer(bytearray(reading.split.encode()), np.uint8)
    rows = rows[: scan(start, end, seeds, split, int(reading.split != UNSAID), rows)]
    rows["input"] = reading.number
    rows["flags"][rows["length"] > LONGEST_LINE] = UNREAD
    unread = np.flatnonzero(rows["flags"] & UNREAD)
    numbers = _RowNumbers(data)
    builder = RowBuilder(reading, lambda offset: where(numbers.at(offset)))
    spans = zip(rows["offset"][unread].tolist(), rows["length"][unread].tolist(), strict=True)
    builder.make((offset, data[offset : offset + length].tobytes()) for offset, length in spans)
    kept = rows["flags"] & (UNREAD | OTHER_SPLIT) == 0
    other_split = len(rows) - len(unread) - int(kept.sum())
    made = unread[builder.places]
    rows[made], kept[made] = builder.array(), True
    read = len(rows) - len(unread) + builder.read
    other_split += builder.other_split
    return ScannedLines(rows[kept], bytes(builder.lines), builder.asides, read, other_split, builder.last_epoch)


class _RowNumbers:
    """Counts the line breaks before offsets that grow."""

    def __init__(self, data: np.ndarray) -> None:
        self.data, self.offset, self.row = data, 0, 0

    def at(self, offset: int) -> int:
        """Return the row number of the line at an offset."""
        self.row += int(np.count_nonzero(self.data[self.offset : offset] == _NEWLINE))
        self.offset = offset
        return self.row


# --- rows to lines ---------------------------------------------------------------------------------------------------


class LineChunk(NamedTuple):
    """Some lines, each with its line break (u8), and where each ends (i64)."""

    data: np.ndarray
    ends: np.ndarray


@dataclass(frozen=True)
class LineTable:
    """Rows whose offsets are addresses, and the arrays that they point into, which must live as long.

    `names`: of the inputs; `last_epochs`: of each, the highest that its records have already; `epochs`: the most copies
    that any record has. Without `by_kernel` all rows are `MADE`.
    """

    rows: np.ndarray
    arrays: Sequence[np.ndarray]
    names: Sequence[str]
    last_epochs: Sequence[int]
    epochs: int = 1
    by_kernel: bool = True

    def written(self, picks: Picks) -> Iterator[LineChunk]:
        """Yield the lines of the picks in their order, about `CHUNK` bytes at once.

        A chunk is good until two more have been asked for: then its memory is used again.
        """
        write = _Emitter(self.names, self.last_epochs, self.epochs) if self.by_kernel else _joined
        made = self.rows["flags"][picks.rows] & MADE > 0
        others = np.flatnonzero(made & ((picks.epochs > 1) | (picks.counts > 1)))  # not written as they are
        ends = np.cumsum(self.rows["length"][picks.rows] + _GROWTH, dtype=np.int64)
        start = 0
        while start < len(ends):
            before = ends[start - 1] if start else 0
            stop = max(start + 1, int(np.searchsorted(ends, before + CHUNK, "right")))
            chosen = Picks(*(array[start:stop] for array in picks))
            first, last = np.searchsorted(others, (start, stop))
            if first == last:
                yield write(self.rows, chosen.rows, chosen.epochs)
            else:
                rows, data = self._changed(chosen, others[first:last] - start)
                yield write(rows, np.arange(len(rows)), chosen.epochs)
                del data
            start = stop

    def _changed(self, picks: Picks, others: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the rows of the picks, and the lines of the `others` among them as they are to be written."""
        rows = self.rows[picks.rows]
        changes = zip(rows[others], picks.epochs[others].tolist(), picks.counts[others].tolist(), strict=True)
        lines = [_again(line_of(row), epoch, count, self.last_epochs[row["input"]]) for row, epoch, count in changes]
        data = array_of(b"".join(lines))
        rows[others] = point(rows[others], [len(line) for line in lines], data)
        return rows, data


class _Emitter:
    """Writes lines by the kernel, to three arrays in turn: memory that is new costs more than what is written to it."""

    def __init__(self, names: Sequence[str], last_epochs: Sequence[int], epochs: int) -> None:
        from latxa_cli.mixing.insertions import insertions
        from latxa_cli.native.mix_lines import emit

        self.emit, inserted = emit, insertions(names, last_epochs, epochs)
        self.texts, self.starts, self.growth = array_of(inserted.texts), inserted.starts, inserted.longest + 1
        self.inputs = len(names)
        self.outs = [padded(CHUNK) for _ in range(3)]

    def __call__(self, rows: np.ndarray, picked: np.ndarray, epochs: np.ndarray) -> LineChunk:
        out = self.outs.pop(0)
        needed = int(rows["length"][picked].sum()) + len(picked) * self.growth + PADDING
        if len(out) < needed:
            out = padded(needed)
        self.outs.append(out)
        ends = np.empty(len(picked), np.int64)
        size = self.emit(rows, picked, epochs, address(self.texts), self.starts, self.inputs, address(out), ends)
        return LineChunk(out[:size], ends)


def _joined(rows: np.ndarray, picked: np.ndarray, _epochs: np.ndarray) -> LineChunk:
    """Return the lines of picked rows that are all `MADE`."""
    rows = rows[picked]
    spans = zip(rows["offset"].tolist(), rows["length"].tolist(), strict=True)
    joined = b"".join(piece for start, length in spans for piece in (ctypes.string_at(start, length), b"\n"))
    return LineChunk(np.frombuffer(joined, np.uint8), np.cumsum(rows["length"] + 1, dtype=np.int64))


def point(rows: np.ndarray, lengths: Sequence[int] | np.ndarray, data: np.ndarray) -> np.ndarray:
    """Return rows that point to the lines of these lengths that lie in `data` one after the other."""
    rows = rows.copy()
    rows["length"] = lengths
    rows["offset"] = address(data) + np.cumsum(rows["length"], dtype=np.int64) - rows["length"]
    return rows


def placed(rows: np.ndarray, data: np.ndarray | None, made: np.ndarray) -> np.ndarray:
    """Return rows as they were read with addresses for offsets: in `data`, or in `made` for those that are `MADE`."""
    rows = rows.copy()
    is_made = rows["flags"] & MADE > 0
    rows["offset"] += np.where(is_made, address(made), address(data) if data is not None else 0).astype(np.uint64)
    return rows


def line_of(row: np.void) -> bytes:
    """Return the line of a row whose offset is an address, as it lies there."""
    return ctypes.string_at(int(row["offset"]), int(row["length"]))


def as_it_came(row: np.void) -> bytes:
    """Return the line of a row as it was before it was made, where that is kept (`InputReading.set_aside`)."""
    if not row["flags"] & MADE:
        return line_of(row)
    return ctypes.string_at(int(row["offset"]) + int(row["length"]), int(row["metadata_at"]))


def _again(line: bytes, epoch: int, count: int, last_epoch: int) -> bytes:
    """Return a made line as the copy `epoch` of a record, the `count`-th one of its content where it had no id."""
    if count > 1:
        line = b"%b-%d%b" % (line[:_HASH_ENDS], count, line[_HASH_ENDS:])
    if epoch > 1:
        record = orjson.loads(line)
        epoch = later_epoch(epoch_of(record), epoch, last_epoch)
        line = orjson.dumps(record | {"metadata": (record.get("metadata") or {}) | {"epoch": epoch}})
    return line


def ahead(items: Iterator[Item]) -> Iterator[Item]:
    """Yield `items`, the next of which is made in a thread meanwhile."""
    end = object()
    with ThreadPoolExecutor(1) as pool:
        coming = pool.submit(next, items, end)
        while (item := coming.result()) is not end:
            coming = pool.submit(next, items, end)
            yield item  # type: ignore[misc]
