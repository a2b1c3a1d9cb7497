"""k-means over many vectors that lie in a file, and a choice among them that is spread over the clusters.

As libraries for similarity search do, the centres are fitted to a sample, some hundred vectors a cluster; then every
vector goes to its nearest centre. Memory holds the sample, the centres, and one chunk of vectors; the sample does not
depend on how much memory there is, for then the choice would.
"""

from __future__ import annotations

import numpy as np

PER_CLUSTER = 256  # vectors of the sample, for each cluster,
SAMPLE = 1 << 16  # but not more of them in all, unless there are more clusters
SETTLED = 1e-4  # what the mean distance to a centre may still lose at the end; embeddings have a length of 1
CHUNK = 1 << 14  # vectors compared with all centres at once


def clustered(vectors: np.ndarray, clusters: int, keys: np.ndarray) -> np.ndarray:
    """Return the cluster (i32) of each vector, by k-means; some of the clusters may be empty, and are left out.

    The centres are seeded by k-means++ (Arthur and Vassilvitskii, SODA 2007) and moved by Lloyd's algorithm (scipy's).

    Args:
        vectors: float [n, dimensions], perhaps mapped from a file.
        clusters: how many, at most n.
        keys: u64 [n], random: the sample is those that are least, and the least of them seeds the seeding.
    """
    from scipy.cluster.vq import kmeans

    most = max(clusters, min(PER_CLUSTER * clusters, SAMPLE))
    chosen = np.sort(np.argsort(keys, kind="stable")[:most])
    sample = vectors[chosen].astype(np.float32)
    centres = _seeded(sample, clusters, int(keys.min()))  # scipy's own seeding takes time with their square
    return nearest(vectors, kmeans(sample, centres, thresh=SETTLED)[0])


def nearest(vectors: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """Return the nearest centre (i32) of each vector, the first one of several."""
    from scipy.cluster.vq import vq

    chunks = (vectors[start : start + CHUNK].astype(np.float32) for start in range(0, len(vectors), CHUNK))
    return np.concatenate([np.empty(0, np.int32), *(vq(chunk, centres)[0] for chunk in chunks)])


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
