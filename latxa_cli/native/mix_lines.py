"""The kernel that writes the records of a mix in their new order: it copies each line and inserts what the mix adds.

The name of the input is put before the record's own source. A second or later copy of a record gets its number as
`metadata.epoch`. Lines that were written anew (`MADE`) are copied unchanged.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from latxa_cli.native.kernel import kernel
from latxa_cli.native.layout import EMPTY_METADATA, EMPTY_SOURCE, MADE, SPACED
from latxa_cli.native.vectors import WIDTH, byte_at, copy, equal, lowest, put

_QUOTE, _BACKSLASH, _NEWLINE = (ord(character) for character in '"\\\n')
_SPACE, _TAB, _RETURN = (ord(character) for character in " \t\r")
_BLOCK = 1 << WIDTH  # the bit behind a mask

# There are three texts to insert for each input (its name), then three for each input and epoch from the second on.
# They differ by whether the line has the field that they go into, and whether that field is empty.
TEXTS = 3
NO_FIELD, SOME, EMPTY = range(TEXTS)


@kernel
def emit(
    rows: np.ndarray, order: np.ndarray, epochs: np.ndarray, texts: int, starts: np.ndarray, inputs: int, out: int,
    ends: np.ndarray,
) -> int:  # fmt: skip
    """Write lines to the address `out`, each with its line break, and return the number of bytes.

    - rows: of `layout.ROW`, whose offsets are addresses; order: i64, the rows to write.
    - epochs: i64, for each row to write, the number of this copy of its record, from 1.
    - texts, starts: the address of the texts to insert, and where each begins (see `mixing.insertions`).
    - inputs: the number of inputs.
    - out: has room for all lines and `layout.PADDING` bytes.
    - ends: i64, gets the end of each line, counted from `out`.
    """
    to = out
    for place in range(len(order)):
        row = rows[order[place]]
        start: Any = np.int64(row.offset)
        end = start + row.length
        if row.flags & MADE:
            to = _copied(start, end, to)
        else:
            to = _changed(start, end, row, epochs[place], texts, starts, inputs, to)
        put(_NEWLINE, to)
        to += 1
        ends[place] = to - out
    return to - out


@kernel
def _changed(start: int, end: int, row: Any, epoch: int, texts: int, starts: np.ndarray, inputs: int, to: int) -> int:
    """Copy a line, and insert the source before its own one and the epoch into its metadata, or both at its end."""
    flags = row.flags
    kind = NO_FIELD if not row.source_at else EMPTY if flags & EMPTY_SOURCE else SOME
    source_at = start + row.source_at if row.source_at else end - 1
    source = TEXTS * row.input + kind
    metadata_at, metadata = end, -1
    if epoch > 1:
        kind = NO_FIELD if not row.metadata_at else EMPTY if flags & EMPTY_METADATA else SOME
        metadata_at = start + row.metadata_at if row.metadata_at else end - 1
        metadata = TEXTS * (inputs * (epoch - 1) + row.input) + kind
    spaced = flags & SPACED
    first, second, before, behind = source_at, metadata_at, source, metadata
    if metadata_at < source_at:
        first, second, before, behind = metadata_at, source_at, metadata, source
    to = _segment(start, first, spaced, False, to)
    to = _copied(texts + starts[before], texts + starts[before + 1], to)
    to = _segment(first, second, spaced, before == source and row.source_at > 0, to)
    if behind >= 0:
        to = _copied(texts + starts[behind], texts + starts[behind + 1], to)
    return _segment(second, end, spaced, behind == source and row.source_at > 0, to)


@kernel
def _segment(at: int, end: int, spaced: int, in_string: bool, to: int) -> int:
    """Copy part of a line, which may begin inside a string; drop the blanks between tokens of a `spaced` line."""
    if not spaced:
        return _copied(at, end, to)
    if in_string:
        at, to = _string(at, end, to)
    while at < end:
        byte = byte_at(at)
        at += 1
        if byte not in (_SPACE, _TAB, _RETURN):
            put(byte, to)
            to += 1
            if byte == _QUOTE:
                at, to = _string(at, end, to)
    return to


@kernel
def _string(at: int, end: int, to: int) -> tuple[int, int]:
    """Copy from behind an opening quote to behind the closing one, or to `end`; return both new addresses."""
    while at < end:
        run = lowest(equal(at, _QUOTE) | equal(at, _BACKSLASH) | _BLOCK)
        run = min(run, end - at)
        copy(at, to)  # copies more than `run` bytes; the next copy overwrites the rest
        at += run
        to += run
        if run < WIDTH and at < end:
            size = 2 if byte_at(at) == _BACKSLASH else 1
            copy(at, to)
            at += size
            to += size
            if size == 1:
                break
    return at, to


@kernel
def _copied(at: int, end: int, to: int) -> int:
    stop = to + end - at
    while to < stop:
        copy(at, to)
        at += WIDTH
        to += WIDTH
    return stop
