"""The Bradley-Terry fit: strengths theta under which the counted wins are most probable.

P(i wins against j) = sigma(theta_i - theta_j).

Newton's method on counts, for many vote tables at once (the rounds of a bootstrap): its cost does not depend on the
number of votes. A tie is half a win for each side. Ratings are 1000 + 400 / ln 10 * (theta - mean of theta).

Bradley & Terry, 1952, "Rank analysis of incomplete block designs", Biometrika 39. The bound on the step: for logistic
likelihoods the third derivative along a step is at most the step's reach (its largest change of a difference that was
fought for) times the second (Bach, 2010, "Self-concordant analysis for logistic regression", Electronic Journal of
Statistics 4), so that a step shortened to a reach of 1 always climbs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from latxa_cli.arena.votes import BOTH_BAD, TIE, Counts, Floats, Integers
from latxa_cli.stream.errors import LatxaError

Newton = Callable[[Floats], tuple[Floats, Floats]]

SCALE = 400 / np.log(10)
CENTRE = 1000.0
DIGITS = 6  # of ratings, what the solver's rounding leaves alone: equal strengths give equal ratings
MOST_STEPS = 200
CONVERGED = 1e-7  # natural units (a rating's point is 0.006 of them); steps square, so that some 1e-14 is left
GOOD_ENOUGH = 1e-5  # where rounding errors keep the last step above CONVERGED
BATCH_BYTES = 1 << 17  # matrices of rounds that are fitted together stay in a processor's cache


@dataclass(frozen=True)
class Wins:
    """Votes as the fit takes them: (rounds, P) wins of the pair's first model, ties as halves, and battles."""

    won: Floats
    played: Floats

    @classmethod
    def of(cls, cells: Integers, prior: float = 0.0) -> Wins:
        """Take (rounds, P, 4) cells of `Counts`; `prior` adds that many tied battles to every pair."""
        won = cells[..., 0] + (cells[..., TIE] + cells[..., BOTH_BAD] + prior) / 2
        return cls(won, cells.sum(axis=-1) + prior)

    def beats(self, counts: Counts) -> NDArray[np.bool_]:
        """Return (rounds, p, p) whether the row has won (a share) against the column."""
        graph = np.zeros((len(self.won), len(counts.models), len(counts.models)), dtype=bool)
        graph[:, counts.first, counts.second] = self.won > 0
        graph[:, counts.second, counts.first] = self.won < self.played
        return graph


def fit(counts: Counts, wins: Wins, members: NDArray[np.bool_] | None = None, start: Floats | None = None) -> Floats:
    """Return (rounds, p) strengths with mean 0, each round fitted on its own `wins`.

    members: (rounds, p) which models to fit (all when None); the rest get 0 and their battles are ignored. Among the
    members Ford's condition must hold. start: (p,) strengths near the answer, which save steps.
    Raises LatxaError when Newton's method does not arrive.
    """
    rounds, size = len(wins.won), len(counts.models)
    members = np.ones((rounds, size), dtype=bool) if members is None else members
    theta = np.zeros((rounds, size)) + (0 if start is None else start)
    for batch in batches(rounds, size):
        won, played = wins.won[batch], wins.played[batch]
        theta[batch] = climb(theta[batch], _newton(counts, won, played, members[batch]))
    return centred(theta, members)


