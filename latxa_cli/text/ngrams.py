"""The test for contamination: the evaluation items that share long n-grams of words with a text.

The length of 13 words is that of Brown et al. (Language Models are Few-Shot Learners, arXiv 2005.14165, appendix C).
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from latxa_cli.native import ngrams as kernels
from latxa_cli.text.normalise import normalise
from latxa_cli.text.words import Words, segment

LENGTH = 13  # words; in scripts without spaces as many letters as are as long (see `text.words`)
SHORTEST = 8  # an item with fewer words than LENGTH, but at least so many, is one n-gram

_NOWHERE = np.empty(0, np.int64)


class NgramIndex:
    """The n-grams of evaluation items, which can be searched for in many texts; it is picklable.

    - Case and the kind of apostrophe do not matter.
    - keys: of the items that can be recognised.
    - skipped: the number of texts of items that are too short for that.
    - The time of a search grows with the length of the text and the number of matches, not with repetitions.
    """

    def __init__(self, items: Iterable[tuple[str, str]], length: int = LENGTH) -> None:
        """Index `items` (key, text); texts need not be in clean form, and those of one key are one item."""
        self.skipped = 0
        numbers: dict[str, int] = {}
        texts: list[tuple[int, np.ndarray, int]] = []  # the number of its item, its words, and how many are an n-gram
        for key, text in items:
            found = segment(normalise(text))
            if found.length < min(SHORTEST, length):
                self.skipped += 1
            else:
                size = min(len(found), round(length * len(found) / found.exact_length))
                texts.append((numbers.setdefault(key, len(numbers)), found.hashes, size))
        self.keys = list(numbers)
        self._lengths = np.unique(np.array([size for *_, size in texts], np.int64))
        if texts:
            self._store(texts)

    def _store(self, texts: list[tuple[int, np.ndarray, int]]) -> None:
        """Keep each n-gram once, sorted; the items that hold n-gram i are `_owners[_bounds[i] : _bounds[i + 1]]`."""
        grams = [kernels.ngrams(hashes, size) for _, hashes, size in texts]
        gram, owner = np.concatenate(grams), np.repeat([number for number, *_ in texts], list(map(len, grams)))
        order = np.lexsort((owner, gram))
        gram, owner = gram[order], owner[order]
        new = np.append(True, (gram[1:] != gram[:-1]) | (owner[1:] != owner[:-1]))
        self._grams, firsts = np.unique(gram[new], return_index=True)
        self._bounds, self._owners = np.append(firsts, new.sum()), owner[new]
        shortest = int(self._lengths[0])
        self._filter = kernels.bloom_filter(
            np.concatenate([kernels.ngrams(hashes, shortest) for _, hashes, _ in texts])
        )

    def find(self, words: Words) -> list[tuple[str, int]]:
        """Return (item key, number of the item's n-grams in the text), the largest number first, then as indexed."""
        if not self.keys:
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
        return [(self.keys[number], int(counts[number])) for number in order.tolist() if counts[number]]
