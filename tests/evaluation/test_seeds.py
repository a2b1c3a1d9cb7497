"""`--shot-seeds`: figures over items and seeds, and intervals that hold what the shots do to them."""

from __future__ import annotations

import json
import math
from pathlib import Path
from statistics import fmean

import numpy as np
import pytest
from tiny import Latxa

from latxa_cli.evaluation.seeds import crossed_error, joined


def test_the_error_of_one_seed_is_that_of_a_mean() -> None:
    scores = np.array([[1.0], [0.0], [1.0], [1.0]])
    assert crossed_error(scores) == pytest.approx(np.std(scores, ddof=1) / 2)
    assert crossed_error(scores[:1]) == 0
    assert crossed_error(np.vstack([scores, [[np.nan]]])) == crossed_error(scores), "an item without an answer"
    assert crossed_error(np.repeat(scores, 3, axis=1)) == pytest.approx(np.std(scores, ddof=1) / 2), "nothing varies"


@pytest.mark.parametrize(("of_item", "of_seed", "rest"), [(1.0, 0.0, 0.5), (1.0, 0.3, 0.5), (0.2, 0.5, 1.0)])
def test_errors_are_those_of_repeated_experiments(of_item: float, of_seed: float, rest: float) -> None:
    """Over many draws of items and seeds, the mean of the squared errors is the variance of the means."""
    draw, items, seeds = np.random.default_rng(1), 40, 4
    errors = []
    for _ in range(4000):
        scores = of_item * draw.normal(size=(items, 1)) + of_seed * draw.normal(size=(1, seeds))
        errors.append(crossed_error(scores + rest * draw.normal(size=(items, seeds))) ** 2)
    variance = of_item**2 / items + of_seed**2 / seeds + rest**2 / (items * seeds)
    # What seeds add is counted as nothing where it seems to be less: without an effect of seeds, that is a little much.
    assert variance * 0.97 <= fmean(errors) <= variance * (1.03 if of_seed else 1.15)


def test_a_metric_that_is_no_mean_has_the_mean_of_its_values() -> None:
    def report(value: float) -> dict[str, object]:
        samples = [{"filter": "none", "f1": (0, 1)}, {"filter": "none", "f1": (1, 1)}]
        return {"results": {"t": {"f1,none": value, "f1_stderr,none": 0.1}}, "samples": {"t": samples}}

    whole = joined([report(0.4), report(0.6)], [1, 2], {})
    assert whole["results"]["t"]["f1,none"] == pytest.approx(0.5)
    assert whole["results"]["t"]["f1_stderr,none"] == pytest.approx(math.sqrt(0.1**2 + 0.02 / 2))
    assert [sample["shot_seed"] for sample in whole["samples"]["t"]] == [1, 1, 2, 2]


def test_each_item_is_asked_with_every_draw_by_the_command(model: Path, task_folder: Path, latxa: Latxa) -> None:
    words = ("eval", str(model), "--task", "towns", "--task-folder", ".", "--few-shot", "2", "--no-chat")
    done = latxa(*words, "--shot-seeds", "3", "--seed", "7", "--answers", "answers.jsonl", cwd=task_folder)
    assert done.returncode == 0, done.stderr.decode()
    (result,) = map(json.loads, done.stdout.splitlines())
    answers = [json.loads(line) for line in (task_folder / "answers.jsonl").read_text().splitlines()]
    assert result["n"] == 12 and result["shot_seeds"] == [7, 8, 9]
    assert [answer["shot_seed"] for answer in answers] == [7] * 12 + [8] * 12 + [9] * 12
    assert {answer["id"] for answer in answers} == {f"town-{number}" for number in range(12)}
    right = np.array([answer["correct"] for answer in answers], float).reshape(3, 12).T
    assert result["value"] == pytest.approx(right.mean())
    assert result["stderr"] == pytest.approx(crossed_error(right))
    assert len({answer["prompt"] for answer in answers}) == 36

    for seed in ("7", "8"):
        alone = latxa(*words, "--seed", seed, "--answers", f"{seed}.jsonl", cwd=task_folder)
        (single,) = map(json.loads, alone.stdout.splitlines())
        assert "shot_seeds" not in single and single["fingerprint"] != result["fingerprint"]
        some = [json.loads(line) for line in (task_folder / f"{seed}.jsonl").read_text().splitlines()]
        assert [one["prompt"] for one in some] == [a["prompt"] for a in answers if a["shot_seed"] == int(seed)]


def test_without_shots_items_are_asked_once(model: Path, task_folder: Path, latxa: Latxa) -> None:
    done = latxa(
        "eval", str(model), "--task", "towns", "--task-folder", ".", "--shot-seeds", "3", "--dry-run", cwd=task_folder
    )
    assert "`towns`: 12 items, 48 requests, 0 shots\n" in done.stderr.decode()
