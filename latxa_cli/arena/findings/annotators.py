"""Findings about those who voted: do they agree, does one vote unlike the others, are the votes those of many?

Outlying annotators are found by bounds that hold for any number of votes, not by a normal approximation: with few
votes, a single surprise is many standard deviations. Chernoff, 1952, "A measure of asymptotic efficiency for tests of
a hypothesis based on the sum of observations", Annals of Mathematical Statistics 23: a sum S of independent terms is
below L with a probability of at most exp(K(s) - s L), K(s) = log E exp(s S), for each s < 0; above it for each s > 0.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from latxa_cli.arena.findings.evidence import LEVEL, QUANTILE, Evidence, percent, several
from latxa_cli.arena.fits.arithmetic import climb, logistic
from latxa_cli.arena.fits.comparisons import sums
from latxa_cli.arena.votes import B_WON, Column, Floats, Integers, PairCounts
from latxa_cli.stream.records import Record

FEWEST_VOTES = 10  # decided ones, of a user who is judged
MOST_NAMED = 10
FAR = 0.1  # of a user's decided votes: nearer to the others is not outlying, however many votes show it
MUCH_BY_ONE = 0.1  # of all votes
SLIGHT = 0.2  # Landis & Koch, 1977: agreement up to here is slight
BLOCK = 1 << 18  # votes, and cells of a table of users by models, at a time
TILTS = (0.25, 0.5, 1.0, 2.0, 4.0)  # the s at which bounds are taken: the best of them holds


def agreement(evidence: Evidence) -> Record:
    """Krippendorff's alpha for nominal data, over prompts on which several users judged the same pair of models.

    A user's verdict on a unit counts once, and not at all where they gave several. value: alpha, None where it is
    not defined; units: how many; standard_error: by jackknife over units. It matters where alpha is below `SLIGHT`
    at 1 %.
    """
    name = "annotator agreement"
    user, prompt = evidence.column("user"), evidence.column("prompt_id")
    table = _units(evidence, user, prompt) if user and prompt else np.zeros((0, 4))
    alpha, error = krippendorff(table)
    if alpha is None:
        unknown = "annotator agreement: not known, no prompt and pair was judged by two users"
        if len(table):
            unknown = f"annotator agreement: not defined, all verdicts on {several(len(table), 'unit')} are the same"
        return evidence.finding(name, None, False, unknown, units=len(table), standard_error=None)
    slight = error is not None and alpha + QUANTILE * error < SLIGHT
    text = f"annotators agree little: Krippendorff's alpha is {alpha:.2f} on {several(len(table), 'unit')}"
    if not slight:
        text = f"annotator agreement: Krippendorff's alpha is {alpha:.2f} on {several(len(table), 'unit')}"
    return evidence.finding(name, alpha, slight, text, units=len(table), standard_error=error)


def _units(evidence: Evidence, user: Column, prompt: Column) -> Floats:
    """Return (units, 4) how many users gave each verdict, of the units judged by two users or more."""
    kept = (evidence.place >= 0) & user.given & prompt.given
    unit = prompt.codes[kept] * np.int64(len(evidence.counts.first))
    unit += evidence.place[kept] // 4
    repeated = np.sort(unit)
    repeated = np.unique(repeated[1:][repeated[1:] == repeated[:-1]])
    if not len(repeated):
        return np.zeros((0, 4))
    number = np.minimum(np.searchsorted(repeated, unit), len(repeated) - 1)
    again = repeated[number] == unit
    judgement = number[again] * len(user.names) + user.codes[kept][again]
    given = np.unique(judgement * 4 + evidence.place[kept][again] % 4)
    judgement, verdict = np.divmod(given, 4)
    _, which, verdicts = np.unique(judgement, return_index=True, return_counts=True)
    once = which[verdicts == 1]
    cells = judgement[once] // len(user.names) * 4 + verdict[once]
    table = sums(cells, np.ones(len(cells)), 4 * len(repeated)).reshape(-1, 4)
    return table[table.sum(axis=1) >= 2]


def krippendorff(table: Floats) -> tuple[float | None, float | None]:
    """Return alpha of (units, values) counts, each unit of two or more, and its standard error by jackknife.

    None where all values are the same, or for the error where one unit decides that.
    Krippendorff, 2011, "Computing Krippendorff's alpha-reliability".
    """
    sizes, values = table.sum(axis=1), table.sum(axis=0)
    disagreeing = (sizes**2 - (table**2).sum(axis=1)) / np.maximum(1, sizes - 1)
    total, chance = sizes.sum(), sizes.sum() ** 2 - (values**2).sum()
    if chance <= 0:
        return None, None
    alpha = float(1 - (total - 1) * disagreeing.sum() / chance)
    left = total - sizes
    chances = left**2 - ((values - table) ** 2).sum(axis=1)
    if len(table) < 2 or chances.min() <= 0:
        return alpha, None
    each = 1 - (left - 1) * (disagreeing.sum() - disagreeing) / chances
    return alpha, float(np.sqrt((len(table) - 1) * each.var()))


def outlying(evidence: Evidence) -> Record:
    """Users who vote against the ranking, or for one model, more than any user would be expected to by chance.

    Of users with `FEWEST_VOTES` decided votes or more: those of whom chance explains the log-likelihood of their
    votes under the fit with a probability below 1 % of one over the number of such users (Bonferroni), or the wins
    that they gave to some model, below 1 % of one over users x models; and who are `FAR` from what is expected.
    value: how many; users: at most 10, the most improbable first, with their share of decided votes for the model
    shown first, their share of ties, and what is odd: `agrees` (share of decided votes that are with the ranking)
    and the standard score `z` of the log-likelihood, or `favours`, `wins` and `battles`; and what is `expected`.
    """
    name, column = "outlying annotators", evidence.column("user")
    if column is None:
        return evidence.finding(name, None, False, "outlying annotators: not known, the votes have no `user`", users=[])
    decided = (evidence.place >= 0) & column.given & (evidence.place % 4 <= B_WON)
    votes = np.bincount(column.codes[decided], minlength=len(column.names))
    judged = np.flatnonzero(votes >= FEWEST_VOTES)
    number = np.full(len(column.names) + 1, -1, dtype=np.int32)  # of a judged user; the last is that of `NONE`
    number[judged] = np.arange(len(judged))
    user = np.where(decided, number[column.codes], -1)
    chance = decided_chance(evidence.counts, evidence.theta)
    found: dict[int, Suspect] = {}
    for start, stop in _blocks(votes[judged], len(evidence.theta)):
        here = (user >= start) & (user < stop)
        ballots = Ballots(chance, user[here] - start, *np.divmod(evidence.place[here], 4), users=stop - start)
        for suspect in [*_against(ballots, len(judged)), *_for_one(ballots, len(judged), evidence.counts)]:
            best = found.setdefault(start + suspect.user, suspect)
            found[start + suspect.user] = min(best, suspect, key=lambda one: one.log_p)
    worst = sorted(found, key=lambda user: (found[user].log_p, user))[:MOST_NAMED]
    named = [_described(evidence, column, int(judged[user]), found[user].details) for user in worst]
    text = f"{several(len(found), 'user')} of {len(judged):,} with {FEWEST_VOTES} votes or more vote unlike the others"
    if named:
        text += ": " + "; ".join(_words(record) for record in named[:3])
    return evidence.finding(name, len(found), bool(found), text, users=named, judged=len(judged))


class Suspect(NamedTuple):
    """A user (by number), the logarithm of a bound on the probability of such votes by any user, and the figures."""

    user: int
    log_p: float
    details: Record


class Ballots(NamedTuple):
    """Decided votes of some users: chance (P,) for each pair's first model; (m,) user, pair, and 0 where it won."""

    chance: Floats
    user: Integers
    pair: Integers
    verdict: Integers
    users: int


