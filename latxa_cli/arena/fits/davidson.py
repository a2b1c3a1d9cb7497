"""Davidson's model of ties: strengths theta, and one number nu for how readily all pairs tie.

With d = theta_i - theta_j and Z = e^(d/2) + e^(-d/2) + nu:

    P(i wins) = e^(d/2) / Z,   P(j wins) = e^(-d/2) / Z,   P(tie) = nu / Z.

Of two equal models, nu / (2 + nu) of the battles are tied; among decided battles the model is that of `bradley_terry`.
But a tie speaks for equal strengths, where half a win for each side only takes from both, so that these strengths lie
further apart than those of `bradley_terry.fit`: the two scales must never be mixed.

Davidson, 1970, "On extending the Bradley-Terry model to accommodate ties in paired comparison experiments", Journal of
the American Statistical Association 65. The log-likelihood is concave in (theta, log nu), and the bound on the step of
`arithmetic` holds with exponents d/2, -d/2 and log nu for the reach.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from latxa_cli.arena.fits.arithmetic import Newton, climb, logistic, solve
from latxa_cli.arena.fits.bradley_terry import Wins, batches, centred, fit, laplacians, met, totals
from latxa_cli.arena.votes import A_WON, B_WON, BOTH_BAD, TIE, Booleans, Floats, Numbers, PairCounts


def fit_davidson(
    counts: PairCounts,
    cells: Numbers,
    prior: float = 0.0,
    members: Booleans | None = None,
    start: Floats | None = None,
) -> tuple[Floats, Floats]:
    """Return (rounds, p) strengths with mean 0, and (rounds,) nu, each round fitted on its own `cells` (rounds, P, 4).

    Both bad is a tie. prior: adds half as many wins both ways to every pair. members, start: as in `bradley_terry.fit`.

    Rounds without ties have nu 0, and the strengths of `bradley_terry.fit`; rounds without a decided vote nu infinite
    and strengths 0; rounds without votes nu nan. Ford's condition is not quite enough here: where the likelihood grows
    for ever (one win and one tie between two models), strengths are nan and nu is infinite.
    Raises LatxaError when Newton's method does not arrive.
    """
    rounds, size = len(cells), len(counts.models)
    members = np.ones((rounds, size), dtype=bool) if members is None else members
    votes = _Votes.of(cells, prior, met(counts, members))
    tied, decided = votes.tied.sum(axis=1), (votes.won + votes.lost).sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        nu = 2 * tied / decided  # true where all strengths are equal
    theta = np.zeros((rounds, size))
    plain = tied == 0
    if plain.any():
        theta[plain] = fit(counts, Wins(votes.won[plain], votes.played[plain]), members[plain], start)
    mixed = np.flatnonzero((tied > 0) & (decided > 0))
    finite = _has_maximum(counts, votes.where(mixed))
    theta[mixed[~finite]], nu[mixed[~finite]] = np.nan, np.inf
    mixed = mixed[finite]
    theta[mixed] = 0 if start is None else start
    for batch in batches(len(mixed), size + 1):
        chosen = mixed[batch]
        at = np.concatenate([theta[chosen], np.log(nu[chosen, None])], axis=1)
        at = climb(at, _newton(counts, votes.where(chosen), members[chosen]))
        theta[chosen], nu[chosen] = centred(at[:, :size], members[chosen]), np.exp(at[:, size])
    return theta, nu


def likelihood(counts: PairCounts, theta: Floats, nu: float | None = None) -> tuple[float, float]:
    """Return the log-likelihood of the votes, without the constant that orders them, and Akaike's criterion (AIC).

    theta: (p,) strengths of models that met, directly or through others; nu: Davidson's. nu None: the rival model, in
    which ties come equally often in every pair, whose best strengths `bradley_terry.fit` finds from decided votes
    alone. Both have as many parameters as there are models with battles; the smaller AIC fits better.
    """
    won, lost = counts.cells[:, A_WON], counts.cells[:, B_WON]
    tied = counts.cells[:, TIE] + counts.cells[:, BOTH_BAD]
    with np.errstate(invalid="ignore"):  # nothing is known of the difference of two infinities
        difference = theta[counts.first] - theta[counts.second]
    if nu is None:
        tie = np.full(len(tied), tied.sum() / max(1, counts.cells.sum()))
    else:
        with np.errstate(divide="ignore"):
            tie = 1 / (1 + np.divide(2 * np.cosh(difference / 2), nu))
    first, second = logistic(difference), logistic(-difference)
    votes = np.concatenate([won, lost, tied])
    chances = np.concatenate([(1 - tie) * first, (1 - tie) * second, tie])
    with np.errstate(divide="ignore"):
        total = float((votes[votes > 0] * np.log(chances[votes > 0])).sum())
    return total, 2 * int((counts.battles > 0).sum()) - 2 * total


@dataclass(frozen=True)
class _Votes:
    """(rounds, P) votes for the pair's first model, for its second, and ties, as the model takes them."""

    won: Floats
    lost: Floats
    tied: Floats

    @classmethod
    def of(cls, cells: Numbers, prior: float, counted: Booleans) -> _Votes:
        votes: Floats = np.where(counted[..., None], cells, 0.0)
        halves = counted * prior / 2
        return cls(votes[..., A_WON] + halves, votes[..., B_WON] + halves, votes[..., TIE] + votes[..., BOTH_BAD])

    @property
    def played(self) -> Floats:
        return self.won + self.lost + self.tied

    def where(self, rounds: NDArray[Any]) -> _Votes:
        return _Votes(self.won[rounds], self.lost[rounds], self.tied[rounds])


