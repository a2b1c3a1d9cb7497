"""The documents in plain JSON lines, with their near-duplicate bands, read without making Python objects of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from xxhash import xxh3_128_digest

from latxa_cli.native import json_lines
from latxa_cli.native.documents import scan
from latxa_cli.native.layout import LINE, PADDING
from latxa_cli.native.minhash import BANDS
from latxa_cli.stream.cutting import Part, read_buffers
from latxa_cli.text.words import table


@dataclass(frozen=True)
class LineBlock:
    """Consecutive lines of a part, without blank ones; its `data` are valid until the next block is taken."""

    offset: int  # the place of `data` in the file
    lines: np.ndarray  # LINE, with `offset` in the file and `row` in the part; other places point into `data`
    bands: np.ndarray  # u64 [lines, BANDS], or [0, BANDS] if they were not asked for
    data: memoryview

    def documents(self) -> np.ndarray:
        """Return the mask of the lines that the kernel has read as documents."""
        return self.lines["id_size"] > 0

    def raw(self, line: np.void) -> bytes:
        """Return a line without its line break."""
        start = int(line["offset"]) - self.offset
        return bytes(self.data[start : start + int(line["length"])])

    def strings(self, lines: np.ndarray, field: str) -> Iterator[bytes]:
        """Yield the `url` or `licence` of some lines, empty where there is none."""
        starts, ends = lines[field], lines[field] + lines[f"{field}_size"]
        return (bytes(self.data[a:b]) for a, b in zip(starts.tolist(), ends.tolist(), strict=True))

    def digests(self, lines: np.ndarray) -> list[bytes]:
        """Return the hashes of the texts of some lines, in their JSON spelling."""
        ends = lines["text"] + lines["text_size"]
        return [xxh3_128_digest(self.data[a:b]) for a, b in zip(lines["text"].tolist(), ends.tolist(), strict=True)]


def blocks(part: Part, *, near: bool) -> Iterator[LineBlock]:
    """Yield the lines of a part of kind "jsonl", with `near` also bands and numbers of words; raises LatxaError."""
    row = 0
    for offset, buffer, size in read_buffers(part, PADDING):
        data = np.frombuffer(buffer, np.uint8)
        start = int(data.ctypes.data)
        most = json_lines.count_lines(start, start + size)
        lines, bands = np.zeros(most, LINE), np.zeros((most if near else 0, BANDS), np.uint64)
        count, read = scan(start, start + size, table(), np.empty(size + 2 if near else 0, np.uint64), lines, bands)
        lines["row"] += row
        lines["offset"] += offset
        row += read
        yield LineBlock(offset, lines[:count], bands[:count], memoryview(buffer))
