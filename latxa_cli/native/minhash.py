"""Sets of shingles: their hashes, the keys of their MinHash sketches, and how much they share (see `text.near`)."""

from __future__ import annotations

import numpy as np

from latxa_cli.native.hashing import fmix64
from latxa_cli.native.kernel import kernel

SHINGLE = 5  # words
BANDS, ROWS = 25, 5

_BINS = BANDS * ROWS
_FACTOR = np.uint64(0x9E3779B97F4A7C15)
_EMPTY = np.uint64(0xFFFFFFFFFFFFFFFF)
_HALF, _ROUND_BITS = np.uint64(32), np.uint64(56)


@kernel
def hash_runs(hashes: np.ndarray) -> np.ndarray:
    """Return the hashes (u64) of the runs of `SHINGLE` words, given those of the words; see `text.near`."""
    size = min(SHINGLE, len(hashes))
    count = len(hashes) - size + 1 if size else 0
    found = np.empty(count, np.uint64)
    for position in range(count):
        value = np.uint64(size)
        for word in range(size):
            value = (value ^ hashes[position + word]) * _FACTOR
        found[position] = fmix64(value)
    return found


@kernel
def band_keys(shingles: np.ndarray) -> np.ndarray:
    """Return the keys of a set, see `text.near.bands`.

    A bin keeps the least hash of the first round in which one falls into it: the least of (round << 56 | hash >> 8).
    From round _BINS on, round r is for bin r - _BINS alone, which bounds the work.
    """
    keys = np.zeros(BANDS, np.uint64)
    if len(shingles) == 0:
        return keys
    bins = np.full(_BINS, _EMPTY)
    empty = _BINS
    round_ = 0
    while empty:
        for shingle in shingles:
            value = fmix64(shingle + np.uint64(round_) * _FACTOR) if round_ else shingle
            chosen = (value >> _HALF) * np.uint64(_BINS) >> _HALF if round_ < _BINS else np.uint64(round_ - _BINS)
            before = bins[chosen]
            empty -= before == _EMPTY
            bins[chosen] = min(before, np.uint64(round_) << _ROUND_BITS | value >> np.uint64(8))
        round_ += 1
    for band in range(BANDS):
        value = np.uint64(band)
        for row in range(ROWS):
            value = (value ^ bins[band * ROWS + row]) * _FACTOR
        keys[band] = max(fmix64(value), np.uint64(1))
    return keys


@kernel
def jaccard(left: np.ndarray, right: np.ndarray, spare: int) -> float:
    """Return the similarity of two sets, or 0 where they differ in more than `spare` hashes; of two empty sets 1."""
    shared = i = j = 0
    while i < len(left) and j < len(right) and i + j - 2 * shared <= spare:
        one, other = left[i], right[j]
        shared += one == other
        i += one <= other
        j += other <= one
    union = len(left) + len(right) - shared
    if union == 0:
        return 1.0
    return shared / union if union - shared <= spare else 0.0
