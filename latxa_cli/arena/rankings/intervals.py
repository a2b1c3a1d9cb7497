"""Ratings of a table of votes, of redrawn tables, and the intervals between them.

A redrawn table may lack Ford's condition although the votes have it (a model's only win was not drawn). Such a round
is not thrown away, which would make the intervals too narrow. Where more than half of the models are strongly
connected, these are fitted, with the mean that they have in the point estimate; a model above them counts as +inf, one
below as -inf, and one of neither kind as both (`connectivity.core`). A bound that falls on an infinite value is
infinite.

With few clusters, or uneven ones, percentiles of the rounds lie too near: errors are widened by the ratio of Student's
quantile to the normal one, and by sqrt(G / (G - 1)), G the effective number of clusters (`sandwich`). Hesterberg, 2015,
"What teachers should know about the bootstrap", The American Statistician 69. Rounds by two kinds of clusters at once
hold the variance by either, a and b, and once more that of what shares both, c, which should be taken off: their errors
are shortened by sqrt((a + b - c) / (a + b + c)).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil
from typing import Literal

import numpy as np

from latxa_cli.arena.clusters import ClusterCounts, Dependence
from latxa_cli.arena.fits.bradley_terry import Wins, fit, to_ratings
from latxa_cli.arena.fits.connectivity import core, strongly_connected
from latxa_cli.arena.fits.davidson import fit_davidson
from latxa_cli.arena.fits.sandwich import cluster_covariance, quantile, two_way, vote_covariance
from latxa_cli.arena.rankings.resampling import Resampling
from latxa_cli.arena.votes import BOTH_BAD, TIE, Floats, Integers, Numbers, PairCounts
from latxa_cli.stream.errors import UsageError
from latxa_cli.stream.named import named_value

BATCH_BYTES = 4 << 20  # for the matrices of the rounds that are fitted together
Ties = Literal["half", "davidson", "drop"]


@dataclass(frozen=True)
class RatingMethod:
    """The method of a rating.

    rounds: of the bootstrap; confidence: of the intervals, 0 to 1; ties: half a win for each, Davidson's model, or left
    out; prior: tied battles added to every pair that met; anchor: a model and the rating that it is to have.
    """

    rounds: int = 1000
    confidence: float = 0.9
    ties: Ties = "half"
    prior: float = 0.0
    seed: int = 0
    anchor: tuple[str, float] | None = None

    def __post_init__(self) -> None:
        if not 0 < self.confidence < 1:
            raise UsageError(f"the confidence {self.confidence} is not between 0 and 1")
        if not 0 <= self.prior < np.inf:
            raise UsageError(f"the prior {self.prior} is not a finite number from 0")
        if self.anchor and not np.isfinite(self.anchor[1]):
            raise UsageError(f"`--anchor {self.anchor[0]}={self.anchor[1]}` is no finite rating")

    @property
    def fewest_rounds(self) -> int:
        """How many rounds it takes for a bound to be one of them."""
        return ceil(round(2 / (1 - self.confidence) - 1, 6))

    def counted(self, cells: Numbers) -> Numbers:
        """Return (…, 4) cells of `PairCounts` without what does not count."""
        if self.ties != "drop":
            return cells
        decided = cells.copy()
        decided[..., [TIE, BOTH_BAD]] = 0
        return decided


def rate(counts: PairCounts, cells: Numbers, method: RatingMethod, point: Floats | None = None) -> Floats:
    """Return (rounds, p) strengths for (rounds, P, 4) `cells`, inf, -inf or nan for models outside the core.

    The core has two models or more, and the mean 0. Given the finite strengths of the `point` estimate (p,), it has
    more than half of the models, and the mean that they have there.
    """
    cells = method.counted(cells)
    wins = Wins.of(cells, method.prior)
    beats = wins.beats(counts)
    members = np.ones(beats.shape[:2], dtype=bool)
    outside = np.zeros(beats.shape[:2])
    broken = ~strongly_connected(beats)
    if broken.any():
        least = 2 if point is None else len(point) / 2 + 0.5
        members[broken], outside[broken] = core(beats[broken], least)
    if method.ties == "davidson":
        theta, _ = fit_davidson(counts, cells, method.prior, members, point)
    else:
        theta = fit(counts, wins, members, point)
    if point is not None:
        theta += (point * members).sum(axis=1, keepdims=True) / np.maximum(1, members.sum(axis=1, keepdims=True))
    return np.where(members, theta, outside)


def anchor_of(text: str | None) -> tuple[str, float] | None:
    """Return a model and its rating of a text `MODEL=RATING`."""
    return None if text is None else named_value("--anchor", text, "MODEL=RATING", float, last=True)


PAPER = RatingMethod(100, 0.9, seed=42)  # of *Instructing LLMs for Low-Resource Languages*


@dataclass(frozen=True)
class Core:
    """Models of one board whose ratings are finite, and comparable with each other.

    table: which of the redrawn tables is the board's; models: indices, rising; counts: among them; pairs: which pairs
    of the table these are; theta: their strengths, mean 0.
    """

    table: int
    models: Integers
    counts: PairCounts
    pairs: Integers
    theta: Floats


def resampled(resampling: Resampling, cores: Sequence[Core], method: RatingMethod) -> list[Floats]:
    """Return (rounds, q) strengths of each core; inf, -inf and nan as `rate` says."""
    largest = max((len(one.models) for one in cores), default=1)
    batch = max(1, BATCH_BYTES // (8 * max(largest**2, sum(resampling.cells), len(resampling.numbers) // 8)))
    parts: list[list[Floats]] = [[] for _ in cores]
    randoms = [np.random.default_rng((method.seed, number)) for number in range(len(cores))]
    for tables in resampling.tables(method.rounds, batch) if cores else ():
        for part, one, random in zip(parts, cores, randoms, strict=True):
            cells = tables[one.table].reshape(len(tables[one.table]), -1, 4)[:, one.pairs]
            part.append(
                rate(one.counts, _with_prior(cells, method.prior, random), replace(method, prior=0.0), one.theta)
            )
    return [np.concatenate([np.zeros((0, len(one.theta))), *part]) for part, one in zip(parts, cores, strict=True)]


def _with_prior(cells: Numbers, prior: float, random: np.random.Generator) -> Numbers:
    """Add the prior's wins to (rounds, P, 4) cells, drawn as well: else many wins without a loss had no error at all.

    Both ways gamma distributed with the mean L/2: with smooth rounds by vote, of two models and L = 1, shares of wins
    have Jeffreys' distribution.
    """
    if not prior:
        return cells
    wins = cells.astype(np.float64)
    wins[..., :2] += random.gamma(prior / 2, size=(*cells.shape[:2], 2))
    return wins


def normal_replicates(theta: Floats, covariance: Floats, method: RatingMethod) -> Floats:
    """Return (rounds, q) strengths around `theta` (q,), as `covariance` (q, q) has it: rounds without a bootstrap."""
    random = np.random.default_rng(method.seed)
    values, vectors = np.linalg.eigh(covariance)
    root = vectors * np.sqrt(np.maximum(values, 0))
    return np.asarray(theta + random.standard_normal((method.rounds, len(theta))) @ root.T)


@dataclass(frozen=True)
class Reach:
    """How far intervals reach, with few clusters or many.

    - clusters: the effective number of clusters; inf where each vote is for itself.
    - ways: kinds of clusters at once.
    """

    clusters: float = np.inf
    ways: int = 1

    @classmethod
    def of(cls, dependence: Dependence | None, place: Integers) -> Reach:
        """Return the reach for a board whose votes are counted at `place` (n,)."""
        return cls() if dependence is None else cls(dependence.effective(place >= 0), len(dependence.ways))

    def errors(self, confidence: float) -> float:
        """Return how many standard errors an interval reaches."""
        return quantile(confidence, self.clusters)

    @property
    def of_rounds(self) -> float:
        """By how much the errors of rounds are to be widened to have the right variance."""
        if self.ways > 1 or self.clusters == np.inf:  # in two ways, rounds vary more than enough
            return 1.0
        return float(np.sqrt(self.clusters / (self.clusters - 1))) if self.clusters > 1 else np.inf

    def widening(self, confidence: float) -> float:
        """Return by how much the errors of rounds are to be widened for an interval; inf for one cluster."""
        return self.of_rounds * self.errors(confidence) / quantile(confidence, np.inf)


def widened(point: Floats, replicates: Floats, by: float | Floats) -> Floats:
    """Return (…, p) `replicates` whose errors about `point` (p,) are so many times as large; without bound for inf."""
    if np.isscalar(by) and by == 1:
        return replicates
    if np.isscalar(by) and by == np.inf:
        return np.full_like(replicates, np.nan)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.where(np.isfinite(replicates), point + (replicates - point) * by, replicates))


def bounds(replicates: Floats, confidence: float) -> tuple[Floats, Floats]:
    """Return (p,) lower and upper percentiles of (rounds, p) `replicates`.

    They are order statistics, as nothing lies between infinities. Of R rounds the k-th from either end,
    k = (R + 1) (1 - confidence) / 2: R values cut the line into R + 1 parts.
    """
    rounds = len(replicates)
    unknown = np.isnan(replicates)
    skipped = max(0, int(round((rounds + 1) * (1 - confidence) / 2, 9)) - 1)
    lowest = np.sort(np.where(unknown, -np.inf, replicates), axis=0)[skipped]
    highest = np.sort(np.where(unknown, np.inf, replicates), axis=0)[rounds - 1 - skipped]
    return lowest, highest


def to_scale(theta: Floats, models: Sequence[str], anchor: tuple[str, float] | None) -> Floats:
    """Return (…, p) strengths as ratings: 400 points for odds of 10 to 1, mean 1000, or the anchor's rating as given.

    Where the anchor is not rated, the mean stays.
    """
    ratings = to_ratings(theta)
    if anchor is None or anchor[0] not in models:
        return ratings
    shift = anchor[1] - ratings[..., list(models).index(anchor[0])]
    shift = np.where(np.isfinite(shift), shift, 0 if ratings.ndim == 1 else np.nan)
    return np.asarray(ratings + shift[..., None])


def core_covariance(core: Core, clusters: Sequence[ClusterCounts], prior: float, *, exact: bool = True) -> Floats:
    """Return (q, q) the sandwich covariance of a core's strengths.

    - clusters: votes of the whole board by vote (none), by one kind of cluster, or by two and what shares both (three).
    - exact: with the correction for few clusters.
    """
    counts, theta = core.counts, core.theta
    if not clusters:
        return vote_covariance(counts, theta, prior)
    found = [cluster_covariance(counts, theta, one, core.pairs, prior, exact=exact) for one in clusters]
    return found[0] if len(found) == 1 else two_way(found[:2], found[2])


def shortening(core: Core, clusters: Sequence[ClusterCounts], prior: float) -> Floats:
    """Return (q,) by how much the errors of rounds by two kinds of clusters at once are too large."""
    one, other, both = (
        np.diag(cluster_covariance(core.counts, core.theta, counts, core.pairs, prior, exact=False))
        for counts in clusters
    )
    total = one + other + both
    right = np.maximum(one + other - both, np.maximum(one, other))
    return np.sqrt(np.divide(right, total, out=np.ones(len(total)), where=total > 0))
