"""`latxa compare` on answers of `eval` and on samples of the harness: rows, formats, and the items that changed."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from answers import Compare, answer, answers, sample
from scipy.stats import binomtest
from tiny import write_jsonl

from latxa_cli.stream.checks import checker


def test_a_better_model_is_said_to_be_better(compare: Compare) -> None:
    rows = compare("two.jsonl", "--baseline", "base").rows
    assert [row.get("task") for row in rows] == ["towns", "ports", None]
    assert {row["model"] for row in rows} == {"ours"} and {row["verdict"] for row in rows} == {"better"}
    for row in rows:
        checker("comparison")(row)
        assert row["difference"] == pytest.approx(row["value"] - row["baseline_value"])
        assert row["lower"] < row["difference"] < row["upper"] and row["lower"] > 0
    towns, ports, mean = rows
    assert mean["tasks"] == 2 and mean["n"] == 400
    assert mean["difference"] == pytest.approx((towns["difference"] + ports["difference"]) / 2)
    assert towns["p"] == pytest.approx(
        binomtest(towns["only_model"], towns["only_model"] + towns["only_baseline"]).pvalue
    )
    assert max(towns["p"], ports["p"]) * 1 <= max(towns["p_holm"], ports["p_holm"]) + 1e-12
    assert min(towns["p_holm"], ports["p_holm"]) == pytest.approx(2 * min(towns["p"], ports["p"]))


def test_the_baseline_may_be_either(compare: Compare) -> None:
    forth = compare("two.jsonl", "--baseline", "base").rows
    back = compare("two.jsonl", "--baseline", "ours").rows
    for one, other in zip(forth, back, strict=True):
        assert one["difference"] == pytest.approx(-other["difference"]) and one["p"] == pytest.approx(other["p"])
        assert other["verdict"] == "worse"
        assert (one["lower"], one["upper"]) == pytest.approx((-other["upper"], -other["lower"]))


@pytest.mark.parametrize("layout", ["table", "markdown", "latex", "html", "csv"])
def test_every_format_names_tasks_and_verdicts(compare: Compare, layout: str) -> None:
    out = compare("two.jsonl", "--baseline", "base", "--format", layout).out
    assert "towns" in out and "better" in out
    assert ("p_holm" in out) == (layout == "csv")


def test_items_that_changed_are_told(compare: Compare, folder: Path) -> None:
    rows = compare("two.jsonl", "--baseline", "base", "--changed", "changed.jsonl").rows
    changed = [json.loads(line) for line in (folder / "changed.jsonl").read_text().splitlines()]
    for record in changed:
        checker("change")(record)
    better = [record for record in changed if record["direction"] == "better"]
    assert len(better) == sum(row.get("only_model", 0) for row in rows)
    assert len(changed) - len(better) == sum(row.get("only_baseline", 0) for row in rows)
    assert better[0]["answer"] == 1 and better[0]["baseline_answer"] == 0 and better[0]["prompt"].startswith("Where is")


def test_languages_have_means_of_their_own(compare: Compare, folder: Path) -> None:
    tasks = (("a", "eu"), ("b", "eu"), ("c", "en"), ("d", "en"), ("e", None))
    write_jsonl(folder / "five.jsonl", [
        record for model in ("base", "ours") for task, language in tasks
        for record in answers(model, 0.5, task=task, count=20, language=language)
    ])  # fmt: skip
    rows = compare("five.jsonl", "--baseline", "base").rows[5:]
    assert [(row.get("language"), row["tasks"]) for row in rows] == [("eu", 2), ("en", 2), (None, 5)]


def test_files_are_read_packed_and_from_stdin(compare: Compare, folder: Path) -> None:
    whole = compare("two.jsonl", "--baseline", "base").rows
    data = (folder / "two.jsonl").read_bytes()
    (folder / "two.jsonl.gz").write_bytes(gzip.compress(data))
    assert compare("two.jsonl.gz", "--baseline", "base").rows == whole
    assert compare("--baseline", "base", input=data).rows == whole


def test_names_tell_runs_of_one_model_apart(compare: Compare, folder: Path) -> None:
    write_jsonl(folder / "first.jsonl", answers("m", 0.4))
    write_jsonl(folder / "second.jsonl", answers("m", 0.7, seed=1))
    [row] = compare("old=first.jsonl", "new=second.jsonl", "--baseline", "old").rows
    assert (row["model"], row["baseline"], row["verdict"]) == ("new", "old", "better")
    said = compare("first.jsonl", "second.jsonl", "--baseline", "m").error
    assert "there are no answers of a model beside `m`" in said and "NAME=FILE" in said
    # Beside a third model, the same file twice over is a repeated item.
    write_jsonl(folder / "third.jsonl", answers("base", 0.5))
    said = compare("first.jsonl", "second.jsonl", "third.jsonl", "--baseline", "base").error
    assert "first.jsonl and second.jsonl: `m` answers the item `i0` of `towns` twice" in said


def test_two_identities_of_one_name_are_two_models(compare: Compare, folder: Path) -> None:
    records = [
        record
        for path, skill in (("run1/m", 0.4), ("run2/m", 0.7))
        for record in answers("m", skill, seed=int(path[3]), path=path, weights=f"{path[3]}234567890")
    ]
    write_jsonl(folder / "m.jsonl", records)
    [row] = compare("m.jsonl", "--baseline", "run1/m").rows
    assert (row["model"], row["baseline"], row["verdict"]) == ("run2/m", "run1/m", "better")
    said = compare("m.jsonl", "--baseline", "m").error
    assert "several models have this name" in said and "`run1/m`, `run2/m`" in said


# --- what lm-evaluation-harness logs ----------------------------------------------------------------------------------

TIME = "2026-01-02T03-04-05.6"


def logged(
    folder: Path, model: str, right: list[bool], task: str = "towns", time: str = "2026-01-02T03-04-05.6"
) -> Path:
    place = folder / "harness" / model
    place.mkdir(parents=True, exist_ok=True)
    path = place / f"samples_{task}_{time}.jsonl"
    return write_jsonl(path, [sample(number, correct) for number, correct in enumerate(right)])


def test_samples_of_the_harness(compare: Compare, folder: Path) -> None:
    logged(folder, "org__base", [True, False] * 50)
    logged(folder, "org__ours", [True] * 100)
    [row] = compare("harness", "--baseline", "base", "--changed", "changed.jsonl").rows
    assert (row["model"], row["difference"], row["only_model"], row["verdict"]) == ("ours", 0.5, 50, "better")
    assert (row["path"], row["baseline_path"]) == ("org/ours", "org/base")
    first = json.loads((folder / "changed.jsonl").read_text().splitlines()[0])
    assert (first["id"], first["answer"], first["prompt"]) == (f"{1:016x}", 1, "Where is 1?")


def test_samples_meet_answers_of_the_same_items(compare: Compare, folder: Path) -> None:
    logged(folder, "base", [False] * 20)
    mine = [answer("ours", f"{number:016x}", True, filter="none") for number in range(20)]
    for number, record in enumerate(mine):
        record["prompt"] = f"Where is {number}?"
    write_jsonl(folder / "ours.jsonl", mine)
    [row] = compare("harness", "ours.jsonl", "--baseline", "base").rows
    assert row["difference"] == 1 and row["n"] == 20


def test_of_several_runs_the_newest_is_read(compare: Compare, folder: Path) -> None:
    logged(folder, "base", [False] * 20, time="2026-01-01T00-00-00.1")
    logged(folder, "base", [True] * 20, time="2026-01-02T00-00-00.1")
    logged(folder, "ours", [True] * 20)
    ended = compare("harness", "--baseline", "base")
    assert ended.rows[0]["baseline_value"] == 1
    assert "2026-01-02T00-00-00.1.jsonl: the newest is read; 1 older run of the task beside it" in ended.said


def test_results_beside_samples_say_groups_languages_and_shots(compare: Compare, folder: Path) -> None:
    for model, shots in (("base", 5), ("ours", 5), ("other", 0)):
        for task in ("x", "y", "z"):
            path = logged(folder, model, [n % 3 > 0 for n in range(12)], task)
        report = {
            "model_name": f"org/{model}", "n-shot": dict.fromkeys("xyz", shots), "group_subtasks": {"xyz": list("xyz")},
            "groups": {"xyz": {"acc,none": 0.5}}, "configs": {task: {"metadata": {"language": "eu"}} for task in "xyz"},
        }  # fmt: skip
        (path.parent / f"results_{TIME}.json").write_text(json.dumps(report))
    [row] = compare("harness", "--baseline", "base", "--model", "ours").rows
    assert (row["task"], row["clusters"], row["language"], row["path"]) == ("xyz", 3, "eu", "org/ours")
    said = compare("harness", "--baseline", "base").error
    assert "`x`: `other` was asked with 0 examples, `base` with 5 examples" in said and "`--despite shots`" in said
