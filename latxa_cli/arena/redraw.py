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
    """Tables redrawn for boards.

    places: for each board (n,) where each vote is counted; cells: how many places. by_cluster: for each board what
    `by_cluster` gives; each vote is drawn for itself when None.
    """

    def __init__(
        self, places: Sequence[Integers], cells: Sequence[int], by_cluster: Sequence[Any] | None, seed: int
    ) -> None:
        self.cells, self.seed = list(cells), seed
        self.by_cluster = by_cluster
        self.kinds: list[Integers] = []
        if by_cluster is None:
            kind, self.numbers = _kinds(places, self.cells)
            self.kinds = [_of_kind(kind, place, len(self.numbers)) for place in places]
        else:
            self.numbers = np.ones(by_cluster[0].shape[1], np.int64)

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
            elif self.by_cluster is None:
                drawn = random.multinomial(total, self.numbers / total, size=size)
                yield [_tables(drawn, kind, count) for kind, count in zip(self.kinds, self.cells, strict=True)]
            else:
                weights = np.empty((total, size), np.int32)
                for number in range(size):
                    weights[:, number] = np.bincount(random.integers(0, total, total), minlength=total)
                yield [np.ascontiguousarray((matrix @ weights).T, np.int64) for matrix in self.by_cluster]


def by_cluster(clusters: Column, place: Integers, cells: int) -> Any:
    """Return (cells, clusters) how many votes of each cluster are counted at each place, as a sparse matrix.

    A vote that does not say its cluster is one for itself; clusters without any vote, counted or not, have no column.
    """
    from scipy.sparse import csr_array

    given = clusters.given
    used = np.bincount(clusters.codes if given.all() else clusters.codes[given], minlength=len(clusters.names)) > 0
    code = (np.cumsum(used, dtype=np.int32) - 1)[clusters.codes]
    alone = np.flatnonzero(~given)
    code[alone] = used.sum() + np.arange(len(alone), dtype=np.int32)
    size = int(used.sum()) + len(alone)
    if not (place >= 0).all():
        code, place = code[place >= 0], place[place >= 0]
    matrix = csr_array((np.ones(len(code), np.int32), (place, code)), shape=(cells, size))
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
