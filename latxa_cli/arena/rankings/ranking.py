"""Rankings: ratings with intervals and ranks, of all votes by one criterion, or of a subgroup's.

Several rankings are made of the same redrawn votes, so that `differences` between them have intervals of their own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np

from latxa_cli.arena.fits.bradley_terry import DIGITS, SCALE
from latxa_cli.arena.fits.connectivity import islands
from latxa_cli.arena.rankings.intervals import (
    Core,
    RatingMethod,
    bounds,
    covariance_by,
    normal_replicates,
    rate,
    resampled,
    to_scale,
)
from latxa_cli.arena.rankings.ranks import ranks
from latxa_cli.arena.rankings.resampling import ClusterCounts, Resampling
from latxa_cli.arena.votes import NONE, Column, Floats, Integers, PairCounts, Votes, count
from latxa_cli.stream.errors import UsageError
from latxa_cli.stream.records import Record

SAME = 1e-9  # strengths so close are equal but for rounding
Interval = Literal["bootstrap", "sandwich"]


@dataclass
class Ranking:
    """One board of p models.

    counts, place: of its votes, as `votes.count` gives them. islands: sets of models that battles connect; each has a
    scale, ranks and tiers of its own. theta: (p,) strengths, inf or -inf above or below a core, nan without any.
    replicates: (rounds, p) the same of resampled votes. cores: of the islands, where there is one. clusters: whose
    votes are drawn together; each vote for itself when None.
    """

    criterion: str
    group: dict[str, str]
    votes: Votes
    counts: PairCounts
    place: Integers
    islands: list[Integers]
    cores: list[Core]
    theta: Floats
    replicates: Floats
    method: RatingMethod
    clusters: Column | None = None

    @cached_property
    def cluster_counts(self) -> ClusterCounts | None:
        """The votes by cluster; None where each is for itself."""
        return None if self.clusters is None else self.cluster_counts_by(self.clusters)

    def cluster_counts_by(self, column: Column) -> ClusterCounts:
        """Return the votes by the clusters that a column names."""
        return ClusterCounts.of(column, self.place, self.counts.cells.size)

    @cached_property
    def covariance(self) -> Floats:
        """(p, p) the covariance of the strengths, by vote or by cluster; zero for models without a finite one.

        The sandwich's, or, where ties are not half wins, that of the redrawn rounds.
        """
        whole = np.zeros((len(self.theta), len(self.theta)))
        for core in self.cores:
            inside = np.ix_(core.models, core.models)
            drawn = self.replicates[:, core.models]
            finite = drawn[np.isfinite(drawn).all(axis=1)]
            if self.method.ties == "half":
                whole[inside] = covariance_by(core, self.cluster_counts)
            elif len(finite) > 1:
                whole[inside] = np.cov(finite, rowvar=False)
        return whole

    @property
    def ratings(self) -> Floats:
        """(p,) strengths on the arena's scale."""
        return self._scaled(self.theta)

    @property
    def replicate_ratings(self) -> Floats:
        """(rounds, p) redrawn strengths on the arena's scale."""
        return self._scaled(self.replicates)

    @property
    def anchored(self) -> bool:
        """Whether the anchor has a finite rating, so that it holds the scale."""
        models, name = self.counts.models, self.method.anchor[0] if self.method.anchor else None
        return name in models and bool(np.isfinite(self.theta[models.index(name)]))

    def _scaled(self, theta: Floats) -> Floats:
        """Return (…, p) strengths on the arena's scale; an anchor with a finite rating holds those of its island."""
        anchor, models = self.method.anchor, self.counts.models
        ratings = to_scale(theta, models, None)
        if anchor is not None and self.anchored:
            island = next(island for island in self.islands if models.index(anchor[0]) in island)
            ratings[..., island] = to_scale(theta[..., island], [models[model] for model in island], anchor)
        return ratings

    @property
    def non_finite(self) -> float:
        """The share of rounds in which a model that has a finite rating has none."""
        finite = np.isfinite(self.theta)
        return 1 - float(np.isfinite(self.replicates[:, finite]).all(axis=1).mean()) if len(self.replicates) else 0.0

    def records(self) -> Iterator[Record]:
        """Yield rating records, island by island, best first.

        A bound that is not finite is None; so are those of a model that is as strong in all rounds.
        """
        point = self.ratings
        low, high = bounds(self.replicate_ratings, self.method.confidence)
        with np.errstate(invalid="ignore"):
            differs = np.abs(self.replicates - self.theta) > SAME
        alike = np.isfinite(point) & ~differs.any(axis=0)  # whose votes say nothing of their error
        low[alike], high[alike] = -np.inf, np.inf
        tallies = _tallies(self.counts)
        for number, models in enumerate(self.islands, 1):
            # Differences matter alone, and an anchor that has no finite rating in a round says nothing of others.
            placed = ranks(SCALE * self.theta[models], SCALE * self.replicates[:, models], self.method.confidence)
            order = sorted(range(len(models)), key=lambda place: (placed.rank[place], models[place]))
            for place in order:
                model = models[place]
                yield {
                    "model": self.counts.models[model],
                    "rating": rounded(point[model]),
                    "lower": rounded(low[model]),
                    "upper": rounded(high[model]),
                    "rank": int(placed.rank[place]),
                    "rank_lower": int(placed.best[place]),
                    "rank_upper": int(placed.worst[place]),
                    "tier": int(placed.tier[place]),
                    **{name: int(values[model]) for name, values in tallies.items()},
                    **self._board(number),
                    **_infinite(point[model]),
                }

    def paper_records(self) -> Iterator[Record]:
        """Yield rating records as the notebook of *Instructing LLMs for Low-Resource Languages* makes them.

        rating: the mean of the rounds without its decimals; upper and lower: the 95th and 5th percentile, as whole
        numbers from the median. Equal ratings share the last of their ranks.
        """
        drawn, tallies = self.replicate_ratings, _tallies(self.counts)
        with np.errstate(invalid="ignore"):
            mean = np.trunc(drawn.mean(axis=0))
            low, middle, high = np.quantile(drawn, [0.05, 0.5, 0.95], axis=0)
            plus, minus = np.trunc(high - middle), np.trunc(middle - low)
        for number, models in enumerate(self.islands, 1):
            rated = mean[models]
            for model in models[np.argsort(-np.where(np.isnan(rated), -np.inf, rated), kind="stable")]:
                yield {
                    "model": self.counts.models[model],
                    "rating": _whole(mean[model]),
                    "lower": _whole(mean[model] - minus[model]),
                    "upper": _whole(mean[model] + plus[model]),
                    "interval": f"+{plus[model]:.0f}/-{minus[model]:.0f}" if np.isfinite(mean[model]) else None,
                    "rank": len(models) - int((rated < mean[model]).sum()),
                    **{name: int(values[model]) for name, values in tallies.items()},
                    **self._board(number),
                    **_infinite(mean[model]),
                }

    def _board(self, island: int) -> Record:
        """Return the fields that say which board a rating is of; other models of ties have other scales."""
        group = {"group": self.group} if self.group else {}
        ties = {"ties_as": self.method.ties} if self.method.ties != "half" else {}
        return {"criterion": self.criterion, **group, **ties, **({"island": island} if len(self.islands) > 1 else {})}


