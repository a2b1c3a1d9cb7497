"""A hash table of pairs of neighbouring symbols, with their counts and places (see `models.byte_pairs`).

Arrays that the kernels share, all with one entry per place of the text or per slot of the table:

    symbols, sizes, after, before, weights   of a place: its symbol (-1: joined to the one on its left), the number of
                                             tokens of that, the places of its neighbours, and its word's count
    keys, counts, heads, listed              of a slot: the pair, its count, its latest entry, and its number of entries
    entries [n, 2]                           lists of places: (place, the next entry of the same pair)
    used [2]                                 the numbers of slots and of entries in use
"""

from __future__ import annotations

import numpy as np

from latxa_cli.native.hashing import fmix64
from latxa_cli.native.kernel import kernel

NONE = np.int32(-1)  # no neighbour, or no entry
FREE = np.uint64(0xFFFFFFFFFFFFFFFF)  # a slot of the table without a pair


@kernel
def slot_of(keys: np.ndarray, key: np.uint64) -> int:
    """Return the slot of a pair, or the free slot where it would be put."""
    mask = np.uint64(len(keys) - 1)
    slot = fmix64(key) & mask
    while keys[slot] != key and keys[slot] != FREE:
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
    slot = slot_of(keys, key)
    if keys[slot] == FREE:
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
def count(
    start: int, end: int, symbols: np.ndarray, after: np.ndarray, weights: np.ndarray, keys: np.ndarray,
    counts: np.ndarray, heads: np.ndarray, listed: np.ndarray, entries: np.ndarray, used: np.ndarray,
) -> None:  # fmt: skip
    """Enter the pairs that begin at the places from `start` up to, but without, `end`."""
    for place in range(start, end):
        if after[place] >= 0:
            key = _key(symbols[place], symbols[after[place]])
            _enter(key, place, weights[place], keys, counts, heads, listed, entries, used)


@kernel
def rehash(
    size: int, keys: np.ndarray, counts: np.ndarray, heads: np.ndarray, listed: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return the columns of a table with the same pairs and `size` slots."""
    new_keys, new_counts = np.full(size, FREE), np.zeros(size, np.int64)
    new_heads, new_listed = np.full(size, NONE), np.zeros(size, np.int32)
    for slot in range(len(keys)):
        if keys[slot] != FREE:
            place = slot_of(new_keys, keys[slot])
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
    """Return the places of a pair; those of a symbol and itself, which may overlap, are sorted from left to right."""
    slot = slot_of(keys, key)
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
def join(
    key: np.uint64, symbol: int, symbols: np.ndarray, sizes: np.ndarray, after: np.ndarray, before: np.ndarray,
    weights: np.ndarray, keys: np.ndarray, counts: np.ndarray, heads: np.ndarray, listed: np.ndarray,
    entries: np.ndarray, used: np.ndarray,
) -> np.ndarray:  # fmt: skip
    """Replace a pair by `symbol` at all its places, and return the slots of the pairs that are new."""
    places = _places(key, symbols, after, keys, heads, listed, entries)
    made = np.empty(2 * len(places), np.int64)
    number = 0
    for place in places:
        right = after[place]
        if right < 0 or symbols[place] < 0 or _key(symbols[place], symbols[right]) != key:
            continue  # it overlapped with a pair further left, which was joined
        weight = weights[place]
        left, behind = before[place], after[right]
        if left >= 0:
            counts[slot_of(keys, _key(symbols[left], symbols[place]))] -= weight
        if behind >= 0:
            counts[slot_of(keys, _key(symbols[right], symbols[behind]))] -= weight
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
    counts[slot_of(keys, key)] = 0
    return made[:number]
