"""The documents in plain JSON lines, found without a text being made of them, and their near-duplicate bands."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from xxhash import xxh3_128_digest

from latxa_cli.native import json_lines
from latxa_cli.native.documents import scan
from latxa_cli.native.layout import LINE, PADDING
from latxa_cli.native.minhash import BANDS
from latxa_cli.stream.parts import Part, whole_lines
from latxa_cli.text.words import table


@dataclass(frozen=True)
class LineBlock:
    """Lines that follow on one another, blank ones left out.

    `lines`: LINE, `offset` in the file and `row` in the part; `bands`: u64 [lines, BANDS], or [0, BANDS]; `data`: the
    bytes from `offset` on, which the other places of a line point into, until the next block is asked for.
    """

    offset: int
    lines: np.ndarray
    bands: np.ndarray
    data: memoryview

    def taken(self) -> np.ndarray:
        """Return which lines are documents that the kernel has read (bool [lines])."""
        return self.lines["id_size"] > 0

    def raw(self, line: np.void) -> bytes:
        """Return a line without its line break."""
        start = int(line["offset"]) - self.offset
        return bytes(self.data[start : start + int(line["length"])])

    def strings(self, lines: np.ndarray, field: str) -> Iterator[bytes]:
        """Yield the `url` or `licence` of some lines: empty where there is none."""
        starts, ends = lines[field], lines[field] + lines[f"{field}_size"]
        return (bytes(self.data[a:b]) for a, b in zip(starts.tolist(), ends.tolist(), strict=True))

    def digests(self, lines: np.ndarray) -> list[bytes]:
        """Return the hashes of the texts of some lines: those of the texts as they are spelled."""
        ends = lines["text"] + lines["text_size"]
        return [xxh3_128_digest(self.data[a:b]) for a, b in zip(lines["text"].tolist(), ends.tolist(), strict=True)]


def blocks(part: Part, *, near: bool) -> Iterator[LineBlock]:
    """Yield the lines of a part of kind "jsonl"; `near`: with bands and counted words. Raises LatxaError."""
    row = 0
    for offset, buffer, size in whole_lines(part, PADDING):
        data = np.frombuffer(buffer, np.uint8)
        start = int(data.ctypes.data)
        most = json_lines.count_lines(start, start + size)
        lines, bands = np.zeros(most, LINE), np.zeros((most if near else 0, BANDS), np.uint64)
        count, read = scan(start, start + size, table(), np.empty(size + 2 if near else 0, np.uint64), lines, bands)
        lines["row"] += row
        lines["offset"] += offset
        row += read
        yield LineBlock(offset, lines[:count], bands[:count], memoryview(buffer))
