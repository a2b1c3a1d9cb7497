"""Findings about users who do not read, or who vote for one model: whom chance does not explain.

Users are held against ratings that do not rest on them: nobody's votes weigh more there than those of most, and those
of users that are found are left out, until no others are found.

- Who always votes the same way, or for one model, is found by bounds that hold for any number of votes. Chernoff, 1952,
  "A measure of asymptotic efficiency for tests of a hypothesis based on the sum of observations", Annals of
  Mathematical Statistics 23; votes of several chances are bounded by those of their mean (Hoeffding, 1956, "On the
  distribution of the number of successes in independent trials").
- Who votes at random, or against the ratings, is found by the likelihood of the decided votes: against tosses of a coin
  no test has more power. How probable so small a likelihood is under the ratings: Lugannani & Rice, 1980, "Saddle point
  approximation for the distribution of the sum of independent random variables", Advances in Applied Probability 12.
  Of those found, few are so by chance: Benjamini & Hochberg, 1995, "Controlling the false discovery rate", Journal of
  the Royal Statistical Society B 57. Power is measured in `tests/bench/arena_annotators.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from math import erfc, exp, pi, sqrt
from typing import NamedTuple

import numpy as np

from latxa_cli.arena.findings.evidence import LEVEL, Evidence, selection, several
from latxa_cli.arena.fits.arithmetic import climb, logistic
from latxa_cli.arena.fits.comparisons import Comparisons, sums
from latxa_cli.arena.votes import B_WON, BOTH_BAD, SCORES, TIE, VERDICTS, Booleans, Column, Floats, Integers, PairCounts
from latxa_cli.stream.records import Record

FEWEST_VOTES = 10  # decided ones, of a user who is judged
MOST_NAMED = 1000
FAR = 0.1  # of a user's decided votes: nearer to the others is not outlying, however many votes show it
SAME = 0.9  # of a user's votes: so many of one kind are always the same
BY_CHANCE = 0.05  # of those who are found to vote at random, about, who do not
USUAL = 0.75  # of the users with enough votes, who weigh as much as they voted; the others weigh like the last of these
REFITS = 6  # of the ratings, at most, without those who were found; two or three do in practice
BLOCK = 1 << 18  # votes, and cells of a table of users by models, at a time
TILTS = 40  # halvings in the search for the tilt: it is known to 1e-10
STEEPEST = -30.0  # tilt; votes at random have one of about -1


def outlying(evidence: Evidence) -> Record:
    """Users who always vote the same way, at random, against the ratings, or for one model.

    Of users with `FEWEST_VOTES` votes or more, each time `FAR` from what is expected of them:

    - whose votes are `SAME` of them for the first shown, for the second, ties or both bad; or who gave some model more
      wins than chance explains: at 1 % over all users (and models) together;
    - the likelihood of whose decided votes is so small, so that of those found about `BY_CHANCE` are so by chance.

    value: how many; users: the most improbable first, with their share of decided votes for the model shown first,
    their share of ties, and what is odd: `always` and the `share` of it, `favours`, `wins` and `battles`, or `agrees`
    (share of decided votes that are with the ratings) and the standard score `z` of the likelihood; and what is
    `expected`.
    """
    name, column = "outlying annotators", evidence.column("user")
    if column is None:
        return evidence.finding(name, None, False, "outlying annotators: not known, the votes have no `user`", users=[])
    crowd, found = Crowd.of(evidence, column), dict[int, Suspect]()
    for _ in range(REFITS):
        before, found = set(found), crowd.suspects(crowd.chance(list(found)))
        if set(found) == before:
            break
    worst = sorted(found, key=lambda user: (found[user].log_p, user))[:MOST_NAMED]
    named = [_described(evidence, column, user, found[user].details) for user in worst]
    judged = int(np.count_nonzero(crowd.judged))
    text = f"{several(len(found), 'user')} of {judged:,} with {FEWEST_VOTES} votes or more vote unlike the others"
    if named:
        text += ": " + "; ".join(_words(record) for record in named[:3])
    return evidence.finding(name, len(found), bool(found), text, users=named, judged=judged)


class Suspect(NamedTuple):
    """A user (by code), the logarithm of a bound on the probability of such votes by any user, and the figures."""

    user: int
    log_p: float
    details: Record


@dataclass(frozen=True)
class Crowd:
    """The votes of users. votes: (users,) how many each gave; judged: (users,) who is; kept: (n,) whose votes count."""

    evidence: Evidence
    column: Column
    votes: Integers
    judged: Booleans

    @classmethod
    def of(cls, evidence: Evidence, column: Column) -> Crowd:
        counted = selection((evidence.place >= 0) & column.given)
        votes = np.bincount(column.codes[counted], minlength=len(column.names))
        return cls(evidence, column, votes, votes >= FEWEST_VOTES)

    def chance(self, without: list[int]) -> Floats:
        """Return (P,) the chance that a decided vote is for the pair's first model, by ratings `without` some users."""
        evidence, counts = self.evidence, self.evidence.counts
        many = self.votes[self.judged]
        usual = float(np.quantile(many, USUAL, method="lower")) if len(many) else 1.0
        weight = np.append(np.minimum(1, usual / np.maximum(1, self.votes)), 1.0)  # the last is that of `NONE`
        weight[without] = 0
        counted = selection(evidence.place >= 0)
        cells = sums(evidence.place[counted], weight[self.column.codes[counted]], counts.cells.size)
        kinds = np.flatnonzero(cells)
        pair, verdict = np.divmod(kinds, 4)
        size, none = len(counts.models), np.zeros((0, len(kinds)))
        data = Comparisons(size, counts.first[pair], counts.second[pair], SCORES[verdict], cells[kinds], none)
        theta = data.fit(evidence.prior).at
        return decided_chance(counts, theta, cells.reshape(-1, 4))

    def suspects(self, chance: Floats) -> dict[int, Suspect]:
        """Return the suspects by code, each for what is most improbable."""
        judged = np.flatnonzero(self.judged)
        number = np.full(len(self.column.names) + 1, -1, dtype=np.int32)  # the last is that of `NONE`
        number[judged] = np.arange(len(judged))
        user = np.where(self.evidence.place >= 0, number[self.column.codes], -1)
        found: dict[int, Suspect] = {}
        against: list[Suspect] = []
        turned = self.evidence.votes.a > self.evidence.votes.b
        for start, stop in _blocks(self.votes[judged], len(self.evidence.theta)):
            here = np.flatnonzero((user >= start) & (user < stop))
            pair, verdict = np.divmod(self.evidence.place[here], 4)
            ballots = Ballots(chance, user[here] - start, pair, verdict, turned[here], stop - start)
            sure = [*_always(ballots, len(judged)), *_for_one(ballots, len(judged), self.evidence.counts)]
            for suspect in (one._replace(user=int(judged[start + one.user])) for one in sure):
                best = found.setdefault(suspect.user, suspect)
                found[suspect.user] = min(best, suspect, key=lambda one: one.log_p)
            against += [one._replace(user=int(judged[start + one.user])) for one in _against(ballots)]
        sure_ones = [one._replace(log_p=one.log_p + np.log(len(judged))) for one in against if one.user in found]
        others = [one for one in against if one.user not in found]
        for suspect in [*sure_ones, *_discoveries(others, len(judged) - len(found))]:
            best = found.setdefault(suspect.user, suspect)
            found[suspect.user] = min(best, suspect, key=lambda one: one.log_p)
        return found


