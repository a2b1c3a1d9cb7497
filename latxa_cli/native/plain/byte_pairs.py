"""The table of pairs, whose pairs are counted anew after each join."""

from __future__ import annotations

from collections import Counter

import numpy as np

from latxa_cli.native.byte_pairs import FREE, NONE
from latxa_cli.native.plain.hashing import fmix64

_HALF = 0xFFFFFFFF


def slot_of(keys: np.ndarray, key: int) -> int:
    slot = fmix64(key) % len(keys)
    while keys[slot] not in (key, FREE):
        slot = (slot + 1) % len(keys)
    return slot


def count(
    start: int, end: int, symbols: np.ndarray, after: np.ndarray, weights: np.ndarray, keys: np.ndarray,
    counts: np.ndarray, heads: np.ndarray, listed: np.ndarray, entries: np.ndarray, used: np.ndarray,
) -> None:  # fmt: skip
    for place in range(start, end):
        if after[place] != NONE:
            slot = slot_of(keys, _key(int(symbols[place]), int(symbols[after[place]])))
            if keys[slot] == FREE:
                keys[slot] = _key(int(symbols[place]), int(symbols[after[place]]))
                used[0] += 1
            entries[used[1]] = place, heads[slot]
            heads[slot] = used[1]
            used[1] += 1
            counts[slot] += weights[place]
            listed[slot] += 1


def rehash(
    size: int, keys: np.ndarray, counts: np.ndarray, heads: np.ndarray, listed: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    new_keys, new_counts = np.full(size, FREE), np.zeros(size, np.int64)
    new_heads, new_listed = np.full(size, NONE), np.zeros(size, np.int32)
    for slot, key in enumerate(keys.tolist()):
        if key != FREE:
            place = slot_of(new_keys, key)
            new_keys[place], new_counts[place] = key, counts[slot]
            new_heads[place], new_listed[place] = heads[slot], listed[slot]
    return new_keys, new_counts, new_heads, new_listed


def join(
    key: int, symbol: int, symbols: np.ndarray, sizes: np.ndarray, after: np.ndarray, before: np.ndarray,
    weights: np.ndarray, keys: np.ndarray, counts: np.ndarray, heads: np.ndarray, listed: np.ndarray,
    entries: np.ndarray, used: np.ndarray,
) -> np.ndarray:  # fmt: skip
    """Join as the kernel does, but only the counts of pairs agree: their slots may differ, and no places are listed."""
    for place in range(len(symbols)):
        right = after[place]
        if symbols[place] >= 0 and right != NONE and _key(int(symbols[place]), int(symbols[right])) == key:
            symbols[place], symbols[right] = symbol, -1
            sizes[place], sizes[right] = 1, 0
            after[place] = after[right]
            if after[right] != NONE:
                before[after[right]] = place
    pairs: Counter[int] = Counter()
    for place in np.flatnonzero((symbols >= 0) & (after != NONE)).tolist():
        pairs[_key(int(symbols[place]), int(symbols[after[place]]))] += int(weights[place])
    counts[:] = 0
    made = []
    for pair, seen in pairs.items():
        slot = slot_of(keys, pair)
        if keys[slot] == FREE:
            keys[slot] = pair
            made.append(slot)
        counts[slot] = seen
    return np.array(made, np.int64)


def _key(left: int, right: int) -> int:
    return left << 32 | right & _HALF
