"""Clusters: votes that may depend on each other, since one user gave them, or since they are on one prompt.

Votes may hang together in two ways at once (`Dependence`): by user, and by prompt.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from latxa_cli.arena.votes import A_WON, B_WON, NONE, Booleans, Column, Floats, Integers, Numbers

PART = 1 << 16  # numbers that are held at once


@dataclass(frozen=True)
class Clusters:
    """Clusters of n votes. codes: (n,) the cluster of each vote, from 0; number: how many there are."""

    codes: Integers
    number: int

    @classmethod
    def of(cls, column: Column) -> Clusters:
        """Return the clusters that a column names; a vote that does not say its cluster is one for itself."""
        given = column.given
        used = np.bincount(column.codes if given.all() else column.codes[given], minlength=len(column.names)) > 0
        if given.all() and used.all():
            return cls(column.codes, len(used))
        alone, named = np.flatnonzero(~given), int(used.sum())
        codes = (np.cumsum(used, dtype=np.int32) - 1)[column.codes] if len(used) else column.codes.copy()
        codes[alone] = np.arange(named, named + len(alone))
        return cls(codes, named + len(alone))

    @classmethod
    def each(cls, votes: int) -> Clusters:
        """Return clusters of one vote each."""
        return cls(np.arange(votes, dtype=np.int32), votes)

    def crossed(self, other: Clusters) -> Clusters:
        """Return the clusters of votes that share both."""
        key = self.codes.astype(np.int64) * other.number
        key += other.codes
        found, codes = np.unique(key, return_inverse=True)
        return Clusters(codes.astype(np.int32), len(found))

    def effective(self, counted: Booleans) -> float:
        """Return how many clusters of one size tell as much as these of the `counted` votes: (sum n)^2 / sum n^2.

        Kish, 1965, "Survey sampling". 0 where no vote is counted.
        """
        sizes = np.bincount(self.codes[counted]).astype(float)
        return float(sizes.sum() ** 2 / (sizes**2).sum()) if len(sizes) else 0.0


@dataclass(frozen=True)
class Dependence:
    """How votes depend on each other.

    ways: clusters of one kind (users, or prompts), or of two at once. crossed: clusters of the votes that share all
    ways; of one kind, these are the clusters themselves.
    """

    ways: tuple[Clusters, ...]
    crossed: Clusters

    @classmethod
    def of(cls, *columns: Column) -> Dependence:
        """Return the dependence by one column, or by two."""
        return cls.by(*(Clusters.of(column) for column in columns))

    @classmethod
    def by(cls, *ways: Clusters) -> Dependence:
        """Return the dependence by clusters of one kind, or of two."""
        return cls(ways, ways[0] if len(ways) == 1 else ways[0].crossed(ways[1]))

    @property
    def kinds(self) -> list[Clusters]:
        """The ways, and, where there are two, what shares both."""
        return [*self.ways, *([self.crossed] if len(self.ways) > 1 else [])]

    @property
    def members(self) -> list[Integers]:
        """By way, (crossed.number,) which of its clusters each of `crossed` is in."""
        found: list[Integers] = []
        for way in self.ways:
            member = np.zeros(self.crossed.number, np.int32)
            member[self.crossed.codes] = way.codes
            found.append(member)
        return found

    def effective(self, counted: Booleans) -> float:
        """Return the effective number of clusters of the way that has fewest."""
        return min(way.effective(counted) for way in self.ways)


@dataclass(frozen=True)
class ClusterCounts:
    """The votes of clusters, counted by the places of a board: those of each place together, places rising.

    place, cluster, number: (m,) how many votes of a cluster are counted at a place, perhaps in shares. cells, clusters:
    how many they are.
    """

    place: Integers
    cluster: Integers
    number: Numbers
    cells: int
    clusters: int

    @classmethod
    def of(cls, clusters: Clusters, place: Integers, cells: int, shares: Floats | None = None) -> ClusterCounts:
        """Count votes, each at its `place` (n,), if it is not `NONE`.

        Clusters are those of all votes, counted or not. shares: (n,) of votes that both models of a pair win in part,
        nan for others.
        """
        if shares is not None:
            return cls._in_shares(clusters, place, cells, shares)
        key = place.astype(np.int64)
        key *= clusters.number
        key += clusters.codes
        key.sort()
        key = key[np.searchsorted(key, 0) :]  # those without a place are below
        first = np.flatnonzero(np.append(True, key[1:] != key[:-1])[: len(key)]).astype(np.int32)
        number = np.diff(first, append=np.int32(len(key)))
        key = key[first]
        del first
        at = (key // max(1, clusters.number)).astype(np.int32)
        key -= at * np.int64(clusters.number)
        return cls(at, key.astype(np.int32), number, cells, clusters.number)

    @classmethod
    def _in_shares(cls, clusters: Clusters, place: Integers, cells: int, shares: Floats) -> ClusterCounts:
        soft = np.flatnonzero(np.isfinite(shares) & (place >= 0))
        hard = np.flatnonzero(np.isnan(shares) & (place >= 0))
        pair, share = 4 * (place[soft].astype(np.int64) // 4), shares[soft]
        places = np.concatenate([place[hard], pair + A_WON, pair + B_WON])
        key = places * clusters.number + clusters.codes[np.concatenate([hard, soft, soft])]
        found, entry = np.unique(key, return_inverse=True)
        number = np.bincount(entry, np.concatenate([np.ones(len(hard)), share, 1 - share]), len(found))
        at, cluster = np.divmod(found, max(1, clusters.number))
        return cls(at.astype(np.int32), cluster.astype(np.int32), number, cells, clusters.number)

    def tables(self, weights: Numbers) -> Numbers:
        """Return (rounds, cells) the counts where each cluster comes as often as `weights` (clusters, rounds) say."""
        whole = weights.dtype.kind == "i" and self.number.dtype.kind == "i"
        tables: NDArray[Any] = np.zeros((weights.shape[1], self.cells), np.int64 if whole else np.float64)
        for some, starts in self._parts(weights.shape[1]):
            votes, number = weights[self.cluster[some]], self.number[some]
            if (number != 1).any():
                votes = votes * number[:, None]
            sums = np.add.reduceat(votes, starts, axis=0, dtype=np.int32 if whole else np.float64)
            tables[:, self.place[some][starts]] += sums.T
        return tables

    def _parts(self, rounds: int) -> Iterator[tuple[slice, Integers]]:
        """Yield ranges of votes, and where places begin in each, so that their weights take little memory."""
        step = max(1, PART // max(1, rounds))
        for start in range(0, len(self.place), step):
            some = slice(start, start + step)
            yield some, np.flatnonzero(np.diff(self.place[some], prepend=NONE))
