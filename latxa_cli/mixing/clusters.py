"""k-means over many vectors that lie in a file, and a choice among them that is spread over the clusters.

As libraries for similarity search do, the centres are fitted to a sample, some hundred vectors a cluster; then every
vector goes to its nearest centre. Memory holds the sample, the centres, and one chunk of vectors; the sample does not
depend on how much memory there is, for then the choice would.
"""

from __future__ import annotations

import numpy as np

PER_CLUSTER = 256  # vectors of the sample, for each cluster,
SAMPLE = 1 << 16  # but not more of them in all, unless there are more clusters
ITERATIONS = 25
SETTLED = 0.001  # share of the sample that may still change its cluster at the end
CHUNK = 1 << 14  # vectors compared with all centres at once


def clustered(vectors: np.ndarray, clusters: int, keys: np.ndarray) -> np.ndarray:
    """Return the cluster (i32) of each vector, by k-means.

    The centres are seeded by k-means++ (Arthur and Vassilvitskii, SODA 2007) and moved by Lloyd's algorithm.

    Args:
        vectors: float [n, dimensions], perhaps mapped from a file.
        clusters: how many, at most n.
        keys: u64 [n], random: the sample is those that are least, and the least of them seeds the seeding.
    """
    most = max(clusters, min(PER_CLUSTER * clusters, SAMPLE))
    chosen = np.sort(np.argsort(keys, kind="stable")[:most])
    sample = vectors[chosen].astype(np.float32)
    centres = _seeded(sample, clusters, int(keys.min()))
    before = np.full(len(sample), -1, np.int32)
    for _ in range(ITERATIONS):
        now = nearest(sample, centres)
        if (now != before).mean() <= SETTLED:
            break
        centres = _means(sample, now, centres)
        before = now
    return nearest(vectors, centres)


def nearest(vectors: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """Return the nearest centre (i32) of each vector, the first one of several."""
    found = np.empty(len(vectors), np.int32)
    half_squares = (centres * centres).sum(axis=1) / 2
    for start in range(0, len(vectors), CHUNK):
        chunk = vectors[start : start + CHUNK].astype(np.float32)
        found[start : start + CHUNK] = (half_squares - chunk @ centres.T).argmin(axis=1)
    return found


def _seeded(sample: np.ndarray, clusters: int, seed: int) -> np.ndarray:
    """Draw the first centres, each with a probability that grows with its squared distance from those before it."""
    draws = np.random.default_rng(seed)
    centres = np.empty((clusters, sample.shape[1]), np.float32)
    distances = np.full(len(sample), np.inf)
    place = int(draws.integers(len(sample)))
    for number in range(clusters):
        centres[number] = sample[place]
        distances = np.minimum(distances, ((sample - centres[number]) ** 2).sum(axis=1, dtype=np.float64))
        total = np.cumsum(distances)
        place = int(np.searchsorted(total, draws.random() * total[-1], "right")) if total[-1] else 0
        place = min(place, len(sample) - 1)
    return centres


def _means(sample: np.ndarray, nearest_centre: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """Return the mean of each cluster; a cluster that lost all its vectors keeps its centre."""
    order = np.argsort(nearest_centre, kind="stable")
    found, starts, counts = np.unique(nearest_centre[order], return_index=True, return_counts=True)
    moved = centres.copy()
    moved[found] = np.add.reduceat(sample[order], starts, axis=0, dtype=np.float64) / counts[:, None]
    return moved


def spread_over(clusters: np.ndarray, keys: np.ndarray, count: int) -> np.ndarray:
    """Return which `count` vectors (a mask) are drawn, as evenly over their clusters as can be.

    Every cluster gives one before any gives a second, and so on; within a cluster, and among clusters where the last
    ones do not all get one more, those with the least keys come first. So fewer are a part of more.
    """
    order = np.lexsort((keys, clusters))
    begins = np.flatnonzero(np.diff(clusters[order], prepend=-1))
    turns = np.empty(len(order), np.int64)
    turns[order] = np.arange(len(order)) - np.repeat(begins, np.diff([*begins, len(order)]))
    drawn = np.zeros(len(order), bool)
    drawn[np.lexsort((keys, turns))[:count]] = True
    return drawn
