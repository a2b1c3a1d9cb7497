"""n-grams, each of which is hashed from its words and looked up in a dictionary."""

from __future__ import annotations

import numpy as np

from latxa_cli.native.plain.hashing import FACTOR, fmix64
from latxa_cli.native.plain.memory import WORD


def _hash(words: list[int]) -> int:
    value = 0
    for word in words:
        value = (value * FACTOR + word) & WORD
    return fmix64((value + len(words)) & WORD)


def ngrams(hashes: np.ndarray, length: int) -> np.ndarray:
    words = hashes.tolist()
    return np.array([_hash(words[start : start + length]) for start in range(len(words) - length + 1)], np.uint64)


def bloom_filter(grams: np.ndarray) -> np.ndarray:
    size = 1 << 10
    while size < len(grams) // 2:
        size *= 2
    table = [0] * size
    for gram in grams.tolist():
        for shift in (58, 52, 46):
            table[gram % size] |= 1 << (gram >> shift & 63)
    return np.array(table, np.uint64)


def find(hashes: np.ndarray, lengths: np.ndarray, filter_: np.ndarray, grams: np.ndarray, found: np.ndarray) -> int:
    """Find n-grams; `filter_` is not used, since it only speeds up the search."""
    words, places = hashes.tolist(), {gram: place for place, gram in enumerate(grams.tolist())}
    hits = []
    for start in range(len(words)):
        spans = [words[start : start + length] for length in lengths.tolist() if start + length <= len(words)]
        known = [place for place in map(places.get, map(_hash, spans)) if place is not None]
        hits += known
    fitting = min(len(hits), len(found))
    found[:fitting] = hits[:fitting]
    return len(hits)
