"""Ratings of a table of votes, of redrawn tables, and the intervals between them.

A redrawn table may lack Ford's condition although the votes have it (a model's only win was not drawn). Such a round
is not thrown away, which would make the intervals too narrow. Where more than half of the models are strongly
connected, these are fitted, with the mean that they have in the point estimate; a model above them counts as +inf, one
below as -inf, and one of neither kind as both (`connectivity.core`). A bound that falls on an infinite value is
infinite.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil
from typing import Any, Literal

import numpy as np

from latxa_cli.arena.fits.bradley_terry import Wins, chances, covariance, fit, to_ratings, vote_spread
from latxa_cli.arena.fits.connectivity import core, strongly_connected
from latxa_cli.arena.fits.davidson import fit_davidson
from latxa_cli.arena.rankings.resampling import ClusterCounts, Resampling
from latxa_cli.arena.votes import BOTH_BAD, NONE, SCORES, TIE, Floats, Integers, PairCounts
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

    def counted(self, cells: Integers) -> Integers:
        """Return (…, 4) cells of `PairCounts` without what does not count."""
        if self.ties != "drop":
            return cells
        decided = cells.copy()
        decided[..., [TIE, BOTH_BAD]] = 0
        return decided


def rate(counts: PairCounts, cells: Integers, method: RatingMethod, point: Floats | None = None) -> Floats:
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


def _with_prior(cells: Integers, prior: float, random: np.random.Generator) -> Any:
    """Add the prior's wins to (rounds, P, 4) cells, drawn as well: else many wins without a loss had no error at all.

    Both ways gamma distributed with the mean L/2: for two models and L = 1 the rounds are Jeffreys' interval.
    """
    if not prior:
        return cells
    drawn = cells.astype(np.float64)
    drawn[..., :2] += random.gamma(prior / 2, size=(*cells.shape[:2], 2))
    return drawn


def normal_replicates(theta: Floats, covariance: Floats, method: RatingMethod) -> Floats:
    """Return (rounds, q) strengths around `theta` (q,), as `covariance` (q, q) has it: rounds without a bootstrap."""
    random = np.random.default_rng(method.seed)
    values, vectors = np.linalg.eigh(covariance)
    root = vectors * np.sqrt(np.maximum(values, 0))
    return np.asarray(theta + random.standard_normal((method.rounds, len(theta))) @ root.T)


def bounds(drawn: Floats, confidence: float) -> tuple[Floats, Floats]:
    """Return (p,) lower and upper percentiles of (rounds, p); order statistics, as nothing lies between infinities.

    Of R rounds the k-th from either end, k = (R + 1) (1 - confidence) / 2: R values cut the line into R + 1 parts.
    """
    rounds = len(drawn)
    unknown = np.isnan(drawn)
    skipped = max(0, int(round((rounds + 1) * (1 - confidence) / 2, 9)) - 1)
    lowest = np.sort(np.where(unknown, -np.inf, drawn), axis=0)[skipped]
    highest = np.sort(np.where(unknown, np.inf, drawn), axis=0)[rounds - 1 - skipped]
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


def covariance_by(core: Core, cluster_counts: ClusterCounts | None = None) -> Floats:
    """Return (q, q) the sandwich covariance of a core's strengths, by vote, or by cluster with the factor G / (G - 1).

    cluster_counts: the votes of the whole board.
    """
    counts, theta = core.counts, core.theta
    if cluster_counts is None:
        return covariance(counts, theta, vote_spread(counts, theta))
    score, first, second = np.zeros(cluster_counts.cells), *np.full((2, cluster_counts.cells), NONE)
    here = (4 * core.pairs[:, None] + np.arange(4)).reshape(-1)
    score[here] = (SCORES - chances(counts, theta)[:, None]).reshape(-1)
    first[here], second[here] = np.repeat(counts.first, 4), np.repeat(counts.second, 4)
    spread = cluster_counts.spread(first, second, score, len(theta))
    return covariance(counts, theta, spread * cluster_counts.clusters / max(1, cluster_counts.clusters - 1))
