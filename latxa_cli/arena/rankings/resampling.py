"""Redrawing votes with replacement, for the bootstrap: by vote, or by cluster (all votes of a user, or on a prompt).

Drawing n votes and counting them is one multinomial draw over the kinds of votes there are, so that a round costs the
same for a thousand votes as for a billion. Drawing as many clusters as there are gives each a weight, and a table is a
product of these weights with the clusters' own counts. Several boards (criteria, subgroups) are made of the same draw,
so that their ratings can be compared round by round.

Where votes hang together in two ways, the weight of a vote is the product of its clusters' weights. Such rounds vary
too much, by what is independent in the votes; `rankings.intervals` draws them together.

Smooth rounds give every vote, or cluster, an exponential weight. They go with a prior: for two models, the rounds of n
votes and a prior of one battle are Jeffreys' posterior.

Efron, 1979, "Bootstrap methods: another look at the jackknife", Annals of Statistics 7; by cluster: Cameron, Gelbach &
Miller, 2008, "Bootstrap-based improvements for inference with clustered errors"; in two ways: Owen, 2007, "The
pigeonhole bootstrap", Annals of Applied Statistics 1; smooth: Rubin, 1981, "The Bayesian bootstrap", Annals of
Statistics 9.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import prod

import numpy as np

from latxa_cli.arena.clusters import ClusterCounts, Dependence
from latxa_cli.arena.votes import NONE, Floats, Integers, Numbers


class Resampling:
    """Tables of boards, of votes drawn again.

    - places: for each board (n,) where each vote is counted; cells: how many places.
    - dependence: whose votes are drawn together; each vote for itself when None.
    - shares: for each board those of `votes.shares_of`; they need a dependence.
    - smooth: with exponential weights rather than numbers of draws.
    """

    def __init__(
        self,
        places: Sequence[Integers],
        cells: Sequence[int],
        dependence: Dependence | None,
        seed: int,
        *,
        smooth: bool = False,
        shares: Sequence[Floats | None] | None = None,
    ) -> None:
        self.cells, self.seed, self.smooth = list(cells), seed, smooth
        self.dependence = dependence
        self.kinds: list[Integers] = []
        self.cluster_counts: list[ClusterCounts] = []
        if dependence is None:
            kind, self.numbers = _kinds(places, self.cells)
            self.kinds = [_of_kind(kind, place, len(self.numbers)) for place in places]
        else:
            boards = zip(places, self.cells, shares or [None] * len(places), strict=True)
            self.cluster_counts = [ClusterCounts.of(dependence.crossed, *board) for board in boards]
            self.members = dependence.members
            self.numbers = np.ones(dependence.crossed.number, np.int64)

    def tables(self, rounds: int, batch: int) -> Iterator[list[Numbers]]:
        """Yield, for at most `batch` rounds at once, the redrawn table (rounds, cells) of each board.

        They are the same for every size of batch.
        """
        random = np.random.default_rng(self.seed)
        total = int(self.numbers.sum())
        for start in range(0, rounds, batch):
            size = min(batch, rounds - start)
            if not total:
                yield [np.zeros((size, count), np.int64) for count in self.cells]
            elif self.dependence is None:
                votes = self._votes(random, total, size)
                yield [_tables(votes, kind, count) for kind, count in zip(self.kinds, self.cells, strict=True)]
            else:
                weights = self._weights(random, size)
                yield [counts.tables(weights) for counts in self.cluster_counts]

    def _votes(self, random: np.random.Generator, total: int, rounds: int) -> Numbers:
        """Return (rounds, kinds) how many votes of each kind are drawn."""
        if self.smooth:
            return random.standard_gamma(self.numbers, size=(rounds, len(self.numbers)))
        return random.multinomial(total, self.numbers / total, size=rounds)

    def _weights(self, random: np.random.Generator, rounds: int) -> Numbers:
        """Return (clusters, rounds) how often each cluster is drawn."""
        assert self.dependence is not None
        weights = np.empty((len(self.numbers), rounds), np.float64 if self.smooth else np.int32)
        for number in range(rounds):
            draws = [_draws(random, way.number, self.smooth) for way in self.dependence.ways]
            weights[:, number] = prod(draw[member] for draw, member in zip(draws, self.members, strict=True))
        return weights


def _draws(random: np.random.Generator, number: int, smooth: bool) -> Numbers:
    if smooth:
        return random.standard_exponential(number)
    return np.bincount(random.integers(0, number, number), minlength=number)


def _kinds(places: Sequence[Integers], cells: Sequence[int]) -> tuple[Integers, Integers]:
    """Return (n,) of which kind each vote is, by all its places, and how many votes there are of each kind."""
    kind = places[0].astype(np.int64) + 1
    for place, count in zip(places[1:], cells[1:], strict=True):
        kind = np.unique(kind, return_inverse=True)[1] * (count + 1) + place + 1
    if len(places) > 1:
        kind = np.unique(kind, return_inverse=True)[1]
    return kind, np.bincount(kind)


def _of_kind(kind: Integers, place: Integers, kinds: int) -> Integers:
    places_of = np.full(kinds, NONE, np.int64)
    places_of[kind] = place
    return places_of


def _tables(votes: Numbers, places: Integers, cells: int) -> Numbers:
    """Add up (rounds, kinds) at the place of each kind."""
    tables = np.zeros((len(votes), cells), votes.dtype)
    counted = np.flatnonzero(places >= 0)
    order = counted[np.argsort(places[counted], kind="stable")]
    if len(order):
        starts = np.flatnonzero(np.diff(places[order], prepend=NONE))
        tables[:, places[order][starts]] = np.add.reduceat(votes[:, order], starts, axis=1)
    return np.asarray(tables)
