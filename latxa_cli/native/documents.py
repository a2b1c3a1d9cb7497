"""The documents in JSON lines, with the keys of their near-duplicate bands, without a Python object for any text."""

from __future__ import annotations

from typing import Any

import numpy as np

from latxa_cli.native import json_lines
from latxa_cli.native.kernel import kernel
from latxa_cli.native.minhash import band_keys, hash_runs
from latxa_cli.native.words import hash_words


@kernel
def scan(
    start: int, end: int, table: np.ndarray, hashes: np.ndarray, lines: np.ndarray, bands: np.ndarray
) -> tuple[int, int]:
    """Read lines into `lines`; return (number of entries there, number of lines with blank ones).

    - start, end: addresses, with `layout.PADDING`; table: see `text.words.table`.
    - hashes: u64, scratch memory for the words of the longest line.
    - lines: zeros of `layout.LINE`; bands: u64 [lines, BANDS], or empty where band keys are not needed.
    """
    found, names = np.empty(json_lines.FOUND_SIZE, np.int64), np.empty(json_lines.NAMES_AT_MOST, np.uint64)
    count = row = 0
    at = start
    while at < end:
        first = json_lines.blank(at, found)
        stop = 0 if json_lines.ends_line(first, end) else json_lines.record(first, found, names)
        after = json_lines.blank(stop, found) if stop else first
        sound = stop and json_lines.ends_line(after, end) and found[json_lines.KIND] == json_lines.DOCUMENT
        words = length = 0
        if sound and len(bands):
            words, length = hash_words(found[json_lines.TEXT], found[json_lines.TEXT_SIZE], table, hashes)
            sound = words > 0  # a text without words has no bands; the reader decides about it
        if not sound:
            after = json_lines.line_end(after, end)
        if sound or not json_lines.ends_line(first, end):
            line = lines[count]
            line.row, line.offset, line.length = row, at - start, after - at
            if sound:
                _fill(line, start, found)
            if sound and len(bands):
                line.words = length
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
