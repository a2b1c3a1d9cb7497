"""Which evaluation items a text shares long n-grams of words with: the test for contamination.

The length of 13 words is that of Brown et al. (Language Models are Few-Shot Learners, arXiv 2005.14165, appendix C).
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from latxa_cli.native import ngrams as kernels
from latxa_cli.text.normalise import normalise
from latxa_cli.text.words import Words, segment

LENGTH = 13  # words
SHORTEST = 8  # an item of fewer words than LENGTH, but not fewer than this, is one n-gram as a whole

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
        grams = [kernels.ngrams(hashes, min(length, len(hashes))) for _, hashes in texts]
        gram, owner = np.concatenate(grams), np.repeat([number for number, _ in texts], list(map(len, grams)))
        order = np.lexsort((owner, gram))
        gram, owner = gram[order], owner[order]
        new = np.append(True, (gram[1:] != gram[:-1]) | (owner[1:] != owner[:-1]))
        self._grams, firsts = np.unique(gram[new], return_index=True)
        self._bounds, self._owners = np.append(firsts, new.sum()), owner[new]
        shortest = int(self._lengths[0])
        self._filter = kernels.bloom_filter(np.concatenate([kernels.ngrams(hashes, shortest) for _, hashes in texts]))

    def find(self, words: Words) -> list[tuple[str, int]]:
        """Return (item key, number of n-grams of the item that stand in the text), most first, then as indexed."""
        if not self._keys:
            return []
        index = self._lengths, self._filter, self._grams
        hits = kernels.find(words.hashes, *index, _NOWHERE)
        if not hits:
            return []
        found = np.empty(hits, np.int64)
        kernels.find(words.hashes, *index, found)
        owners = [self._owners[self._bounds[gram] : self._bounds[gram + 1]] for gram in np.unique(found)]
        counts = np.bincount(np.concatenate(owners))
        order = np.argsort(-counts, kind="stable")
        return [(self._keys[number], int(counts[number])) for number in order.tolist() if counts[number]]
