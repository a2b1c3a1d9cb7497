"""How often the intervals of `latxa arena-score` hold the truth, and how often its ranks raise a false alarm.

    python tests/bench/arena_coverage.py [ARENAS] [coverage|alarms]

Arenas are simulated; confidence is 90 %. What half-win ratings estimate is not the strengths that votes are drawn from
(Davidson's model, with about 20 % ties), but the ratings of endlessly many such votes: these are the truth.

- By vote: 21 models, 13,000 independent votes.
- By user: users differ in taste (to each, every model is stronger or weaker by a normal amount). They vote as often as
  each other, or unevenly: by a gamma distribution, by Zipf's law, or one of them gives a quarter of all votes.
- By prompt: every two of several models are judged on each prompt by one score a response, so that all the battles on
  a prompt depend on each other.
- In two ways: users and prompts both have tastes.
- False alarms: equal models; an alarm is any model that is said to be surely better than another.

The unit of resampling is what `arena-score` takes by itself, but for one line that shows what it would be by vote.
Goals: 0.88 to 0.92 from 40 clusters on, 0.86 to 0.95 with 15; false alarms at most 0.12.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from timing import table, verdict

from latxa_cli.arena.fits.bradley_terry import Wins, fit, to_ratings
from latxa_cli.arena.rankings.intervals import RatingMethod
from latxa_cli.arena.rankings.ranking import Interval, rank
from latxa_cli.arena.units import Unit, Units
from latxa_cli.arena.votes import A_WON, B_WON, TIE, Column, PairCounts, Votes

NU = 0.54  # of Davidson's model, as in the published arena
TASTE = 0.6  # standard deviation, natural units, of what a user adds to a model's strength
NOISE = 0.8  # of a response's score beside the model's strength
NEAR = 0.3  # scores that tie
ROUNDS = 400
MANY, FEW, ALARMS = (0.88, 0.92), (0.86, 0.95), 0.12
Draw = Callable[[np.random.Generator, np.ndarray], Votes]


@dataclass(frozen=True)
class Scene:
    """A kind of arena: its votes by strengths, the truth, how many models, clusters, and the unit, if not chosen."""

    name: str
    draw: Draw
    truth: Callable[[np.ndarray], np.ndarray]
    models: int
    clusters: int
    unit: Unit | None = None


def chances(gap: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the chances that the first wins, and of a tie."""
    half = np.exp(gap / 2)
    total = half + 1 / half + NU
    return half / total, NU / total


def names_of(number: int, letter: str = "m") -> list[str]:
    return [f"{letter}{one:04}" for one in range(number)]


def limit(shares: np.ndarray, models: int) -> np.ndarray:
    """Return the ratings of endlessly many votes, given (P,) the score of each pair's first model."""
    pairs = np.triu_indices(models, 1)
    counts = PairCounts(names_of(models), *pairs, np.zeros((len(pairs[0]), 4), np.int64))
    return to_ratings(fit(counts, Wins(shares[None], np.ones((1, len(shares))))))[0]


def truth_of_tastes(theta: np.ndarray, taste: float) -> np.ndarray:
    first, second = np.triu_indices(len(theta), 1)
    nodes, weights = np.polynomial.hermite_e.hermegauss(31)  # the two models' tastes differ by a normal amount
    won, tied = chances(theta[first, None] - theta[second, None] + np.sqrt(2) * taste * nodes)
    return limit(((won + tied / 2) * weights).sum(axis=1) / weights.sum(), len(theta))


def truth_of_scores(theta: np.ndarray) -> np.ndarray:
    first, second = np.triu_indices(len(theta), 1)
    random = np.random.default_rng(99)
    noise = np.sort(NOISE * (random.logistic(size=400_000) - random.logistic(size=400_000)))
    gap = theta[first] - theta[second]
    won, lost = (1 - np.searchsorted(noise, NEAR - gap) / len(noise), np.searchsorted(noise, -NEAR - gap) / len(noise))
    return limit(won + (1 - won - lost) / 2, len(theta))


def shares_of(random: np.random.Generator, users: int, kind: str) -> np.ndarray:
    shares = np.ones(users)
    if kind == "gamma":
        shares = random.gamma(0.5, size=users) + 1e-3
    elif kind == "zipf":
        shares = 1 / np.arange(1, users + 1)
    elif kind == "one of a quarter":
        shares[0] = users / 3
    return shares / shares.sum()


def voted(
    votes: int, users: int, kind: str = "even", taste: float = TASTE, prompts: int = 0, prompt_taste: float = 0.0
) -> Draw:
    """Return what draws votes of users, and perhaps on prompts, each with a taste of its own."""

    def draw(random: np.random.Generator, theta: np.ndarray) -> Votes:
        models = len(theta)
        user = random.choice(users, votes, p=shares_of(random, users, kind))
        a = random.integers(0, models, votes)
        b = (a + random.integers(1, models, votes)) % models
        tastes = random.normal(0, taste, (users, models))
        gap = theta[a] - theta[b] + tastes[user, a] - tastes[user, b]
        columns = {"user": Column(user, names_of(users, "u"))}
        if prompts:
            prompt = random.integers(0, prompts, votes)
            tastes = random.normal(0, prompt_taste, (prompts, models))
            gap += tastes[prompt, a] - tastes[prompt, b]
            columns["prompt_id"] = Column(prompt, names_of(prompts, "p"))
        won, tied = chances(gap)
        drawn = random.random(votes)
        verdicts = np.where(drawn < won, A_WON, np.where(drawn < won + tied, TIE, B_WON)).astype(np.int8)
        return Votes(names_of(models), a, b, {"winner": verdicts}, columns)

    return draw


