"""Orders and subsets drawn by keyed hash: they depend on the seed and the records' keys, never on the input order.

A subset of one size is part of every larger one, so that a study of data sizes compares like with like.
"""

from __future__ import annotations

from collections.abc import Iterable
from heapq import nsmallest

from latxa_cli.stream.records import keyed_hash

Key = tuple[str, str]  # (source, id), unique within a mix


def shuffled(keys: Iterable[Key], seed: int) -> list[Key]:
    """Return `keys` in the random order that `seed` gives."""
    return sorted(keys, key=lambda key: (keyed_hash(seed, "shuffle", *key), key))


def drawn(keys: Iterable[Key], seed: int, take: int) -> list[Key]:
    """Return `take` of `keys` drawn at random, or all when there are fewer; independent of the order of `shuffled`."""
    return nsmallest(take, keys, key=lambda key: (keyed_hash(seed, "take", *key), key))
