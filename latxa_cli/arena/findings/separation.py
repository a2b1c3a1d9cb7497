"""How far apart neighbours in the ranking are, and about how many more votes would separate them."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from math import ceil

import numpy as np

from latxa_cli.arena.fits.arithmetic import logistic
from latxa_cli.arena.fits.bradley_terry import DIGITS, SCALE, hessian
from latxa_cli.arena.fits.sandwich import quantile
from latxa_cli.arena.votes import Floats, PairCounts
from latxa_cli.stream.records import Record

MOST_VOTES = 10**12  # more are as good as never


def dispersion_of(counts: PairCounts, theta: Floats, covariance: Floats) -> float:
    """Return the variance of votes relative to independent coin tosses, as `covariance` (p, p) of `theta` (p,) has it.

    Some 0.8 with a fifth of ties (half wins vary less); above 1 where the votes of a user go together. Models whose
    theta is not finite are left out; 1 where fewer than two remain.
    """
    finite = np.flatnonzero(np.isfinite(theta))
    if len(finite) < 2:
        return 1.0
    among = np.isin(counts.first, finite) & np.isin(counts.second, finite)
    counts = replace(counts, first=counts.first[among], second=counts.second[among], cells=counts.cells[among])
    grid = np.ix_(finite, finite)
    curvature = hessian(counts, np.where(np.isfinite(theta), theta, 0))[grid]
    return float((covariance[grid] * curvature).sum() / (len(finite) - 1))


def separating(
    counts: PairCounts, theta: Floats, covariance: Floats, confidence: float = 0.9, clusters: float = np.inf
) -> list[Record]:
    """Return, for each two neighbours of one board, what separates them and how many more votes would: best first.

    {"model", "against" (the next one), "gap", "stderr" (points), "separated" (at `confidence`, two-sided),
    "votes_spread": more votes in all, on the same pairs in the same shares as until now: n (z SE / gap)^2 - n,
    "votes_between": more votes on the two alone}. Votes are null where no number will do, since the two are equal; and
    they take the gap for the true one, which it is not: say "about".

    counts: of the board, all of whose models are connected. theta: (p,), models that are not finite are left out.
    covariance: (p, p) of theta, natural units. clusters: how many it comes of; with one, nothing is separated.
    """
    order = [int(i) for i in np.lexsort((np.arange(len(theta)), -theta)) if np.isfinite(theta[i])]
    z = quantile(confidence, clusters)
    voted = round(float(counts.cells.sum()))
    dispersion = dispersion_of(counts, theta, covariance)
    records: list[Record] = []
    for i, j in pairwise(order):
        gap = float(theta[i] - theta[j])
        variance = max(0.0, float(covariance[i, i] + covariance[j, j] - 2 * covariance[i, j]))
        information = logistic(gap) * logistic(-gap) / dispersion if dispersion > 0 else np.inf
        equal = round(SCALE * gap, DIGITS) == 0
        # By how much the variance is too large; that of one cluster alone says nothing.
        short = 0.0 if equal else max(0.0, variance * z**2 / gap**2 - 1) if np.isfinite(z) else np.inf
        records.append(
            {
                "model": counts.models[i],
                "against": counts.models[j],
                "gap": round(SCALE * gap, DIGITS),
                "stderr": round(SCALE * float(np.sqrt(variance)), DIGITS),
                "separated": not equal and short == 0,
                "votes_spread": None if equal else _votes(voted * short),
                "votes_between": None if equal else _votes(_between(short, variance * information)),
            }
        )
    return records


def _between(short: float, information: float) -> float:
    return short / information if short and information else short


def _votes(number: float) -> int | None:
    return ceil(number) if number <= MOST_VOTES else None
