"""Rankings: ratings with intervals and ranks, of all votes by one criterion, or of a subgroup's.

Several rankings are made of the same redrawn votes, so that `differences` between them have intervals of their own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np

from latxa_cli.arena.clusters import ClusterCounts, Clusters, Dependence
from latxa_cli.arena.fits.bradley_terry import DIGITS, SCALE
from latxa_cli.arena.fits.connectivity import islands
from latxa_cli.arena.rankings.intervals import (
    Core,
    RatingMethod,
    Reach,
    bounds,
    core_covariance,
    normal_replicates,
    rate,
    resampled,
    shortening,
    to_scale,
    widened,
)
from latxa_cli.arena.rankings.ranks import ranks
from latxa_cli.arena.rankings.resampling import Resampling
from latxa_cli.arena.votes import NONE, Booleans, Floats, Integers, PairCounts, Votes, count, shares_of, with_shares
from latxa_cli.stream.errors import UsageError
from latxa_cli.stream.records import Record

SAME = 1e-9  # strengths so close are equal but for rounding
Interval = Literal["bootstrap", "sandwich"]


@dataclass
class Ranking:
    """One board of p models.

    - counts, place: of its votes, as `votes.count` gives them; verdicts: the same where `counts` has `shares`.
    - islands: sets of models that battles connect; each has a scale, ranks and tiers of its own.
    - cores: of the islands, where there is one.
    - theta: (p,) strengths, inf or -inf above or below a core, nan without any.
    - replicates: (rounds, p) the same of resampled votes.
    - dependence: whose votes are drawn together; each vote for itself when None.
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
    dependence: Dependence | None = None
    interval: Interval = "bootstrap"
    shares: Floats | None = None

    @cached_property
    def verdicts(self) -> PairCounts:
        """The counts of the verdicts, also of votes that were taken in shares."""
        return self.counts if self.shares is None else count(self.votes, self.criterion)[0]

    @cached_property
    def reach(self) -> Reach:
        """How far intervals reach."""
        return Reach.of(self.dependence, self.place)

    def clusters_by(self, dependence: Dependence | None) -> list[ClusterCounts]:
        """Return the votes by each kind of clusters, and, where there are two, by what shares both."""
        alone = [] if self.shares is None else [Clusters.each(len(self.votes))]  # a table has not the squares of shares
        kinds = dependence.kinds if dependence else alone
        return [ClusterCounts.of(kind, self.place, self.counts.cells.size, self.shares) for kind in kinds]

    def covariance_by(self, dependence: Dependence | None) -> Floats:
        """Return (p, p) the sandwich covariance of the strengths; zero for models without a finite one."""
        whole, clusters = np.zeros((len(self.theta), len(self.theta))), self.clusters_by(dependence)
        for core in self.cores:
            whole[np.ix_(core.models, core.models)] = core_covariance(core, clusters, self.method.prior)
        return whole

    @cached_property
    def covariance(self) -> Floats:
        """(p, p) the covariance of the strengths; zero for models without a finite one.

        The sandwich's, or, where ties are not half wins, that of the redrawn rounds.
        """
        if self.method.ties == "half":
            return self.covariance_by(self.dependence)
        whole = np.zeros((len(self.theta), len(self.theta)))
        for core in self.cores:
            rounds = self.replicates[:, core.models]
            finite = rounds[np.isfinite(rounds).all(axis=1)]
            if len(finite) > 1 and np.isfinite(self.reach.of_rounds):
                whole[np.ix_(core.models, core.models)] = np.cov(finite, rowvar=False) * self.reach.of_rounds**2
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

    def bounds(self) -> tuple[Floats, Floats]:
        """Return (p,) lower and upper bounds of the ratings; -inf and inf where the votes do not limit them."""
        if self.interval == "sandwich":
            low, high = self._sandwich_bounds()
        else:
            low, high = bounds(self._scaled(self.rounds_for(self.method.confidence)), self.method.confidence)
        with np.errstate(invalid="ignore"):
            differs = np.abs(self.replicates - self.theta) > SAME
        alike = np.isfinite(self.theta) & ~differs.any(axis=0)  # whose votes say nothing of their error
        low[alike], high[alike] = -np.inf, np.inf
        return low, high

    def _sandwich_bounds(self) -> tuple[Floats, Floats]:
        """Return (p,) bounds that are exactly so many standard errors from the ratings; infinite ratings as they are.

        A model all of whose battles are of one cluster has no bounds: nothing says how it fares with others.
        """
        variance = np.diag(self.covariance).copy()
        if self.anchored and self.method.anchor:
            anchor = self.counts.models.index(self.method.anchor[0])
            island = next(island for island in self.islands if anchor in island)
            variance[island] += variance[anchor] - 2 * self.covariance[island, anchor]
        reach = SCALE * self.reach.errors(self.method.confidence) * np.sqrt(np.maximum(variance, 0))
        reach[self._of_one_cluster()] = np.inf
        with np.errstate(invalid="ignore"):
            low, high = self.ratings - reach, self.ratings + reach
        return np.where(np.isnan(low), -np.inf, low), np.where(np.isnan(high), np.inf, high)

    def _of_one_cluster(self) -> Booleans:
        """Return (p,) whether all battles of a model are of one cluster."""
        alone = np.zeros(len(self.theta), dtype=bool)
        for way in self.dependence.ways if self.dependence else ():
            counted = self.place >= 0
            models = np.concatenate([self.votes.a[counted], self.votes.b[counted]]).astype(np.int64)
            seen = np.unique(models * way.number + np.tile(way.codes[counted], 2)) // way.number
            alone |= np.bincount(seen, minlength=len(alone)) == 1
        if self.anchored and self.method.anchor:
            alone[self.counts.models.index(self.method.anchor[0])] = False
        return alone

    def rounds_for(self, confidence: float) -> Floats:
        """Return (rounds, p) the replicates with errors as wide as intervals of this confidence take."""
        return widened(self.theta, self.replicates, self.reach.widening(confidence))

    def records(self) -> Iterator[Record]:
        """Yield rating records, island by island, best first.

        A bound that is not finite is None; so are those of a model that is as strong in all rounds.
        """
        point, (low, high) = self.ratings, self.bounds()
        tallies, replicates = _tallies(self.verdicts), widened(self.theta, self.replicates, self.reach.of_rounds)
        for number, models in enumerate(self.islands, 1):
            # Differences matter alone, and an anchor that has no finite rating in a round says nothing of others.
            placement = ranks(
                SCALE * self.theta[models], SCALE * replicates[:, models], self.method.confidence, self.reach.clusters
            )
            order = sorted(range(len(models)), key=lambda place: (placement.rank[place], models[place]))
            for place in order:
                model = models[place]
                yield {
                    "model": self.counts.models[model],
                    "rating": rounded(point[model]),
                    "lower": rounded(low[model]),
                    "upper": rounded(high[model]),
                    "rank": int(placement.rank[place]),
                    "rank_lower": int(placement.best[place]),
                    "rank_upper": int(placement.worst[place]),
                    "tier": int(placement.tier[place]),
                    **{name: int(values[model]) for name, values in tallies.items()},
                    **self._board(number),
                    **_infinite(point[model]),
                }

    def paper_records(self) -> Iterator[Record]:
        """Yield rating records as the notebook of *Instructing LLMs for Low-Resource Languages* makes them.

        rating: the mean of the rounds without its decimals; upper and lower: the 95th and 5th percentile, as whole
        numbers from the median. Equal ratings share the last of their ranks.
        """
        ratings, tallies = self.replicate_ratings, _tallies(self.counts)
        with np.errstate(invalid="ignore"):
            mean = np.trunc(ratings.mean(axis=0))
            low, middle, high = np.quantile(ratings, [0.05, 0.5, 0.95], axis=0)
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
    dependence: Dependence | None = None,
    interval: Interval = "bootstrap",
) -> list[Ranking]:
    """Return the ranking by each criterion: first of all votes, then of each value of the columns `by` that `least`
    votes have.

    dependence: whose votes are redrawn together; each vote for itself when None. interval: how rounds are made; those
    of the sandwich are drawn from the normal distribution.
    """
    boards = [_board(votes, criterion, {}, method, dependence) for criterion in criteria]
    for name in by:
        if name not in votes.columns:
            raise UsageError(f"`--by {name}`: no battle has a `{name}`")
        column = votes.columns[name]
        for code in sorted(np.flatnonzero(column.votes >= least).tolist(), key=lambda code: column.names[code]):
            group, inside = {name: column.names[code]}, column.codes == code
            inner = [_among(votes, criterion, inside) for criterion in criteria]
            boards += [
                _board(some, criterion, group, method, dependence)
                for some, criterion in zip(inner, criteria, strict=True)
            ]
    cores = [replace(core, table=number) for number, board in enumerate(boards) for core in board.cores]
    for board in boards:
        board.interval = interval
    if interval == "sandwich":
        grids = [(boards[core.table], np.ix_(core.models, core.models)) for core in cores]
        rounds = [
            normal_replicates(core.theta, board.covariance[grid], method)
            for core, (board, grid) in zip(cores, grids, strict=True)
        ]
    else:
        places, sizes = [board.place for board in boards], [board.counts.cells.size for board in boards]
        shares = [board.shares for board in boards]
        redrawn = Resampling(places, sizes, dependence, method.seed, smooth=method.prior > 0, shares=shares)
        rounds = resampled(redrawn, cores, method)
    for number, board in enumerate(boards):
        own = [(core, values) for core, values in zip(cores, rounds, strict=True) if core.table == number]
        board.replicates = _replicates(board, own)
    return boards


