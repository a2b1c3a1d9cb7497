"""Which battles to hold next: those whose votes would tell most.

`latxa arena-next battles.jsonl -n 200 --model NEWCOMER`

What is known of the strengths is taken to be normal: mean theta, covariance V. Ranking two models by their estimates
costs, where it is the wrong way round, the gap between them; for a gap of estimate g and variance v that is expected
to cost sqrt(v) (phi(z) - z Phi(-z)), z = g / sqrt(v), phi and Phi the normal density and distribution. The next battle
is the one that lowers the sum of these costs over all pairs of models most. A vote on the pair x = e_i - e_j has the
information h = p (1 - p) and takes h (x'V c)^2 / (1 + h x'V x) off the variance of a gap c, of which each unit costs
phi(z) / (2 sqrt(v)): little for gaps that are decided, most for contested ones. V is updated (Sherman & Morrison)
after each battle proposed, so that the proposals spread.

Models start with a normal prior of their own, as wide as arenas are: so V exists where models never met (islands,
newcomers) or only win, where the likelihood alone says nothing. Arenas that fall apart are joined first.

Chaloner & Verdinelli, 1995, "Bayesian experimental design: a review", Statistical Science 10. Summing over all pairs
did better in simulations than neighbours alone, since neighbours by estimate need not be neighbours.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import numpy as np

from latxa_cli.arena.battles import Tally
from latxa_cli.arena.fits.arithmetic import climb, laplacian, logistic, solve
from latxa_cli.arena.fits.bradley_terry import DIGITS, SCALE, Wins, batches, hessian, totals, vote_spread
from latxa_cli.arena.fits.connectivity import connected
from latxa_cli.arena.votes import Floats, Integers, PairCounts, count
from latxa_cli.stream.records import Record

PRIOR_VARIANCE = 1.0  # of a strength: 174 points; in public arenas strengths spread over some 90 to 170
PRIOR_INFORMATION = 2.5  # with which the dispersion of votes is taken to be 1 at first: that of ten even votes
MEETINGS = 4  # battles that join an island, or a newcomer, to the others before gains decide
COSTS_HELD = 8  # battles between two looks at which gaps are contested; of 400 battles and more, there are 50 looks
LEAST_COST = 1e-12  # what is decided beyond doubt still counts a little: where all is, the least certain gap is next
CONVERGED = 1e-9
NODES = 32  # of the mean over a normal distribution: six digits


def next_battles(
    counts: PairCounts,
    amount: int,
    *,
    newcomers: Iterable[str] = (),
    dispersion: float | None = None,
    seed: int = 0,
) -> list[Record]:
    """Return the battles whose votes would tell most, most urgent first: {"model_a", "model_b", "gain", "reason"}.

    gain: how far the vote is expected to lower the cost of wrongly ordered pairs, in points. reason: "bridge" where
    models meet that nothing connects yet, else "contested". Of two models each is first as often as the other, or
    once more. newcomers: models to add that have no votes yet. dispersion: the variance of votes relative to that of
    coin tosses (see `separation.dispersion_of`), taken from the counts when None. `seed` decides between equal gains.
    Empty for fewer than two models. The time goes with `amount` and the square of the models.
    """
    known = set(counts.models)
    added = [name for name in dict.fromkeys(newcomers) if name not in known]
    counts = replace(counts, models=[*counts.models, *added])
    if len(counts.models) < 2:
        return []
    random = np.random.default_rng(seed)
    design = _Design.of(counts, dispersion, random)
    seats = _Seats(len(counts.models), random)
    bridges = _bridges(counts, design.theta, random)
    records: list[Record] = []
    for number in range(amount):
        if number % max(COSTS_HELD, amount // 50) == 0:
            design.weigh()
        gains = design.gains()
        bridge = number < len(bridges)
        pair = bridges[number] if bridge else _largest(gains)
        model_a, model_b = (counts.models[model] for model in seats.place(*pair))
        gain = round(float(SCALE * gains[pair]), DIGITS)
        reason = "bridge" if bridge else "contested"
        records.append({"model_a": model_a, "model_b": model_b, "gain": gain, "reason": reason})
        design.hold(*pair)
    return records


def worth_by(battles: Iterable[Record]) -> Callable[[str], dict[str, float]]:
    """Return what tells of a model, by its votes among `battles` or without any, the information that a battle of it
    against each other model is expected to give: the mean of p (1 - p) over the normal distribution of the gap.
    """
    tally = Tally()
    for _ in tally.count(battles):  # what cannot be counted says nothing of strengths
        pass
    known, _ = count(tally.votes()[0])

    def worth(model: str) -> dict[str, float]:
        counts = known if model in known.models else replace(known, models=[*known.models, model])
        theta, own = _most_probable(counts), counts.models.index(model)
        precision = hessian(counts, theta) + np.eye(len(theta)) / PRIOR_VARIANCE
        covariance = np.asarray(np.linalg.inv(precision), dtype=np.float64)
        nodes, weights = np.polynomial.hermite_e.hermegauss(NODES)
        gaps = theta[own] - theta[:, None] + np.sqrt(_variances(covariance)[own])[:, None] * nodes
        told = (logistic(gaps) * logistic(-gaps) @ weights / weights.sum()).tolist()
        return {name: value for name, value in zip(counts.models, told, strict=True) if name != model}

    return worth


def ratings(models: int, pairs: Integers, won: Floats, played: Floats) -> Floats:
    """Return (rounds, models) ratings with mean 0, in points, most probable under the prior: finite for few votes too.

    pairs: (P, 2) two models each; won, played: (rounds, P) wins of the first, ties as halves, and battles of the two.
    """
    first, second = pairs.T
    counts = PairCounts([str(n) for n in range(models)], first, second, np.zeros((len(pairs), 4)))
    identity, theta = np.eye(models) / PRIOR_VARIANCE, np.zeros((len(won), models))
    for some in batches(len(won), models):

        def newton(at: Floats, some: slice = some) -> tuple[Floats, Floats]:
            chance = logistic(at[:, first] - at[:, second])
            weights = played[some] * chance * (1 - chance)
            gradient = totals(counts, won[some] - played[some] * chance) - at / PRIOR_VARIANCE
            step = solve(laplacian(counts.matrix(weights, weights)) + identity, gradient)
            return step, np.ptp(step, axis=1)

        theta[some] = climb(theta[some], newton, converged=CONVERGED)
    return SCALE * (theta - theta.mean(axis=1, keepdims=True))


def _largest(gains: Floats) -> tuple[int, int]:
    """Return the pair with the largest gain, in the order of the models.

    Rounding, which differs between processors, makes one of the two halves the larger.
    """
    first, second = sorted(divmod(int(gains.argmax()), len(gains)))
    return first, second


# --- what a vote tells -----------------------------------------------------------------------------------------------


@dataclass
class _Design:
    """What is known, and what votes would add.

    theta: (p,) strengths. covariance: (p, p) V. information: (p, p) h of a vote on each pair. ties: (p, p) factors all
    but 1 that decide between equal gains. costs: (p, p) Q, the sum over gaps c of cc' times what a unit of their
    variance costs. felt: (p, p) VQV.
    """

    theta: Floats
    covariance: Floats
    information: Floats
    ties: Floats
    costs: Floats
    felt: Floats

    @classmethod
    def of(cls, counts: PairCounts, dispersion: float | None, random: np.random.Generator) -> _Design:
        theta = _most_probable(counts)
        curvature = hessian(counts, theta)
        if dispersion is None:
            squares = float(np.trace(vote_spread(counts, theta))) / 2
            dispersion = (squares + PRIOR_INFORMATION) / (float(np.trace(curvature)) / 2 + PRIOR_INFORMATION)
        size = len(theta)
        precision = curvature / dispersion + np.eye(size) / PRIOR_VARIANCE
        covariance = np.asarray(np.linalg.inv(precision), dtype=np.float64)
        chance = _chances(theta)
        ties = 1 + 1e-9 * random.random((size, size))
        empty = np.zeros((size, size))
        return cls(theta, covariance, chance * (1 - chance) / dispersion, (ties + ties.T) / 2, empty, empty)

    def weigh(self) -> None:
        """Filter again which gaps are contested."""
        deviation = np.sqrt(np.maximum(_variances(self.covariance), 1e-300))
        z = np.abs(self.theta[:, None] - self.theta[None, :]) / deviation
        cost = np.maximum(np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi), LEAST_COST) / (2 * deviation)
        np.fill_diagonal(cost, 0)
        self.costs = laplacian(cost)
        self.felt = self.covariance @ self.costs @ self.covariance

    def gains(self) -> Floats:
        """Return (p, p) by how much a vote on each pair lowers the expected cost, in natural units."""
        gains = _variances(self.felt) * self.information
        gains /= 1 + self.information * _variances(self.covariance)
        gains *= self.ties
        np.fill_diagonal(gains, -1)
        return gains

    def hold(self, i: int, j: int) -> None:
        """Take in a vote on the pair: V loses h uu' / (1 + h x'V x), u = Vx; and VQV follows."""
        along = self.covariance[i] - self.covariance[j]
        share = self.information[i, j] / (1 + self.information[i, j] * (along[i] - along[j]))
        cost = self.costs @ along
        # (V - s uu') Q (V - s uu') = VQV - uw' - wu' with w below.
        other = share * (self.covariance @ cost) - share**2 * (along @ cost) / 2 * along
        crossed = np.outer(along, other)
        self.felt -= crossed + crossed.T
        self.covariance -= np.outer(share * along, along)


def _most_probable(counts: PairCounts) -> Floats:
    """Return (p,) the strengths most probable under the prior, where ties are half wins; they are always finite."""
    votes = Wins.of(counts.cells.astype(np.int64))
    wins = counts.matrix(votes.won, votes.played - votes.won)
    played = wins + wins.T
    identity = np.eye(len(counts.models)) / PRIOR_VARIANCE

    def newton(at: Floats) -> tuple[Floats, Floats]:
        [theta] = at
        gradient = (wins - played * _chances(theta)).sum(axis=1) - theta / PRIOR_VARIANCE
        step = np.linalg.solve(hessian(counts, theta) + identity, gradient)[None]
        return step, np.ptp(step, axis=1)

    [theta] = climb(np.zeros((1, len(identity))), newton, converged=CONVERGED)
    return theta


def _chances(theta: Floats) -> Floats:
    chances: Floats = logistic(theta[:, None] - theta[None, :])
    return chances


def _variances(covariance: Floats) -> Floats:
    """Return (p, p) x'Mx of all pairs x = e_i - e_j: the variances of the gaps."""
    diagonal = np.diag(covariance)
    variances = covariance * -2.0
    variances += diagonal[:, None]
    variances += diagonal[None, :]
    return variances


