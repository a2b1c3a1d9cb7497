"""Near duplicates: the word shingles of a text, keys that similar sets of shingles share, and their Jaccard similarity.

Two texts are candidates where one of their `BANDS` keys agrees, each made of `ROWS` values of a MinHash sketch. With
similarity J that has probability 1 - (1 - J^ROWS)^BANDS: 0.9999 at J = 0.8, 0.99 at 0.7, 0.54 at 0.5, 0.06 at 0.3
(Leskovec, Rajaraman and Ullman, Mining of Massive Datasets, section 3.4). `jaccard` then tells which ones are similar.
"""

from __future__ import annotations

import numpy as np

from latxa_cli.native import minhash
from latxa_cli.native.minhash import band_keys, hash_runs
from latxa_cli.text.words import Words


def shingles(words: Words) -> np.ndarray:
    """Return the sorted distinct hashes (u64) of the runs of `SHINGLE` words, wherever they stand.

    A text of fewer words is one shingle; one without words has none.
    """
    hashes = hash_runs(words.hashes)
    hashes.sort()
    is_first = np.ones(len(hashes), bool)
    is_first[1:] = hashes[1:] != hashes[:-1]
    return hashes[is_first]  # as `np.unique`, which takes four times as long or more (numpy 2.3)


def bands(shingles: np.ndarray) -> np.ndarray:
    """Return the keys (u64 [BANDS]) of a set of shingles in any order: never 0, but all 0 for the empty set.

    The sketch is Fast Similarity Sketching (Dahlgaard, Knudsen and Thorup, FOCS 2017, arXiv 1704.04370): one
    permutation hashing, repeated until no bin is empty. Bins of two sets agree with probability J, independently
    enough for sets of any size, and a set of n takes about n + b log b steps for the b = BANDS * ROWS bins.
    """
    return band_keys(shingles)


def bands_of(words: Words) -> np.ndarray:
    """Return `bands(shingles(words))`; without the sorting that only `jaccard` needs, it takes half the time."""
    return band_keys(hash_runs(words.hashes))


def jaccard(a: np.ndarray, b: np.ndarray) -> float:
    """Return the Jaccard similarity of two sets, given as sorted distinct values; that of two empty sets is 1."""
    return minhash.jaccard(a, b, len(a) + len(b))
