"""The paired bootstrap: items, or clusters of them, drawn again, and the difference of each round by its own error.

Studentised (bootstrap-t): a round gives t* = (d* - d) / se*, and the interval is d - q(t*) se. It holds its confidence
with few or uneven clusters, where percentiles of d* are too narrow: Efron, 1981, "Nonparametric standard errors and
confidence intervals"; Hall, 1992, "The bootstrap and Edgeworth expansion"; by cluster: Cameron, Gelbach & Miller, 2008,
"Bootstrap-based improvements for inference with clustered errors".

Items of one difference are drawn as one number (multinomial), so that a round costs the same for any number of items.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from latxa_cli.comparison.estimates import Estimate, Sums
from latxa_cli.comparison.pairing import Paired
from latxa_cli.comparison.sheets import Integers, Numbers

BATCH = 1 << 22  # numbers that are held at once


@dataclass(frozen=True)
class Rounds:
    """(rounds,) the differences of redrawn items, and the variance of each as it would be estimated from them.

    `difference` and `variance` are those of the items as they are, estimated in the same way.
    """

    differences: Numbers
    variances: Numbers
    difference: float
    variance: float

    def interval(self, confidence: float) -> tuple[float, float]:
        """Return the lower and the upper end; NaN where nothing is known."""
        if not self.variance > 0:
            return np.nan, np.nan
        high = np.quantile(self._t(), (1 + confidence) / 2, method="higher")
        low = np.quantile(self._t(), (1 - confidence) / 2, method="lower")
        error = np.sqrt(self.variance)
        return float(self.difference - high * error), float(self.difference - low * error)

    @property
    def p(self) -> float:
        """The share of rounds that lie as far from the difference as that lies from zero."""
        if not self.variance > 0:
            return 1.0
        observed = abs(self.difference) / np.sqrt(self.variance)
        return float(1 + (np.abs(self._t()) >= observed).sum()) / (1 + len(self.differences))

    def _t(self) -> Numbers:
        away = self.differences - self.difference
        errors = np.sqrt(self.variances)
        # A round of one cluster alone has no error: it says that the difference may lie as far off as it can.
        return np.divide(away, errors, out=np.copysign(np.where(away == 0, 0.0, np.inf), away), where=errors > 0)


def resampled(paired: Paired, estimate: Estimate, rounds: int, seed: int) -> Rounds:
    """Return `rounds` differences of redrawn items; seeds of shots add to each what they add to the variance."""
    units = Sums.of(paired)
    count = len(units.sums)
    random = np.random.default_rng(seed)
    if units.alone:
        nothing = np.full(rounds, np.nan)
        return Rounds(nothing, nothing, estimate.difference, np.nan)
    kinds, numbers = np.unique(np.stack([units.sums, units.shares], 1), axis=0, return_counts=True)
    terms = _terms(kinds[:, 0], kinds[:, 1])
    totals = np.concatenate([draws @ terms for draws in _draws(random, numbers, rounds)])
    differences, variances = _differences(totals, count, units.smoothed)
    [difference], [variance] = _differences(numbers[None] @ terms, count, units.smoothed)
    of_seeds = estimate.variance - estimate.of_items
    if of_seeds > 0:
        differences = differences + random.standard_normal(rounds) * np.sqrt(of_seeds)
    return Rounds(differences, variances + of_seeds, float(difference), float(variance) + of_seeds)


def _terms(sums: Numbers, shares: Numbers) -> Numbers:
    return np.stack([sums, shares, sums**2, sums * shares, shares**2], axis=1)


def _differences(totals: Numbers, count: int, smoothed: bool) -> tuple[Numbers, Numbers]:
    """Return the differences and their variances, of (rounds, 5) totals of `_terms`."""
    sums, shares, squares, products, share_squares = totals.T
    difference = sums / shares
    if smoothed:  # see `estimates`: two items more, one won and one lost
        moved = sums * count / (count + 2)
        variance = (squares * count**2 + 2 - (count + 2) * moved**2) / (count + 2) / (count + 1)
        return difference, variance
    left = np.maximum(squares - 2 * difference * products + difference**2 * share_squares, 0.0)
    left[left < 1e-12 * squares] = 0.0  # what is left of rounding
    return difference, left / shares**2 * count / (count - 1)


def _draws(random: np.random.Generator, numbers: Integers, rounds: int) -> Iterator[Numbers]:
    """Yield (rounds, kinds) how often each kind is drawn, in parts."""
    total = int(numbers.sum())
    step = max(1, BATCH // max(1, total if len(numbers) * 4 > total else len(numbers)))
    for start in range(0, rounds, step):
        size = min(step, rounds - start)
        if len(numbers) * 4 > total:  # nearly every item is of a kind of its own
            owner = np.repeat(np.arange(len(numbers)), numbers)
            drawn = owner[random.integers(0, total, (size, total))] + len(numbers) * np.arange(size)[:, None]
            yield np.bincount(drawn.ravel(), minlength=size * len(numbers)).reshape(size, -1).astype(float)
        else:
            yield random.multinomial(total, numbers / total, size=size).astype(float)


def mean_of(rounds: Sequence[Rounds]) -> Rounds:
    """Return the rounds of a mean over tasks, each with one weight, whose items are drawn apart."""
    count = len(rounds)
    return Rounds(
        sum(one.differences for one in rounds) / count,  # type: ignore[arg-type]
        sum(one.variances for one in rounds) / count**2,  # type: ignore[arg-type]
        sum(one.difference for one in rounds) / count,
        sum(one.variance for one in rounds) / count**2,
    )