# --- joining what never met ------------------------------------------------------------------------------------------


def _bridges(counts: PairCounts, theta: Floats, random: np.random.Generator) -> list[tuple[int, int]]:
    """Return battles that join all groups of models that never met to the largest one.

    First one battle for each group, so that few votes join all; then each meets three others. Opponents are spread
    evenly over the strengths, and differ from group to group: nobody knows yet where a newcomer stands.
    """
    groups = _groups(counts, theta, random)
    joined, pairs = groups[0], []
    for meeting in range(MEETINGS):
        for number, group in enumerate(groups[1:]):
            # Multiples of the golden ratio lie evenly, whatever their number.
            place = ((meeting + 0.5) / MEETINGS + number * 0.618034) % 1
            others = joined[~np.isin(joined, group)]
            others = others[np.argsort(theta[others], kind="stable")]
            pairs.append((int(group[int(place * len(group))]), int(others[int(place * len(others))])))
            if meeting == 0:
                joined = np.concatenate((joined, group))
    return pairs


def _groups(counts: PairCounts, theta: Floats, random: np.random.Generator) -> list[Integers]:
    """Return the models of each connected group by strength; the largest group first, the others in random order."""
    label = connected(counts)
    order = random.permutation(len(theta))
    order = order[np.argsort(theta[order], kind="stable")]
    groups = [order[label[order] == name] for name in random.permutation(np.unique(label))]
    return sorted(groups, key=len, reverse=True)


class _Seats:
    """Who is shown first: within a pair by turns, else whoever was first less often."""

    def __init__(self, size: int, random: np.random.Generator) -> None:
        self.first = np.zeros((size, size), dtype=np.int64)
        self.random = random

    def place(self, i: int, j: int) -> tuple[int, int]:
        ahead = self.first[i, j] - self.first[j, i]
        ahead = ahead or self._surplus(i) - self._surplus(j) or self.random.integers(2) * 2 - 1
        first, second = (j, i) if ahead > 0 else (i, j)
        self.first[first, second] += 1
        return first, second

    def _surplus(self, model: int) -> int:
        return int(self.first[model].sum() - self.first[:, model].sum())
