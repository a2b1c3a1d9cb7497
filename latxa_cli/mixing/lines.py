"""Reading lines into rows, and writing rows as lines again, with kernels or in plain Python.

Kernels and their compiler take half a second to load, so small inputs are handled in plain Python. The lines are the
same either way.
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
from latxa_cli.mixing.rows import (
    UNSAID,
    InputReading,
    RejectedLine,
    RowBuilder,
    content_hash,
    epoch_of,
    key_seeds,
    later_epoch,
)
from latxa_cli.native.layout import MADE, OTHER_SPLIT, PADDING, ROW, UNREAD
from latxa_cli.stream.cutting import Part, data_of, lines_of, location
from latxa_cli.stream.errors import LatxaError
from latxa_cli.stream.inputs import LONGEST_LINE, reading

CHUNK = 1 << 20  # bytes of lines per chunk that is written
BLOCK = 8 << 20  # bytes per read

_NEWLINE = ord("\n")
_HASH_ENDS = len('{"id":"') + 16  # the place behind the hash in a line that had no id, where the copy's number goes
_GROWTH = 80  # bytes by which a line may grow, about; it only spreads lines over chunks

Item = TypeVar("Item")
Location = Callable[[int], str]  # row number -> `FILE:LINE`


# --- lines to rows ---------------------------------------------------------------------------------------------------


@dataclass
class ScannedLines:
    """The result of reading lines."""

    rows: np.ndarray
    made: bytes  # the lines of rows that are `MADE`
    rejected: list[RejectedLine]
    read: int  # lines that are not blank
    other_split: int  # records of another split
    last_epoch: int  # the highest epoch of a record


def scan_part(part: Part, reading: InputReading, data: np.ndarray | None) -> ScannedLines:
    """Read a part whose bytes are `data`; without them, read its file line by line in plain Python.

    Raises RecordError as `RowBuilder` does, LatxaError when the part cannot be read.
    """
    here = partial(location, part)
    if data is None:
        return from_lines(((row, line) for row, _, line in lines_of(part)), reading, here)
    return from_data(data, part.size, reading, here)


def load(part: Part) -> np.ndarray:
    """Return the bytes of a part (u8), with padding behind them; raises LatxaError."""
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


def map_part(part: Part) -> np.ndarray:
    """Return the bytes of a part (u8), mapped into memory where that is possible, else loaded.

    Behind them are the bytes of the next part, or zeros. The array must not be written to. Raises LatxaError.
    """
    # The array is writable all the same, since for the kernels a read-only one would have another type.
    if part.kind != "jsonl":
        return load(part)
    with reading(part.name), Path(part.path).open("rb", buffering=0) as file:
        first = part.start - part.start % mmap.ALLOCATIONGRANULARITY
        size = os.fstat(file.fileno()).st_size
        last = min(part.end + PADDING, size)
        behind = size - part.end + -size % mmap.PAGESIZE  # readable bytes: zeros fill the last page of a mapped file
        ends_line = os.pread(file.fileno(), 1, part.end - 1) == b"\n"
        if part.end > size or behind < PADDING or (part.end == size and not ends_line):
            return load(part)
        mapped = mmap.mmap(file.fileno(), last - first, flags=mmap.MAP_PRIVATE, offset=first)
    return np.frombuffer(mapped, np.uint8)[part.start - first :]


def padded(size: int) -> np.ndarray:
    """Return an array (u8) for `size` bytes, with zeros as padding behind them."""
    data = np.empty(size + PADDING, np.uint8)
    data[size:] = 0
    return data


def array_of(data: bytes) -> np.ndarray:
    """Return a copy of bytes as an array (u8), with zeros as padding behind them."""
    array = padded(len(data))
    array[: len(data)] = np.frombuffer(data, np.uint8)
    return array


def address(data: np.ndarray) -> int:
    """Return the address of an array's bytes."""
    return int(data.ctypes.data)