def rank(
    votes: Votes,
    criteria: Sequence[str],
    method: RatingMethod,
    *,
    by: Sequence[str] = (),
    least: int = 1,
    clusters: Column | None = None,
    interval: Interval = "bootstrap",
) -> list[Ranking]:
    """Return the ranking by each criterion: first of all votes, then of each value of the columns `by` that `least`
    votes have.

    clusters: whose votes are redrawn together; each vote for itself when None. interval: how rounds are made; those of
    the sandwich are drawn from the normal distribution.
    """
    boards = [_board(votes, criterion, {}, method, clusters) for criterion in criteria]
    for name in by:
        if name not in votes.columns:
            raise UsageError(f"`--by {name}`: no battle has a `{name}`")
        column = votes.columns[name]
        for code in sorted(np.flatnonzero(column.votes >= least).tolist(), key=lambda code: column.names[code]):
            group, inside = {name: column.names[code]}, column.codes == code
            inner = [_among(votes, criterion, inside) for criterion in criteria]
            boards += [
                _board(some, criterion, group, method, clusters)
                for some, criterion in zip(inner, criteria, strict=True)
            ]
    cores = [replace(core, table=number) for number, board in enumerate(boards) for core in board.cores]
    if interval == "sandwich":
        rounds = [
            normal_replicates(core.theta, covariance_by(core, boards[core.table].cluster_counts), method)
            for core in cores
        ]
    else:
        places, sizes = [board.place for board in boards], [board.counts.cells.size for board in boards]
        cluster_counts = [board.cluster_counts for board in boards if board.cluster_counts is not None]
        rounds = resampled(Resampling(places, sizes, cluster_counts or None, method.seed), cores, method)
    return [_with_rounds(board, number, cores, rounds) for number, board in enumerate(boards)]


def _among(votes: Votes, criterion: str, inside: Any) -> Votes:
    return replace(votes, verdicts={criterion: np.where(inside, votes.verdicts[criterion], NONE)})


def _board(
    votes: Votes, criterion: str, group: dict[str, str], method: RatingMethod, clusters: Column | None
) -> Ranking:
    counts, place = count(votes, criterion)
    size = len(counts.models)
    theta = np.full(size, np.nan)
    met = counts if method.prior else replace(counts, cells=method.counted(counts.cells))
    found, cores = islands(met), []
    for models in found:
        inside, pairs = counts.among(models)
        theta[models] = rate(inside, inside.cells[None], method)[0]
        if len(finite := models[np.isfinite(theta[models])]):
            among, pairs = counts.among(finite)
            cores.append(Core(0, finite, among, pairs, theta[finite]))
    return Ranking(criterion, group, votes, counts, place, found, cores, theta, np.zeros((0, size)), method, clusters)


def _with_rounds(board: Ranking, number: int, cores: Sequence[Core], rounds: Sequence[Floats]) -> Ranking:
    replicates = np.repeat(board.theta[None], board.method.rounds, axis=0)
    for core, values in zip(cores, rounds, strict=True):
        if core.table == number:
            replicates[:, core.models] = values
    board.replicates = replicates
    return board


def _tallies(counts: PairCounts) -> dict[str, Integers]:
    """Return (p,) battles, wins, losses, ties and both bad of each model."""
    size = len(counts.models)

    def both(first: Integers, second: Integers) -> Integers:
        return np.bincount(counts.first, first, size) + np.bincount(counts.second, second, size)

    won, lost, tied, bad = counts.cells.T
    return {
        "battles": counts.battles, "wins": both(won, lost), "losses": both(lost, won), "ties": both(tied, tied),
        "both_bad": both(bad, bad),
    }  # fmt: skip


def rounded(value: float) -> float | None:
    """Return a number as records have it; None for one that is not finite."""
    return round(float(value), DIGITS) if np.isfinite(value) else None


def _whole(value: float) -> int | None:
    return int(value) if np.isfinite(value) else None


def _infinite(value: float) -> Record:
    """Say where a rating lies that is no finite number; of some the votes say neither."""
    if np.isfinite(value):
        return {}
    return {"infinite": "unknown" if np.isnan(value) else "above" if value > 0 else "below"}
