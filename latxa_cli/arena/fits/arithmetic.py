"""What all fits are made of: the logistic function, Laplacians, damped Newton steps, and which models wins connect.

Graphs and matrices come in batches, such as the rounds of a bootstrap: (…, p, p) for p models.

The bound on the step: for logistic likelihoods the third derivative along a step is at most the step's reach (its
largest change of a difference that was fought for) times the second (Bach, 2010, "Self-concordant analysis for logistic
regression", Electronic Journal of Statistics 4), so that a step shortened to a reach of 1 always climbs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from latxa_cli.arena.votes import Booleans, Floats
from latxa_cli.stream.errors import LatxaError

# From (rounds, q) parameters to (rounds, q) steps and (rounds,) their reach.
Newton = Callable[[Floats], tuple[Floats, Floats]]

MOST_STEPS = 200
CONVERGED = 1e-7  # natural units (a rating's point is 0.006 of them); steps square, so that some 1e-14 is left
GOOD_ENOUGH = 1e-5  # where rounding errors keep the last step above CONVERGED
# Of the largest eigenvalue. A Laplacian's eigenvalue of zero comes out as some 1e-15 of it, and grows with the number
# of models; the smallest of the others is above 1e-6 wherever ratings are finite and fit on the screen.
SINGULAR = 1e-13


def logistic(log_odds: Any) -> Any:
    """Return the probability that goes with log odds."""
    return 1 / (1 + np.exp(-log_odds))


def both_sides(log_odds: Floats) -> tuple[Floats, Floats]:
    """Return the probabilities of winning and of losing; 1 - p would lose its digits where p is near 1."""
    odds = np.exp(-log_odds)
    first = 1 / (1 + odds)
    return first, odds * first


def laplacian(weights: Floats) -> Floats:
    """Return (…, p, p) the Laplacians of symmetric `weights`: their sums on the diagonal, less themselves."""
    matrix = -weights
    diagonal = np.einsum("...ii->...i", matrix)  # a view
    diagonal += weights.sum(axis=-1)
    return matrix


def pseudo_inverse(matrix: Floats) -> Floats:
    """Return the inverse of a symmetric matrix on what it determines, and zero on the rest."""
    return np.asarray(np.linalg.pinv(matrix, SINGULAR, hermitian=True), dtype=np.float64)


def solve(matrix: Floats, right: Floats) -> Floats:
    """Return (rounds, q) solutions of (rounds, q, q) systems."""
    solution: NDArray[Any] = np.linalg.solve(matrix, right[:, :, None])[:, :, 0]
    return solution


def shortened(step: Floats, reach: Floats) -> Floats:
    """Return steps that climb: those of a reach above 1 shortened to it."""
    return step / np.maximum(1, reach)[:, None]


def climb(
    at: Floats,
    newton: Newton,
    *,
    most_steps: int = MOST_STEPS,
    converged: float = CONVERGED,
    unsettled: str = "the ratings do not settle: some pair is all but one-sided",
) -> Floats:
    """Return (rounds, q) where the likelihoods are highest, from `at` by damped Newton steps.

    newton: takes (rounds, q) parameters; returns (rounds, q) steps and (rounds,) their reach, the largest change of the
    difference of two exponents of one pair. Raises LatxaError, which says `unsettled`, when the steps stay large.
    """
    furthest = np.inf
    for _ in range(most_steps):
        step, reach = newton(at)
        at = at + shortened(step, reach)
        furthest = reach.max(initial=0)
        if furthest < converged:
            break
    if not furthest < max(converged, GOOD_ENOUGH):
        raise LatxaError(unsettled, hint="try `--prior 1`")
    return at


def reachable(edges: Booleans) -> Booleans:
    """Return (…, p, p) whether a chain of edges, possibly empty, leads from the row to the column."""
    reach = edges | np.eye(edges.shape[-1], dtype=bool)
    while True:  # chains of up to 1, 2, 4, 8 … edges
        steps = reach.astype(np.float32)
        further = steps @ steps > 0
        if (further == reach).all():
            return reach
        reach = further