def from_lines(
    entries: Iterable[tuple[int, bytes]], reading: InputReading, location_of: Location = str
) -> ScannedLines:
    """Read lines, each with its row number in the part, in plain Python; raises RecordError as `RowBuilder` does."""
    builder = RowBuilder(reading, location_of)
    builder.make(entries)
    return ScannedLines(
        builder.array(), bytes(builder.lines), builder.rejected, builder.read, builder.other_split, builder.last_epoch
    )


def from_data(data: np.ndarray, size: int, reading: InputReading, location_of: Location = str) -> ScannedLines:
    """Read the lines in `data[:size]`, which `PADDING` bytes must follow; raises RecordError as `RowBuilder` does."""
    if reading.admission:
        return from_lines(enumerate(data[:size].tobytes().split(b"\n")), reading, location_of)
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
    builder = RowBuilder(reading, lambda offset: location_of(numbers.at(offset)))
    spans = zip(rows["offset"][unread].tolist(), rows["length"][unread].tolist(), strict=True)
    builder.make((offset, data[offset : offset + length].tobytes()) for offset, length in spans)
    kept = rows["flags"] & (UNREAD | OTHER_SPLIT) == 0
    other_split = len(rows) - len(unread) - int(kept.sum())
    made = unread[builder.places]
    rows[made], kept[made] = builder.array(), True
    read = len(rows) - len(unread) + builder.read
    other_split += builder.other_split
    return ScannedLines(rows[kept], bytes(builder.lines), builder.rejected, read, other_split, builder.last_epoch)


class _RowNumbers:
    """The row numbers of lines at offsets, which must come in rising order."""

    def __init__(self, data: np.ndarray) -> None:
        self.data, self.offset, self.row = data, 0, 0

    def at(self, offset: int) -> int:
        """Return the row number of the line at an offset."""
        self.row += int(np.count_nonzero(self.data[self.offset : offset] == _NEWLINE))
        self.offset = offset
        return self.row


# --- rows to lines ---------------------------------------------------------------------------------------------------


class LineChunk(NamedTuple):
    """Some lines."""

    data: np.ndarray  # u8, each line with its line break
    ends: np.ndarray  # i64, the end of each


@dataclass(frozen=True)
class LineTable:
    """Rows whose offsets are addresses.

    - arrays: those that the rows point into, which must live as long as the rows.
    - names: the names of the inputs; last_epochs: for each, the highest epoch that its records already have.
    - epochs: the largest number of copies of any record.
    - by_kernel: lines are written by the kernel; without it all rows must be `MADE`.
    """

    rows: np.ndarray
    arrays: Sequence[np.ndarray]
    names: Sequence[str]
    last_epochs: Sequence[int]
    epochs: int = 1
    by_kernel: bool = True

    def contents(self, rows: np.ndarray) -> np.ndarray:
        """Return the hashes (u64) of the contents of some rows: their messages, or their texts."""
        records = (orjson.loads(line_of(row)) for row in self.rows[rows])
        return np.array([content_hash(record) for record in records], np.uint64)

    def chunks(self, picks: Picks) -> Iterator[LineChunk]:
        """Yield the lines of the picks in their order, in chunks of about `CHUNK` bytes.

        A chunk stays valid until two more have been taken; then its memory is reused.
        """
        write = _Emitter(self.names, self.last_epochs, self.epochs) if self.by_kernel else _join_lines
        made = self.rows["flags"][picks.rows] & MADE > 0
        # The kernel copies `MADE` lines as they are, so copies and repeated contents among them are written here.
        others = np.flatnonzero(made & ((picks.epochs > 1) | (picks.counts > 1)))
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
        """Return the rows of the picks, and the new lines that the `others` among them point to."""
        rows = self.rows[picks.rows]
        changes = zip(rows[others], picks.epochs[others].tolist(), picks.counts[others].tolist(), strict=True)
        lines = [_copy_of(line_of(row), epoch, count, self.last_epochs[row["input"]]) for row, epoch, count in changes]
        data = array_of(b"".join(lines))
        rows[others] = with_lines(rows[others], [len(line) for line in lines], data)
        return rows, data


