"""Davidson's model of ties: strengths theta, and one number nu for how readily all pairs tie.

With d = theta_i - theta_j and Z = e^(d/2) + e^(-d/2) + nu:

    P(i wins) = e^(d/2) / Z,   P(j wins) = e^(-d/2) / Z,   P(tie) = nu / Z.

Of two equal models, nu / (2 + nu) of the battles are tied; among decided battles the model is that of `ratings`. But a
tie speaks for equal strengths, where half a win for each side only takes from both, so that these strengths lie further
apart than those of `ratings.fit`: the two scales must never be mixed.

Davidson, 1970, "On extending the Bradley-Terry model to accommodate ties in paired comparison experiments", Journal of
the American Statistical Association 65. The log-likelihood is concave in (theta, log nu), and the bound on the step of
`ratings` holds with exponents d/2, -d/2 and log nu for the reach.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from latxa_cli.arena.ratings import Newton, Wins, batches, centred, climb, fit, laplacians, met, totals
from latxa_cli.arena.votes import BOTH_BAD, TIE, Counts, Floats


def fit_davidson(
    counts: Counts,
    cells: NDArray[np.int64],
    prior: float = 0.0,
    members: NDArray[np.bool_] | None = None,
    start: Floats | None = None,
) -> tuple[Floats, Floats]:
    """Return (rounds, p) strengths with mean 0, and (rounds,) nu, each round fitted on its own `cells` (rounds, P, 4).

    Both bad is a tie. prior: adds half as many wins both ways to every pair. members, start: as in `ratings.fit`.

    Rounds without ties have nu 0, and the strengths of `ratings.fit`; rounds without a decided vote nu infinite and
    strengths 0; rounds without votes nu nan. Ford's condition is not quite enough here: where the likelihood grows for
    ever (one win and one tie between two models), strengths are nan and nu is infinite.
    Raises LatxaError when Newton's method does not arrive.
    """
    rounds, size = len(cells), len(counts.models)
    members = np.ones((rounds, size), dtype=bool) if members is None else members
    votes = _Votes.of(cells, prior, met(counts, members))
    decided, tied = (votes.won + votes.lost).sum(axis=1), votes.tied.sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        nu = 2 * tied / decided  # right where all strengths are equal
    theta = np.zeros((rounds, size))
    plain = tied == 0
    if plain.any():
        theta[plain] = fit(counts, votes.halves(plain), members[plain], start)
    mixed = np.flatnonzero((tied > 0) & (decided > 0))
    endless = mixed[~_has_maximum(counts, votes.where(mixed))]
    theta[endless], nu[endless] = np.nan, np.inf
    mixed = np.setdiff1d(mixed, endless)
    for batch in batches(len(mixed), size + 1):
        chosen = mixed[batch]
        at = np.concatenate([theta[chosen] + (0 if start is None else start), np.log(nu[chosen, None])], axis=1)
        at = climb(at, _newton(counts, votes.where(chosen), members[chosen]))
        theta[chosen], nu[chosen] = centred(at[:, :-1], members[chosen]), np.exp(at[:, -1])
    return theta, nu


class _Votes:
    """(rounds, P) votes for the pair's first model, for its second, and ties, as the model takes them."""

    def __init__(self, won: Floats, lost: Floats, tied: Floats) -> None:
        self.won, self.lost, self.tied = won, lost, tied

    @classmethod
    def of(cls, cells: NDArray[np.int64], prior: float, counted: NDArray[np.bool_]) -> _Votes:
        tied = cells[..., TIE] + cells[..., BOTH_BAD]
        return cls((cells[..., 0] + prior / 2) * counted, (cells[..., 1] + prior / 2) * counted, tied * counted * 1.0)

    def where(self, rounds: NDArray[np.integer] | NDArray[np.bool_]) -> _Votes:
        return _Votes(self.won[rounds], self.lost[rounds], self.tied[rounds])

    def halves(self, rounds: NDArray[np.bool_]) -> Wins:
        of = self.where(rounds)
        return Wins(of.won + of.tied / 2, of.won + of.lost + of.tied)


def _newton(counts: Counts, votes: _Votes, members: NDArray[np.bool_]) -> Newton:
    played = votes.won + votes.lost + votes.tied
    lead = (votes.won - votes.lost) / 2
    size = len(counts.models)

    def newton(at: Floats) -> tuple[Floats, Floats]:
        half = np.exp((at[:, counts.first] - at[:, counts.second]) / 2)
        total = half + 1 / half + np.exp(at[:, size:])
        expected_lead = played * (half - 1 / half) / total / 2
        tie = np.exp(at[:, size:]) / total
        # Second derivatives by d, by d and log nu, and by log nu: of each vote, the covariance of (1/2, -1/2, 0 for a
        # tie) and (0, 0, 1).
        by_d = played * (1 - tie) / 4 - expected_lead**2 / np.maximum(played, 1)
        matrix = np.empty((len(at), size + 1, size + 1))
        matrix[:, :size, :size] = laplacians(counts, by_d, members)
        matrix[:, :size, size] = matrix[:, size, :size] = totals(counts, -expected_lead * tie)
        matrix[:, size, size] = (played * tie * (1 - tie)).sum(axis=1)
        gradient = np.empty((len(at), size + 1, 1))
        gradient[:, :size, 0] = totals(counts, lead - expected_lead)
        gradient[:, size, 0] = (votes.tied - played * tie).sum(axis=1)
        step = np.linalg.solve(matrix, gradient)[:, :, 0]
        return step, _reach(counts, step, played > 0)

    return newton
