"""The kernel that finds the documents in plain JSON lines, with their near-duplicate bands: no text is made of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from xxhash import xxh3_128_digest

from latxa_cli.stream.parts import Part, whole_lines
from latxa_cli.text import json_lines
from latxa_cli.text.kernel import kernel
from latxa_cli.text.near import BANDS, band_keys, hash_runs
from latxa_cli.text.spelled import hash_words
from latxa_cli.text.vectors import WIDTH
from latxa_cli.text.words import table

# A line; places count from the start of the block. Of one that is left to the reader there is no more than the first
# three fields, and an `id` is never empty.
LINE = np.dtype(
    [("row", "<u4"), ("offset", "<i8"), ("length", "<u4"), ("words", "<u4"), ("bytes", "<u4"), ("text", "<i8"),
     ("text_size", "<u4"), ("url", "<i8"), ("url_size", "<u4"), ("licence", "<i8"), ("licence_size", "<u4"),
     ("id_size", "<u4")]
)  # fmt: skip


@dataclass(frozen=True)
class Block:
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


def blocks(part: Part, *, near: bool) -> Iterator[Block]:
    """Yield the lines of a part of kind "jsonl"; `near`: with bands and counted words. Raises LatxaError."""
    row = 0
    for offset, buffer, size in whole_lines(part, 2 * WIDTH):
        data = np.frombuffer(buffer, np.uint8)
        start = int(data.ctypes.data)
        most = json_lines.count_lines(start, start + size)
        lines, bands = np.zeros(most, LINE), np.zeros((most if near else 0, BANDS), np.uint64)
        count, read = _scan(start, start + size, table(), np.empty(size + 2 if near else 0, np.uint64), lines, bands)
        lines["row"] += row
        lines["offset"] += offset
        row += read
        yield Block(offset, lines[:count], bands[:count], memoryview(buffer))


@kernel
def _scan(
    start: int, end: int, table: np.ndarray, hashes: np.ndarray, lines: np.ndarray, bands: np.ndarray
) -> tuple[int, int]:
    """Read lines; return how many are in `lines`, and how many there are with the blank ones.

    hashes: u64, room for those of the words of any line; without `bands` words are not looked at.
    """
    found, names = json_lines.room()
    count = row = 0
    at = start
    while at < end:
        first = json_lines.blank(at, found)
        stop = 0 if json_lines.ends_line(first, end) else json_lines.record(first, found, names)
        after = json_lines.blank(stop, found) if stop else first
        sound = stop and json_lines.ends_line(after, end) and found[json_lines.KIND] == json_lines.DOCUMENT
        words = 0
        if sound and len(bands):
            words = hash_words(found[json_lines.TEXT], found[json_lines.TEXT_SIZE], table, hashes)
            sound = words > 0  # what a text is that has none, the reader must say
        if not sound:
            after = json_lines.line_end(after, end)
        if sound or not json_lines.ends_line(first, end):
            line = lines[count]
            line.row, line.offset, line.length = row, at - start, after - at
            if sound:
                _fill(line, start, found)
            if sound and len(bands):
                line.words = words
                bands[count] = band_keys(hash_runs(hashes[:words]))
            count += 1
        row += 1
        at = after + 1
    return count, row


@kernel
def _fill(line: Any, start: int, found: np.ndarray) -> None:
    line.bytes = found[json_lines.BYTES]
    line.id_size = found[json_lines.ID_SIZE]
    line.text, line.text_size = found[json_lines.TEXT] - start, found[json_lines.TEXT_SIZE]
    if found[json_lines.URL]:
        line.url, line.url_size = found[json_lines.URL] - start, found[json_lines.URL_SIZE]
    if found[json_lines.LICENCE]:
        line.licence, line.licence_size = found[json_lines.LICENCE] - start, found[json_lines.LICENCE_SIZE]
