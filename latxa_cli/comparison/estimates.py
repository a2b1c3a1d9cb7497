"""How far two models differ on the same items, and how sure that is: the sandwich, with clusters and draws of shots.

The difference is the weighted mean of those of items. With S_c the weighted sum of a cluster and h_c its share of all
weights, its variance is sum (S_c - h_c d)^2 / (1 - h_c): the sandwich CR2 of Bell & McCaffrey, 2002, "Bias reduction in
standard errors for linear regression with multi-stage samples", Survey Methodology 28. Its degrees of freedom are
theirs, for clusters that differ as wholes: uneven ones make them fewer. Where each item is a cluster, this is the
textbook variance of a mean of pairs.

- Right or wrong, each item by itself: the score interval of Tango, 1998, "Equivalence test and confidence interval for
  the difference in proportions for the paired-sample design", Statistics in Medicine 17. It holds its confidence even
  where few items differ, and does not say of models that differ in none that they are equal for sure. The variance is
  of one item more, half won and half lost: Agresti & Min, 2005, "Simple improved confidence intervals for comparing
  matched proportions", Statistics in Medicine 24.
- Several draws of shots: what seeds add to all items at once is one more part of the variance (Brennan, 2001,
  "Generalizability theory", chapter 2).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from latxa_cli.comparison.pairing import Paired, over_draws
from latxa_cli.comparison.sheets import Numbers

STEPS = 60  # of a bisection, which halve an interval down to the last digit


class Table(NamedTuple):
    """How many items there are, and how many of them the model alone and the baseline alone has right."""

    items: int
    won: int
    lost: int


@dataclass(frozen=True)
class Estimate:
    """A difference and what is known of its error.

    Attributes:
        difference: of the two means.
        of_items: the part of its variance that more items make smaller; NaN where a single one tells nothing.
        of_seeds: the part that more draws of shots make smaller.
        freedom: the degrees of freedom of the variance.
        table: where items are right or wrong, each by itself.
        clusters: how many there are; 0 where each item is by itself.
        spread: the standard deviation of the difference from seed to seed; NaN with one.
    """

    difference: float
    of_items: float
    of_seeds: float
    freedom: float
    table: Table | None = None
    clusters: int = 0
    spread: float = np.nan

    @property
    def variance(self) -> float:
        return self.of_items + self.of_seeds

    @property
    def stderr(self) -> float:
        return float(np.sqrt(self.variance))

    def interval(self, confidence: float) -> tuple[float, float]:
        """Return the lower and the upper end; NaN where nothing is known."""
        from scipy.special import stdtrit

        if self.table:
            return score_interval(self.table, confidence)
        reach = float(stdtrit(self.freedom, (1 + confidence) / 2)) * self.stderr
        return self.difference - reach, self.difference + reach

    @property
    def p(self) -> float:
        """The p of the two-sided t test."""
        from scipy.special import stdtr

        if np.isnan(self.variance):
            return 1.0
        if self.variance > 0:
            return 2 * float(stdtr(self.freedom, -abs(self.difference) / self.stderr))
        if self.difference == 0 or not self.clusters:
            return 1.0
        return 2.0 ** (1 - self.clusters)  # all clusters differ in one way, and by as much: as if by a toss for each


@dataclass(frozen=True)
class Sums:
    """What is drawn together: clusters, or single items.

    Attributes:
        sums: (c,) of the weighted differences of their items.
        shares: (c,) of their weights, which add up to 1.
        smoothed: items are right or wrong, each by itself.
        clustered: they are clusters, not items.
    """

    sums: Numbers
    shares: Numbers
    smoothed: bool
    clustered: bool

    @classmethod
    def of(cls, paired: Paired) -> Sums:
        shares = paired.weights / paired.weights.sum()
        differences, clusters = over_draws(paired.differences) * shares, paired.clusters
        if clusters is None:
            return cls(differences, shares, paired.is_even and paired.is_right_or_wrong, clustered=False)
        sums, together = (np.bincount(clusters, some).astype(float) for some in (differences, shares))
        return cls(sums, together, smoothed=False, clustered=True)

    @property
    def added(self) -> float:
        """The squares of what smoothing adds: half an item won, and half an item lost."""
        return 1.0 if self.smoothed else 0.0

    @property
    def alone(self) -> bool:
        """Whether there is one only, of whose kin nothing is known."""
        return len(self.sums) < 2


def estimate(paired: Paired) -> Estimate:
    """Return the difference of two models on the items that both answered."""
    units, differences = Sums.of(paired), over_draws(paired.differences)
    difference = paired.mean(differences)
    variance, freedom = sandwich(units)
    table = None
    if units.smoothed:
        table = Table(len(paired), int((differences > 0).sum()), int((differences < 0).sum()))
    elif units.clustered and variance == 0 and paired.is_right_or_wrong:
        # Nothing differs from cluster to cluster: what single items tell is all that is known.
        count = len(paired)
        variance = sandwich(Sums(differences / count, np.full(count, 1 / count), smoothed=True, clustered=False))[0]
    of_seeds, spread = _of_seeds(paired)
    if of_seeds > 0:
        seeds = paired.differences.shape[1]
        freedom = (variance + of_seeds) ** 2 / (variance**2 / freedom + of_seeds**2 / (seeds - 1))
    clusters = len(units.sums) if units.clustered else 0
    return Estimate(difference, variance, of_seeds, freedom, table, clusters, spread)


def sandwich(units: Sums) -> tuple[float, float]:
    """Return the variance and its degrees of freedom; NaN where there is but one cluster."""
    if units.alone:
        return np.nan, np.nan
    sums, shares, count = units.sums, units.shares, len(units.sums)
    rest = 1 - shares
    squares = (sums - shares * sums.sum()) ** 2
    added = units.added / count**2 / (1 - 1 / count)
    return float((squares / rest).sum()) + added, _freedom(shares)


def _freedom(shares: Numbers) -> float:
    """Return the degrees of freedom of the sandwich: of even clusters, one less than there are.

    The variance is a sum of squares with covariances M_ij = (w_i [i=j] - h_i w_j - h_j w_i + h_i h_j sum w) /
    sqrt((1 - h_i)(1 - h_j)) with w_i = h_i^2, and its freedom tr(M)^2 / tr(M^2), here in sums over single clusters.
    """
    rest, whole = 1 - shares, float((shares**2).sum())
    single = shares**2 - 2 * shares**3 + whole * shares**2
    both = whole * shares**2 - 2 * shares**3
    second, third, fourth = (float((shares**power / rest).sum()) for power in (2, 3, 4))
    pairs = 2 * second * fourth + 2 * third**2 + whole**2 * second**2 - 4 * whole * second * third
    return float((single / rest).sum()) ** 2 / (float(((single**2 - both**2) / rest**2).sum()) + pairs)


def score_interval(table: Table, confidence: float) -> tuple[float, float]:
    """Return the differences that a score test (Tango 1998) does not reject."""
    from scipy.special import ndtri

    items, won, lost = table
    reach, middle = float(ndtri((1 + confidence) / 2)), (won - lost) / items

    def score(difference: float) -> float:
        # The probability of a loss that is likeliest, were this the difference.
        linear = -won - lost + (2 * items - won + lost) * difference
        constant = -lost * difference * (1 - difference)
        loss = (np.sqrt(max(linear**2 - 8 * items * constant, 0.0)) - linear) / (4 * items)
        variance = items * (2 * loss + difference * (1 - difference))
        return float((won - lost - items * difference) / np.sqrt(variance)) if variance > 0 else np.inf

    def found(outer: float, goal: float) -> float:
        inner = middle
        for _ in range(STEPS):
            between = (outer + inner) / 2
            if abs(score(between)) > goal:
                outer = between
            else:
                inner = between
        return (outer + inner) / 2

    return found(-1.0, reach), found(1.0, reach)


def _of_seeds(paired: Paired) -> tuple[float, float]:
    """Return the variance that seeds add to all items at once, and the spread of the difference from seed to seed."""
    differences = paired.differences
    if differences.shape[1] < 2 or not paired.seeds:
        return 0.0, np.nan
    shares = paired.weights / paired.weights.sum()
    by_seed = _weighted(differences, shares)
    by_item = over_draws(differences)[:, None]
    rest = differences - by_item - by_seed + _weighted(by_item, shares)
    items, seeds = differences.shape
    spread = float(np.std(by_seed, ddof=1))
    if items < 2:
        return 0.0, spread
    # The mean square of what is left, for each item and draw: what by_seed varies by, though seeds add nothing.
    noise = float(np.nansum(rest**2)) / (items - 1) / (seeds - 1) * float((shares**2).sum())
    return max(0.0, spread**2 - noise) / seeds, spread


def _weighted(columns: Numbers, weights: Numbers) -> Numbers:
    """Return (s,) the weighted means of columns, without what is not there."""
    given = ~np.isnan(columns)
    total = weights @ given
    return (weights @ np.where(given, columns, 0.0)) / np.where(total > 0, total, np.nan)


def mean_of(estimates: Sequence[Estimate]) -> Estimate:
    """Return the mean of the differences of tasks, each with one weight; the tasks are as they are, not drawn.

    Degrees of freedom: Welch, 1947, "The generalization of Student's problem …", Biometrika 34.
    """
    count = len(estimates)
    variances = np.array([one.variance for one in estimates])
    freedoms = np.array([one.freedom for one in estimates])
    whole = float(variances.sum())
    return Estimate(
        sum(one.difference for one in estimates) / count,
        sum(one.of_items for one in estimates) / count**2,
        sum(one.of_seeds for one in estimates) / count**2,
        whole**2 / float((variances**2 / freedoms).sum()) if whole > 0 else np.nan,
    )
