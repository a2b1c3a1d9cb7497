"""Tests of "there is no difference", and Holm's correction for several of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from latxa_cli.comparison.sheets import Numbers

FLIPS = 9_999  # rounds of the permutation test
MOST_DRAWS = 20_000_000  # beyond which the normal limit of a permutation test is taken


def mcnemar(only_one: int, only_other: int) -> float:
    """Return the p of McNemar's exact test: two-sided, binomial over the items that one of the two alone has right.

    McNemar, 1947, "Note on the sampling error of the difference between correlated proportions", Psychometrika 12.
    """
    from scipy.special import bdtr

    together = only_one + only_other
    return min(1.0, 2.0 * float(bdtr(min(only_one, only_other), together, 0.5))) if together else 1.0


def sign_flips(differences: Numbers, seed: int) -> float:
    """Return the p of the paired permutation test of a sum: each item's difference may as well have the other sign.

    - It is that of random rounds, the observed one among them: never zero (Phipson & Smyth, 2010, "Permutation p-values
      should never be zero").
    - From some 2,000 items with values of their own on, the sum is normal with variance sum d^2, which is taken then.
    """
    from scipy.special import ndtr

    sizes, counts = np.unique(np.abs(differences[differences != 0]), return_counts=True)
    observed = abs(float(differences.sum()))
    if not len(sizes):
        return 1.0
    if len(sizes) * FLIPS > MOST_DRAWS:
        return 2.0 * float(ndtr(-observed / np.sqrt((differences**2).sum())))
    random = np.random.default_rng(seed)
    sums = np.zeros(FLIPS)
    step = max(1, MOST_DRAWS // 20 // FLIPS)
    for start in range(0, len(sizes), step):  # so that a round of many items takes little memory
        size, count = sizes[start : start + step], counts[start : start + step]
        sums += (2 * random.binomial(count, 0.5, (FLIPS, len(count))) - count) @ size
    as_far = int((np.abs(sums) >= observed * (1 - 1e-12)).sum())
    return (1 + as_far) / (1 + FLIPS)


def holm(ps: Sequence[float]) -> list[float]:
    """Return the p of each test after Holm's correction, in the same order.

    Holm, 1979, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of Statistics 6.
    """
    order = np.argsort(ps, kind="stable")
    sorted_ps = np.asarray(ps, float)[order] * np.arange(len(ps), 0, -1)
    adjusted = np.empty(len(ps))
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(sorted_ps))
    return adjusted.tolist()
