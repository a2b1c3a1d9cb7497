"""Writes records in their new order: each line copied, what the mix adds inserted on the way.

A record gets the name of its input before its own source, and copies after the first say which one they are in
`metadata.epoch`. Lines that were written anew (`MADE`) are copied as they are.
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

# Of each input, and then of each input for each epoch from the second on, three texts to insert.
TEXTS = 3
NO_FIELD, SOME, EMPTY = range(TEXTS)


@kernel
def emit(
    rows: np.ndarray, picked: np.ndarray, epochs: np.ndarray, texts: int, starts: np.ndarray, inputs: int, out: int,
    ends: np.ndarray,
) -> int:  # fmt: skip
    """Write the lines of picked rows to the address `out`, each with its line break; return how many bytes they have.

    Args:
        rows: of `layout.ROW`, their offsets being addresses.
        picked: i64, which rows, in order.
        epochs: i64, which copy of its record each one is, from 1.
        texts, starts: see `mixing.insertions`, the texts by their address; `inputs`: how many they are for.
        out: with room for all the lines and `layout.PADDING` bytes more.
        ends: i64, gets where each line ends, counted from `out`.
    """
    to = out
    for place in range(len(picked)):
        row = rows[picked[place]]
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
    """Copy a line with what is inserted: before its own source or at its end, and in its metadata or at its end."""
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
    """Copy part of a line, which may begin inside a string; `spaced`: without blanks between tokens."""
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
    """Copy a string from behind its opening quote to behind its closing one, or to `end`."""
    while at < end:
        run = lowest(equal(at, _QUOTE) | equal(at, _BACKSLASH) | _BLOCK)
        run = min(run, end - at)
        copy(at, to)  # more than `run`, which what follows overwrites
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
