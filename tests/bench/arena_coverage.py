"""How often the intervals of `latxa arena-score` hold the truth, in simulated arenas: nominal 90 %.

    python tests/bench/arena_coverage.py [ARENAS]

By vote: 21 models, 13,000 votes by Davidson's model with about 20 % ties. What half-win ratings estimate is then not
Davidson's strengths but the ratings of endlessly many such votes: these are the truth. By user: 400 users of uneven
numbers of votes differ in taste (to each, every model is stronger or weaker by a normal amount); the truth is that of
endlessly many users. Both by bootstrap and by sandwich. Goal: 0.88 to 0.92 each.
"""

from __future__ import annotations

import sys

import numpy as np
from timing import table, verdict

from latxa_cli.arena.fits.bradley_terry import Wins, fit, to_ratings
from latxa_cli.arena.rankings.intervals import RatingMethod, bounds
from latxa_cli.arena.rankings.ranking import Interval, rank
from latxa_cli.arena.votes import A_WON, B_WON, TIE, Column, PairCounts, Votes

MODELS, VOTES, USERS = 21, 13_000, 400
NU = 0.54  # of Davidson's model, as in the published arena
TASTE = 0.6  # standard deviation, natural units, of what a user adds to a model's strength
ROUNDS = 400
LOW, HIGH = 0.88, 0.92
NAMES = [f"m{number:02}" for number in range(MODELS)]
PAIRS = np.triu_indices(MODELS, 1)


def chances(gap: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the chances that the first wins, and of a tie."""
    half = np.exp(gap / 2)
    total = half + 1 / half + NU
    return half / total, NU / total


def truth(theta: np.ndarray, taste: float) -> np.ndarray:
    """Return the ratings of endlessly many votes: each pair as often, over all tastes."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(31)  # the two models' tastes differ by a normal amount
    gap = theta[PAIRS[0], None] - theta[PAIRS[1], None] + np.sqrt(2) * taste * nodes
    won, tied = chances(gap)
    score = ((won + tied / 2) * weights).sum(axis=1) / weights.sum()
    counts = PairCounts(NAMES, *PAIRS, np.zeros((len(PAIRS[0]), 4), np.int64))
    return to_ratings(fit(counts, Wins(score[None], np.ones((1, len(score))))))[0]


def simulated(random: np.random.Generator, theta: np.ndarray, taste: float) -> Votes:
    shares = random.gamma(0.5, size=USERS)  # few users give most of the votes
    users = random.choice(USERS, VOTES, p=shares / shares.sum())
    tastes = random.normal(0, taste, (USERS, MODELS))
    a = random.integers(0, MODELS, VOTES)
    b = (a + random.integers(1, MODELS, VOTES)) % MODELS
    won, tied = chances(theta[a] - theta[b] + tastes[users, a] - tastes[users, b])
    drawn = random.random(VOTES)
    verdicts = np.where(drawn < won, A_WON, np.where(drawn < won + tied, TIE, B_WON)).astype(np.int8)
    return Votes(NAMES, a, b, {"winner": verdicts}, {"user": Column(users, [f"u{user}" for user in range(USERS)])})


def covered(arenas: int, taste: float, interval: Interval, by_user: bool, size: float = 0.6) -> tuple[float, float]:
    """Return the share of all intervals that hold the truth, and its standard error (over arenas)."""
    shares = []
    for arena in range(arenas):
        random = np.random.default_rng(arena)
        theta = random.normal(0, size, MODELS)
        votes = simulated(random, theta, taste)
        clusters = votes.columns["user"] if by_user else None
        method = RatingMethod(rounds=ROUNDS, confidence=0.9, seed=arena)
        ranking = rank(votes, ["winner"], method, clusters=clusters, interval=interval)[0]
        low, high = bounds(ranking.replicate_ratings, method.confidence)
        known = truth(theta, taste)
        shares.append(((low <= known) & (known <= high)).mean())
    return float(np.mean(shares)), float(np.std(shares) / np.sqrt(arenas))


def main(arenas: int) -> None:
    rows, shares = [("votes", "intervals", "coverage", "standard error")], []
    for label, taste, by_user in (("independent, by vote", 0.0, False), ("of users' tastes, by user", TASTE, True)):
        for interval in ("bootstrap", "sandwich"):
            share, error = covered(arenas, taste, interval, by_user)
            rows.append((label, interval, f"{share:.3f}", f"{error:.3f}"))
            shares.append(share)
    share, error = covered(arenas, TASTE, "sandwich", by_user=False)
    rows.append(("of users' tastes, by vote (too narrow)", "sandwich", f"{share:.3f}", f"{error:.3f}"))
    table(rows)
    text = f"coverage in {arenas} arenas from {min(shares):.3f} to {max(shares):.3f} (goal {LOW} to {HIGH})"
    verdict(text, min(shares) >= LOW and max(shares) <= HIGH)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 400)
