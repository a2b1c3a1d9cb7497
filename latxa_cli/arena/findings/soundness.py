"""What a reader must know before trusting a ranking: findings about the votes, each a record and a line for people.

Each finding has a `value`, None where the votes do not tell it, and `matters`, by a rule that its function states.
Tests are at 1 %, over all users or models together. Which users vote unlike others: `outliers`. How few votes
decide the first rank: `leverage`.
"""

from __future__ import annotations

from statistics import NormalDist

import numpy as np

from latxa_cli.arena.findings.annotators import agreement, concentration
from latxa_cli.arena.findings.evidence import LEVEL, QUANTILE, Evidence, percent, selection
from latxa_cli.arena.findings.leverage import leverage
from latxa_cli.arena.findings.outliers import outlying
from latxa_cli.arena.fits.arithmetic import logistic, pseudo_inverse
from latxa_cli.arena.fits.comparisons import Comparisons
from latxa_cli.arena.votes import BOTH_BAD, NONE, SCORES, TIE, Floats, Integers, PairCounts, Votes
from latxa_cli.stream.records import Record

PRIOR = 0.01  # tied battles a pair: strengths stay finite, and are otherwise the same
MUCH_BIAS = 0.02  # of the score of the first shown against an equal
ENOUGH_BOTH_WAYS = 5.0  # information about the position, as of 20 votes of pairs shown both ways as often
MANY_BOTH_BAD = 0.25
FAR_MORE = 0.1  # of a model's votes
MANY_TIES = 0.5


def findings(votes: Votes, criterion: str, counts: PairCounts, place: Integers, prior: float = 0.0) -> list[Record]:
    """Return all findings, in a fixed order.

    counts, place: what `votes.count` gives for the criterion; prior: that of the ranking. Without votes, none.
    """
    if not counts.cells.any():
        return []
    evidence = evidence_of(votes, criterion, counts, place, prior)
    sections = (position_bias, both_bad, ties, agreement, outlying, concentration, leverage)
    return [section(evidence) for section in sections]


def evidence_of(votes: Votes, criterion: str, counts: PairCounts, place: Integers, prior: float = 0.0) -> Evidence:
    """Fit strengths that are finite whatever the votes, so that everything can be said of every arena."""
    prior = max(prior, PRIOR)
    kinds = np.flatnonzero(counts.cells)
    pair, verdict = np.divmod(kinds, 4)
    a, b, weight = counts.first[pair], counts.second[pair], counts.cells.reshape(-1)[kinds].astype(float)
    size = len(counts.models)
    estimate = Comparisons(size, a, b, SCORES[verdict], weight, np.zeros((0, len(kinds)))).fit(prior)
    return Evidence(votes, criterion, counts, place, estimate.at, estimate.hessian, estimate.inverse, prior)


def position_bias(evidence: Evidence) -> Record:
    """Fit a constant for being shown first beside the strengths, so that who stands first more often does not matter.

    value: the score (wins and half of the ties) of the model shown first against an equal one, with a 99 %
    interval, by user where that is wider; None where too few pairs were shown both ways. first: its share of the
    decided votes as they are. It matters when the interval excludes one half, by more than two points of a percent.
    """
    name = "position bias"
    kind = np.where(
        evidence.place < 0, NONE, evidence.place * 2 + (evidence.votes.a > evidence.votes.b)
    )  # turned round or not
    data, kinds = _both_ways(evidence, kind)
    decided = data.score != 0.5
    share = float((data.score * data.weight)[decided].sum() / max(1, data.weight[decided].sum()))
    # What the design would tell of the constant, were all votes even.
    if 1 / pseudo_inverse(data.outer(data.weight / 4))[-1, -1] < ENOUGH_BOTH_WAYS:
        text = "position bias: not known, too few pairs of models were shown both ways round"
        return evidence.finding(name, None, False, text, lower=None, upper=None, first=share)
    estimate = data.fit(evidence.prior)
    gamma, row = estimate.at[-1], estimate.inverse[-1]
    influence = (row[data.a] - row[data.b] + row[-1]) * data.residual(estimate.at)
    error = np.sqrt(max((influence**2 * data.weight).sum(), _by_user(evidence, kind, kinds, influence)))
    value, lower, upper = logistic(gamma + QUANTILE * error * np.array([0, -1, 1])).tolist()
    matters = not lower <= 0.5 <= upper and abs(value - 0.5) > MUCH_BIAS
    text = f"position bias: shown first, a model scores {percent(value)} against an equal"
    text += f" (99 % interval {percent(lower)} to {percent(upper)})"
    return evidence.finding(name, value, matters, text, lower=lower, upper=upper, first=share)


