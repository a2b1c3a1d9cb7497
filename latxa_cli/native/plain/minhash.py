"""Sets of shingles, as Python's sets."""

from __future__ import annotations

import numpy as np

from latxa_cli.native.minhash import BANDS, ROWS, SHINGLE
from latxa_cli.native.plain.hashing import FACTOR, fmix64
from latxa_cli.native.plain.memory import WORD

_BINS = BANDS * ROWS


def _chained(start: int, values: list[int]) -> int:
    for value in values:
        start = (start ^ value) * FACTOR & WORD
    return fmix64(start)


def hash_runs(hashes: np.ndarray) -> np.ndarray:
    words = hashes.tolist()
    size = min(SHINGLE, len(words))
    runs = [words[start : start + size] for start in range(len(words) - size + 1)] if words else []
    return np.array([_chained(size, run) for run in runs], np.uint64)


def band_keys(shingles: np.ndarray) -> np.ndarray:
    """Find for each bin the smallest (round, hash), by all rounds: Fast Similarity Sketching that never stops early."""
    least: dict[int, tuple[int, int]] = {}
    values = set(shingles.tolist())
    for turn in range(2 * _BINS if values else 0):
        for value in values:
            hashed = fmix64(value + turn * FACTOR & WORD) if turn else value
            place = (hashed >> 32) * _BINS >> 32 if turn < _BINS else turn - _BINS
            least[place] = min(least.get(place, (turn, hashed)), (turn, hashed))
    rows = [least[place][0] << 56 | least[place][1] >> 8 for place in range(_BINS if values else 0)]
    keys = [max(1, _chained(band, rows[band * ROWS : (band + 1) * ROWS])) if rows else 0 for band in range(BANDS)]
    return np.array(keys, np.uint64)


def jaccard(left: np.ndarray, right: np.ndarray, spare: int) -> float:
    one, other = set(left.tolist()), set(right.tolist())
    if not one | other:
        return 1.0
    return len(one & other) / len(one | other) if len(one ^ other) <= spare else 0.0
