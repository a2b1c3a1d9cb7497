"""How far two models differ on the same items, and how sure that is: the sandwich, with clusters and draws of shots.

The difference is the weighted mean of those of items. With S_c the weighted sum of a cluster and h_c its share of all
weights, its variance is sum (S_c - h_c d)^2 / (1 - h_c): the sandwich CR2 of Bell & McCaffrey, 2002, "Bias reduction in
standard errors for linear regression with multi-stage samples", whose degrees of freedom go with it. Where each item is
a cluster, this is the textbook variance of a mean of pairs.

- Right or wrong, each item by itself: two items are added, one that each model alone has right (Bonett & Price, 2012,
  "Adjusted Wald confidence interval for a difference of binomial proportions based on paired data", Journal of
  Educational and Behavioral Statistics 37). So models that differ in no item are not said to be equal for sure.
- Several draws of shots: what seeds add to all items at once is one more part of the variance (Brennan, 2001,
  "Generalizability theory", chapter 2).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from latxa_cli.comparison.pairing import Paired, over_draws
from latxa_cli.comparison.sheets import Numbers


@dataclass(frozen=True)
class Estimate:
    """A difference and what is known of its error.

    Attributes:
        difference: of the two means.
        centre: of the interval, which two added items may move a little.
        variance: of the difference; NaN where a single item or cluster tells nothing of it.
        freedom: the degrees of freedom of the variance.
        of_items: the part of the variance that more items make smaller.
        clusters: how many there are; 0 where each item is by itself.
        spread: the standard deviation of the difference from seed to seed; NaN with one.
    """

    difference: float
    centre: float
    variance: float
    freedom: float
    of_items: float
    clusters: int = 0
    spread: float = np.nan

    @property
    def stderr(self) -> float:
        return float(np.sqrt(self.variance))

    def interval(self, confidence: float) -> tuple[float, float]:
        """Return the lower and the upper end; NaN where nothing is known."""
        from scipy.special import stdtrit

        reach = float(stdtrit(self.freedom, (1 + confidence) / 2)) * self.stderr
        return self.centre - reach, self.centre + reach

    @property
    def p(self) -> float:
        """The p of the two-sided t test."""
        from scipy.special import stdtr

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
        smoothed: whether two items are added, one won and one lost, each of the weight of one item.
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
    def alone(self) -> bool:
        """Whether there is one only, of whose kin nothing is known."""
        return len(self.sums) < 2 and not self.smoothed


def estimate(paired: Paired) -> Estimate:
    """Return the difference of two models on the items that both answered."""
    sums = Sums.of(paired)
    difference = paired.mean(over_draws(paired.differences))
    centre, variance, freedom = _sandwich(sums)
    if sums.clustered and not variance > 0 and paired.is_right_or_wrong:
        # Nothing differs from cluster to cluster: what single items tell is all that is known.
        count = len(paired)
        items = Sums(over_draws(paired.differences) / count, np.full(count, 1 / count), smoothed=True, clustered=False)
        variance = _sandwich(items)[1]
    of_seeds, spread = _of_seeds(paired)
    if of_seeds > 0:
        seeds = paired.differences.shape[1]
        freedom = (variance + of_seeds) ** 2 / (variance**2 / max(freedom, 1.0) + of_seeds**2 / (seeds - 1))
    return Estimate(
        difference, centre, variance + of_seeds, freedom, variance, len(sums.sums) if sums.clustered else 0, spread
    )


def _sandwich(units: Sums) -> tuple[float, float, float]:
    """Return the centre, the variance and its degrees of freedom."""
    sums, shares, count = units.sums, units.shares, len(units.sums)
    if units.smoothed and count:
        # Each of n items has the weight 1/n; with two more, 1/(n + 2).
        centre = float(sums.sum()) * count / (count + 2)
        squares = float(((sums * count) ** 2).sum()) + 2 - (count + 2) * centre**2
        return centre, squares / (count + 2) / (count + 1), count + 1.0
    difference = float(sums.sum())
    if units.alone:
        return difference, np.nan, np.nan
    rest = 1 - shares
    variance = float(((sums - shares * difference) ** 2 / rest).sum())
    leverage = shares**2 / rest
    freedom = 1 / float((shares**2).sum() + leverage.sum() ** 2 - (leverage**2).sum())
    return difference, variance, freedom


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

    Degrees of freedom: Welch, 1947, and Satterthwaite, 1946.
    """
    count = len(estimates)
    difference = sum(one.difference for one in estimates) / count
    variances = np.array([one.variance for one in estimates]) / count**2
    freedoms = np.array([one.freedom for one in estimates])
    variance = float(variances.sum())
    freedom = variance**2 / float((variances**2 / freedoms).sum()) if variance > 0 else np.nan
    of_items = sum(one.of_items for one in estimates) / count**2
    return Estimate(difference, difference, variance, freedom, of_items)
