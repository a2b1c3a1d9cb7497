"""Which evaluation items a text shares long n-grams of words with: the test for contamination.

The length of 13 words is that of Brown et al. (Language Models are Few-Shot Learners, arXiv 2005.14165, appendix C).
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from latxa_cli.text.kernel import kernel
from latxa_cli.text.normalise import normalise
from latxa_cli.text.words import Words, mix, segment

LENGTH = 13  # words
SHORTEST = 8  # an item of fewer words than LENGTH, but not fewer than this, is one n-gram as a whole

_FACTOR = np.uint64(0x9E3779B97F4A7C15)
_NOWHERE = np.empty(0, np.int64)


class NgramIndex:
    """The n-grams of evaluation items, to be looked for in many texts. It can be pickled.

    Case and the kind of apostrophe do not count. `skipped` is the number of items too short to be recognised. To look
    through a text takes time in proportion to its length and to what is found, however often either repeats itself.
    """

    def __init__(self, items: Iterable[tuple[str, str]], length: int = LENGTH) -> None:
        """Index `items` (key, text), in clean form or not; the texts under one key are one item."""
        self.skipped = 0
        numbers: dict[str, int] = {}
        texts: list[tuple[int, np.ndarray]] = []
        for key, text in items:
            hashes = segment(normalise(text)).hashes
            if len(hashes) < min(SHORTEST, length):
                self.skipped += 1
            else:
                texts.append((numbers.setdefault(key, len(numbers)), hashes))
        self._keys = list(numbers)
        self._lengths = np.unique(np.array([min(length, len(hashes)) for _, hashes in texts], np.int64))
        if texts:
            self._store(texts, length)

    def _store(self, texts: list[tuple[int, np.ndarray]], length: int) -> None:
        """Keep each n-gram once, sorted; those who hold the i-th are `_owners[_bounds[i] : _bounds[i + 1]]`."""
        grams = [_ngrams(hashes, min(length, len(hashes))) for _, hashes in texts]
        gram, owner = np.concatenate(grams), np.repeat([number for number, _ in texts], list(map(len, grams)))
        order = np.lexsort((owner, gram))
        gram, owner = gram[order], owner[order]
        new = np.append(True, (gram[1:] != gram[:-1]) | (owner[1:] != owner[:-1]))
        self._grams, firsts = np.unique(gram[new], return_index=True)
        self._bounds, self._owners = np.append(firsts, new.sum()), owner[new]
        shortest = int(self._lengths[0])
        self._filter = _filter(np.concatenate([_ngrams(hashes, shortest) for _, hashes in texts]))

    def find(self, words: Words) -> list[tuple[str, int]]:
        """Return (item key, number of n-grams of the item that stand in the text), most first, then as indexed."""
        if not self._keys:
            return []
        index = self._lengths, self._filter, self._grams
        hits = _find(words.hashes, *index, _NOWHERE)
        if not hits:
            return []
        found = np.empty(hits, np.int64)
        _find(words.hashes, *index, found)
        owners = [self._owners[self._bounds[gram] : self._bounds[gram + 1]] for gram in np.unique(found)]
        counts = np.bincount(np.concatenate(owners))
        order = np.argsort(-counts, kind="stable")
        return [(self._keys[number], int(counts[number])) for number in order.tolist() if counts[number]]


# The hash of an n-gram is a polynomial in _FACTOR with the words' hashes as coefficients, modulo 2^64: that of the next
# n-gram, and of a longer one with the same start, follow from it in one step.


@kernel
def _ngrams(hashes: np.ndarray, length: int) -> np.ndarray:
    """Return the hashes of all n-grams of `length` words, in order."""
    grams = np.empty(len(hashes) - length + 1, np.uint64)
    for position in range(len(grams)):
        value = np.uint64(0)
        for word in hashes[position : position + length]:
            value = value * _FACTOR + word
        grams[position] = mix(value + np.uint64(length))
    return grams


@kernel
def _filter(grams: np.ndarray) -> np.ndarray:
    """Return a Bloom filter of hashes: each sets three bits of one entry. The number of entries is a power of 2."""
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
def _find(hashes: np.ndarray, lengths: np.ndarray, filter_: np.ndarray, grams: np.ndarray, found: np.ndarray) -> int:
    """Return how many n-grams of a text are among `grams` (sorted), and put the places of as many as fit into `found`.

    hashes: of the text's words; lengths: of the n-grams (i64, rising); filter_: of the n-grams of lengths[0] words.
    """
    shortest = lengths[0]
    mask = np.uint64(len(filter_) - 1)
    power = np.uint64(1)  # of the word that leaves
    for _ in range(shortest):
        power *= _FACTOR
    hits = 0
    value = np.uint64(0)
    for end in range(1, len(hashes) + 1):
        value = value * _FACTOR + hashes[end - 1]
        if end > shortest:
            value -= power * hashes[end - 1 - shortest]
        if end >= shortest:
            gram = mix(value + np.uint64(shortest))
            bits = _bits(gram)
            if filter_[gram & mask] & bits == bits:
                hits = _find_here(value, hashes[end:], lengths, grams, found, hits)
    return hits


@kernel
def _find_here(
    value: np.uint64, rest: np.ndarray, lengths: np.ndarray, grams: np.ndarray, found: np.ndarray, hits: int
) -> int:
    """Look up the n-grams of all lengths that start where the one of lengths[0] words does, whose polynomial is `value`
    and after which `rest` stands; return `hits` with theirs added."""
    read = 0
    for length in lengths:
        more = length - lengths[0]
        if more > len(rest):
            break
        while read < more:
            value = value * _FACTOR + rest[read]
            read += 1
        gram = mix(value + np.uint64(length))
        place = np.searchsorted(grams, gram)
        if place < len(grams) and grams[place] == gram:
            if hits < len(found):
                found[hits] = place
            hits += 1
    return hits
