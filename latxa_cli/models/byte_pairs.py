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

from latxa_cli.text.kernel import kernel
from latxa_cli.text.words import mix

FEWEST = 2  # times that a pair must be seen: what is seen once is no habit of the language
_NONE = np.int32(-1)  # no neighbour, no entry
_FREE = np.uint64(0xFFFFFFFFFFFFFFFF)  # a slot of the table without a pair
_BLOCK = 1 << 20  # places counted before the table is looked at again
_BITS = 32  # of a symbol in the key of a pair

Join = Callable[[int, int], int | None]  # the symbol that two become, or None if they may not be joined


class Words:
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
        self._after[self.starts + lengths - 1] = _NONE
        self._before[self.starts] = _NONE
        self._weights = np.repeat(counts.astype(np.int64), lengths)
        self._keys = np.full(1 << 12, _FREE)
        self._counts = np.zeros(1 << 12, np.int64)
        self._heads = np.full(1 << 12, _NONE)  # of a pair's list of places
        self._listed = np.zeros(1 << 12, np.int32)  # entries in it
        # A join takes away one symbol and makes two new pairs at the most.
        self._entries = np.empty((3 * places, 2), np.int32)  # (place, entry behind it)
        self._used = np.zeros(2, np.int64)  # slots and entries
        for start in range(0, places, _BLOCK):
            self._make_room(min(_BLOCK, places - start))
            _count(start, min(start + _BLOCK, places), self.symbols, self._after, self._weights, *self._table)

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
        taken = self._keys != _FREE
        return self._keys[taken], self._counts[taken]

    def count(self, key: int) -> int:
        """Return how often a pair is seen now."""
        return int(self._counts[_slot(self._keys, np.uint64(key))])

    def join(self, key: int, symbol: int) -> tuple[np.ndarray, np.ndarray]:
        """Put `symbol`, which is new, for a pair wherever that stands; return keys and counts of the new pairs."""
        slot = _slot(self._keys, np.uint64(key))
        self._make_room(2 * int(self._listed[slot]))
        slots = _join(
            np.uint64(key), symbol, self.symbols, self.sizes, self._after, self._before, self._weights, *self._table
        )
        return self._keys[slots], self._counts[slots]

    def _make_room(self, more: int) -> None:
        """See that the table stays half empty with so many more pairs."""
        size = len(self._keys)
        while 2 * (self._used[0] + more) > size:
            size *= 2
        if size > len(self._keys):
            self._keys, self._counts, self._heads, self._listed = _moved(
                size, self._keys, self._counts, self._heads, self._listed
            )


def learn(words: Words, join: Join) -> Iterator[int]:
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


@kernel
def _slot(keys: np.ndarray, key: np.uint64) -> int:
    """Return the slot of a pair, or the free one where it belongs."""
    mask = np.uint64(len(keys) - 1)
    slot = mix(key) & mask
    while keys[slot] != key and keys[slot] != _FREE:
        slot = (slot + np.uint64(1)) & mask
    return np.int64(slot)  # type: ignore[return-value]


@kernel
def _key(left: np.int32, right: np.int32) -> np.uint64:
    return np.uint64(left) << np.uint64(32) | np.uint64(right)


@kernel
def _enter(
    key: np.uint64, place: int, weight: int, keys: np.ndarray, counts: np.ndarray, heads: np.ndarray,
    listed: np.ndarray, entries: np.ndarray, used: np.ndarray,
) -> int:  # fmt: skip
    """Count a pair at a place and list the place; return the pair's slot."""
    slot = _slot(keys, key)
    if keys[slot] == _FREE:
        keys[slot] = key
        used[0] += 1
    counts[slot] += weight
    listed[slot] += 1
    entries[used[1], 0] = place
    entries[used[1], 1] = heads[slot]
    heads[slot] = used[1]
    used[1] += 1
    return slot


@kernel
def _count(
    start: int, end: int, symbols: np.ndarray, after: np.ndarray, weights: np.ndarray, keys: np.ndarray,
    counts: np.ndarray, heads: np.ndarray, listed: np.ndarray, entries: np.ndarray, used: np.ndarray,
) -> None:  # fmt: skip
    """Enter the pairs that begin at places from `start` to before `end`."""
    for place in range(start, end):
        if after[place] >= 0:
            key = _key(symbols[place], symbols[after[place]])
            _enter(key, place, weights[place], keys, counts, heads, listed, entries, used)


@kernel
def _moved(
    size: int, keys: np.ndarray, counts: np.ndarray, heads: np.ndarray, listed: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return the table with `size` slots."""
    new_keys, new_counts = np.full(size, _FREE), np.zeros(size, np.int64)
    new_heads, new_listed = np.full(size, _NONE), np.zeros(size, np.int32)
    for slot in range(len(keys)):
        if keys[slot] != _FREE:
            place = _slot(new_keys, keys[slot])
            new_keys[place] = keys[slot]
            new_counts[place] = counts[slot]
            new_heads[place] = heads[slot]
            new_listed[place] = listed[slot]
    return new_keys, new_counts, new_heads, new_listed


@kernel
def _places(
    key: np.uint64, symbols: np.ndarray, after: np.ndarray, keys: np.ndarray, heads: np.ndarray, listed: np.ndarray,
    entries: np.ndarray,
) -> np.ndarray:  # fmt: skip
    """Return where a pair stands, from left to right if it is twice the same symbol, whose places may overlap."""
    slot = _slot(keys, key)
    places = np.empty(listed[slot], np.int32)
    found = 0
    entry = heads[slot]
    while entry >= 0:
        place = entries[entry, 0]
        if symbols[place] >= 0 and after[place] >= 0 and _key(symbols[place], symbols[after[place]]) == key:
            places[found] = place
            found += 1
        entry = entries[entry, 1]
    places = places[:found]
    if key >> np.uint64(32) == key & np.uint64(0xFFFFFFFF):
        places.sort()
    return places


@kernel
def _join(
    key: np.uint64, symbol: int, symbols: np.ndarray, sizes: np.ndarray, after: np.ndarray, before: np.ndarray,
    weights: np.ndarray, keys: np.ndarray, counts: np.ndarray, heads: np.ndarray, listed: np.ndarray,
    entries: np.ndarray, used: np.ndarray,
) -> np.ndarray:  # fmt: skip
    """Put `symbol` for a pair wherever it stands; return the slots of the pairs that came into being."""
    places = _places(key, symbols, after, keys, heads, listed, entries)
    made = np.empty(2 * len(places), np.int64)
    number = 0
    for place in places:
        right = after[place]
        if right < 0 or symbols[place] < 0 or _key(symbols[place], symbols[right]) != key:
            continue  # it overlapped with one further left
        weight = weights[place]
        left, behind = before[place], after[right]
        if left >= 0:
            counts[_slot(keys, _key(symbols[left], symbols[place]))] -= weight
        if behind >= 0:
            counts[_slot(keys, _key(symbols[right], symbols[behind]))] -= weight
            before[behind] = place
        symbols[place] = symbol
        symbols[right] = -1
        sizes[place] = 1
        sizes[right] = 0
        after[place] = behind
        for first in (left, place):
            if first >= 0 and after[first] >= 0:
                known = used[0]
                new = _key(symbols[first], symbols[after[first]])
                slot = _enter(new, first, weight, keys, counts, heads, listed, entries, used)
                if used[0] > known:
                    made[number] = slot
                    number += 1
    counts[_slot(keys, key)] = 0
    return made[:number]
