"""The paired bootstrap: items, or clusters of them, drawn again.

- Right or wrong, each item by itself: percentiles of the differences.
- Else studentised (bootstrap-t): a round gives t* = (d* - d) / se*, with the error se* that its own draws have, and the
  interval is d - q(t*) se. With fewer than some 15 clusters of uneven sizes it is too narrow, as the sandwich is not
  (`tests/bench/compare_coverage.py`).

Efron, 1981, "Nonparametric standard errors and confidence intervals", Canadian Journal of Statistics 9; by cluster:
Cameron, Gelbach & Miller, 2008, "Bootstrap-based improvements for inference with clustered errors", Review of Economics
and Statistics 90.

Items of one difference are drawn as one number (multinomial), so that a round costs the same for any number of items.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from latxa_cli.comparison.estimates import Estimate, Sums, sandwich
from latxa_cli.comparison.pairing import Paired
from latxa_cli.comparison.sheets import Integers, Numbers

BATCH = 1 << 22  # numbers that are held at once


@dataclass(frozen=True)
class Rounds:
    """(rounds,) the differences of redrawn items, and the variance of each, as its draws would have it estimated.

    `difference` and `variance` are those of the items as they are; `percentile`: the interval is of percentiles.
    """

    differences: Numbers
    variances: Numbers
    difference: float
    variance: float
    percentile: bool = False

    def interval(self, confidence: float) -> tuple[float, float]:
        """Return the lower and the upper end; NaN where nothing is known, as where no item differs."""
        if not self.variance > 0 or np.ptp(self.differences) == 0:
            return np.nan, np.nan
        low, high = (1 - confidence) / 2, (1 + confidence) / 2
        if self.percentile:
            return _quantile(self.differences, low), _quantile(self.differences, high)
        error = np.sqrt(self.variance)
        t = self._t()
        return self.difference - _quantile(t, high) * error, self.difference - _quantile(t, low) * error

    def _t(self) -> Numbers:
        away, errors = self.differences - self.difference, np.sqrt(self.variances)
        # A round of one cluster alone has no error: it says that the difference may lie as far off as it can.
        return np.divide(away, errors, out=np.copysign(np.where(away == 0, 0.0, np.inf), away), where=errors > 0)


def _quantile(values: Numbers, share: float) -> float:
    """Return the value at a share of all; of the two next to it, the outer one."""
    return float(np.quantile(values, share, method="higher" if share > 0.5 else "lower"))


def resampled(paired: Paired, estimate: Estimate, rounds: int, seed: int) -> Rounds:
    """Return `rounds` differences of redrawn items; draws of shots add to each what they add to the variance."""
    units = Sums.of(paired)
    random = np.random.default_rng(seed)
    if units.alone:
        nothing = np.full(rounds, np.nan)
        return Rounds(nothing, nothing, estimate.difference, np.nan)
    kinds, numbers = np.unique(np.stack([units.sums, units.shares], 1), axis=0, return_counts=True)
    parts = [_redrawn(draws, kinds, units) for draws in _draws(random, numbers, rounds)]
    differences, variances = (np.concatenate(some) for some in zip(*parts, strict=True))
    variance = sandwich(units)[0]
    if estimate.of_seeds > 0:
        draws_less_one = paired.differences.shape[1] - 1
        differences = differences + random.standard_normal(rounds) * np.sqrt(estimate.of_seeds)
        variances = variances + estimate.of_seeds * random.chisquare(draws_less_one, rounds) / draws_less_one
        variance += estimate.of_seeds
    return Rounds(differences, variances, estimate.difference, variance, percentile=units.smoothed)


def _redrawn(draws: Numbers, kinds: Numbers, units: Sums) -> tuple[Numbers, Numbers]:
    """Return (rounds,) the differences and their variances, of (rounds, kinds) how often each kind is drawn."""
    sums, shares = kinds.T
    total = draws @ shares
    difference = draws @ sums / total
    if units.clustered:  # the sandwich CR2 of `estimates`, each draw a cluster
        left = (sums - np.outer(difference, shares)) ** 2 / np.maximum(1 - shares / total[:, None], 1e-9)
        variance = (draws * left).sum(axis=1) / total**2
        return difference, np.where(variance > 1e-18, variance, 0.0)
    count = len(units.sums)
    squares = draws @ sums**2 - 2 * difference * (draws @ (sums * shares)) + difference**2 * (draws @ shares**2)
    added = units.added / count**2  # of which nothing is drawn
    return difference, (np.maximum(squares, 0.0) / total**2 + added) * count / (count - 1)


def _draws(random: np.random.Generator, numbers: Integers, rounds: int) -> Iterator[Numbers]:
    """Yield (rounds, kinds) how often each kind is drawn, in parts."""
    total = int(numbers.sum())
    apart = len(numbers) * 4 > total  # nearly every item is of a kind of its own
    step = max(1, BATCH // (total if apart else len(numbers)))
    for start in range(0, rounds, step):
        size = min(step, rounds - start)
        if apart:
            owner = np.repeat(np.arange(len(numbers)), numbers)
            drawn = owner[random.integers(0, total, (size, total))] + len(numbers) * np.arange(size)[:, None]
            yield np.bincount(drawn.ravel(), minlength=size * len(numbers)).reshape(size, -1).astype(float)
        else:
            yield random.multinomial(total, numbers / total, size=size).astype(float)


def mean_of(rounds: Sequence[Rounds]) -> Rounds:
    """Return the rounds of a mean over tasks, each with one weight, whose items are drawn apart."""
    count = len(rounds)
    return Rounds(
        np.sum([one.differences for one in rounds], axis=0) / count,
        np.sum([one.variances for one in rounds], axis=0) / count**2,
        sum(one.difference for one in rounds) / count,
        sum(one.variance for one in rounds) / count**2,
    )
