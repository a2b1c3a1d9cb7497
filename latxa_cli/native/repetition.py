"""Repetitions in a text, of lines and of n-grams of tokens, which are compared by hashes of 64 bits."""

from __future__ import annotations

import numpy as np

from latxa_cli.native.kernel import kernel

TOP = (2, 3, 4)  # lengths, in tokens, of n-grams whose most frequent one is measured
REPEATED = (5, 6, 7, 8, 9, 10)  # lengths of n-grams whose repetitions are all measured
NGRAMS = len(TOP) + len(REPEATED)

_MIX = np.uint64(0x9E3779B97F4A7C15)


@kernel
def repeated_lines(hashes: np.ndarray, lengths: np.ndarray) -> tuple[int, int]:
    """Return the number of lines that repeat an earlier one, and their characters."""
    first = np.empty(len(hashes), np.int32)
    _number(hashes, np.full(_size(len(hashes)), -1, np.int32), first)
    repeated = characters = 0
    for line in range(len(hashes)):
        if first[line] != line:
            repeated += 1
            characters += lengths[line]
    return repeated, characters


@kernel
def _size(count: int) -> int:
    """Return the number of slots of a hash table for `count` keys: a power of two, so that half of them stay free."""
    size = 4
    while size < 2 * count:
        size *= 2
    return size


@kernel
def _number(keys: np.ndarray, slots: np.ndarray, first: np.ndarray) -> None:
    """Write to `first`, for each key, the position of the first equal one."""
    last = len(slots) - 1
    for position in range(len(keys)):
        key = keys[position]
        slot = np.int64((key * _MIX) >> np.uint64(32)) & last
        while slots[slot] >= 0 and keys[slots[slot]] != key:
            slot = (slot + 1) & last
        if slots[slot] < 0:
            slots[slot] = position
        first[position] = slots[slot]


# --- n-grams of tokens ---------------------------------------------------------------------------------------------


@kernel
def ngrams(lengths: np.ndarray, marks: np.ndarray, characters: int, figures: np.ndarray) -> None:
    """Fill in `figures` (f64 [NGRAMS]): for each length the share of `characters` in frequent or repeated n-grams.

    lengths (i32) and marks (u64): the length and the hash of each token.
    """
    # An n-gram is identified by the first position where it occurs. It can occur twice only if its first n - 1 tokens
    # do, so only the few positions of repeated (n - 1)-grams are examined for the next n.
    tokens = len(marks)
    slots = np.full(_size(tokens), -1, np.int32)
    token = np.empty(tokens, np.int32)
    _number(marks, slots, token)
    until = np.zeros(tokens + 1, np.int64)  # the characters of all tokens before a position
    for position in range(tokens):
        until[position + 1] = until[position] + lengths[position]
    first = token.copy()
    again = np.arange(tokens, dtype=np.int32)  # positions whose (n - 1)-gram occurs more than once
    counts = np.zeros(tokens, np.int32)
    keys = np.empty(tokens, np.uint64)
    for n in range(TOP[0], REPEATED[-1] + 1):
        if n > tokens:
            break
        slots = slots[: _size(len(again))]
        slots.fill(-1)
        again = _longer(first, token, again, n, keys, slots, counts)
        if n <= TOP[-1]:
            figures[n - 2] = _top(first, again, counts, until, n) / characters
        elif not len(again):
            break
        else:
            figures[n - 2] = _repeated(first, again, until, n) / characters


@kernel
def _longer(
    first: np.ndarray,
    token: np.ndarray,
    again: np.ndarray,
    n: int,
    keys: np.ndarray,
    slots: np.ndarray,
    counts: np.ndarray,
) -> np.ndarray:
    """Advance `first` from (n - 1)-grams to n-grams, and return the positions whose n-gram occurs more than once.

    counts: gets the number of occurrences of each n-gram, at its first position.
    """
    last, seen = len(slots) - 1, 0
    for position in again:
        if position + n > len(token):
            break
        key = (np.uint64(first[position]) << np.uint64(32)) | np.uint64(token[position + n - 1])
        slot = np.int64((key * _MIX) >> np.uint64(32)) & last
        while slots[slot] >= 0 and keys[slots[slot]] != key:
            slot = (slot + 1) & last
        if slots[slot] < 0:
            slots[slot] = position
            keys[position] = key
            counts[position] = 0
        counts[slots[slot]] += 1
        first[position] = slots[slot]
        again[seen] = position
        seen += 1
    kept = 0
    for position in again[:seen]:
        if counts[first[position]] > 1:
            again[kept] = position
            kept += 1
    return again[:kept]


@kernel
def _top(first: np.ndarray, again: np.ndarray, counts: np.ndarray, until: np.ndarray, n: int) -> int:
    """Return the characters in all occurrences of the most frequent n-gram, with spaces between its tokens.

    Of several that are equally frequent the first counts.
    """
    best, times = 0, 1
    for position in again:
        if counts[first[position]] > times:
            best, times = position, counts[first[position]]
    return (until[best + n] - until[best] + n - 1) * times


@kernel
def _repeated(first: np.ndarray, again: np.ndarray, until: np.ndarray, n: int) -> int:
    """Return the characters of the n-grams that occurred before; read from the left, so that none overlaps another."""
    seen = np.zeros(len(first), np.bool_)
    characters = following = 0
    for position in again:
        if position < following:
            continue
        if seen[first[position]]:
            characters += until[position + n] - until[position]
            following = position + n
        else:
            seen[first[position]] = True
    return characters
