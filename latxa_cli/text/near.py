"""Near duplicates: the word shingles of a text, keys that similar sets of shingles share, and their Jaccard similarity.

Two texts are candidates where one of their `BANDS` keys agrees, each made of `ROWS` values of a MinHash sketch. With
similarity J that has probability 1 - (1 - J^ROWS)^BANDS: 0.9999 at J = 0.8, 0.99 at 0.7, 0.54 at 0.5, 0.06 at 0.3
(Leskovec, Rajaraman and Ullman, Mining of Massive Datasets, section 3.4). `jaccard` then tells which ones are similar.
"""

from __future__ import annotations

import numpy as np

from latxa_cli.text.kernel import kernel
from latxa_cli.text.words import Words, mix

SHINGLE = 5  # words
BANDS, ROWS = 25, 5

_BINS = BANDS * ROWS
_FACTOR = np.uint64(0x9E3779B97F4A7C15)
_EMPTY = np.uint64(0xFFFFFFFFFFFFFFFF)
_HALF, _ROUND_BITS = np.uint64(32), np.uint64(56)


def shingles(words: Words) -> np.ndarray:
    """Return the sorted distinct hashes (u64) of the runs of `SHINGLE` words, wherever they stand.

    A text of fewer words is one shingle; one without words has none.
    """
    return distinct(hash_runs(words.hashes))


def distinct(hashes: np.ndarray) -> np.ndarray:
    """Return the distinct ones of these, sorted; the array itself is sorted on the way."""
    hashes.sort()
    return hashes[: _compact(hashes)]


def bands(shingles: np.ndarray) -> np.ndarray:
    """Return the keys (u64 [BANDS]) of a set of shingles in any order: never 0, but all 0 for the empty set.

    The sketch is Fast Similarity Sketching (Dahlgaard, Knudsen and Thorup, FOCS 2017, arXiv 1704.04370): one
    permutation hashing, repeated until no bin is empty. Bins of two sets agree with probability J, independently
    enough for sets of any size, and a set of n takes about n + _BINS log _BINS steps.
    """
    return band_keys(shingles)


def bands_of(words: Words) -> np.ndarray:
    """Return `bands(shingles(words))`; without the sorting that only `jaccard` needs, it takes half the time."""
    return band_keys(hash_runs(words.hashes))


def jaccard(a: np.ndarray, b: np.ndarray) -> float:
    """Return the Jaccard similarity of two sets, given as sorted distinct values; that of two empty sets is 1."""
    shared = _shared(a, b)
    union = len(a) + len(b) - shared
    return shared / union if union else 1.0


@kernel
def hash_runs(hashes: np.ndarray) -> np.ndarray:
    """Return the hashes (u64) of the runs of `SHINGLE` words, given those of the words; see `shingles`."""
    size = min(SHINGLE, len(hashes))
    count = len(hashes) - size + 1 if size else 0
    found = np.empty(count, np.uint64)
    for position in range(count):
        value = np.uint64(size)
        for word in range(size):
            value = (value ^ hashes[position + word]) * _FACTOR
        found[position] = mix(value)
    return found


@kernel
def _compact(values: np.ndarray) -> int:
    """Move the distinct ones of sorted values to the front, in order, and return how many there are."""
    count = min(1, len(values))
    for value in values[1:]:
        values[count] = value
        count += value != values[count - 1]
    return count


@kernel
def band_keys(shingles: np.ndarray) -> np.ndarray:
    """Return the keys of a set, see `bands`.

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
            value = mix(shingle + np.uint64(round_) * _FACTOR) if round_ else shingle
            chosen = (value >> _HALF) * np.uint64(_BINS) >> _HALF if round_ < _BINS else np.uint64(round_ - _BINS)
            before = bins[chosen]
            empty -= before == _EMPTY
            bins[chosen] = min(before, np.uint64(round_) << _ROUND_BITS | value >> np.uint64(8))
        round_ += 1
    for band in range(BANDS):
        value = np.uint64(band)
        for row in range(ROWS):
            value = (value ^ bins[band * ROWS + row]) * _FACTOR
        keys[band] = max(mix(value), np.uint64(1))
    return keys


@kernel
def _shared(a: np.ndarray, b: np.ndarray) -> int:
    """Return how many values two sorted arrays share. Which one goes on is computed: a branch would often go wrong."""
    shared = i = j = 0
    while i < len(a) and j < len(b):
        left, right = a[i], b[j]
        shared += left == right
        i += left <= right
        j += right <= left
    return shared