def _both_ways(evidence: Evidence, kind: Integers) -> tuple[Comparisons, Integers]:
    """Return votes by who was shown first, with the constant 1 as their covariate, and what kinds they are of.

    One row more, a tie of a model with itself, keeps the constant finite where the first shown always wins.
    """
    weight = np.bincount(kind + 1)[1:]
    kinds = np.flatnonzero(weight)
    cell, turned = np.divmod(kinds, 2)
    pair, verdict = np.divmod(cell, 4)
    first, second = evidence.counts.first[pair], evidence.counts.second[pair]
    rows = Comparisons(
        len(evidence.theta),
        np.append(np.where(turned == 1, second, first), 0),
        np.append(np.where(turned == 1, first, second), 0),
        np.append(np.where(turned == 1, 1 - SCORES[verdict], SCORES[verdict]), 0.5),
        np.append(weight[kinds].astype(float), 1.0),
        np.ones((1, len(kinds) + 1)),
    )
    return rows, kinds


def _by_user(evidence: Evidence, kind: Integers, kinds: Integers, influence: Floats) -> float:
    """Return the sum over users of the square of their votes' influence; 0 where users are not known."""
    column = evidence.column("user")
    if column is None:
        return 0.0
    of_kind = np.zeros(evidence.counts.cells.size * 2)
    of_kind[kinds] = influence[:-1]
    some = selection((evidence.place >= 0) & column.given)
    return float((np.bincount(column.codes[some], of_kind[kind[some]]) ** 2).sum())


def both_bad(evidence: Evidence) -> Record:
    """Say how often both responses were bad. It matters above a quarter, or where models stand out.

    models: those whose share is above that of the votes without them, by `FAR_MORE` and at 1 % over all models.
    """
    total, bad = evidence.total, int(evidence.counts.cells[:, BOTH_BAD].sum())
    of_model = np.zeros(len(evidence.theta))
    np.add.at(of_model, evidence.counts.first, evidence.counts.cells[:, BOTH_BAD])
    np.add.at(of_model, evidence.counts.second, evidence.counts.cells[:, BOTH_BAD])
    battles = evidence.counts.battles
    others = total - battles
    share, rest = of_model / np.maximum(1, battles), (bad - of_model) / np.maximum(1, others)
    pooled = bad / total * (1 - bad / total)
    error = np.sqrt(pooled * (1 / np.maximum(1, battles) + 1 / np.maximum(1, others)))
    quantile = NormalDist().inv_cdf(1 - LEVEL / max(1, int((battles > 0).sum())))
    far = (battles > 0) & (others > 0) & (share - rest > FAR_MORE) & (share - rest > quantile * error)
    models = [
        {"model": evidence.votes.models[model], "value": float(share[model])}
        for model in sorted(np.flatnonzero(far).tolist(), key=lambda model: -share[model])
    ]
    text = f"in {percent(bad / total)} of the votes both responses were bad"
    if models:
        text += "; more with " + ", ".join(f"{record['model']} ({percent(record['value'])})" for record in models[:3])
    return evidence.finding("both bad", bad / total, bad / total > MANY_BOTH_BAD or bool(models), text, models=models)


def ties(evidence: Evidence) -> Record:
    """Say how often both responses were as good. It matters above one half."""
    share = float(evidence.counts.cells[:, TIE].sum() / evidence.total)
    return evidence.finding("ties", share, share > MANY_TIES, f"{percent(share)} of the votes are ties")
