"""Whom `latxa arena-score` names among annotators, in simulated arenas: who does not read, and who does.

    python tests/bench/arena_annotators.py [ARENAS]

40 honest users give 60 votes each on 8 models, whose strengths are normal (0.7 natural units); a fifth are ties. In
some scenes each has a taste of their own (0.4 units a model). Beside them:

- users who always vote the same way (first, second, tie, both bad), from 20 votes on;
- users who click at random on first or second, by their number of votes: the power of the test that the votes allow;
- a careless majority: 60 more users who click at random, or always the same way;
- one user who gives three quarters of all votes, at random, in reverse, or by a taste of their own;
- small: three honest users of 100 votes, and one of 900 with another taste.

Goals: who always votes the same way is named in 95 % of the cases; of the honest at most 2 %.
"""

from __future__ import annotations

import sys
from collections import defaultdict

import numpy as np
from timing import table, verdict

from latxa_cli.arena.findings.outliers import outlying
from latxa_cli.arena.findings.soundness import evidence_of
from latxa_cli.arena.votes import A_WON, B_WON, BOTH_BAD, TIE, Column, Votes, count

MODELS, SPREAD, NU, TASTE = 8, 0.7, 0.54, 0.4
HONEST, VOTES = 40, 60
SAME_GOAL, HONEST_GOAL = 0.95, 0.02
Group = tuple[str, int, int]  # what users do, how many they are, votes of each


def cast(random: np.random.Generator, what: str, votes: int, theta: np.ndarray, taste: float) -> tuple[np.ndarray, ...]:
    """Return (n,) first and second models, and verdicts, of one user."""
    a = random.integers(0, MODELS, votes)
    b = (a + random.integers(1, MODELS, votes)) % MODELS
    own = theta + random.normal(0, 1.0 if what == "taste" else taste, MODELS)
    half = np.exp((own[a] - own[b]) / 2 * (-1 if what == "reverse" else 1))
    total, drawn = half + 1 / half + NU, random.random(votes)
    verdicts = np.where(drawn < half / total, A_WON, np.where(drawn < (half + NU) / total, TIE, B_WON))
    if what == "random":
        verdicts = random.integers(0, 2, votes)
    elif what in ALWAYS:
        verdicts = np.full(votes, ALWAYS[what])
    return a, b, verdicts.astype(np.int8)


ALWAYS = {"first": A_WON, "second": B_WON, "tie": TIE, "both bad": BOTH_BAD}


def named(seed: int, groups: list[Group], taste: float) -> dict[str, tuple[int, int]]:
    """Return by kind of user how many were named, and how many there are."""
    random = np.random.default_rng(seed)
    theta = random.normal(0, SPREAD, MODELS)
    kinds = [(what, votes) for what, number, votes in groups for _ in range(number)]
    ballots = [cast(random, what, votes, theta, taste) for what, votes in kinds]
    a, b, verdicts = (np.concatenate(parts) for parts in zip(*ballots, strict=True))
    users = Column(np.repeat(np.arange(len(kinds)), [votes for _, votes in kinds]), [str(n) for n in range(len(kinds))])
    votes = Votes([f"m{n}" for n in range(MODELS)], a, b, {"winner": verdicts}, {"user": users})
    found = {int(one["user"]) for one in outlying(evidence_of(votes, "winner", *count(votes)))["users"]}
    tallies: dict[str, tuple[int, int]] = {}
    for user, (what, _) in enumerate(kinds):
        hits, number = tallies.get(what, (0, 0))
        tallies[what] = (hits + (user in found), number + 1)
    return tallies


def scenes() -> dict[str, list[Group]]:
    honest = [("honest", HONEST, VOTES)]
    same = [(what, 3, votes) for what, votes in (("first", 20), ("second", 20), ("tie", 20), ("both bad", 20))]
    found = {"honest alone": honest, "12 always the same, 20 votes": honest + same}
    found["12 the same, 4 at random, 60 votes"] = [
        *honest, *((what, 3, 60) for what in ALWAYS), ("random", 4, 60)
    ]  # fmt: skip
    for votes in (20, 40, 60, 100, 200, 400):
        found[f"4 at random, {votes} votes"] = [*honest, ("random", 4, votes)]
    found["60 at random"] = [*honest, ("random", 60, 60)]
    found["60 always the same"] = [*honest, *((what, 15, 60) for what in ALWAYS)]
    for what in ("random", "reverse", "taste", "first"):
        found[f"one of three quarters: {what}"] = [*honest, (what, 1, 3 * HONEST * VOTES)]
        found[f"small, one of 900: {what}"] = [("honest", 3, 100), (what, 1, 900)]
    return found


def main(arenas: int) -> None:
    rows, worst, least = [("arena", "tastes", "honest named", "others named")], 0.0, 1.0
    for taste in (0.0, TASTE):
        for name, groups in scenes().items():
            total: dict[str, list[int]] = defaultdict(lambda: [0, 0])
            for seed in range(arenas):
                for what, (hits, number) in named(seed, groups, taste).items():
                    total[what][0] += hits
                    total[what][1] += number
            shares = {what: hits / number for what, (hits, number) in total.items()}
            honest = shares.pop("honest")
            worst = max(worst, honest)
            least = min([least, *(share for what, share in shares.items() if what in ALWAYS)])
            others = ", ".join(f"{what} {share:.0%}" for what, share in shares.items())
            rows.append((name, f"{taste:g}", f"{honest:.2%}", others))
    table(rows)
    text = f"always the same: at least {least:.0%} named (goal {SAME_GOAL:.0%}); honest: at most {worst:.1%} (2 %)"
    verdict(text, least >= SAME_GOAL and worst <= HONEST_GOAL)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100)
