"""Intervals by bootstrap over votes: tables redrawn with as many votes, each fitted anew, percentiles of the ratings.

Drawing n votes with replacement and counting them is one multinomial draw over the cells of the table, so that a round
costs the same for a thousand votes as for a billion.

A redrawn table may lack Ford's condition although the votes have it (a model's only win was not drawn). Such a round
is not thrown away, which would make the intervals too narrow. Where more than half of the models are strongly
connected, these are fitted, with the mean that they have in the point estimate; a model above them (wins lead from it
to them, none back) counts as +inf, one below as -inf, and one of neither kind as both. Without such a majority every
model counts as both. A bound that falls on an infinite value is infinite.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from latxa_cli.arena.battles import Votes
from latxa_cli.arena.connectivity import reachable, strongly_connected
from latxa_cli.arena.ratings import CENTRE, SCALE, Floats, Wins, fit
from latxa_cli.stream.errors import UsageError

BATCH_BYTES = 16 << 20  # for the matrices of the rounds that are fitted together


@dataclass(frozen=True)
class Bootstrap:
    """How to redraw: rounds, the interval's confidence (0 to 1), tied battles added to every pair, seed."""

    rounds: int = 1000
    confidence: float = 0.9
    prior: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.confidence < 1:
            raise UsageError(f"the confidence {self.confidence} is not between 0 and 1")
        if not 0 <= self.prior < np.inf:
            raise UsageError(f"the prior {self.prior} is not a finite number from 0")


@dataclass(frozen=True)
class Intervals:
    """(p,) bounds on the arena's scale, perhaps infinite; and the share of rounds without finite ratings for all."""

    lower: Floats
    upper: Floats
    non_finite: float


def intervals(votes: Votes, point: Floats, how: Bootstrap) -> Intervals:
    """Return percentile intervals round `point`, the (p,) ratings of `votes` themselves."""
    drawn = np.concatenate(list(_redrawn(votes, point, how)))
    unknown = np.isnan(drawn)
    skipped = int((1 - how.confidence) / 2 * how.rounds)  # order statistics: between infinities nothing is interpolated
    lowest = np.sort(np.where(unknown, -np.inf, drawn), axis=0)[skipped]
    highest = np.sort(np.where(unknown, np.inf, drawn), axis=0)[how.rounds - 1 - skipped]
    return Intervals(lowest, highest, 1 - float(np.isfinite(drawn).all(axis=1).mean()))


def _redrawn(votes: Votes, point: Floats, how: Bootstrap) -> Iterator[Floats]:
    """Yield (rounds of a batch, p) ratings, the same for every size of batch."""
    random = np.random.default_rng(how.seed)
    cells = votes.counts.reshape(-1)
    total = int(cells.sum())
    size = len(votes.models)
    batch = max(1, BATCH_BYTES // (8 * size * size))
    for start in range(0, how.rounds, batch):
        rounds = min(batch, how.rounds - start)
        counts = random.multinomial(total, cells / total, size=rounds).reshape(rounds, -1, 3)
        yield _rate(votes, Wins.of(counts, how.prior), point)


def _rate(votes: Votes, wins: Wins, point: Floats) -> Floats:
    beats = wins.beats(votes)
    members = np.ones(beats.shape[:2], dtype=bool)
    outside = np.zeros(beats.shape[:2])  # what models that are not fitted get
    broken = ~strongly_connected(beats)
    if broken.any():
        members[broken], outside[broken] = _majority(beats[broken])
    mean = (point * members).sum(axis=1) / np.maximum(1, members.sum(axis=1))
    fitted = mean[:, None] + SCALE * fit(votes, wins, members, start=(point - CENTRE) / SCALE)
    return np.where(members, fitted, outside)


def _majority(beats: np.ndarray) -> tuple[np.ndarray, Floats]:
    """Return (rounds, p) the models of each round's strongly connected majority, and what the others count as."""
    reach = reachable(beats)
    mutual = reach & reach.transpose(0, 2, 1)
    size = mutual.sum(axis=2)
    rounds = np.arange(len(beats))
    head = size.argmax(axis=1)  # some model of the largest set
    is_majority = 2 * size[rounds, head] > beats.shape[-1]
    members = mutual[rounds, head] & is_majority[:, None]
    above, below = reach[rounds, :, head], reach[rounds, head, :]
    outside = np.where(above, np.inf, np.where(below, -np.inf, np.nan))
    outside[~is_majority] = np.nan
    return members, outside