def batches(rounds: int, size: int) -> Iterator[slice]:
    """Yield the rounds in slices; `size` models."""
    length = max(1, BATCH_BYTES // (8 * size * size + 1))
    yield from (slice(begin, begin + length) for begin in range(0, rounds, length))


def climb(at: Floats, newton: Newton) -> Floats:
    """Return (rounds, q) where the likelihoods are highest, from `at` by damped Newton steps.

    newton: takes (rounds, q) parameters; returns (rounds, q) steps and (rounds,) their reach, the largest change of the
    difference of two exponents of one pair. Raises LatxaError when the steps do not become small.
    """
    furthest = np.inf
    for _ in range(MOST_STEPS):
        step, reach = newton(at)
        at = at + step / np.maximum(1, reach)[:, None]
        furthest = reach.max(initial=0)
        if furthest < CONVERGED:
            break
    if not furthest < GOOD_ENOUGH:
        raise LatxaError("the ratings do not settle: some pair is all but one-sided", hint="try `--prior 1`")
    return at


def _newton(counts: Counts, won: Floats, played: Floats, members: NDArray[np.bool_]) -> Newton:
    counted = met(counts, members)
    won, lost = won * counted, (played - won) * counted
    played = won + lost
    fought = played > 0

    def newton(theta: Floats) -> tuple[Floats, Floats]:
        odds = np.exp(theta[:, counts.second] - theta[:, counts.first])
        first = 1 / (1 + odds)
        second = odds * first  # 1 - first would lose its digits where first is near 1
        step = solve(laplacians(counts, played * first * second, members), totals(counts, won * second - lost * first))
        return step, (np.abs(step[:, counts.first] - step[:, counts.second]) * fought).max(axis=1, initial=0)

    return newton


def solve(matrix: Floats, right: Floats) -> Floats:
    """Return (rounds, q) solutions of (rounds, q, q) systems."""
    solution: NDArray[Any] = np.linalg.solve(matrix, right[:, :, None])[:, :, 0]
    return solution


def met(counts: Counts, members: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return (rounds, P) whether both models of the pair are among the `members` (rounds, p)."""
    return members[:, counts.first] & members[:, counts.second]


def totals(counts: Counts, values: Floats) -> Floats:
    """Return (rounds, p) sums of (rounds, P) `values` over pairs: as they are for first models, negated for second."""
    size = len(counts.models)
    matrix = np.zeros((len(values), size * size))
    matrix[:, counts.first * size + counts.second] = values
    square = matrix.reshape(len(values), size, size)
    difference: Floats = square.sum(axis=2) - square.sum(axis=1)
    return difference


def laplacians(counts: Counts, weights: Floats, members: NDArray[np.bool_]) -> Floats:
    """Return (rounds, p, p) Laplacians of (rounds, P) pair `weights`, made regular.

    Strengths are known up to a constant: their mean is held, with a weight like the others', which keeps the system
    well conditioned. Models left out, or without battles, get an equation of their own, step = 0.
    """
    rounds, size = members.shape
    matrix = np.zeros((rounds, size * size))
    matrix[:, counts.first * size + counts.second] = matrix[:, counts.second * size + counts.first] = -weights
    diagonal = -matrix.reshape(rounds, size, size).sum(axis=2)
    joined = members & (diagonal > 0)
    matrix[:, :: size + 1] = diagonal + ~joined
    largest, how_many = diagonal.max(axis=1, keepdims=True, initial=0), joined.sum(axis=1, keepdims=True)
    held = joined * np.sqrt(largest / np.maximum(1, how_many))
    return matrix.reshape(rounds, size, size) + held[:, :, None] * held[:, None, :]


def centred(theta: Floats, members: NDArray[np.bool_]) -> Floats:
    """Return (rounds, p) strengths of which those of the `members` have the mean 0, and the others are 0."""
    mean = (theta * members).sum(axis=1) / np.maximum(1, members.sum(axis=1))
    return (theta - mean[:, None]) * members


def to_ratings(theta: Floats) -> Floats:
    """Return strengths with mean 0 on the arena's scale: mean 1000, 400 points for odds of 10 to 1."""
    return CENTRE + SCALE * theta


def covariance(counts: Counts, theta: Floats, spread: Floats) -> Floats:
    """Return (p, p), the sandwich covariance H+ B H+ of the strengths `theta` (p,), in natural units.

    H: the Hessian at `theta`, + its pseudo-inverse; B: `spread` (p, p), the sum over independent votes (or users) of
    their gradients' outer products, such as `vote_spread` gives.
    Huber, 1967, "The behavior of maximum likelihood estimates under nonstandard conditions", Berkeley Symposium 5.
    """
    inverse = np.linalg.pinv(hessian(counts, theta), hermitian=True)
    return inverse @ spread @ inverse


def hessian(counts: Counts, theta: Floats) -> Floats:
    """Return (p, p) the Hessian of the negative log-likelihood at `theta` (p,), natural units."""
    chance = chances(counts, theta)
    return _laplacian(counts, counts.cells.sum(axis=1) * chance * (1 - chance))


def vote_spread(counts: Counts, theta: Floats) -> Floats:
    """Return (p, p) B of `covariance` where every vote is independent; a tie is half a win."""
    chance = chances(counts, theta)
    ties = counts.cells[:, TIE] + counts.cells[:, BOTH_BAD]
    squares = counts.cells[:, 0] * (1 - chance) ** 2 + counts.cells[:, 1] * chance**2 + ties * (0.5 - chance) ** 2
    return _laplacian(counts, squares)


def chances(counts: Counts, theta: Floats) -> Floats:
    """Return (P,) the chance that a pair's first model wins against the second, by strengths (p,)."""
    return 1 / (1 + np.exp(theta[counts.second] - theta[counts.first]))


def _laplacian(counts: Counts, weight: Floats) -> Floats:
    matrix = -counts.matrix(weight, weight)
    matrix[np.diag_indices(len(matrix))] = -matrix.sum(axis=1)
    return matrix
