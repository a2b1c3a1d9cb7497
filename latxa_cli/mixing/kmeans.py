"""k-means over many vectors in a file, and a choice of vectors that is spread over the clusters.

As in libraries for similarity search, the centres are fitted to a sample of a few hundred vectors per cluster; then
every vector is assigned to its nearest centre. Memory holds the sample, the centres, and one chunk of vectors. The
sample has the same size on every machine, so that the choice does not depend on its memory.
"""

from __future__ import annotations

import numpy as np

PER_CLUSTER = 256  # vectors of the sample per cluster
SAMPLE = 1 << 16  # vectors of the sample at most, unless there are more clusters than that
CONVERGED = 1e-4  # stop when the mean distance to a centre falls by less than this; embeddings have length 1
CHUNK = 1 << 14  # vectors compared with all centres at once


def cluster(vectors: np.ndarray, clusters: int, keys: np.ndarray) -> np.ndarray:
    """Return the cluster (i32) of each vector; there may be fewer clusters, since empty ones are dropped.

    - vectors: float [n, dimensions], perhaps mapped from a file.
    - clusters: the number of clusters, at most n.
    - keys: u64 [n], random. The vectors with the smallest keys are the sample; the smallest key of all is the seed.

    The centres begin by k-means++ (Arthur and Vassilvitskii, SODA 2007) and move by Lloyd's algorithm (scipy's).
    """
    from scipy.cluster.vq import kmeans

    most = max(clusters, min(PER_CLUSTER * clusters, SAMPLE))
    places = np.sort(np.argsort(keys, kind="stable")[:most])
    sample = vectors[places].astype(np.float32)
    # scipy's own k-means++ takes time that grows with the square of the number of clusters.
    centres = _first_centres(sample, clusters, int(keys.min()))
    return nearest(vectors, kmeans(sample, centres, thresh=CONVERGED)[0])


def nearest(vectors: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """Return the nearest centre (i32) of each vector, the first of several."""
    from scipy.cluster.vq import vq

    chunks = (vectors[start : start + CHUNK].astype(np.float32) for start in range(0, len(vectors), CHUNK))
    return np.concatenate([np.empty(0, np.int32), *(vq(chunk, centres)[0] for chunk in chunks)])


def _first_centres(sample: np.ndarray, clusters: int, seed: int) -> np.ndarray:
    """Draw the first centres, each with a probability proportional to its squared distance from the earlier ones."""
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
    """Return the mask of `count` vectors that are drawn from the clusters as evenly as possible.

    Every cluster gives one vector before any gives a second, and so on. Within a cluster, and among clusters in the
    last round, vectors with the smallest keys come first. So a smaller draw is part of a larger one.
    """
    order = np.lexsort((keys, clusters))
    begins = np.flatnonzero(np.diff(clusters[order], prepend=-1))
    turns = np.empty(len(order), np.int64)
    turns[order] = np.arange(len(order)) - np.repeat(begins, np.diff([*begins, len(order)]))
    mask = np.zeros(len(order), bool)
    mask[np.lexsort((keys, turns))[:count]] = True
    return mask
