"""`latxa report --baselines`: other results beside the user's own."""

import csv
import io
import json

import pytest


def result(model, task="arc_eu_easy", metric="acc", value=0.5, **more):
    return {"model": model, "task": task, "metric": metric, "value": value, "stderr": 0.01, "n": 100, **more}


@pytest.fixture
def write(tmp_path):
    def write(name, *records):
        (tmp_path / name).write_text("".join(json.dumps(record) + "\n" for record in records))
        return tmp_path / name

    return write


def table(done):
    assert done.returncode == 0, done.stderr
    return list(csv.DictReader(io.StringIO(done.stdout.decode())))


def test_published_models_stand_below_the_users_own(latxa, write):
    done = latxa("report", write("mine.jsonl", result("mine")), "--baselines", "published", "--format", "csv")
    rows = table(done)
    assert rows[0]["model"] == "mine" and len(rows) == 20
    assert all(name in ("model", "notes") or name.startswith("arc_eu_easy") for name in rows[0])
    assert b"results of other tasks and metrics left out: 600" in done.stderr


def test_baselines_alone_need_no_stdin(latxa, shared_reference):
    rows = table(latxa("report", "--baselines", "published", "--format", "csv"))
    assert len(rows) == 20 and len(rows[0]) > 29


def test_files_and_folders_of_any_kind_are_baselines(latxa, write, tmp_path):
    (tmp_path / "out").mkdir()
    document = {"results": {"arc_eu_easy": {"acc,none": 0.25}}, "config": {"model_args": "pretrained=org/theirs"}}
    (tmp_path / "out/results_1.json").write_text(json.dumps(document, indent=2))
    mine, ours = write("mine.jsonl", result("mine")), write("ours.jsonl", result("ours"), result("ours", "other"))
    done = latxa("report", mine, "--baselines", ours, "--baselines", tmp_path / "out", "--format", "csv")
    assert [row["model"] for row in table(done)] == ["mine", "ours", "theirs"]
    assert b"left out: 1" in done.stderr


def test_ratings_are_no_baselines(latxa, write):
    other = write("ratings.jsonl", {"model": "a", "rating": 1000.0})
    done = latxa("report", write("mine.jsonl", result("mine")), "--baselines", other)
    assert (done.returncode, done.stdout) == (1, b"") and b"ratings.jsonl:1: the field `task` is missing" in done.stderr


def test_a_missing_baseline_is_named_before_the_work(latxa, write):
    done = latxa("report", write("mine.jsonl", result("mine")), "--baselines", "absent.jsonl")
    assert done.returncode == 1 and b"absent.jsonl: no such file" in done.stderr


def test_the_manifest_names_baselines(latxa, write, tmp_path):
    mine, ours = write("mine.jsonl", result("mine")), write("ours.jsonl", result("ours"))
    assert latxa("report", mine, "--baselines", ours, "-o", tmp_path / "table.jsonl").returncode == 0
    manifest = json.loads((tmp_path / "table.jsonl.manifest.json").read_text())
    assert [entry["path"] for entry in manifest["inputs"]] == [str(mine), str(ours)]
