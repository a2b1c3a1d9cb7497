"""Ranks with what is sure of them: rank intervals and tiers that hold for all models at once, at the confidence given.

For each ordered pair of models the hypothesis "the first is no better than the second" is tested, and all tests
together raise no false alarm with the confidence given. A model's rank is then at best 1 + the number of models that
are surely better, at worst p - the number of those surely worse. (Intervals that overlap say less than that: they
take no account of what two ratings have in common, nor of how many pairs there are.)

Mogstad, Romano, Shaikh & Wilhelm, 2024, "Inference for ranks with applications to mobility across neighbourhoods and
academic achievement across countries", Review of Economic Studies 91: the largest studentised error of the hypotheses
still standing, over the rounds of a bootstrap, gives the critical value; those it rejects fall, and so on (stepdown).

With few clusters the standard error of a difference is itself uncertain, by one for each pair: the largest of many
such ratios is larger than the largest of normal ones. So in every round an error is divided by a standard error of so
many other rounds as there are degrees of freedom. False alarms by few and uneven clusters are measured in
`tests/bench/arena_coverage.py`.

An error is what a difference has lost in a round: its point estimate less that round's, as percentiles take it. So a
model that lost all battles of some rounds can be surely worse than others, but surely better than none.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

import numpy as np

from latxa_cli.arena.fits.bradley_terry import DIGITS
from latxa_cli.arena.votes import Booleans, Floats, Integers

BLOCK = 1 << 16  # errors at a time: what stays in the processor's cache
MANY = 100  # degrees of freedom from which standard errors are as good as known: the critical value moves by 1 %


@dataclass(frozen=True)
class Ranks:
    """Of p models; all ranks count from 1.

    rank: (p,) 1 + how many have a higher rating; equal ratings share it.
    best, worst: (p,) between which the true rank lies. tier: (p,) the first is that of all who may be first, being
    surely worse than none; the second is that of those who may be first of the rest, and so on. A model of few votes
    may stand in a tier above that of a model with a higher rating.
    better: (p, p) whether the row is surely better than the column.
    critical: the critical value of the last step, in standard errors; inf where the rounds are too few to separate any.
    """

    rank: Integers
    best: Integers
    worst: Integers
    tier: Integers
    better: Booleans
    critical: float


def ranks(point: Floats, replicates: Floats, confidence: float = 0.9, clusters: float = np.inf) -> Ranks:
    """Return the ranks of `point` (p,) with intervals that hold, all together, with a probability of `confidence`.

    replicates: (rounds, p) ratings of bootstrap rounds on the same scale; inf and -inf for a model above or below all
    rating in that round, nan for one of which nothing is known. A model whose `point` is not finite is surely better
    or worse than none (nan ranks with -inf, last), nor is one of two whose difference is the same in all rounds: no
    round has told them apart. clusters: how many the rounds are drawn from, as clusters of one size; with one, nobody
    is surely better.
    """
    point = np.where(np.isnan(point), -np.inf, point.round(DIGITS))
    better, critical = _separated(point, replicates, confidence, clusters - 1)
    ascending = np.sort(point)
    return Ranks(
        rank=1 + len(point) - np.searchsorted(ascending, point, side="right"),
        best=1 + better.sum(axis=0),
        worst=len(point) - better.sum(axis=1),
        tier=_tiers(better),
        better=better,
        critical=critical,
    )


def _separated(point: Floats, replicates: Floats, confidence: float, freedom: float) -> tuple[Booleans, float]:
    """Return (p, p) whose row is surely better than the column, and the last critical value."""
    finite = np.isfinite(point)
    errors = np.where(finite, point, 0) - replicates
    scale = _standard_errors(errors)
    standing = _testable(errors, confidence) & finite[:, None] & finite & (scale > 10.0**-DIGITS)
    surplus = np.full(scale.shape, -np.inf)  # standard errors by which the row is above the column
    np.divide(point[:, None] - np.where(finite, point, 0), scale, out=surplus, where=standing)
    better = np.zeros_like(standing)
    critical = np.inf
    place = ceil(confidence * (len(replicates) + 1)) - 1  # of the order statistic that is exceeded rarely enough
    if freedom <= 0:
        standing[:] = False
    while place < len(replicates) and standing.any():
        critical = float(np.sort(_largest(errors, scale, standing, freedom))[place])
        fallen = standing & (surplus > critical)
        if not fallen.any():
            break
        better |= fallen
        standing &= ~fallen
    return better, critical


def _testable(errors: Floats, confidence: float) -> Booleans:
    """Return (p, p) of which pairs the rounds can say that the row is better than the column.

    Where the difference has no lower bound in some rounds, they never will; left standing, such hypotheses would only
    make the critical value infinite. What remains is without bound in few rounds, over all pairs together.
    """
    few = (1 - confidence) / 4 / max(1, errors.shape[1]) * len(errors)
    bounded_below = (~(errors < np.inf)).sum(axis=0) <= few
    bounded_above = (~(errors > -np.inf)).sum(axis=0) <= few
    return bounded_below[:, None] & bounded_above & ~np.eye(errors.shape[1], dtype=bool)


def _standard_errors(errors: Floats) -> Floats:
    """Return (p, p) the deviation of each difference, over the rounds in which both models have finite ratings."""
    known = np.isfinite(errors).astype(float)
    errors = np.where(known, errors, 0)
    rounds = np.maximum(1, known.T @ known)
    total, squares = errors.T @ known, (errors**2).T @ known
    variance = (squares + squares.T - 2 * errors.T @ errors) / rounds - ((total - total.T) / rounds) ** 2
    return np.sqrt(np.maximum(0, variance))


def _largest(errors: Floats, scale: Floats, standing: Booleans, freedom: float) -> Floats:
    """Return (rounds,) the largest error, in standard errors, of a pair that is `standing`; nan where not known."""
    # Turned round, a pair's error has the other sign: where it stands both ways, the larger of the two is the absolute.
    twice, once = np.triu(standing & standing.T), standing & ~standing.T
    rows = []
    for row in np.flatnonzero(twice.any(axis=1) | once.any(axis=1)).tolist():
        columns = np.concatenate([np.flatnonzero(twice[row]), np.flatnonzero(once[row])])
        rows.append((row, columns, 1 / scale[row, columns, None], int(twice[row].sum())))
    largest = np.full(len(errors), -np.inf)
    step = max(1, BLOCK // max(1, errors.shape[1]))
    if freedom < MANY:  # other rounds are needed beside each
        step = max(1, len(errors))
    for start in range(0, len(errors), step):
        block, top = errors[start : start + step].T.copy(), largest[start : start + step]
        with np.errstate(invalid="ignore"):  # nothing is known of the difference of two infinities
            for row, columns, weight, absolute in rows:
                lost = block[row] - block[columns]
                lost *= weight
                if freedom < MANY:
                    lost /= _deviations(lost, max(1, round(freedom)))
                np.abs(lost[:absolute], out=lost[:absolute])
                np.maximum(top, lost.max(axis=0), out=top)
    return largest


def _deviations(errors: Floats, rounds: int) -> Floats:
    """Return (q, rounds) for each of q errors, in standard errors, its root mean square over the next `rounds`."""
    rounds = min(rounds, max(1, errors.shape[1] - 1))
    squares = np.where(np.isfinite(errors), errors, 1) ** 2
    sums = np.cumsum(np.concatenate([np.zeros((len(squares), 1)), squares, squares[:, :rounds]], axis=1), axis=1)
    return np.sqrt(np.maximum(sums[:, 1 + rounds :] - sums[:, 1:-rounds], 1e-300) / rounds)


def _tiers(better: Booleans) -> Integers:
    """Return (p,) tiers."""
    tier = np.zeros(len(better), dtype=np.int64)
    number = 0
    while not tier.all():
        left = tier == 0
        number += 1
        tier[left & ~better[left].any(axis=0)] = number
    return tier