def _newton(counts: PairCounts, votes: _Votes, members: Booleans) -> Newton:
    size, played = len(counts.models), votes.played
    fought = played > 0

    def newton(at: Floats) -> tuple[Floats, Floats]:
        root, nu = np.exp((at[:, counts.first] - at[:, counts.second]) / 2), np.exp(at[:, size:])
        share = 1 / (root + 1 / root + nu)
        first, second, tie = root * share, share / root, nu * share
        gradient = np.empty((len(at), size + 1))
        lead = votes.won * (second + tie / 2) - votes.lost * (first + tie / 2) - votes.tied * (first - second) / 2
        gradient[:, :size] = totals(counts, lead)
        gradient[:, size] = (votes.tied - played * tie).sum(axis=1)
        # The information in a vote: the covariance of its lead (1/2, -1/2, or 0 for a tie) and of its being a tie.
        matrix = np.empty((len(at), size + 1, size + 1))
        matrix[:, :size, :size] = laplacians(counts, played * (first * second + tie * (1 - tie) / 4), members)
        matrix[:, :size, size] = matrix[:, size, :size] = totals(counts, -played * tie * (first - second) / 2)
        matrix[:, size, size] = (played * tie * (1 - tie)).sum(axis=1)
        step = solve(matrix, gradient)
        change = np.abs(step[:, counts.first] - step[:, counts.second])
        reach = np.maximum(change, change / 2 + np.abs(step[:, size:]))
        return step, (reach * fought).max(axis=1, initial=0)

    return newton


def _has_maximum(counts: PairCounts, votes: _Votes) -> Booleans:
    """Return (rounds,) whether strengths and nu are finite, given Ford's condition, a tie and a decided vote.

    They are not where, with nu growing like e^s, some strengths make every win at least as probable as a tie
    (d >= 2 s) and every tie as a win (|d| <= 2 s). Chains of such demands contradict each other when one returns to
    its start with more wins than ties; two models that beat each other are the common case.
    """
    has_maximum = np.asarray(((votes.won > 0) & (votes.lost > 0)).any(axis=1))
    doubtful = np.flatnonzero(~has_maximum)
    if len(doubtful):
        of, size = votes.where(doubtful), len(counts.models)
        ahead = np.full((len(doubtful), size, size), -np.inf)  # by how much, in units of 2 s, the row must lead
        for row, column, won in ((counts.first, counts.second, of.won), (counts.second, counts.first, of.lost)):
            ahead[:, row, column] = np.where(won > 0, 1, np.where(of.tied > 0, -1, -np.inf))
        for middle in range(size):  # Floyd & Warshall; the bound keeps what grows in circles finite
            through = ahead[:, :, middle, None] + ahead[:, None, middle, :]
            ahead = np.minimum(np.maximum(ahead, through), size)
        has_maximum[doubtful] = ahead.diagonal(axis1=1, axis2=2).max(axis=1, initial=-np.inf) > 0
    return has_maximum
