"""The Bradley-Terry fit: strengths theta under which the counted wins are most probable.

P(i wins against j) = sigma(theta_i - theta_j).

Newton's method on counts, for many vote tables at once (the rounds of a bootstrap): its cost does not depend on the
number of votes. A tie is half a win for each side. Ratings are 1000 + 400 / ln 10 * (theta - mean of theta).

Bradley & Terry, 1952, "Rank analysis of incomplete block designs", Biometrika 39. Why the steps climb: see
`arithmetic`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from latxa_cli.arena.fits.arithmetic import Newton, both_sides, climb, laplacian, logistic, pseudo_inverse, solve
from latxa_cli.arena.votes import BOTH_BAD, TIE, Booleans, Floats, Numbers, PairCounts

SCALE = 400 / np.log(10)
CENTRE = 1000.0
DIGITS = 6  # of ratings, what the solver's rounding leaves alone: equal strengths give equal ratings
BATCH_BYTES = 1 << 17  # matrices of rounds that are fitted together stay in a processor's cache


@dataclass(frozen=True)
class Wins:
    """Votes as the fit takes them: (rounds, P) wins of the pair's first model, ties as halves, and battles."""

    won: Floats
    played: Floats

    @classmethod
    def of(cls, cells: Numbers, prior: float = 0.0) -> Wins:
        """Take (rounds, P, 4) cells of `PairCounts`; `prior` adds that many tied battles to every pair."""
        won = cells[..., 0] + (cells[..., TIE] + cells[..., BOTH_BAD] + prior) / 2
        return cls(won, cells.sum(axis=-1) + prior)

    def beats(self, counts: PairCounts) -> Booleans:
        """Return (rounds, p, p) whether the row has won (a share) against the column."""
        return counts.matrix(self.won > 0, self.won < self.played)


def fit(counts: PairCounts, wins: Wins, members: Booleans | None = None, start: Floats | None = None) -> Floats:
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


def _newton(counts: PairCounts, won: Floats, played: Floats, members: Booleans) -> Newton:
    counted = met(counts, members)
    won, lost = won * counted, (played - won) * counted
    played = won + lost
    fought = played > 0

    def newton(theta: Floats) -> tuple[Floats, Floats]:
        first, second = both_sides(theta[:, counts.first] - theta[:, counts.second])
        step = solve(laplacians(counts, played * first * second, members), totals(counts, won * second - lost * first))
        return step, (np.abs(step[:, counts.first] - step[:, counts.second]) * fought).max(axis=1, initial=0)

    return newton


def met(counts: PairCounts, members: Booleans) -> Booleans:
    """Return (rounds, P) whether both models of the pair are among the `members` (rounds, p)."""
    return members[:, counts.first] & members[:, counts.second]


def totals(counts: PairCounts, values: Floats) -> Floats:
    """Return (rounds, p) sums of (rounds, P) `values` over pairs: as they are for first models, negated for second."""
    square = counts.matrix(values)
    difference: Floats = square.sum(axis=2) - square.sum(axis=1)
    return difference


def laplacians(counts: PairCounts, weights: Floats, members: Booleans) -> Floats:
    """Return (rounds, p, p) Laplacians of (rounds, P) pair `weights`, made regular.

    Strengths are known up to a constant: their mean is held, with a weight like the others', which keeps the system
    well conditioned. Models left out, or without battles, get an equation of their own, step = 0.
    """
    matrix = laplacian(counts.matrix(weights, weights))
    diagonal = np.einsum("rii->ri", matrix)  # a view
    joined = members & (diagonal > 0)
    largest, number = diagonal.max(axis=1, keepdims=True, initial=0), joined.sum(axis=1, keepdims=True)
    diagonal += ~joined
    held = joined * np.sqrt(largest / np.maximum(1, number))
    matrix += held[:, :, None] * held[:, None, :]
    return matrix


def centred(theta: Floats, members: Booleans) -> Floats:
    """Return (rounds, p) strengths of which those of the `members` have the mean 0, and the others are 0."""
    mean = (theta * members).sum(axis=1) / np.maximum(1, members.sum(axis=1))
    return (theta - mean[:, None]) * members


def to_ratings(theta: Floats) -> Floats:
    """Return strengths with mean 0 on the arena's scale: mean 1000, 400 points for odds of 10 to 1."""
    return CENTRE + SCALE * theta


def covariance(counts: PairCounts, theta: Floats, spread: Floats, prior: float = 0.0) -> Floats:
    """Return (p, p), H+ B H+, the sandwich covariance of the strengths `theta` (p,), in natural units.

    H: the Hessian at `theta`, + its pseudo-inverse; B: `spread` (p, p), the sum over independent votes of their
    gradients' outer products, such as `vote_spread` gives. See `sandwich`.
    """
    inverse = pseudo_inverse(hessian(counts, theta, prior))
    return inverse @ spread @ inverse


def hessian(counts: PairCounts, theta: Floats, prior: float = 0.0) -> Floats:
    """Return (p, p) the Hessian of the negative log-likelihood at `theta` (p,), natural units.

    prior: tied battles added to every pair.
    """
    chance = chances(counts, theta)
    weights = (counts.cells.sum(axis=1) + prior) * chance * (1 - chance)
    return laplacian(counts.matrix(weights, weights))


def vote_spread(counts: PairCounts, theta: Floats, prior: float = 0.0) -> Floats:
    """Return (p, p) the sum of the outer products of the votes' gradients; a tie is half a win.

    prior: tied battles added to every pair, as half as many wins both ways.
    """
    chance = chances(counts, theta)
    won, lost = counts.cells[:, 0] + prior / 2, counts.cells[:, 1] + prior / 2
    ties = counts.cells[:, TIE] + counts.cells[:, BOTH_BAD]
    squares = won * (1 - chance) ** 2 + lost * chance**2 + ties * (0.5 - chance) ** 2
    return laplacian(counts.matrix(squares, squares))


def chances(counts: PairCounts, theta: Floats) -> Floats:
    """Return (P,) the chance that a pair's first model wins against the second, by strengths (p,)."""
    chance: Floats = logistic(theta[counts.first] - theta[counts.second])
    return chance
