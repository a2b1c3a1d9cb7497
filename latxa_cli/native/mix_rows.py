"""The kernel that reads JSON lines into rows: the facts that `mix` needs of each record, and the places of insertions.

Two kinds of lines are left to the reader (`mixing.rows`): those that `json_lines` does not accept, and the few records
that may be copies, which must be counted.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from latxa_cli.native import json_lines
from latxa_cli.native.hashing import xxh64
from latxa_cli.native.kernel import kernel
from latxa_cli.native.layout import EMPTY_METADATA, EMPTY_SOURCE, OTHER_SPLIT, SPACED, UNREAD
from latxa_cli.native.vectors import byte_at

_MINUS, _ZERO, _NINE, _A, _F = (ord(character) for character in "-09af")


@kernel
def scan(start: int, end: int, seeds: np.ndarray, split: np.ndarray, unsaid: int, rows: np.ndarray) -> int:
    """Read lines into `rows`, and return the number of rows; blank lines have none.

    - start, end: addresses; see `layout.PADDING`.
    - seeds: u64 [2], the seeds of the two hashes of a record's key.
    - split: u8, the name of the split to take.
    - unsaid: 1 where records without `metadata.split` belong to another split than this one, else 0.
    - rows: zeros of `layout.ROW`, as many as `count_lines` says; offsets count from `start`. A row that is left to the
      reader is `UNREAD` and has only an offset and a length.
    """
    found, names = np.empty(json_lines.FOUND_SIZE, np.int64), np.empty(json_lines.NAMES_AT_MOST, np.uint64)
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
    """Return 1 for a record of another split than `split`, else 0."""
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
    """Whether a record may be a copy of another: it has an `epoch`, or an id like those of repeated content.

    The reader gives such content 16 hex digits, `-` and a number.
    """
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
