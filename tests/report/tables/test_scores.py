"""Means of scores by model, category and dimension, with intervals by prompt; and judges beside people."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import t
from tiny import Latxa, write_jsonl

from latxa_cli.report.tables.judges import judges
from latxa_cli.report.tables.scores import Scores
from latxa_cli.stream.records import Record


def score(name: str, model: str, *numbers: float, task: str | None = None, judge: str = "j", **more: Any) -> Record:
    scores = dict(zip(("accuracy", "fluency", "harmlessness"), numbers, strict=False))
    return {
        "id": name, "rubric": "llm-eval", "model": model, "judge": judge, "scores": scores,
        **({"task": task} if task else {}), **more,
    }  # fmt: skip


def table_of(*records: Record) -> Any:
    scores = Scores()
    assert not [reject for record in records for reject in scores.add(record)]
    [table] = scores.tables()
    return table


def means(table: Any) -> dict[tuple[str, str, str], Record]:
    return {(one["model"], one.get("category", "all"), one["dimension"]): one for one in table.records}


def test_means_are_by_model_category_and_dimension_and_the_mean_is_of_the_dimensions() -> None:
    found = means(table_of(
        score("1", "gull", 3, 1, 2, task="code"), score("2", "gull", 0, 1, 2, task="poetry"),
        score("1", "lamp", 3, 3, 3, task="code"),
    ))  # fmt: skip
    assert found["gull", "all", "accuracy"]["value"] == 1.5 and found["gull", "code", "accuracy"]["value"] == 3
    assert found["gull", "all", "mean"]["value"] == 1.5 and found["gull", "poetry", "mean"]["value"] == 1
    assert found["gull", "all", "mean"]["n"] == 2 and found["lamp", "code", "mean"]["n"] == 1
    assert ("lamp", "poetry", "mean") not in found, "no row of nothing"
    assert next(iter(found))[0] == "lamp", "the best comes first"
    assert found["lamp", "all", "mean"]["lower"] is None, "of one prompt nothing is known of the others"


def test_intervals_take_the_scores_of_one_prompt_together() -> None:
    draw = np.random.default_rng(0)
    merits = draw.integers(0, 4, 30)
    records = [score(f"p{n}", "gull", int(merit), judge=judge) for n, merit in enumerate(merits) for judge in "abc"]
    one = means(table_of(*records))["gull", "all", "accuracy"]
    error = merits.std(ddof=1) / np.sqrt(30)
    reach = float(t.ppf(0.95, 29)) * error
    assert one["value"] == pytest.approx(merits.mean(), abs=1e-6)
    assert (one["lower"], one["upper"]) == pytest.approx((merits.mean() - reach, merits.mean() + reach), abs=1e-6)
    assert (one["n"], one["prompts"]) == (90, 30)


def test_intervals_hold_the_mean_nine_times_of_ten() -> None:
    inside, draw = 0, np.random.default_rng(3)
    for _ in range(300):
        shared = draw.normal(1.5, 0.5, 15)
        records = [
            score(f"p{n}", "gull", float(one + draw.normal(0, 0.5)), judge=judge)
            for n, one in enumerate(shared) for judge in "ab"
        ]  # fmt: skip
        one = means(table_of(*records))["gull", "all", "accuracy"]
        inside += one["lower"] < 1.5 < one["upper"]
    assert 0.86 < inside / 300 < 0.94


def test_measured_scores_of_several_kinds_have_no_mean() -> None:
    record = score("1", "gull") | {"rubric": "code-switch", "scores": {"switched": 1, "share": 0.25}}
    assert [one["dimension"] for one in table_of(record).records] == ["switched", "share"]
    own = score("1", "gull") | {"scores": {"accuracy": 1, "mean": 3}}
    assert [(one["dimension"], one["value"]) for one in table_of(own).records] == [("accuracy", 1.0), ("mean", 3.0)]


def test_a_response_without_a_dimension_lowers_nothing() -> None:
    found = means(table_of(score("1", "gull", 2, 2), score("2", "gull", 1)))
    assert found["gull", "all", "fluency"]["value"] == 2 and found["gull", "all", "fluency"]["n"] == 1
    assert found["gull", "all", "mean"]["value"] == 1.5


def test_what_cannot_be_shown_is_rejected_with_its_reason() -> None:
    scores = Scores()
    bad = [score("1", "gull"), score("1", "gull", float("nan")), score("2", "gull", 1), score("2", "gull", 2)]
    bad[0]["scores"] = {"accuracy": True}
    reasons = [reject.reason for record in bad for reject in scores.add(record)]
    assert reasons == ["no finite value", "no finite value", "repeated score"]


# --- the verb


def test_report_reads_scores_in_all_of_its_formats(latxa: Latxa, tmp_path: Path) -> None:
    records = [
        score(f"{n}", model, n % 4, 3 - n % 2, 1 + (model == "<b>lamp"), task=("code", "poetry")[n % 2])
        for n in range(20) for model in ("gull", "<b>lamp")
    ]  # fmt: skip
    records += [{"id": "1", "rubric": "code-switch", "model": "gull", "scores": {"switched": 1, "share": 0.5}}]
    write_jsonl(tmp_path / "s.jsonl", records)

    def run(layout: str) -> str:
        done = latxa("report", "s.jsonl", "--format", layout, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        return done.stdout.decode()

    rows = [json.loads(line) for line in run("jsonl").splitlines()]
    assert len(rows) == 2 * 3 * 4 + 2
    assert {"model", "rubric", "dimension", "value", "lower", "upper", "n", "prompts"} <= set(rows[0])
    text = run("table")
    assert "Scores by the rubric llm-eval" in text and "Scores by the rubric code-switch" in text
    assert "judged by j" in text and "poetry" in text and "1.50 (" in text
    assert run("csv").splitlines()[0] == "model,rubric,category,dimension,value,lower,upper,n,prompts"
    assert "| category |" in run("markdown") and r"\toprule" in run("latex")
    assert "&lt;b&gt;lamp" in run("html") and "<b>lamp" not in run("html")


def test_scores_stand_beside_results(latxa: Latxa, tmp_path: Path) -> None:
    result = {"model": "gull", "task": "piqa", "metric": "acc", "value": 0.5}
    write_jsonl(tmp_path / "all.jsonl", [result, score("1", "gull", 2), score("1", "gull", 2)])
    done = latxa("report", "all.jsonl", "--format", "table", cwd=tmp_path)
    assert done.returncode == 0 and b"piqa" in done.stdout and b"Scores by the rubric" in done.stdout
    assert b"1 rejected (1 repeated score)" in done.stderr


# --- findings about judges


def test_findings_about_judges_are_a_table_and_others_are_passed_over(latxa: Latxa, tmp_path: Path) -> None:
    found = [
        {"finding": "judge accuracy", "judge": "j", "value": 0.75, "lower": 0.7, "upper": 0.8, "n": 1200, "text": "t"},
        {"finding": "corrected win rate", "judge": "j", "value": 0.6, "lower": None, "upper": None, "n": 9,
         "model": "gull", "against": "lamp"},
        {"finding": "learning curve", "judge": "j", "value": 0.9, "lower": 0.8, "upper": 1.0, "votes": 25,
         "error": 81.6},
        {"finding": "preference scale", "judge": "j", "value": 2.0, "lower": 1.5, "upper": None, "n": 9},
    ]  # fmt: skip
    rows, columns = judges(found).texts
    assert columns == ["judge", "finding", "of", "value", "interval", "error", "n"]
    assert [row["of"] for row in rows] == [None, "gull against lamp", "25 votes", None]
    assert [row["interval"] for row in rows] == ["0.700 – 0.800", None, "0.800 – 1.000", "1.500 – ∞"]
    assert rows[0]["finding"] == "accuracy" and rows[0]["n"] == "1,200" and rows[2]["error"] == "82"
    write_jsonl(tmp_path / "f.jsonl", [*found, {"finding": "islands", "value": 1, "text": "x"}])
    done = latxa("report", "f.jsonl", cwd=tmp_path)
    assert done.returncode == 0 and [json.loads(line) for line in done.stdout.splitlines()] == found
    text = latxa("report", "f.jsonl", "--format", "table", cwd=tmp_path).stdout.decode()
    assert "25 votes" in text and "islands" not in text
