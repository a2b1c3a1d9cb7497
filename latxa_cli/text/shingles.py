"""Near duplicates: the word shingles of a text, keys that similar sets of shingles share, and their Jaccard similarity.

Each of the `BANDS` keys of a text is a hash of `ROWS` values of a MinHash sketch. Two texts are candidates where one of
their keys agrees. At similarity J the probability of that is 1 - (1 - J^ROWS)^BANDS: 0.9999 at J = 0.8, 0.99 at 0.7,
0.54 at 0.5, 0.06 at 0.3 (Leskovec, Rajaraman and Ullman, Mining of Massive Datasets, section 3.4). `jaccard` then
computes the similarity of candidates.
"""

from __future__ import annotations

import numpy as np

from latxa_cli.native import minhash
from latxa_cli.native.minhash import band_keys, hash_runs
from latxa_cli.text.words import Words


def shingles(words: Words) -> np.ndarray:
    """Return the sorted distinct hashes (u64) of all runs of `SHINGLE` words.

    A text of fewer words is one shingle; a text without words has none.
    """
    hashes = hash_runs(words.hashes)
    hashes.sort()
    is_first = np.ones(len(hashes), bool)
    is_first[1:] = hashes[1:] != hashes[:-1]
    return hashes[is_first]  # `np.unique` does the same in four times the time or more (numpy 2.3)


def bands(shingles: np.ndarray) -> np.ndarray:
    """Return the keys (u64 [BANDS], never 0) of a set of shingles in any order; those of the empty set are all 0.

    The sketch is Fast Similarity Sketching (Dahlgaard, Knudsen and Thorup, FOCS 2017, arXiv 1704.04370): one
    permutation hashing, repeated until no bin is empty. Bins of two sets agree with probability J, nearly independently
    for sets of any size. A set of n shingles takes about n + b log b steps for b = BANDS * ROWS bins.
    """
    return band_keys(shingles)


def bands_of(words: Words) -> np.ndarray:
    """Return `bands(shingles(words))` in half the time, since only `jaccard` needs the shingles sorted."""
    return band_keys(hash_runs(words.hashes))


def jaccard(a: np.ndarray, b: np.ndarray) -> float:
    """Return the Jaccard similarity of two sets of sorted distinct values; two empty sets have similarity 1."""
    return minhash.jaccard(a, b, len(a) + len(b))
