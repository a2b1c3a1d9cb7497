"""Sets of shingles (`text.shingles`): their hashes, the band keys of their MinHash sketches, and their similarity."""

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
    """Return the hashes (u64) of all runs of `SHINGLE` words, from the hashes of the words; see `text.shingles`."""
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
    """Return the band keys of a set of shingles; see `text.shingles.bands`.

    In each round every shingle falls into one bin. A bin keeps the smallest hash of the first round that reaches it,
    which is the minimum of (round << 56 | hash >> 8). From round _BINS on, round r fills bin r - _BINS alone, so that
    the number of rounds is bounded.
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
            bin_ = (value >> _HALF) * np.uint64(_BINS) >> _HALF if round_ < _BINS else np.uint64(round_ - _BINS)
            before = bins[bin_]
            empty -= before == _EMPTY
            bins[bin_] = min(before, np.uint64(round_) << _ROUND_BITS | value >> np.uint64(8))
        round_ += 1
    for band in range(BANDS):
        value = np.uint64(band)
        for row in range(ROWS):
            value = (value ^ bins[band * ROWS + row]) * _FACTOR
        keys[band] = max(fmix64(value), np.uint64(1))
    return keys


@kernel
def jaccard(left: np.ndarray, right: np.ndarray, spare: int) -> float:
    """Return the Jaccard similarity of two sorted sets; 0 where they differ in more than `spare` hashes.

    Two empty sets have similarity 1.
    """
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
