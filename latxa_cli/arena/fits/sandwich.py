"""The sandwich: the covariance of Bradley-Terry strengths, where votes are independent, or only their clusters are.

V = H+ B H+: H is the Hessian of the negative log-likelihood, + its pseudo-inverse, and B the sum over independent votes
(or clusters) of their gradients' outer products. Huber, 1967, "The behavior of maximum likelihood estimates under
nonstandard conditions", Berkeley Symposium 5. A prior of L tied battles is so many votes more for every pair.

A cluster pulls the fit towards itself, so that its gradient s comes out too small: what tells of its influence is the
fit without it, in one step (I - H_c H+)^-1 s, with H_c its part of the Hessian. This is the jackknife by cluster (CR3;
Bell & McCaffrey, 2002, "Bias reduction in standard errors for linear regression with multi-stage samples"; MacKinnon,
Nielsen & Webb, 2023, "Fast and reliable jackknife and bootstrap methods for cluster-robust inference").

Errors divided by such a standard error have Student's distribution, nearly, with one degree of freedom less than there
are clusters, or than clusters of one size would tell as much: (sum n)^2 / sum n^2. Coverage of nominal 90 % intervals
by it is measured in `tests/bench/arena_coverage.py`.

Clusters of two kinds at once: V by the one, plus V by the other, less V by what shares both. Cameron, Gelbach & Miller,
2011, "Robust inference with multiway clustering".
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import exp, lgamma, log, pi, sqrt, tan
from statistics import NormalDist

import numpy as np

from latxa_cli.arena.clusters import ClusterCounts
from latxa_cli.arena.fits.arithmetic import laplacian, pseudo_inverse
from latxa_cli.arena.fits.bradley_terry import chances, covariance, hessian, vote_spread
from latxa_cli.arena.votes import NONE, SCORES, Floats, Integers, Numbers, PairCounts

HEAVY = 0.05  # of a cluster's leverage, in parameters: below, its share of the votes says as much, to 1 % of an error
MOST_WORK = 2e9  # multiplications for the clusters that are left out exactly: some seconds
BLOCK = 1 << 20  # numbers at a time
PART = 1 << 18  # votes at a time
NODES, HALVINGS = 200, 60  # of an integral, and of the search for its bound: ten digits


def vote_covariance(counts: PairCounts, theta: Floats, prior: float = 0.0) -> Floats:
    """Return (p, p) the covariance of the strengths `theta` (p,) where every vote is independent; natural units."""
    return covariance(counts, theta, vote_spread(counts, theta, prior), prior)


def cluster_covariance(
    counts: PairCounts,
    theta: Floats,
    clusters: ClusterCounts,
    pairs: Integers,
    prior: float = 0.0,
    *,
    exact: bool = True,
) -> Floats:
    """Return (p, p) the covariance of the strengths `theta` (p,) where clusters are independent; natural units.

    - clusters: of a board, some of whose pairs (`pairs`, one for each of `counts`) are looked at.
    - exact: with the correction for small numbers of clusters; without, gradients as they are.
    """
    inverse = pseudo_inverse(hessian(counts, theta, prior))
    gradients = _Gradients(counts, theta, clusters, pairs)
    size, number = len(theta), max(1, int(np.count_nonzero(gradients.votes)))
    heavy: Integers = np.zeros(0, np.int64)
    light = np.ones(clusters.clusters)
    if exact:
        heavy = gradients.heavy(inverse)
        light = 1 / np.maximum(1 - gradients.votes / max(1, gradients.votes.sum()), 1 / (number + 1))
    spread = np.zeros((size, size))
    for start, totals in gradients.blocks():
        rows = totals * light[start : start + len(totals), None]
        inside = heavy[(heavy >= start) & (heavy < start + len(totals))]
        for some in np.array_split(inside, -(-len(inside) * size * size // BLOCK) or 1):
            # A hair less than all of the cluster: it may be the only one to hold a model.
            without = np.eye(size) - (1 - 1e-6) * gradients.hessians(some) @ inverse
            rows[some - start] = np.linalg.solve(without, totals[some - start, :, None])[:, :, 0]
        spread += rows.T @ rows
    spread *= (number - 1) / number if exact else 1.0
    nothing = PairCounts(counts.models, counts.first, counts.second, np.zeros_like(counts.cells))
    return inverse @ (spread + vote_spread(nothing, theta, prior)) @ inverse


class _Gradients:
    """Gradients of clusters at the strengths, and what is left of the Hessian without each.

    Votes are gone through in parts, so that they take no memory of their own.
    """

    def __init__(self, counts: PairCounts, theta: Floats, clusters: ClusterCounts, pairs: Integers) -> None:
        self.counts, self.clusters, self.size = counts, clusters, len(theta)
        self.own = np.full(clusters.cells, NONE, np.int32)
        self.own[(4 * pairs[:, None] + np.arange(4)).reshape(-1)] = np.arange(4 * len(pairs))
        chance = chances(counts, theta)
        self.value = (SCORES - chance[:, None]).reshape(-1)
        self.curvature = chance * (1 - chance)
        self.votes = np.zeros(clusters.clusters)
        for _, cluster, number in self._parts():
            self.votes += np.bincount(cluster, number, clusters.clusters)

    def _parts(self) -> Iterator[tuple[Integers, Integers, Numbers]]:
        """Yield the (m,) places among the pairs looked at, clusters, and numbers of some votes."""
        table = self.clusters
        for start in range(0, len(table.place), PART):
            some = slice(start, start + PART)
            place = self.own[table.place[some]]
            here = np.flatnonzero(place >= 0)
            yield place[here], table.cluster[some][here], table.number[some][here]

    def blocks(self) -> Iterator[tuple[int, Floats]]:
        """Yield (the first cluster, (clusters, p) their gradients)."""
        step = max(1, BLOCK // max(1, self.size))
        for start in range(0, len(self.votes), step):
            rows = min(step, len(self.votes) - start)
            total = np.zeros(rows * self.size)
            for place, cluster, number in self._parts():
                here = np.flatnonzero((cluster >= start) & (cluster < start + rows))
                at, pair = (cluster[here] - start) * np.int64(self.size), place[here] // 4
                value = self.value[place[here]] * number[here]
                total += np.bincount(at + self.counts.first[pair], value, len(total))
                total -= np.bincount(at + self.counts.second[pair], value, len(total))
            yield start, total.reshape(rows, self.size)

    def heavy(self, inverse: Floats) -> Integers:
        """Return the clusters of much leverage, rising; the most heavy, where there are too many."""
        diagonal, first, second = np.diag(inverse), self.counts.first, self.counts.second
        each = self.curvature * (diagonal[first] + diagonal[second] - 2 * inverse[first, second])
        leverage = np.zeros(len(self.votes))
        for place, cluster, number in self._parts():
            leverage += np.bincount(cluster, each[place // 4] * number, len(leverage))
        most = max(1, int(MOST_WORK / max(1, self.size) ** 3))
        order = np.argsort(-leverage, kind="stable")[:most]
        return np.sort(order[leverage[order] > HEAVY])

    def hessians(self, chosen: Integers) -> Floats:
        """Return (clusters, p, p) the Hessians of the votes of the `chosen` clusters, rising."""
        weights = np.zeros(len(chosen) * self.size**2)
        row = np.full(len(self.votes), NONE)
        row[chosen] = np.arange(len(chosen))
        for place, cluster, number in self._parts() if len(chosen) else ():
            here = np.flatnonzero(row[cluster] >= 0)
            pair = place[here] // 4
            at = (row[cluster[here]] * self.size + self.counts.first[pair]) * self.size + self.counts.second[pair]
            weights += np.bincount(at, self.curvature[pair] * number[here], len(weights))
        square = weights.reshape(len(chosen), self.size, self.size)
        return laplacian(square + square.transpose(0, 2, 1))


def two_way(by_way: Sequence[Floats], crossed: Floats) -> Floats:
    """Return the covariance by two kinds of clusters at once, given that by either, and by what shares both.

    Where the three make less than one of the two alone, which chance can do, it is the larger of these.
    """
    values, vectors = np.linalg.eigh(sum(by_way) - crossed)
    both = (vectors * np.maximum(values, 0)) @ vectors.T
    return max(both, *by_way, key=np.trace)


def quantile(confidence: float, clusters: float) -> float:
    """Return how many standard errors an interval reaches, with so many `clusters` of one size; inf for one."""
    if clusters == np.inf:
        return NormalDist().inv_cdf(0.5 + confidence / 2)
    return np.inf if clusters <= 1 else student_quantile(confidence, clusters - 1)


def student_quantile(confidence: float, freedom: float) -> float:
    """Return the t that Student's variable exceeds in size with a probability of 1 - `confidence`.

    With x = sqrt(n) tan(a), the probability that |x| is below t is c times the integral of cos(a)^(n - 1) up to the
    angle of t: smooth, so that few nodes do. (scipy knows it too, and takes 0.1 s to be imported.)
    """
    if freedom < 1:  # where the integrand grows without bound; the quantile is thousands of standard errors
        return np.inf
    nodes, weights = np.polynomial.legendre.leggauss(NODES)
    log_factor = lgamma((freedom + 1) / 2) - lgamma(freedom / 2) - log(pi) / 2
    low, high = 0.0, pi / 2
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        angles = (nodes + 1) * middle / 2
        inside = 2 * exp(log_factor) * middle / 2 * float((weights * np.cos(angles) ** (freedom - 1)).sum())
        low, high = (middle, high) if inside < confidence else (low, middle)
    return sqrt(freedom) * tan((low + high) / 2)
