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
from typing import Any

import numpy as np

from latxa_cli.arena.votes import NONE, Column, Integers


class Redraw:
    """Tables redrawn for boards; `places`: for each board (n,) where each vote is counted, `cells`: how many places."""

    def __init__(self, places: Sequence[Integers], cells: Sequence[int], clusters: Column | None, seed: int) -> None:
        self.cells = list(cells)
        self.seed = seed
        self.matrices: list[Any] = []
        self.kinds: list[Integers] = []
        if clusters is None:
            kind, self.numbers = _kinds(places, self.cells)
            self.kinds = [_of_kind(kind, place, len(self.numbers)) for place in places]
        else:
            code = alone(clusters)
            self.numbers = np.ones(int(code.max(initial=-1)) + 1, np.int64)
            self.matrices = [by_cluster(code, place, count) for place, count in zip(places, self.cells, strict=True)]

    def tables(self, rounds: int, batch: int) -> Iterator[list[Integers]]:
        """Yield, for at most `batch` rounds at once, the redrawn table (rounds, cells) of each board.

        They are the same for every size of batch.
        """
        random = np.random.default_rng(self.seed)
        total = int(self.numbers.sum())
        for start in range(0, rounds, batch):
            size = min(batch, rounds - start)
            if self.matrices:
                weights = np.empty((size, total), np.int32)
                for row in weights:
                    row[:] = np.bincount(random.integers(0, total, total), minlength=total)
                yield [np.ascontiguousarray((matrix @ weights.T).T, np.int64) for matrix in self.matrices]
            else:
                drawn = random.multinomial(total, self.numbers / max(1, total), size=size)
                yield [_tables(drawn, kind, count) for kind, count in zip(self.kinds, self.cells, strict=True)]


def alone(clusters: Column) -> Integers:
    """Return (n,) the codes of clusters, in which each vote that does not say its own is one for itself."""
    code = clusters.codes.astype(np.int64)
    missing = code == NONE
    code[missing] = len(clusters.names) + np.arange(int(missing.sum()))
    return np.unique(code, return_inverse=True)[1]


def by_cluster(cluster: Integers, place: Integers, cells: int) -> Any:
    """Return (cells, clusters) how many votes of each cluster are counted at each place, as a sparse matrix."""
    from scipy.sparse import csr_array

    counted = place >= 0
    clusters = int(cluster.max(initial=-1)) + 1
    ones = np.ones(int(counted.sum()), np.int32)
    matrix = csr_array((ones, (place[counted], cluster[counted])), shape=(cells, clusters))
    matrix.sum_duplicates()
    return matrix


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
