"""Connected components of documents, and batches of whole components (see `corpus.groups`)."""

from __future__ import annotations

import numpy as np

from latxa_cli.native.kernel import kernel


@kernel
def union(parents: np.ndarray, pairs: np.ndarray) -> None:
    """Join the trees of both members of each pair (u64, one in each half); the root is a tree's smallest number."""
    for pair in pairs:
        one, other = pair >> np.uint64(32), pair & np.uint64(0xFFFFFFFF)
        while parents[one] != one:
            parents[one] = parents[parents[one]]
            one = np.uint64(parents[one])
        while parents[other] != other:
            parents[other] = parents[parents[other]]
            other = np.uint64(parents[other])
        parents[max(one, other)] = min(one, other)


@kernel
def pack(parents: np.ndarray, sizes: np.ndarray, limit: int) -> np.ndarray:
    """Return the batch of each document, from 1; 0 for a document without connections.

    Components are taken in the order of their first documents. A component larger than `limit` has its own batch.
    """
    count = len(parents)
    totals = np.zeros(count, np.uint64)
    for document in range(count):
        # The parent has a smaller number, so the loop has already pointed it at its root.
        parents[document] = parents[parents[document]]
        totals[parents[document]] += sizes[document]
    batches = np.zeros(count, np.uint32)
    batch, filled = np.uint32(0), np.uint64(limit)
    for document in range(count):
        root = parents[document]
        if root != document:
            batches[document] = batches[root]
        elif totals[root] > sizes[root]:
            if filled + totals[root] > np.uint64(limit):
                batch += np.uint32(1)
                filled = np.uint64(0)
            filled += totals[root]
            batches[document] = batch
    return batches
