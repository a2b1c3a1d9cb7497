"""Continue the byte pair encoding of a tokenizer: join pairs of symbols, the most frequent first.

The algorithm is that of Sennrich et al. 2016 (arXiv 1508.07909), but it begins with the symbols of a tokenizer that
exists. Each distinct word is held once. Each pair of neighbours has a count and a list of its places. To join a pair
changes only the counts of pairs beside it. Outdated places in a list, and outdated counts in the heap, are passed over.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator

import numpy as np

from latxa_cli.native import byte_pairs as kernels
from latxa_cli.native.byte_pairs import FREE, NONE

FEWEST = 2  # times that a pair must occur: one that occurs once is no habit of the language
_BLOCK = 1 << 20  # places counted before the table may grow
_BITS = 32  # of a symbol in the key of a pair

Join = Callable[[int, int], int | None]  # gives the symbol of a pair, or None for a pair that must not be joined


class WordSymbols:
    """Distinct words as symbols, with the number of times that each word occurs.

    Args:
        symbols: i32 [symbols of all words], word after word.
        sizes: i32 [symbols of all words], the number of tokens that each symbol stands for.
        lengths: i32 [words], the symbols of each, none of them 0.
        counts: i64 [words]; a word of count 0 has no say in the choice of pairs, but pairs are joined in it too.
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
        """Return i64 [words], the number of tokens of each word."""
        return np.add.reduceat(self.sizes, self.starts, dtype=np.int64)

    def resize(self, symbol: int, size: int) -> None:
        """Let a symbol stand for `size` tokens, wherever it occurs."""
        self.sizes[self.symbols == symbol] = size

    def pairs(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the keys (u64, the left symbol in the upper half) of all pairs, and their counts (i64)."""
        taken = self._keys != FREE
        return self._keys[taken], self._counts[taken]

    def count(self, key: int) -> int:
        """Return the number of times that a pair occurs."""
        return int(self._counts[kernels.slot_of(self._keys, np.uint64(key))])

    def join(self, key: int, symbol: int) -> tuple[np.ndarray, np.ndarray]:
        """Replace a pair by a new `symbol` everywhere; return keys and counts of the pairs that this makes."""
        slot = kernels.slot_of(self._keys, np.uint64(key))
        self._make_room(2 * int(self._listed[slot]))
        slots = kernels.join(
            np.uint64(key), symbol, self.symbols, self.sizes, self._after, self._before, self._weights, *self._table
        )
        return self._keys[slots], self._counts[slots]

    def _make_room(self, more: int) -> None:
        """Grow the table until it is at least half empty with `more` pairs added."""
        size = len(self._keys)
        while 2 * (self._used[0] + more) > size:
            size *= 2
        if size > len(self._keys):
            self._keys, self._counts, self._heads, self._listed = kernels.rehash(
                size, self._keys, self._counts, self._heads, self._listed
            )


def learn(words: WordSymbols, join: Join) -> Iterator[int]:
    """Join pairs, the most frequent first, and yield the new symbol of each.

    Of two pairs of one count, that of the smaller symbols comes first. The iterator ends when no pair that may be
    joined occurs `FEWEST` times.
    """
    keys, counts = words.pairs()
    frequent = counts >= FEWEST
    heap = list(zip((-counts[frequent]).tolist(), keys[frequent].tolist(), strict=True))
    heapq.heapify(heap)
    while heap:
        negative, key = heapq.heappop(heap)
        count = words.count(key)
        if count != -negative:  # neighbours were joined since it was put into the heap
            if count >= FEWEST:
                heapq.heappush(heap, (-count, key))
            continue
        symbol = join(key >> _BITS, key & 0xFFFFFFFF)
        if symbol is None:
            continue
        for new_key, new_count in zip(*map(np.ndarray.tolist, words.join(key, symbol)), strict=True):
            if new_count >= FEWEST:
                heapq.heappush(heap, (-new_count, new_key))
        yield symbol
