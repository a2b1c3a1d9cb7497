"""The words of a text: where each starts and ends, and its hash (see `text.words`)."""

from __future__ import annotations

from typing import Any

import numpy as np

from latxa_cli.native.hashing import fmix64
from latxa_cli.native.kernel import kernel

# The classes of code points: the highest byte of an entry of the table. The rest is what the code point is hashed as.
LETTER, MARK, INNER, ALONE = 1, 2, 3, 4
CLASS_BITS = np.uint32(24)  # of the type of the entries: numba would widen them for another

START = np.uint64(0x243F6A8885A308D3)
_FACTOR = np.uint64(0x9E3779B97F4A7C15)


@kernel
def segment(codepoints: np.ndarray, table: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the starts, ends and hashes of the words.

    Where a word ends cannot be foreseen, so that a branch there costs more than the work itself: every code point
    writes its position and the hash so far to the entry of its word, and to entry 0, which is none, outside of words.
    """
    size = len(codepoints)
    starts, ends = np.empty(size + 1, np.int64), np.empty(size + 1, np.int64)
    hashes = np.empty(size + 1, np.uint64)
    # Places are unsigned: a signed one could count from the end, and to look whether it does takes as long as the rest.
    count, nowhere, run, value = np.uint64(0), np.uint64(0), 0, START
    for position in range(size):
        entry = table[np.uint64(codepoints[position])]
        kind = class_of(entry)
        if kind == INNER:
            kind = joined(run, table[np.uint64(codepoints[position + 1])]) if position + 1 < size else 0
        begins, run, value = step(entry, kind, run, value)
        count += np.uint64(begins)
        starts[count if begins else nowhere] = position
        word = count if run else nowhere
        ends[word] = position + 1
        hashes[word] = value
    behind = np.int64(count) + 1
    for entry in range(1, behind):
        hashes[entry] = fmix64(hashes[entry])
    return starts[1:behind], ends[1:behind], hashes[1:behind]


@kernel
def class_of(entry: Any) -> int:
    """Return the class of a code point, given its entry of the table."""
    return np.int64(entry >> CLASS_BITS)  # type: ignore[return-value]


@kernel
def joined(run: int, follower: Any) -> int:
    """Return the class that a code point of class `INNER` acts as in a run of letters of a class, given the entry of
    the next one: a mark, if letters go on behind it."""
    return MARK if run == LETTER and follower >> CLASS_BITS == LETTER else 0


@kernel
def step(entry: Any, kind: int, run: int, value: np.uint64) -> tuple[bool, int, np.uint64]:
    """Read a code point with this entry and class: return whether a word begins there, the class of the run of letters
    that it is in (0: none), and the hash of the word so far, still to be mixed.

    run, value: as returned for the one before; at first 0 and `START`.
    """
    begins = (kind == ALONE) | ((kind == LETTER) & (run != LETTER))
    run = run if kind == MARK else kind
    return begins, run, ((START if begins else value) ^ np.uint64(entry)) * _FACTOR
