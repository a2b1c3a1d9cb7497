"""The documents in JSON lines, one line after another."""

from __future__ import annotations

import numpy as np

from latxa_cli.native import json_lines as places
from latxa_cli.native.plain import json_lines
from latxa_cli.native.plain.memory import read
from latxa_cli.native.plain.minhash import band_keys, hash_runs
from latxa_cli.native.plain.words import hash_words


def scan(
    start: int, end: int, table: np.ndarray, hashes: np.ndarray, lines: np.ndarray, bands: np.ndarray
) -> tuple[int, int]:
    count = 0
    every = read(start, end).split(b"\n")
    every = every if every[-1] else every[:-1]
    offset = 0
    for row, line in enumerate(every):
        if line.strip(b" \t\r"):
            found = _found(start + offset, line)
            words = length = 0
            if found is not None and len(bands):
                words, length = hash_words(int(found[places.TEXT]), int(found[places.TEXT_SIZE]), table, hashes)
                bands[count] = band_keys(hash_runs(hashes[:words]))
            lines[count]["row"], lines[count]["offset"], lines[count]["length"] = row, offset, len(line)
            if found is not None and (words or not len(bands)):
                _fill(lines[count], start, found)
                lines[count]["words"] = length
            count += 1
        offset += len(line) + 1
    return count, len(every)


def _found(at: int, line: bytes) -> np.ndarray | None:
    """Return the scanner's slots for a line that is a document; None for any other line."""
    found = np.zeros(places.SLOTS, np.int64)
    first = at + len(line) - len(line.lstrip(b" \t\r"))
    stop = json_lines.record(first, found, np.empty(0, np.uint64))
    if not stop or line[stop - at :].strip(b" \t\r") or found[places.KIND] != places.DOCUMENT:
        return None
    return found


def _fill(line: np.ndarray, start: int, found: np.ndarray) -> None:
    line["bytes"], line["id_size"] = found[places.BYTES], found[places.ID_SIZE]
    for field, place in (("text", places.TEXT), ("url", places.URL), ("licence", places.LICENCE)):
        if found[place]:
            line[field], line[f"{field}_size"] = found[place] - start, found[place + 1]
