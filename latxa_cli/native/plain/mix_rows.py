"""Rows of JSON lines, one line after another."""

from __future__ import annotations

import re

import numpy as np

from latxa_cli.native import json_lines as places
from latxa_cli.native.layout import EMPTY_METADATA, EMPTY_SOURCE, OTHER_SPLIT, SPACED, UNREAD
from latxa_cli.native.plain import json_lines
from latxa_cli.native.plain.hashing import xxh64
from latxa_cli.native.plain.memory import read

_COUNTED = re.compile(rb"[0-9a-f]{16}-.+", re.DOTALL)


def scan(start: int, end: int, seeds: np.ndarray, split: np.ndarray, unsaid: int, rows: np.ndarray) -> int:
    count, offset = 0, 0
    for line in read(start, end).split(b"\n"):
        record = line.strip(b" \t\r")
        if record:
            row = rows[count]
            count += 1
            first = offset + line.index(record)
            found = _found(start + first, record)
            if found is None:
                row["offset"], row["length"], row["flags"] = offset, len(line), UNREAD
            else:
                row["offset"], row["length"] = first, len(record)
                _fill(row, start + first, found, seeds, bytes(split), unsaid)
        offset += len(line) + 1
    return count


def _found(at: int, record: bytes) -> np.ndarray | None:
    """Return the scanner's slots for a record; None for one that is left to the reader, perhaps as a likely copy."""
    found = np.zeros(places.SLOTS, np.int64)
    if json_lines.record(at, found, np.empty(0, np.uint64)) != at + len(record):
        return None
    is_counted = found[places.EPOCH] or _COUNTED.fullmatch(_string(found, places.ID))
    return None if is_counted else found


def _string(found: np.ndarray, place: int) -> bytes:
    return read(int(found[place]), int(found[place] + found[place + 1]))


def _fill(row: np.void, first: int, found: np.ndarray, seeds: np.ndarray, split: bytes, unsaid: int) -> None:
    source, source_size, name, name_size = found[places.SOURCE], found[places.SOURCE_SIZE], *found[:2]
    hashes = [xxh64(int(name), int(name_size), xxh64(int(source), int(source_size), seed)) for seed in seeds.tolist()]
    row["identity"], row["check"] = hashes
    row["source_at"] = source - first if source else 0
    row["metadata_at"] = found[places.METADATA] - first if found[places.METADATA] else 0
    row["words"], row["bytes"] = found[places.WORDS], found[places.BYTES]
    is_other = _string(found, places.SPLIT) != split if found[places.SPLIT] else unsaid
    flags = {
        EMPTY_SOURCE: source and not source_size,
        EMPTY_METADATA: found[places.METADATA] and not found[places.FIELDS],
        OTHER_SPLIT: is_other,
        SPACED: found[places.BLANKS],
    }
    row["flags"] = sum(flag for flag, holds in flags.items() if holds)
