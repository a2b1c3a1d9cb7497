"""Coverage of the 90 % intervals of `latxa judge --against`, in simulations of a judge with planted biases.

    python tests/bench/judge_against.py [SIMULATIONS]

Two models answer 400 prompts, of which 120 have two votes of people each. The judge favours model `a` beyond its merit,
and in 15 % of its answers the response that is shown first. The truth of corrected win rates and of the scale is known;
of the other figures it is their mean over all simulations.

Then 6, 10 and 20 models answer 40 prompts each. Their strengths by people and by the judge are drawn anew in each of a
fifth as many simulations. Three pairs of a prompt are judged, and half of these have two votes. The truth of the rank
correlation is that of the strengths.

Beside each share of intervals that hold the truth stands the standard error that chance gives it: of 200 simulations 2
points, so that no fewer than 1,000 tell 85 % from 90 %. (The first 200 seeds happen to vary more than others, and hold
in 85 %.) The errors that intervals are made of are compared with the deviation of the values too.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
from scipy.stats import spearmanr

from latxa_cli.arena.pairing import ratings
from latxa_cli.judging.against import Asked, Examination, HumanVotes
from latxa_cli.judging.merits import Merits, Vote
from latxa_cli.judging.rubric import load_rubric

PROMPTS, VOTED = 400, 120
SCALE, BIAS, FAVOUR = 2.0, 0.15, 0.4
Found = dict[str, dict[str, Any]]


def simulate(seed: int) -> tuple[float, Found]:
    """Return how often people prefer `a` to `b`, and the findings about the judge by their names."""
    draw = np.random.default_rng(seed)
    merit = draw.normal(0.5, 1.5, PROMPTS)
    preferred = 1 / (1 + np.exp(-merit))
    human = HumanVotes()
    for n in draw.choice(PROMPTS, VOTED, replace=False):
        votes = draw.random(2) < preferred[n]
        human.by_pair[(f"p{n}", "a", "b")] = {Asked("", None): [int((~votes).sum()), 0, int(votes.sum())]}
    examination = Examination(human, load_rubric("pairwise"))
    for n in range(PROMPTS):
        orders = []
        for first in ("model_a", "model_b"):
            wins = draw.random() < 1 / (1 + np.exp(-1.5 * (merit[n] + FAVOUR)))
            wins = first == "model_a" if draw.random() < BIAS else wins
            orders.append({"first": first, "winner": "model_a" if wins else "model_b"})
        same = orders[0]["winner"] == orders[1]["winner"]
        examination.note({
            "prompt_id": f"p{n}", "model_a": "a", "model_b": "b", "judge": "judge",
            "winner": orders[0]["winner"] if same else "tie",
            "conversation_a": [{"content": "x"}], "conversation_b": [{"content": "xy"}],
            "metadata": {
                "scores": {"model_a": {"overall": merit[n] * SCALE}, "model_b": {"overall": 0.0}}, "orders": orders,
            },
        })  # fmt: skip
    return float(preferred.mean()), {finding["finding"]: finding for finding in examination.findings(seed)}


def correlate(models: int, seed: int) -> tuple[float, float, float, float]:
    """Return the rank correlation of strengths by people and by a judge, and what is found of it: value and bounds."""
    draw = np.random.default_rng(seed)
    people = draw.normal(0, 0.8, models)
    judge = people + draw.normal(0, draw.choice([0.2, 0.4, 0.8]), models)
    votes = []
    for n in range(40 * models):
        merit = draw.normal(0, 0.5, models)  # of the answers to this prompt
        for a, b in {tuple(sorted(draw.choice(models, 2, replace=False).tolist())) for _ in range(3)}:
            gaps = [strength[a] - strength[b] + merit[a] - merit[b] for strength in (people, judge)]
            wins = draw.random(4) < 1 / (1 + np.exp(-np.array([gaps[0], gaps[0], 1.5 * gaps[1], 1.5 * gaps[1]])))
            cells = (int((~wins[:2]).sum()), 0, int(wins[:2].sum())) if draw.random() < 0.5 else (0, 0, 0)
            votes.append(Vote((f"p{n}", f"m{a:02}", f"m{b:02}"), int(wins[2:].sum()), gaps[1], 0, 0, 2, cells))
    merits = Merits("judge", votes, 0, seed)
    found = next(one for one in merits.findings(str, ratings) if one["finding"] == "judge rank correlation")
    return float(spearmanr(people, judge)[0]), found["value"], found["lower"], found["upper"]


def main(count: int) -> None:
    runs = [simulate(seed) for seed in range(count)]
    for name, example in runs[0][1].items():
        if example["lower"] is None:
            continue
        figures = [[found[name][what] for what in ("value", "lower", "upper")] for _, found in runs]
        values, lower, upper = np.array(figures, float).T
        upper[np.isnan(upper)] = np.inf  # of the scale, where votes do not say that scores tell anything
        known = {"corrected win rate": np.array([truth for truth, _ in runs]), "preference scale": SCALE}
        truth: Any = known.get(name, values.mean())
        inside = np.mean((lower <= truth) & (truth <= upper))
        error = (inside * (1 - inside) / count) ** 0.5
        print(
            f"{name:30} mean {values.mean():6.3f}   truth {np.mean(truth):6.3f}   inside {inside:.3f} ± {error:.3f}   "
            f"half width {np.median(upper - lower) / 2:.3f}   1.645 deviations {1.645 * values.std():.3f}"
        )
    for models in (6, 10, 20):
        truth, value, lower, upper = np.array([correlate(models, seed) for seed in range(count // 5)]).T
        inside = np.mean((lower <= truth + 1e-4) & (truth - 1e-4 <= upper))
        error = (inside * (1 - inside) / len(truth)) ** 0.5
        print(
            f"judge rank correlation, {models:2} models: mean {value.mean():6.3f}   truth {truth.mean():6.3f}   "
            f"inside {inside:.3f} ± {error:.3f}   half width {np.median(upper - lower) / 2:.3f}",
            flush=True,
        )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1000)
