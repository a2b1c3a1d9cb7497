"""Redrawing votes with replacement, for the bootstrap: by vote, or by cluster (all votes of a user, or on a prompt).

Drawing n votes and counting them is one multinomial draw over the kinds of votes there are, so that a round costs the
same for a thousand votes as for a billion. Drawing as many clusters as there are gives each a weight, and a table is a
product of these weights with the clusters' own counts. Several boards (criteria, subgroups) are made of the same draw,
so that their ratings can be compared round by round.

Efron, 1979, "Bootstrap methods: another look at the jackknife", Annals of Statistics 7; by cluster: Cameron, Gelbach &
Miller, 2008, "Bootstrap-based improvements for inference with clustered errors".
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from latxa_cli.arena.votes import NONE, Column, Floats, Integers

PART = 1 << 16  # numbers that are held at once


@dataclass(frozen=True)
class ClusterCounts:
    """The votes of G clusters, counted by the places of a board: those of each place together, places rising.

    place, cluster, number: (m,) how many votes of a cluster are counted at a place. cells, clusters: how many they are.
    """

    place: Integers
    cluster: Integers
    number: Integers
    cells: int
    clusters: int

    @classmethod
    def of(cls, column: Column, place: Integers, cells: int) -> ClusterCounts:
        """Count votes, each at its `place` (n,), if it is not `NONE`, and in the cluster that `column` says.

        A vote that does not say its cluster is one for itself. Clusters are those of all votes, counted or not.
        """
        given = column.given
        used = np.bincount(column.codes if given.all() else column.codes[given], minlength=len(column.names)) > 0
        alone = np.flatnonzero(~given)
        clusters = int(used.sum()) + len(alone)
        key = place.astype(np.int64)
        key *= clusters
        key += (np.cumsum(used, dtype=np.int32) - 1)[column.codes]
        key[alone] = place[alone].astype(np.int64) * clusters + np.arange(clusters - len(alone), clusters)
        key.sort()
        key = key[np.searchsorted(key, 0) :]  # those without a place are below
        first = np.flatnonzero(np.append(True, key[1:] != key[:-1])[: len(key)]).astype(np.int32)
        number = np.diff(first, append=np.int32(len(key)))
        key = key[first]
        del first
        at = (key // max(1, clusters)).astype(np.int32)
        key -= at * np.int64(clusters)
        return cls(at, key.astype(np.int32), number, cells, clusters)

    def tables(self, weights: Integers) -> Integers:
        """Return (rounds, cells) the counts where each cluster comes as often as `weights` (clusters, rounds) say."""
        tables = np.zeros((weights.shape[1], self.cells), np.int64)
        for some, starts in self._parts(weights.shape[1]):
            votes, number = weights[self.cluster[some]], self.number[some]
            if (number > 1).any():
                votes *= number[:, None]
            tables[:, self.place[some][starts]] += np.add.reduceat(votes, starts, axis=0, dtype=np.int32).T
        return tables

    def spread(self, first: Integers, second: Integers, score: Floats, models: int) -> Floats:
        """Return (p, p) the sum over clusters of s s', s (p,) the sum of their votes' scores.

        first, second: (cells,) the models of each place, of whom a vote adds `score` (cells,) to the first, and takes
        it from the second; a model below 0 is none.
        """
        total = np.zeros((models, models))
        step = max(1, min(self.clusters, 16 * PART // max(1, models)))
        for number in range(-(-self.clusters // step)):
            sums = np.zeros(step * models)
            for start in range(0, len(self.place), 4 * PART):
                some = slice(start, start + 4 * PART)
                place, row = self.place[some], self.cluster[some] - number * step
                here = np.flatnonzero((first[place] >= 0) & (row >= 0) & (row < step))
                place, row = place[here], row[here] * models
                value = score[place] * self.number[some][here]
                sums += np.bincount(row + first[place], value, len(sums))
                sums -= np.bincount(row + second[place], value, len(sums))
            by_model = sums.reshape(step, models)
            total += by_model.T @ by_model
        return total

    def _parts(self, rounds: int) -> Iterator[tuple[slice, Integers]]:
        """Yield ranges of votes, and where places begin in each, so that their weights take little memory."""
        step = max(1, PART // max(1, rounds))
        for start in range(0, len(self.place), step):
            some = slice(start, start + step)
            yield some, np.flatnonzero(np.diff(self.place[some], prepend=NONE))


class Resampling:
    """Tables of boards, of votes drawn again.

    places: for each board (n,) where each vote is counted; cells: how many places. cluster_counts: for each board the
    votes of clusters; each vote is drawn for itself when None.
    """

    def __init__(
        self,
        places: Sequence[Integers],
        cells: Sequence[int],
        cluster_counts: Sequence[ClusterCounts] | None,
        seed: int,
    ) -> None:
        self.cells, self.seed = list(cells), seed
        self.cluster_counts = cluster_counts
        self.kinds: list[Integers] = []
        if cluster_counts is None:
            kind, self.numbers = _kinds(places, self.cells)
            self.kinds = [_of_kind(kind, place, len(self.numbers)) for place in places]
        else:
            self.numbers = np.ones(cluster_counts[0].clusters, np.int64)

    def tables(self, rounds: int, batch: int) -> Iterator[list[Integers]]:
        """Yield, for at most `batch` rounds at once, the redrawn table (rounds, cells) of each board.

        They are the same for every size of batch.
        """
        random = np.random.default_rng(self.seed)
        total = int(self.numbers.sum())
        for start in range(0, rounds, batch):
            size = min(batch, rounds - start)
            if not total:
                yield [np.zeros((size, count), np.int64) for count in self.cells]
            elif self.cluster_counts is None:
                drawn = random.multinomial(total, self.numbers / total, size=size)
                yield [_tables(drawn, kind, count) for kind, count in zip(self.kinds, self.cells, strict=True)]
            else:
                weights = np.empty((total, size), np.int32)
                for number in range(size):
                    weights[:, number] = np.bincount(random.integers(0, total, total), minlength=total)
                yield [one.tables(weights) for one in self.cluster_counts]


def _kinds(places: Sequence[Integers], cells: Sequence[int]) -> tuple[Integers, Integers]:
    """Return (n,) of which kind each vote is, by all its places, and how many votes there are of each kind."""
    kind = places[0].astype(np.int64) + 1
    for place, count in zip(places[1:], cells[1:], strict=True):
        kind = np.unique(kind, return_inverse=True)[1] * (count + 1) + place + 1
    if len(places) > 1:
        kind = np.unique(kind, return_inverse=True)[1]
    return kind, np.bincount(kind)


def _of_kind(kind: Integers, place: Integers, kinds: int) -> Integers:
    found = np.full(kinds, NONE, np.int64)
    found[kind] = place
    return found


def _tables(drawn: Integers, places: Integers, cells: int) -> Integers:
    """Add up (rounds, kinds) at the place of each kind."""
    tables = np.zeros((len(drawn), cells), np.int64)
    counted = np.flatnonzero(places >= 0)
    order = counted[np.argsort(places[counted], kind="stable")]
    if len(order):
        starts = np.flatnonzero(np.diff(places[order], prepend=NONE))
        tables[:, places[order][starts]] = np.add.reduceat(drawn[:, order], starts, axis=1)
    return tables