def _blocks(votes: Integers, size: int) -> Iterator[tuple[int, int]]:
    """Yield ranges of users, so that neither their votes nor a table of users by models takes much memory."""
    block = np.maximum(np.cumsum(votes) // BLOCK, np.arange(len(votes)) * size // BLOCK)
    yield from pairwise([*np.flatnonzero(np.diff(block, prepend=-1)).tolist(), len(votes)])


def _against(ballots: Ballots, judged: int) -> Iterator[Suspect]:
    chance, user, pair, verdict, users = ballots
    logs = np.log(np.stack([chance, 1 - chance]))

    def total(of_pair: Floats) -> Floats:
        return sums(user, of_pair[pair], users)

    votes = np.bincount(user, minlength=users)
    agrees = sums(user, (verdict == 0) == (chance[pair] >= 0.5), users) / votes
    expected = total(np.maximum(chance, 1 - chance)) / votes
    far = expected - agrees > FAR
    of_far = far[user]  # few: the rest of the work is on their votes alone
    user, pair, verdict = user[of_far], pair[of_far], verdict[of_far]
    got = sums(user, logs[verdict, pair], users)
    # Of the log-likelihood S, E exp(-t S) is p^(1 - t) + (1 - p)^(1 - t) for each vote.
    bounds = [total(np.logaddexp(*((1 - tilt) * logs))) + tilt * got for tilt in TILTS]
    log_p = np.min(bounds, axis=0) + np.log(judged)
    mean = total(chance * logs[0] + (1 - chance) * logs[1])
    error = np.sqrt(total(chance * (1 - chance) * (logs[0] - logs[1]) ** 2))
    for code in np.flatnonzero(far & (log_p < np.log(LEVEL))).tolist():
        z = float((got[code] - mean[code]) / error[code])
        details = {"agrees": float(agrees[code]), "expected": float(expected[code]), "z": z}
        yield Suspect(code, float(log_p[code]), details)


def _for_one(ballots: Ballots, judged: int, counts: PairCounts) -> Iterator[Suspect]:
    chance, user, pair, verdict, users = ballots
    size = len(counts.models)
    sides = np.stack([chance, 1 - chance])  # of the pair's first model, and of its second
    row = user.astype(np.int64) * size
    cells = np.concatenate([row + counts.first[pair], row + counts.second[pair]])

    def table(values: Floats) -> Floats:
        return sums(cells, values, users * size).reshape(users, size)

    wins, battles = table(np.concatenate([verdict == 0, verdict == 1])), table(np.ones(len(cells)))
    mean = table(sides[:, pair].reshape(-1))
    # Chernoff's bound for n votes of the same chance holds for those of several chances with this mean (Hoeffding,
    # 1956, "On the distribution of the number of successes in independent trials").
    rounds = np.maximum(1, battles)
    log_p = np.log(judged * size) - battles * _divergence(wins / rounds, mean / rounds)
    for code, model in np.argwhere((log_p < np.log(LEVEL)) & (wins - mean > FAR * battles)).tolist():
        details = {
            "favours": counts.models[model],
            "wins": int(wins[code, model]),
            "battles": int(battles[code, model]),
            "expected": float(mean[code, model]),
        }
        yield Suspect(code, float(log_p[code, model]), details)


def _divergence(share: Floats, chance: Floats) -> Floats:
    """Return Kullback and Leibler's divergence of two coins, in nats."""
    with np.errstate(divide="ignore", invalid="ignore"):
        heads = np.where(share > 0, share * np.log(share / chance), 0)
        tails = np.where(share < 1, (1 - share) * np.log((1 - share) / (1 - chance)), 0)
    return np.asarray(heads + tails)


def decided_chance(counts: PairCounts, theta: Floats) -> Floats:
    """Return (P,) the chance that a decided vote is for the pair's first model: sigma(slope (theta_i - theta_j)).

    Ties pull the strengths together, so among decided votes the odds are longer: `slope` is fitted on these.
    """
    difference = theta[counts.first] - theta[counts.second]
    # Half a vote each way keeps the slope finite where no decided vote is against the ranking.
    won, played = counts.cells[:, 0] + 0.5, counts.cells[:, : B_WON + 1].sum(axis=1) + 1

    def newton(slope: Floats) -> tuple[Floats, Floats]:
        chance = logistic(slope[0] * difference)
        weight = (difference**2 * played * chance * (1 - chance)).sum(keepdims=True)
        gradient = (difference * (won - played * chance)).sum(keepdims=True)
        step = np.divide(gradient, weight, out=np.zeros(1), where=weight > 0)
        return step[None], np.abs(step * difference).max(keepdims=True, initial=0)

    [[slope]] = climb(np.ones((1, 1)), newton, converged=1e-12)
    return np.clip(logistic(slope * difference), 1e-9, 1 - 1e-9)


def _described(evidence: Evidence, column: Column, code: int, details: Record) -> Record:
    of_user = (column.codes == code) & (evidence.place >= 0)
    verdict = evidence.votes.verdicts[evidence.criterion][of_user]
    decided = verdict <= B_WON
    return {
        "user": column.names[code],
        "votes": int(of_user.sum()),
        "first": float((verdict[decided] == 0).mean()),
        "ties": float(1 - decided.mean()),
        **details,
    }


def _words(record: Record) -> str:
    if "favours" in record:
        wins = f"{record['wins']} of {record['battles']} for {record['favours']}, {record['expected']:.0f} expected"
        return f"{record['user']} ({wins})"
    return f"{record['user']} ({record['agrees']:.0%} with the ranking, {record['expected']:.0%} expected)"


def concentration(evidence: Evidence) -> Record:
    """Say how many of the votes are one user's. It matters above `MUCH_BY_ONE`; value: that share."""
    name, column = "votes by one user", evidence.column("user")
    if column is None:
        text = "votes by one user: not known, the votes have no `user`"
        return evidence.finding(name, None, False, text, user=None, users=None)
    votes = np.bincount(column.codes[(evidence.place >= 0) & column.given], minlength=len(column.names))
    most, users = int(votes.argmax()), int((votes > 0).sum())
    share = float(votes[most] / evidence.total)
    text = f"one user of {users:,}, {column.names[most]}, gave {percent(share)} of the votes"
    return evidence.finding(name, share, share > MUCH_BY_ONE, text, user=column.names[most], users=users)
