"""The kernel that makes rows of JSON lines: what `mix` must know of each record, and where it is to insert.

Lines that `latxa_cli.text.json_lines` does not take, and the few records whose copies or names must be counted, are
left to the reader (`latxa_cli.mixing.rows`).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from latxa_cli.mixing.rows import EMPTY_METADATA, EMPTY_SOURCE, OTHER_SPLIT, SPACED, UNREAD
from latxa_cli.text import json_lines
from latxa_cli.text.kernel import kernel
from latxa_cli.text.vectors import byte_at, word_at

_MINUS, _ZERO, _NINE, _A, _F = (ord(character) for character in "-09af")
_FOUR_BYTES = np.uint64(2**32 - 1)


@kernel
def scan(start: int, end: int, seeds: np.ndarray, split: np.ndarray, unsaid: int, rows: np.ndarray) -> int:
    """Read lines into `rows`, and return how many rows there are; blank lines have none.

    Args:
        start, end: addresses; behind `end`, which is the end of a line, are 2 `WIDTH` zeros.
        seeds: u64 [2], what the two hashes of a record's key start from.
        split: u8, the split that is wanted.
        unsaid: 1 where it is another than that of records that do not say theirs, else 0.
        rows: as many as `count_lines` says, zeros of `latxa_cli.mixing.rows.ROW`; their offsets count from `start`.
            Those of lines left to the reader are `UNREAD` and have no more than an offset and a length.
    """
    found, names = json_lines.room()
    count = 0
    at = start
    while at < end:
        first = json_lines.blank(at, found)
        if json_lines.ends_line(first, end):
            at = first + 1
            continue
        stop = json_lines.record(first, found, names)
        blanks = found[json_lines.BLANKS]
        after = json_lines.blank(stop, found) if stop else 0
        row = rows[count]
        count += 1
        if stop and json_lines.ends_line(after, end) and not _is_counted(found):
            row.offset, row.length = first - start, stop - first
            _fill(row, first, seeds, found, blanks, _is_other(found, split, unsaid))
            at = after + 1
        else:
            after = json_lines.line_end(at, end)
            row.offset, row.length = at - start, after - at
            row.flags = UNREAD
            at = after + 1
    return count


@kernel
def _is_other(found: np.ndarray, split: np.ndarray, unsaid: int) -> int:
    """Whether a record is of another split than the one that is wanted."""
    if not found[json_lines.SPLIT]:
        return unsaid
    if found[json_lines.SPLIT_SIZE] != len(split):
        return 1
    for place in range(len(split)):
        if byte_at(found[json_lines.SPLIT] + place) != split[place]:
            return 1
    return 0


@kernel
def _fill(row: Any, first: int, seeds: np.ndarray, found: np.ndarray, blanks: int, other: int) -> None:
    source, identity, check = found[json_lines.SOURCE], seeds[0], seeds[1]
    identity = xxh64(source, found[json_lines.SOURCE_SIZE], identity)
    check = xxh64(source, found[json_lines.SOURCE_SIZE], check)
    row.identity = xxh64(found[json_lines.ID], found[json_lines.ID_SIZE], identity)
    row.check = xxh64(found[json_lines.ID], found[json_lines.ID_SIZE], check)
    row.source_at = source - first if source else 0
    row.metadata_at = found[json_lines.METADATA] - first if found[json_lines.METADATA] else 0
    row.words, row.bytes = found[json_lines.WORDS], found[json_lines.BYTES]
    flags = 0
    if source and not found[json_lines.SOURCE_SIZE]:
        flags |= EMPTY_SOURCE
    if found[json_lines.METADATA] and not found[json_lines.FIELDS]:
        flags |= EMPTY_METADATA
    if other:
        flags |= OTHER_SPLIT
    if blanks:
        flags |= SPACED
    row.flags = flags


@kernel
def _is_counted(found: np.ndarray) -> bool:
    """Whether a record is a copy of another, or may have an id that the reader gives to repeated content: 16 hex
    digits, `-` and a number."""
    at = found[json_lines.ID]
    if found[json_lines.EPOCH]:
        return True
    if found[json_lines.ID_SIZE] < 18 or byte_at(at + 16) != _MINUS:
        return False
    for place in range(at, at + 16):
        byte = byte_at(place)
        if not (_ZERO <= byte <= _NINE or _A <= byte <= _F):
            return False
    return True


# --- hashing ---------------------------------------------------------------------------------------------------------

_P1, _P2, _P3, _P4, _P5 = map(
    np.uint64, (0x9E3779B185EBCA87, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0x85EBCA77C2B2AE63, 0x27D4EB2F165667C5)
)


@kernel
def _rotated(value: np.uint64, by: int) -> np.uint64:
    return value << np.uint64(by) | value >> np.uint64(64 - by)


@kernel
def _round(value: np.uint64, word: np.uint64) -> np.uint64:
    return _rotated(value + word * _P2, 31) * _P1


@kernel
def xxh64(at: int, size: int, seed: np.uint64) -> np.uint64:
    """Return XXH64 (Collet, xxHash specification 0.1.1) of `size` bytes."""
    end = at + size
    if size >= 32:
        a, b, c, d = seed + _P1 + _P2, seed + _P2, seed, seed - _P1
        while at + 32 <= end:
            a, b = _round(a, word_at(at)), _round(b, word_at(at + 8))
            c, d = _round(c, word_at(at + 16)), _round(d, word_at(at + 24))
            at += 32
        value = _rotated(a, 1) + _rotated(b, 7) + _rotated(c, 12) + _rotated(d, 18)
        for lane in (a, b, c, d):
            value = (value ^ _round(np.uint64(0), lane)) * _P1 + _P4
    else:
        value = seed + _P5
    value += np.uint64(size)
    while at + 8 <= end:
        value = _rotated(value ^ _round(np.uint64(0), word_at(at)), 27) * _P1 + _P4
        at += 8
    if at + 4 <= end:
        value = _rotated(value ^ (word_at(at) & _FOUR_BYTES) * _P1, 23) * _P2 + _P3
        at += 4
    while at < end:
        value = _rotated(value ^ np.uint64(byte_at(at)) * _P5, 11) * _P1
        at += 1
    value = (value ^ value >> np.uint64(33)) * _P2
    value = (value ^ value >> np.uint64(29)) * _P3
    return value ^ value >> np.uint64(32)
