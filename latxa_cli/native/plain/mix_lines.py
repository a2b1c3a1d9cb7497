"""Lines with insertions, one after another."""

from __future__ import annotations

import re

import numpy as np

from latxa_cli.native.layout import EMPTY_METADATA, EMPTY_SOURCE, MADE, SPACED
from latxa_cli.native.mix_lines import EMPTY, NO_FIELD, SOME, TEXTS
from latxa_cli.native.plain.memory import read, write

_STRING_OR_BLANKS = re.compile(rb'("(?:[^"\\]|\\.)*")|[ \t\r]+')


def emit(
    rows: np.ndarray, order: np.ndarray, epochs: np.ndarray, texts: int, starts: np.ndarray, inputs: int, out: int,
    ends: np.ndarray,
) -> int:  # fmt: skip
    to = out
    for place, (row, epoch) in enumerate(zip(rows[order], epochs.tolist(), strict=True)):
        at = int(row["offset"])
        line = read(at, at + int(row["length"]))
        if not row["flags"] & MADE:
            line = _changed(line, row, epoch, texts, starts, inputs)
        to = write(line + b"\n", to)
        ends[place] = to - out
    return to - out


def _changed(line: bytes, row: np.void, epoch: int, texts: int, starts: np.ndarray, inputs: int) -> bytes:
    def text(number: int, place: int, is_empty: bool) -> bytes:
        number = TEXTS * number + (NO_FIELD if not place else EMPTY if is_empty else SOME)
        return read(texts + int(starts[number]), texts + int(starts[number + 1]))

    flags, at_end = int(row["flags"]), len(line) - 1
    source_at, metadata_at, number = int(row["source_at"]), int(row["metadata_at"]), int(row["input"])
    # From the end on, so that places stay valid. At the same place the source comes first, so it is inserted last.
    insertions = []
    if epoch > 1:
        copy = number + inputs * (epoch - 1)
        insertions.append((metadata_at or at_end, text(copy, metadata_at, bool(flags & EMPTY_METADATA))))
    insertions.append((source_at or at_end, text(number, source_at, bool(flags & EMPTY_SOURCE))))
    for at, insertion in sorted(insertions, key=lambda insertion: -insertion[0]):
        line = line[:at] + insertion + line[at:]
    return _STRING_OR_BLANKS.sub(rb"\1", line) if flags & SPACED else line
