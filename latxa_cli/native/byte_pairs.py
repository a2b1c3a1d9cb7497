"""A table of pairs of neighbouring symbols, with their counts and places (see `models.byte_pairs`)."""

from __future__ import annotations

import numpy as np

from latxa_cli.native.hashing import fmix64
from latxa_cli.native.kernel import kernel

NONE = np.int32(-1)  # no neighbour, no entry
FREE = np.uint64(0xFFFFFFFFFFFFFFFF)  # a slot of the table without a pair


@kernel
def slot_of(keys: np.ndarray, key: np.uint64) -> int:
    """Return the slot of a pair, or the free one where it belongs."""
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
    """Enter the pairs that begin at places from `start` to before `end`."""
    for place in range(start, end):
        if after[place] >= 0:
            key = _key(symbols[place], symbols[after[place]])
            _enter(key, place, weights[place], keys, counts, heads, listed, entries, used)


@kernel
def moved(
    size: int, keys: np.ndarray, counts: np.ndarray, heads: np.ndarray, listed: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return the table with `size` slots."""
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
    """Return where a pair stands, from left to right if it is twice the same symbol, whose places may overlap."""
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