class _Emitter:
    """Writes lines by the kernel, to three arrays in turn, since fresh memory costs more time than writing to it."""

    def __init__(self, names: Sequence[str], last_epochs: Sequence[int], epochs: int) -> None:
        from latxa_cli.mixing.insertions import insertions
        from latxa_cli.native.mix_lines import emit

        self.emit, inserted = emit, insertions(names, last_epochs, epochs)
        self.texts, self.starts, self.growth = array_of(inserted.texts), inserted.starts, inserted.longest + 1
        self.inputs = len(names)
        self.outs = [padded(CHUNK) for _ in range(3)]

    def __call__(self, rows: np.ndarray, order: np.ndarray, epochs: np.ndarray) -> LineChunk:
        out = self.outs.pop(0)
        needed = int(rows["length"][order].sum()) + len(order) * self.growth + PADDING
        if len(out) < needed:
            out = padded(needed)
        self.outs.append(out)
        ends = np.empty(len(order), np.int64)
        size = self.emit(rows, order, epochs, address(self.texts), self.starts, self.inputs, address(out), ends)
        return LineChunk(out[:size], ends)


def _join_lines(rows: np.ndarray, order: np.ndarray, _epochs: np.ndarray) -> LineChunk:
    """Return lines of rows that are all `MADE`, in plain Python."""
    rows = rows[order]
    spans = zip(rows["offset"].tolist(), rows["length"].tolist(), strict=True)
    joined = b"".join(piece for start, length in spans for piece in (ctypes.string_at(start, length), b"\n"))
    return LineChunk(np.frombuffer(joined, np.uint8), np.cumsum(rows["length"] + 1, dtype=np.int64))


def with_lines(rows: np.ndarray, lengths: Sequence[int] | np.ndarray, data: np.ndarray) -> np.ndarray:
    """Return the rows with pointers to lines of these lengths, which lie in `data` one after another."""
    rows = rows.copy()
    rows["length"] = lengths
    rows["offset"] = address(data) + np.cumsum(rows["length"], dtype=np.int64) - rows["length"]
    return rows


def with_addresses(rows: np.ndarray, data: np.ndarray | None, made: np.ndarray) -> np.ndarray:
    """Return rows with addresses in place of their offsets: in `made` for rows that are `MADE`, else in `data`."""
    rows = rows.copy()
    is_made = rows["flags"] & MADE > 0
    rows["offset"] += np.where(is_made, address(made), address(data) if data is not None else 0).astype(np.uint64)
    return rows


def line_of(row: np.void) -> bytes:
    """Return the line of a row whose offset is an address."""
    return ctypes.string_at(int(row["offset"]), int(row["length"]))


def original_line(row: np.void) -> bytes:
    """Return the line of a row as it was read, which is kept behind a `MADE` line with `InputReading.set_aside`."""
    if not row["flags"] & MADE:
        return line_of(row)
    return ctypes.string_at(int(row["offset"]) + int(row["length"]), int(row["metadata_at"]))


def _copy_of(line: bytes, epoch: int, count: int, last_epoch: int) -> bytes:
    """Return a `MADE` line with the number of its copy (`epoch`), and its number among lines of the same content."""
    if count > 1:
        line = b"%b-%d%b" % (line[:_HASH_ENDS], count, line[_HASH_ENDS:])
    if epoch > 1:
        record = orjson.loads(line)
        epoch = later_epoch(epoch_of(record), epoch, last_epoch)
        line = orjson.dumps(record | {"metadata": (record.get("metadata") or {}) | {"epoch": epoch}})
    return line


def prefetch(items: Iterator[Item]) -> Iterator[Item]:
    """Yield `items`, while a thread computes the next one."""
    end = object()
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(next, items, end)
        while (item := future.result()) is not end:
            future = pool.submit(next, items, end)
            yield item  # type: ignore[misc]
