"""How often the intervals of `latxa compare` hold the true difference, and how often its verdicts are false alarms.

    python tests/bench/compare_coverage.py [SIMULATIONS] [coverage|alarms]

Two models answer the same items. A model of skill a gets an item of difficulty b right with a probability of
logit^-1(a - b); difficulties are normal and shared by both, so that their answers hang together. The true difference is
that over endlessly many items. Confidence is 90 %.

- Single items: many and few, hard and easy, and two models of which one copies most answers of the other.
- Clusters: a skill differs from cluster to cluster. Sizes are even, or those of the 29 exams of `eus_exams_eu`, or few.
- Values: the difference of a skewed metric.
- Draws of shots: a draw moves all items of a model a little.
- The mean over 14 tasks, one of which is clustered.
- False alarms: 20 tasks on which nothing differs; an alarm is any verdict at 0.05 after Holm's correction.

Goals of the sandwich: 0.88 to 0.92, to two standard errors (0.007 with 2,000 simulations); 0.86 to 0.97 with fewer than
15 clusters, where what covers less raises false alarms; false alarms at most 0.05.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from timing import table, verdict

from latxa_cli.comparison import estimates, resampling
from latxa_cli.comparison.compare import tested
from latxa_cli.comparison.estimates import estimate
from latxa_cli.comparison.pairing import Paired
from latxa_cli.comparison.resampling import resampled
from latxa_cli.comparison.significance import holm

ROUNDS = 500
CONFIDENCE = 0.9
GOAL, FEW = (0.88, 0.92), (0.86, 0.97)
# As uneven as the exams of eus_exams_eu.
EXAMS = [
    100, 80, 70, 60, 40, 36, 90, 85, 30, 45, 35, 70, 30, 80, 60, 30, 50, 65, 18, 15, 45, 30, 35, 80, 45, 40, 60, 60, 40,
]  # fmt: skip
TASKS = (250, 270, 350, 900, 1500, 1700, 2400, 250, 270, 900, 1172, 2376, 1836)  # items of the paper's Basque ones
Draw = Callable[[np.random.Generator], Paired]
NODES, WEIGHTS = np.polynomial.hermite_e.hermegauss(61)
WEIGHTS = WEIGHTS / WEIGHTS.sum()


@dataclass(frozen=True)
class Scene:
    """What is drawn, the true difference, and how many clusters there are."""

    name: str
    draw: Draw
    truth: float
    clusters: int = 1000


def right(skill: np.ndarray | float, difficulty: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(difficulty - skill))


def expected(skill: float, spread: float) -> float:
    """Return how often a model is right, over items whose difficulty less its skill there is normal."""
    return float(right(skill, spread * NODES) @ WEIGHTS)


def paired(mine: np.ndarray, theirs: np.ndarray, clusters: np.ndarray | None = None, seeds: int = 1) -> Paired:
    mine, theirs = (scores.reshape(len(scores), -1).astype(float) for scores in (mine, theirs))
    count = len(mine)
    places = np.zeros((count, 3), np.int64)
    return Paired(mine, theirs, np.ones(count), clusters, places, tuple(range(seeds)) if seeds > 1 else (), 0, 0, 0, ())


def single(count: int, a: float, b: float, copies: float = 0.0) -> Scene:
    def draw(random: np.random.Generator) -> Paired:
        difficulty = random.normal(size=count)
        theirs = random.random(count) < right(b, difficulty)
        mine = random.random(count) < right(a, difficulty)
        return paired(np.where(random.random(count) < copies, theirs, mine), theirs)

    name = f"{count:,} items, {100 * expected(a, 1):.0f} % and {100 * expected(b, 1):.0f} % right"
    truth = (1 - copies) * (expected(a, 1) - expected(b, 1))
    return Scene(name + (f", {copies:.0%} copied" if copies else ""), draw, truth)


def clustered(sizes: Sequence[int], a: float, b: float, spread: float, name: str) -> Scene:
    cluster = np.repeat(np.arange(len(sizes)), sizes)

    def draw(random: np.random.Generator) -> Paired:
        difficulty = random.normal(size=len(cluster)) + random.normal(0, 0.5, len(sizes))[cluster]
        skills = random.normal(0, spread, (2, len(sizes)))[:, cluster]
        mine, theirs = (
            random.random(len(cluster)) < right(skill, difficulty) for skill in (a + skills[0], b + skills[1])
        )
        return paired(mine, theirs, cluster)

    whole = np.sqrt(1 + 0.25 + spread**2)
    return Scene(f"{name}, spread {spread}", draw, expected(a, whole) - expected(b, whole), len(sizes))


def values(count: int) -> Scene:
    def draw(random: np.random.Generator) -> Paired:
        base = random.gamma(2.0, 10.0, count)
        return paired(base + random.gamma(1.0, 4.0, count), base + random.gamma(1.5, 2.0, count))

    return Scene(f"{count} items of a skewed metric", draw, 1.0)


def seeded(count: int, seeds: int, spread: float) -> Scene:
    def draw(random: np.random.Generator) -> Paired:
        difficulty = random.normal(size=(count, 1)) + 0.5 * random.normal(size=(count, seeds))
        skills = random.normal(0, spread, (2, seeds))
        mine, theirs = (
            random.random((count, seeds)) < right(a, difficulty) for a in (0.5 + skills[0], 0.3 + skills[1])
        )
        return paired(mine, theirs, seeds=seeds)

    whole = np.sqrt(1 + 0.25 + spread**2)
    truth = expected(0.5, whole) - expected(0.3, whole)
    return Scene(
        f"{count} items, {seeds} draws of shots, spread {spread}", draw, truth, 1000 if spread < 0.1 else seeds
    )


def scenes() -> list[Scene]:
    uneven = [5, 10, 20, 40, 80, 160]
    return [
        single(50, 0.5, 0.3), single(250, 0.5, 0.3), single(1000, 0.2, 0.2), single(5000, 1.0, 0.8),
        single(250, 4.0, 3.5), single(100, 4.0, 4.0), single(250, 0.5, 0.3, 0.9), single(1000, 0.5, 0.0, 0.97),
        *(clustered(EXAMS, 0.5, 0.3, spread, "29 exams") for spread in (0.0, 0.2, 0.5)),
        *(clustered([4] * 100, 0.5, 0.3, spread, "100 texts of 4 items") for spread in (0.0, 0.5)),
        *(clustered([25] * 40, 0.5, 0.3, spread, "40 of 25 items") for spread in (0.2, 0.5)),
        *(clustered([100] * 5, 0.5, 0.3, spread, "5 of 100 items") for spread in (0.0, 0.3)),
        *(clustered(uneven * 2, 0.5, 0.3, spread, "12 uneven") for spread in (0.0, 0.3)),
        *(clustered(uneven, 0.5, 0.3, spread, "6 uneven") for spread in (0.0, 0.3)),
        values(100), values(1000),
        *(seeded(250, seeds, 0.0) for seeds in (3, 5)), *(seeded(1000, seeds, 0.2) for seeds in (5, 10)),
    ]  # fmt: skip


def holds(interval: tuple[float, float], truth: float) -> bool:
    return interval[0] <= truth <= interval[1]


def covered(scene: Scene, simulations: int) -> tuple[float, float, float]:
    """Return how often the sandwich and the bootstrap hold the truth, and the mean width of the sandwich."""
    hits, width = np.zeros(2), 0.0
    for number in range(simulations):
        pairs = scene.draw(np.random.default_rng(number))
        found = estimate(pairs)
        bounds = [found.interval(CONFIDENCE), resampled(pairs, found, ROUNDS, number).interval(CONFIDENCE)]
        hits += [holds(one, scene.truth) for one in bounds]
        width += (bounds[0][1] - bounds[0][0]) / simulations
    sandwich, bootstrap = hits / simulations
    return float(sandwich), float(bootstrap), width


def covered_mean(simulations: int) -> tuple[float, float, float]:
    parts = [single(count, 0.5, 0.3) for count in TASKS]
    parts.append(clustered(EXAMS, 0.5, 0.3, 0.2, ""))
    truth = float(np.mean([part.truth for part in parts]))
    hits, width = np.zeros(2), 0.0
    for number in range(simulations):
        random = np.random.default_rng(number)
        pairs = [part.draw(random) for part in parts]
        found = [estimate(one) for one in pairs]
        rounds = [resampled(one, estimate(one), ROUNDS, number + place) for place, one in enumerate(pairs)]
        bounds = [estimates.mean_of(found).interval(CONFIDENCE), resampling.mean_of(rounds).interval(CONFIDENCE)]
        hits += [holds(one, truth) for one in bounds]
        width += (bounds[0][1] - bounds[0][0]) / simulations
    return float(hits[0] / simulations), float(hits[1] / simulations), width


def coverage(simulations: int) -> None:
    error = np.sqrt(0.9 * 0.1 / simulations)
    rows, reached = [("two models", "sandwich", "bootstrap", "width")], True
    found = [(scene.name, scene.clusters, covered(scene, simulations)) for scene in scenes()]
    found.append(("mean of 14 tasks", 1000, covered_mean(max(1, simulations // 2))))
    for name, clusters, (sandwich, bootstrap, width) in found:
        low, high = FEW if clusters < 15 else GOAL
        missed = not low - 2 * error <= sandwich <= high + 2 * error
        reached &= not missed
        rows.append((name, f"{sandwich:.3f}{'!' if missed else ''}", f"{bootstrap:.3f}", f"{100 * width:.1f}"))
    table(rows)
    goals = f"{GOAL}, with fewer than 15 clusters or draws {FEW}"
    verdict(f"sandwich in {simulations} simulations {goals} (error {error:.3f})", reached)


def alarms(simulations: int) -> None:
    rows, most = [("20 tasks on which nothing differs", "alarms")], 0.0
    kinds = {
        "items, 60 % right": single(250, 0.5, 0.5), "items, 96 % right": single(100, 4.0, 4.0),
        "29 exams, spread 0": clustered(EXAMS, 0.5, 0.5, 0.0, ""),
        "29 exams, spread 0.3": clustered(EXAMS, 0.5, 0.5, 0.3, ""),
        "5 clusters, spread 0.3": clustered([100] * 5, 0.5, 0.5, 0.3, ""),
        "6 uneven clusters, spread 0.3": clustered([5, 10, 20, 40, 80, 160], 0.5, 0.5, 0.3, ""),
    }  # fmt: skip
    for name, scene in kinds.items():
        raised = 0
        for number in range(simulations):
            random = np.random.default_rng(number)
            pairs = [scene.draw(random) for _ in range(20)]
            raised += min(holm([tested(one, estimate(one), 0)[0] for one in pairs])) <= 0.05
        most = max(most, raised / simulations)
        rows.append((name, f"{raised / simulations:.3f}"))
    table(rows)
    error = np.sqrt(0.05 * 0.95 / simulations)
    text = f"false alarms in {simulations} simulations at most {most:.3f} (goal 0.05, error {error:.3f})"
    verdict(text, most <= 0.05 + 2 * error)


def main(simulations: int, what: str) -> None:
    if what != "alarms":
        coverage(simulations)
    if what != "coverage":
        alarms(simulations)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 2000, sys.argv[2] if len(sys.argv) > 2 else "both")
