"""Hashes of n-grams of words, and the search for given n-grams in a text (see `text.ngrams`)."""

from __future__ import annotations

import numpy as np

from latxa_cli.native.hashing import fmix64
from latxa_cli.native.kernel import kernel

# The hash of an n-gram is a polynomial in _FACTOR, modulo 2^64, whose coefficients are the hashes of its words. One
# step leads from it to the hash of the next n-gram, or of a longer one with the same start.
_FACTOR = np.uint64(0x9E3779B97F4A7C15)


@kernel
def ngrams(hashes: np.ndarray, length: int) -> np.ndarray:
    """Return the hashes of all n-grams of `length` words, in order."""
    grams = np.empty(len(hashes) - length + 1, np.uint64)
    for position in range(len(grams)):
        value = np.uint64(0)
        for word in hashes[position : position + length]:
            value = value * _FACTOR + word
        grams[position] = fmix64(value + np.uint64(length))
    return grams


@kernel
def bloom_filter(grams: np.ndarray) -> np.ndarray:
    """Return a Bloom filter of hashes; each sets three bits of one entry, and the number of entries is a power of 2."""
    size = 1 << 10
    while size < len(grams) // 2:
        size *= 2
    table = np.zeros(size, np.uint64)
    for gram in grams:
        table[gram & np.uint64(size - 1)] |= _bits(gram)
    return table


@kernel
def _bits(gram: np.uint64) -> np.uint64:
    one, low = np.uint64(1), np.uint64(63)
    return one << (gram >> np.uint64(58)) | one << (gram >> np.uint64(52) & low) | one << (gram >> np.uint64(46) & low)


@kernel
def find(hashes: np.ndarray, lengths: np.ndarray, filter_: np.ndarray, grams: np.ndarray, found: np.ndarray) -> int:
    """Return the number of a text's n-grams that are among `grams` (sorted hashes).

    - hashes: those of the text's words.
    - lengths: i64, the lengths of n-grams, in rising order.
    - filter_: the Bloom filter of the shortest n-grams.
    - found: gets the places in `grams` of the first matches, as many as fit.
    """
    shortest = lengths[0]
    mask = np.uint64(len(filter_) - 1)
    power = np.uint64(1)  # the factor of the word that leaves the polynomial
    for _ in range(shortest):
        power *= _FACTOR
    hits = 0
    value = np.uint64(0)
    for end in range(1, len(hashes) + 1):
        value = value * _FACTOR + hashes[end - 1]
        if end > shortest:
            value -= power * hashes[end - 1 - shortest]
        if end >= shortest:
            gram = fmix64(value + np.uint64(shortest))
            bits = _bits(gram)
            if filter_[gram & mask] & bits == bits:
                hits = _find_here(value, hashes[end:], lengths, grams, found, hits)
    return hits


@kernel
def _find_here(
    value: np.uint64, rest: np.ndarray, lengths: np.ndarray, grams: np.ndarray, found: np.ndarray, hits: int
) -> int:
    """Look up the n-grams of all lengths that start at one place, and return `hits` plus their number.

    value: the polynomial of the shortest n-gram there; rest: the hashes of the words behind it.
    """
    read = 0
    for length in lengths:
        more = length - lengths[0]
        if more > len(rest):
            break
        while read < more:
            value = value * _FACTOR + rest[read]
            read += 1
        gram = fmix64(value + np.uint64(length))
        place = np.searchsorted(grams, gram)
        if place < len(grams) and grams[place] == gram:
            if hits < len(found):
                found[hits] = place
            hits += 1
    return hits
