"""Byte pair encoding that goes on: the pairs of symbols that are joined next, the most frequent first.

The algorithm is that of Sennrich et al. 2016 (arXiv 1508.07909), begun from the symbols of a tokenizer that exists.
Every distinct word is kept once. For each pair of neighbours there is a count, and a list of the places where it
stands; joining one pair changes only the counts of its neighbours there. Places in a list that have changed since are
passed over, and so are counts in the heap.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator

import numpy as np

from latxa_cli.native import byte_pairs as kernels
from latxa_cli.native.byte_pairs import FREE, NONE

FEWEST = 2  # times that a pair must be seen: what is seen once is no habit of the language
_BLOCK = 1 << 20  # places counted before the table is looked at again
_BITS = 32  # of a symbol in the key of a pair

Join = Callable[[int, int], int | None]  # the symbol that two become, or None if they may not be joined


class WordSymbols:
    """Distinct words as symbols, and how often each is seen.

    symbols, sizes: i32 [symbols of all words], the words one behind the other; `sizes` says for how many tokens each
    symbol stands. lengths: i32 [words], none of them 0. counts: i64 [words]; words of count 0 take no part in
    deciding what is joined, but are joined all the same.
    """

    def __init__(self, symbols: np.ndarray, sizes: np.ndarray, lengths: np.ndarray, counts: np.ndarray) -> None:
        self.starts = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths, dtype=np.int64)[:-1]])
        self.symbols = symbols.astype(np.int32)
        self.sizes = sizes.astype(np.int32)
        places = len(symbols)
        self._after = np.arange(1, places + 1, dtype=np.int32)
        self._before = np.arange(-1, places - 1, dtype=np.int32)
        self._after[self.starts + lengths - 1] = NONE
        self._before[self.starts] = NONE
        self._weights = np.repeat(counts.astype(np.int64), lengths)
        self._keys = np.full(1 << 12, FREE)
        self._counts = np.zeros(1 << 12, np.int64)
        self._heads = np.full(1 << 12, NONE)  # of a pair's list of places
        self._listed = np.zeros(1 << 12, np.int32)  # entries in it
        # A join takes away one symbol and makes two new pairs at the most.
        self._entries = np.empty((3 * places, 2), np.int32)  # (place, entry behind it)
        self._used = np.zeros(2, np.int64)  # slots and entries
        for start in range(0, places, _BLOCK):
            self._make_room(min(_BLOCK, places - start))
            kernels.count(start, min(start + _BLOCK, places), self.symbols, self._after, self._weights, *self._table)

    @property
    def _table(self) -> tuple[np.ndarray, ...]:
        return self._keys, self._counts, self._heads, self._listed, self._entries, self._used

    def tokens(self) -> np.ndarray:
        """Return i64 [words]: how many tokens each word is now."""
        return np.add.reduceat(self.sizes, self.starts, dtype=np.int64)

    def resize(self, symbol: int, size: int) -> None:
        """Let a symbol stand for so many tokens, wherever it is."""
        self.sizes[self.symbols == symbol] = size

    def pairs(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the keys (u64, the left symbol in the upper half) of all pairs, and their counts (i64)."""
        taken = self._keys != FREE
        return self._keys[taken], self._counts[taken]

    def count(self, key: int) -> int:
        """Return how often a pair is seen now."""
        return int(self._counts[kernels.slot_of(self._keys, np.uint64(key))])

    def join(self, key: int, symbol: int) -> tuple[np.ndarray, np.ndarray]:
        """Put `symbol`, which is new, for a pair wherever that stands; return keys and counts of the new pairs."""
        slot = kernels.slot_of(self._keys, np.uint64(key))
        self._make_room(2 * int(self._listed[slot]))
        slots = kernels.join(
            np.uint64(key), symbol, self.symbols, self.sizes, self._after, self._before, self._weights, *self._table
        )
        return self._keys[slots], self._counts[slots]

    def _make_room(self, more: int) -> None:
        """See that the table stays half empty with so many more pairs."""
        size = len(self._keys)
        while 2 * (self._used[0] + more) > size:
            size *= 2
        if size > len(self._keys):
            self._keys, self._counts, self._heads, self._listed = kernels.moved(
                size, self._keys, self._counts, self._heads, self._listed
            )


def learn(words: WordSymbols, join: Join) -> Iterator[int]:
    """Join pairs for as long as it is asked for, the most frequent first, of equals that of the smaller symbols.

    Yields the symbol made. Ends when no pair that may be joined is seen `FEWEST` times.
    """
    keys, counts = words.pairs()
    often = counts >= FEWEST
    heap = list(zip((-counts[often]).tolist(), keys[often].tolist(), strict=True))
    heapq.heapify(heap)
    while heap:
        negative, key = heapq.heappop(heap)
        count = words.count(key)
        if count != -negative:  # neighbours were joined since
            if count >= FEWEST:
                heapq.heappush(heap, (-count, key))
            continue
        symbol = join(key >> _BITS, key & 0xFFFFFFFF)
        if symbol is None:
            continue
        for made, seen in zip(*map(np.ndarray.tolist, words.join(key, symbol)), strict=True):
            if seen >= FEWEST:
                heapq.heappush(heap, (-seen, made))
        yield symbol