def judged(prompts: int) -> Draw:
    """Return what draws battles of all models on each prompt."""

    def draw(random: np.random.Generator, theta: np.ndarray) -> Votes:
        scores = theta + NOISE * random.logistic(size=(prompts, len(theta)))
        first, second = np.triu_indices(len(theta), 1)
        ahead = (scores[:, first] - scores[:, second]).ravel()
        verdicts = np.where(np.abs(ahead) < NEAR, TIE, np.where(ahead > 0, A_WON, B_WON)).astype(np.int8)
        prompt = Column(np.repeat(np.arange(prompts), len(first)), names_of(prompts, "p"))
        a, b = np.tile(first, prompts), np.tile(second, prompts)
        return Votes(names_of(len(theta)), a, b, {"winner": verdicts}, {"prompt_id": prompt})

    return draw


def scenes() -> list[Scene]:
    found = [
        Scene("21 models, by vote", voted(13_000, 400, taste=0.0), lambda t: truth_of_tastes(t, 0.0), 21, 400, "vote"),
        Scene("21 models, 400 users, gamma", voted(13_000, 400, "gamma"), lambda t: truth_of_tastes(t, TASTE), 21, 400),
    ]
    for models in (2, 6, 20):
        for prompts in (15, 40, 100):
            found.append(
                Scene(f"{models} models, {prompts} prompts judged", judged(prompts), truth_of_scores, models, prompts)
            )
    for kind in ("even", "gamma", "zipf", "one of a quarter"):
        for users in (15, 40, 100):
            name = f"8 models, {users} users, {kind}"
            found.append(Scene(name, voted(1000, users, kind), lambda t: truth_of_tastes(t, TASTE), 8, users))
    for users, prompts in ((15, 40), (40, 40), (100, 40)):
        for kind in ("even", "gamma"):
            draw = voted(1500, users, kind, TASTE, prompts, TASTE)
            name = f"8 models, {users} users ({kind}), {prompts} prompts"
            truth = lambda t: truth_of_tastes(t, np.sqrt(2) * TASTE)  # noqa: E731
            found.append(Scene(name, draw, truth, 8, min(users, prompts)))
    return found


def covered(scene: Scene, arenas: int, interval: Interval) -> tuple[float, float, dict[str, int]]:
    """Return the share of all intervals that hold the truth, its standard error (over arenas), and the units taken."""
    shares, taken = [], {}
    for arena in range(arenas):
        random = np.random.default_rng(arena)
        theta = random.normal(0, 0.6, scene.models)
        votes = scene.draw(random, theta)
        method = RatingMethod(rounds=ROUNDS, confidence=0.9, seed=arena)
        units = Units.of(votes)
        unit = scene.unit or units.widest(votes, "winner", method)
        taken[unit] = taken.get(unit, 0) + 1
        ranking = rank(votes, ["winner"], method, dependence=units.dependence(unit), interval=interval)[0]
        low, high = ranking.bounds()
        known = scene.truth(theta)
        shares.append(((low <= known) & (known <= high)).mean())
    return float(np.mean(shares)), float(np.std(shares) / np.sqrt(arenas)), taken


def coverage(arenas: int) -> None:
    rows, right = [("votes", "bootstrap", "sandwich", "standard error", "units taken")], True
    for scene in scenes():
        few = arenas if scene.models < 20 else max(1, arenas // 4)
        found = [covered(scene, few, interval) for interval in ("bootstrap", "sandwich")]
        low, high = FEW if scene.clusters < 40 else MANY
        slack = 2 * max(error for _, error, _ in found)
        right &= all(low - slack <= share <= high + slack for share, _, _ in found)
        units = ", ".join(f"{unit} {number}" for unit, number in found[0][2].items())
        rows.append((scene.name, f"{found[0][0]:.3f}", f"{found[1][0]:.3f}", f"{found[0][1]:.3f}", units))
    narrow = Scene("the same by vote (too narrow)", judged(100), truth_of_scores, 20, 100, "vote")
    rows.append((narrow.name, *(f"{covered(narrow, arenas // 4, one)[0]:.3f}" for one in ("bootstrap", "sandwich"))))
    table([row + ("",) * (5 - len(row)) for row in rows])
    verdict(f"coverage in {arenas} arenas {MANY} from 40 clusters on, {FEW} with fewer, to two standard errors", right)


def alarms(arenas: int) -> None:
    rows, most = [("equal models", "bootstrap", "sandwich")], 0.0
    for users in (15, 25, 40, 100):
        for kind in ("even", "gamma", "zipf", "one of a quarter"):
            found = []
            for interval in ("bootstrap", "sandwich"):
                raised = 0
                for arena in range(arenas):
                    random = np.random.default_rng(arena)
                    votes = voted(1000, users, kind)(random, np.zeros(8))
                    method = RatingMethod(rounds=ROUNDS, confidence=0.9, seed=arena)
                    dependence = Units.of(votes).dependence("user")
                    [ranking] = rank(votes, ["winner"], method, dependence=dependence, interval=interval)
                    raised += any(record["rank_lower"] > 1 for record in ranking.records())
                found.append(raised / arenas)
            most = max(most, *found)
            rows.append((f"8 models, {users} users, {kind}", *(f"{share:.3f}" for share in found)))
    table(rows)
    error = np.sqrt(ALARMS * (1 - ALARMS) / arenas)
    text = f"false alarms in {arenas} arenas at most {most:.3f} (goal {ALARMS}, standard error {error:.3f})"
    verdict(text, most <= ALARMS + 2 * error)


def main(arenas: int, what: str) -> None:
    if what != "alarms":
        coverage(arenas)
    if what != "coverage":
        alarms(arenas)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 400, sys.argv[2] if len(sys.argv) > 2 else "both")