class Ballots(NamedTuple):
    """Votes of some users.

    chance: (P,) that a decided vote is for the pair's first model; (m,) user, pair, verdict (0 where the pair's first
    model won), and turned, whether it was shown second; users: how many they are.
    """

    chance: Floats
    user: Integers
    pair: Integers
    verdict: Integers
    turned: Booleans
    users: int

    def decided(self) -> Ballots:
        """Return those with a winner."""
        some = self.verdict <= B_WON
        return self._replace(
            user=self.user[some], pair=self.pair[some], verdict=self.verdict[some], turned=self.turned[some]
        )


def _blocks(votes: Integers, size: int) -> Iterator[tuple[int, int]]:
    """Yield ranges of users, so that neither their votes nor a table of users by models takes much memory."""
    block = np.maximum(np.cumsum(votes) // BLOCK, np.arange(len(votes)) * size // BLOCK)
    yield from pairwise([*np.flatnonzero(np.diff(block, prepend=-1)).tolist(), len(votes)])


def _always(ballots: Ballots, judged: int) -> Iterator[Suspect]:
    """Yield who always votes for the first shown, or for the second, or ties, or says that both are bad."""
    decided, users = ballots.decided(), ballots.users
    first_chance = np.where(decided.turned, 1 - decided.chance[decided.pair], decided.chance[decided.pair])
    first_won = (decided.verdict == 0) != decided.turned
    number = sums(decided.user, np.ones(len(decided.user)), users)
    first, expected = sums(decided.user, first_won, users), sums(decided.user, first_chance, users)
    votes = sums(ballots.user, np.ones(len(ballots.user)), users)
    kinds = {"model_a": (first, expected, number), "model_b": (number - first, number - expected, number)}
    for undecided in (TIE, BOTH_BAD):
        times = sums(ballots.user, (ballots.verdict == undecided).astype(float), users)
        usual = max(0.5, float(times.sum() / max(1, votes.sum())))  # some tie more readily than others
        kinds[VERDICTS[undecided]] = (times, usual * votes, votes)
    for kind, (times, mean, of) in kinds.items():
        share, usual = times / np.maximum(1, of), mean / np.maximum(1, of)
        log_p = np.log(judged * len(kinds)) - of * _divergence(share, usual)
        odd = (of >= FEWEST_VOTES) & (share >= SAME) & (share - usual > FAR) & (log_p < np.log(LEVEL))
        for code in np.flatnonzero(odd).tolist():
            details = {"always": kind, "share": float(share[code]), "expected": float(usual[code])}
            yield Suspect(code, float(log_p[code]), details)


def _against(ballots: Ballots) -> Iterator[Suspect]:
    """Yield who is far from the ratings, and how probable so small a likelihood is, for each user alone."""
    chance, user, pair, verdict, _, users = ballots.decided()
    logs = np.log(np.stack([chance, 1 - chance]))
    votes = np.bincount(user, minlength=users)
    each = np.maximum(1, votes)
    agrees = sums(user, (verdict == 0) == (chance[pair] >= 0.5), users) / each
    expected = sums(user, np.maximum(chance, 1 - chance)[pair], users) / each
    far = (expected - agrees > FAR) & (votes >= FEWEST_VOTES)
    of_far = far[user]  # few: the rest of the work is on their votes alone
    user, pair, verdict = user[of_far], pair[of_far], verdict[of_far]
    got = sums(user, logs[verdict, pair], users)
    mean = sums(user, (chance * logs[0] + (1 - chance) * logs[1])[pair], users)
    variance = sums(user, (chance * (1 - chance) * (logs[0] - logs[1]) ** 2)[pair], users)
    log_p = log_tail(logs[:, pair], user, got, users)
    for code in np.flatnonzero(far & (got < mean)).tolist():
        z = float((got[code] - mean[code]) / np.sqrt(variance[code]))
        details = {"agrees": float(agrees[code]), "expected": float(expected[code]), "z": z}
        yield Suspect(code, float(log_p[code]), details)


def log_tail(logs: Floats, user: Integers, got: Floats, users: int) -> Floats:
    """Return (users,) the logarithm of the probability that a user's log-likelihood is as small as it is (`got`).

    logs: (2, m) the logarithms of the chances of either outcome of each vote. Saddle point approximation, and never
    more than Chernoff's bound. Of the log-likelihood S, E exp(t S) is p^(1 + t) + (1 - p)^(1 + t) for each vote.
    """
    low, high = np.full(users, STEEPEST), np.zeros(users)

    def moments(tilt: Floats) -> tuple[Floats, Floats, Floats]:
        tilted = (1 + tilt[user]) * logs
        total = np.logaddexp(*tilted)
        share = np.exp(tilted - total)
        mean = (share * logs).sum(axis=0)
        variance = share[0] * share[1] * (logs[0] - logs[1]) ** 2
        return sums(user, total, users), sums(user, mean, users), sums(user, variance, users)

    for _ in range(TILTS):
        middle = (low + high) / 2
        above = moments(middle)[1] > got
        low, high = np.where(above, low, middle), np.where(above, middle, high)
    tilt = (low + high) / 2
    cumulant, _, variance = moments(tilt)
    chernoff = np.minimum(0, cumulant - tilt * got)
    with np.errstate(divide="ignore", invalid="ignore"):
        w, u = -np.sqrt(-2 * chernoff), tilt * np.sqrt(variance)
        # P(Z < w) + density (1/w - 1/u), with Mills' ratio for the far tail, where the probability itself is 0.
        density = -(w**2) / 2 - np.log(2 * np.pi) / 2
        tail = density + np.log(_mills(w) + 1 / w - 1 / u)
    return np.where(np.isfinite(tail) & (w < -0.1), np.minimum(chernoff, tail), chernoff)


def _mills(w: Floats) -> Floats:
    """Return P(Z < w) over the normal density at w, for w below 0."""
    far = 1 / np.abs(w) - 1 / np.abs(w) ** 3  # below w = -25, where both are too small for a number, to 1e-5
    near = [erfc(-one / sqrt(2)) * sqrt(pi / 2) * exp(one**2 / 2) if one > -25 else 0.0 for one in w.tolist()]
    return np.where(w > -25, near, far)


def _discoveries(suspects: list[Suspect], judged: int) -> list[Suspect]:
    """Return those of the suspects of whom about `BY_CHANCE` are so by chance: Benjamini and Hochberg's procedure."""
    rising = sorted(suspects, key=lambda one: one.log_p)
    limits = np.log(BY_CHANCE * np.arange(1, len(rising) + 1) / max(1, judged))
    below = np.flatnonzero(np.array([one.log_p for one in rising]) < limits)
    return rising[: below[-1] + 1] if len(below) else []


def _for_one(ballots: Ballots, judged: int, counts: PairCounts) -> Iterator[Suspect]:
    """Yield who gave a model more wins than chance explains."""
    chance, user, pair, verdict, _, users = ballots.decided()
    size = len(counts.models)
    sides = np.stack([chance, 1 - chance])  # of the pair's first model, and of its second
    row = user.astype(np.int64) * size
    cells = np.concatenate([row + counts.first[pair], row + counts.second[pair]])

    def table(values: Floats) -> Floats:
        return sums(cells, values, users * size).reshape(users, size)

    wins, battles = table(np.concatenate([verdict == 0, verdict == 1])), table(np.ones(len(cells)))
    mean = table(sides[:, pair].reshape(-1))
    rounds = np.maximum(1, battles)
    log_p = np.log(judged * size) - battles * _divergence(wins / rounds, mean / rounds)
    decided = np.bincount(user, minlength=users) >= FEWEST_VOTES
    odd = decided[:, None] & (log_p < np.log(LEVEL)) & (wins - mean > FAR * battles)
    for code, model in np.argwhere(odd).tolist():
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


def decided_chance(counts: PairCounts, theta: Floats, cells: Floats) -> Floats:
    """Return (P,) the chance that a decided vote is for the pair's first model: sigma(slope (theta_i - theta_j)).

    Ties pull the strengths together, so among decided votes the odds are longer: `slope` is fitted on those of `cells`
    (P, 4).
    """
    difference = theta[counts.first] - theta[counts.second]
    # Half a vote each way keeps the slope finite where no decided vote is against the ranking.
    won, played = cells[:, 0] + 0.5, cells[:, : B_WON + 1].sum(axis=1) + 1

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
        "first": float((verdict[decided] == 0).mean()) if decided.any() else None,
        "ties": float(1 - decided.mean()),
        **details,
    }


def _words(record: Record) -> str:
    if "always" in record:
        kinds = {"model_a": "for the first shown", "model_b": "for the second shown", "tie": "ties"}
        return f"{record['user']} ({record['share']:.0%} {kinds.get(record['always'], 'both bad')})"
    if "favours" in record:
        wins = f"{record['wins']} of {record['battles']} for {record['favours']}, {record['expected']:.0f} expected"
        return f"{record['user']} ({wins})"
    return f"{record['user']} ({record['agrees']:.0%} with the ranking, {record['expected']:.0%} expected)"