def _replicates(board: Ranking, rounds: Sequence[tuple[Core, Floats]]) -> Floats:
    """Return (rounds, p) the strengths of the board, given those of its cores."""
    replicates = np.repeat(board.theta[None], board.method.rounds, axis=0)
    in_two_ways = board.reach.ways > 1 and board.interval == "bootstrap"
    clusters = board.clusters_by(board.dependence) if in_two_ways else []
    for core, values in rounds:
        by = shortening(core, clusters, board.method.prior) if in_two_ways else 1.0
        replicates[:, core.models] = widened(core.theta, values, by)
    return replicates


def _among(votes: Votes, criterion: str, inside: Booleans) -> Votes:
    return replace(votes, verdicts={criterion: np.where(inside, votes.verdicts[criterion], NONE)})


def _board(
    votes: Votes, criterion: str, group: dict[str, str], method: RatingMethod, dependence: Dependence | None
) -> Ranking:
    counts, place = count(votes, criterion)
    if (shares := shares_of(votes, criterion)) is not None:
        counts = with_shares(counts, place, shares)
    size = len(counts.models)
    theta = np.full(size, np.nan)
    met = counts if method.prior else replace(counts, cells=method.counted(counts.cells))
    sets, cores = islands(met), []
    for models in sets:
        inside, pairs = counts.among(models)
        theta[models] = rate(inside, inside.cells[None], method)[0]
        if len(finite := models[np.isfinite(theta[models])]):
            among, pairs = counts.among(finite)
            cores.append(Core(0, finite, among, pairs, theta[finite]))
    board = Ranking(criterion, group, votes, counts, place, sets, cores, theta, np.zeros((0, size)), method, dependence)
    return replace(board, shares=shares)


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
