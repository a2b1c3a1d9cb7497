"""Connected components, by sets of documents."""

from __future__ import annotations

import numpy as np


def union(parents: np.ndarray, pairs: np.ndarray) -> None:
    """Join the trees; their inner nodes may differ from the kernel's, and only their roots agree."""
    trees = {root: {root} for root in range(len(parents))}
    tree_of = {number: trees[number] for number in trees}
    links = [(number, int(parent)) for number, parent in enumerate(parents)]
    for one, other in links + [(pair >> 32, pair & 0xFFFFFFFF) for pair in pairs.tolist()]:
        joined = tree_of[one] | tree_of[other]
        tree_of.update(dict.fromkeys(joined, joined))
    for number in range(len(parents)):
        parents[number] = min(tree_of[number])


def pack(parents: np.ndarray, sizes: np.ndarray, limit: int) -> np.ndarray:
    """Return the batches; `parents` is not changed, which the kernel shortens."""
    members: dict[int, list[int]] = {}
    for document in range(len(parents)):
        root = document
        while parents[root] != root:
            root = int(parents[root])
        members.setdefault(root, []).append(document)
    batches = np.zeros(len(parents), np.uint32)
    batch, filled = 0, limit
    for component in members.values():
        size = int(sizes[component].sum(dtype=np.uint64))
        if len(component) == 1:
            continue
        if filled + size > limit:
            batch, filled = batch + 1, 0
        filled += size
        batches[component] = batch
    return batches
