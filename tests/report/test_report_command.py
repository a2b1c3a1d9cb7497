"""`latxa report` on metrics of training, ratings and battles."""

import json
import math

import numpy as np
import pytest

from latxa_cli.report.plots import style


def metrics(steps, floor, sets=(), seed=0):
    """Return the lines of a run: its loss falls towards `floor`, with noise."""
    noise = np.random.default_rng(seed).normal(0, 0.05, steps)
    records = []
    for step in range(1, steps + 1):
        loss = floor + math.exp(-5 * step / steps)
        records.append({"step": step, "loss": loss + float(noise[step - 1]), "learning_rate": 1e-5, "tokens": 64})
        if step % 10 == 0:
            records += [{"step": step, "validation": name, "loss": loss + 0.1, "perplexity": 1.0} for name in sets]
    return records


@pytest.fixture
def runs(tmp_path):
    """Two folders, each with the metrics of a run."""
    for number, name in enumerate(("exp_2_111", "exp_2_101")):
        (tmp_path / name).mkdir()
        lines = metrics(100, 1.5 + number / 10, ("eu", "en"), seed=number)
        (tmp_path / name / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return tmp_path


@pytest.mark.parametrize("layout", style.FORMATS)
def test_report_draws_the_curves_of_runs(drawing, signatures, latxa, runs, layout):
    files = ["exp_2_111/metrics.jsonl", "exp_2_101/metrics.jsonl"]
    done = latxa("report", *files, "--plot", f"loss.{layout}", "--format", "csv", cwd=runs)
    assert (done.returncode, b"Traceback" in done.stderr) == (0, False), done.stderr
    assert (runs / f"loss.{layout}").read_bytes().startswith(signatures[layout])
    assert done.stdout.startswith(b"model,last training loss,")


def test_report_says_what_it_cannot_draw(drawing, latxa, runs):
    (runs / "nothing.jsonl").write_text('{"finding": "position bias"}\n')
    done = latxa("report", "nothing.jsonl", "--plot", "loss.svg", cwd=runs)
    assert done.returncode == 2 and b"there is nothing to draw in `loss.svg`" in done.stderr
    done = latxa("report", "nothing.jsonl", "--plot", "loss.jpg", cwd=runs)
    assert done.returncode == 2 and b"`.png`, `.svg` or `.pdf`" in done.stderr
    assert [path.name for path in runs.glob("loss*")] == []


def test_report_shows_runs_beside_results(latxa, runs):
    (runs / "results.jsonl").write_text('{"model": "exp_2_111", "task": "t", "metric": "acc", "value": 0.5}\n')
    done = latxa("report", "results.jsonl", "exp_2_111/metrics.jsonl", "exp_2_101/metrics.jsonl", cwd=runs)
    first, second = [json.loads(line) for line in done.stdout.splitlines()]
    assert (first["model"], second["model"]) == ("exp_2_111", "exp_2_101")
    assert list(first["results"]) == ["t", "last training loss", "best validation loss eu", "best validation loss en"]
    lines = metrics(100, 1.5, ("eu", "en"), seed=0)
    assert first["results"]["last training loss"]["value"] == [line for line in lines if "tokens" in line][-1]["loss"]
    best = min(line["loss"] for line in lines if line.get("validation") == "eu")
    assert first["results"]["best validation loss eu"]["value"] == best
    table = latxa("report", "exp_2_111/metrics.jsonl", "--format", "table", cwd=runs).stdout.decode()
    assert f"{best:.3f}" in table


@pytest.fixture
def arena(tmp_path):
    """A folder with battles, and ratings of which one is infinite, with all else that stands beside them."""
    votes = [
        ("a", "b", "model_a"),
        ("a", "b", "tie"),
        ("b", "c", "model_a"),
        ("c", "b", "model_a"),
        ("d", "a", "model_a"),
    ]
    battles = [{"model_a": a, "model_b": b, "winner": winner} for a, b, winner in votes]
    ratings = [
        {"model": "d", "rating": None, "infinite": "above", "lower": 1100, "upper": None, "tier": 1},
        {"model": "b", "rating": 1010.0, "lower": 990, "upper": None, "tier": 1},
        {"model": "a", "rating": 990.0, "lower": 970, "upper": 1010, "tier": 2},
    ]
    ratings += [rating | {"group": {"user_language": "C1-C2"}} for rating in ratings[1:]]
    ratings += [
        {"difference": 20.0, "lower": -5, "upper": 45, "model": "a", "criterion": "winner", "against": "b"},
        {"finding": "position bias", "criterion": "winner", "value": 0.1, "matters": False, "text": "none"},
        {"correlation": None, "p": None, "benchmark": "t", "models": 2, "left_out": 1},
    ]
    for name, records in {"battles": battles, "ratings": ratings}.items():
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    return tmp_path


@pytest.mark.parametrize("files", [["ratings.jsonl"], ["battles.jsonl"], ["battles.jsonl", "ratings.jsonl"]])
def test_report_draws_ratings_and_battles(drawing, latxa, arena, files):
    done = latxa("report", *files, "--plot", "arena.svg", "--format", "csv", cwd=arena)
    assert (done.returncode, b"Traceback" in done.stderr) == (0, False), done.stderr
    drawn = (arena / "arena.svg").read_bytes()
    assert (b"Win rate" in drawn) == ("battles.jsonl" in files) and b"<svg" in drawn
    again = latxa("report", *files[::-1], "--plot", "again.svg", cwd=arena)
    assert again.returncode == 0 and (arena / "again.svg").read_bytes() == drawn


def test_heat_maps_are_in_the_order_of_ratings(drawing, latxa, arena):
    def order(*files):
        assert latxa("report", *files, "--plot", "heat.svg", cwd=arena).returncode == 0
        drawn = (arena / "heat.svg").read_text()
        names = [line.strip(" -<>!") for line in drawn.split("\n") if line.strip(" -<>!") in {"a", "b", "c", "d"}]
        return names[:4]

    assert order("battles.jsonl") == ["d", "a", "c", "b"], "by the share of battles won"
    assert order("battles.jsonl", "ratings.jsonl") == ["d", "b", "a", "c"]


def test_report_shows_ratings_and_battles_as_a_table(latxa, arena):
    done = latxa("report", "ratings.jsonl", "battles.jsonl", "--format", "table", cwd=arena)
    assert done.returncode == 0, done.stderr
    models, _, correlations = done.stdout.decode().partition("\nRank correlation with results\n\n")
    assert correlations.split("\n")[1].split() == ["-", "t", "-", "-", "-", "-", "-", "2"]
    assert models.split("\n") == [
        "Results",
        "",
        "model  rating ↑    interval  tier  user_language C1-C2 rating ↑  user_language C1-C2 interval  "
        "user_language C1-C2 tier  win rate ↑",
        "d             ∞    1100 – ∞     1                             -                             -  "
        "                       -       100.0",
        "b        1010.0     990 – ∞     1                        1010.0                       990 – ∞  "
        "                       1        37.5",
        "a         990.0  970 – 1010     2                         990.0                    970 – 1010  "
        "                       2        50.0",
        "c             -           -     -                             -                             -  "
        "                       -        50.0",
        "",
    ]
    rows = [json.loads(line) for line in latxa("report", "ratings.jsonl", cwd=arena).stdout.splitlines()]
    assert rows[0]["ratings"]["winner"]["infinite"] == "above" and rows[0]["ratings"]["winner"]["rating"] is None
    table = latxa("report", "ratings.jsonl", "--format", "csv", cwd=arena).stdout.decode().split("\n")
    assert table[0] == "model,rating,lower,upper,tier," + ",".join(
        f"user_language C1-C2 {part}" for part in ("rating", "lower", "upper", "tier")
    )
    assert table[1] == "d,inf,1100,,1,,,,"


def test_the_first_figure_is_drawn_unless_another_is_wanted(drawing, latxa, arena, runs):
    files = ["exp_2_111/metrics.jsonl", "battles.jsonl", "ratings.jsonl"]
    done = latxa("report", *files, "--plot", "x.svg", cwd=arena)
    assert b"the figure shows losses; `--figure` takes `battles`, `ratings` too" in done.stderr
    assert b"optimiser step" in (arena / "x.svg").read_bytes()
    done = latxa("report", *files, "--plot", "x.svg", "--figure", "battles", cwd=arena)
    assert b"the figure shows" not in done.stderr and b"Win rate" in (arena / "x.svg").read_bytes()
    done = latxa("report", *files, "--plot", "y.svg", "--figure", "funnel", cwd=arena)
    assert done.returncode == 2 and b"the records do not give the figure `funnel`" in done.stderr
    assert b"they give `losses`, `battles`, `ratings`" in done.stderr and not (arena / "y.svg").exists()
    assert latxa("report", *files, "--figure", "battles", cwd=arena).returncode == 2, "without `--plot`"


def test_report_counts_the_battles_that_it_cannot_show(latxa, arena):
    with (arena / "battles.jsonl").open("a") as file:
        file.write('{"model_a": "a", "model_b": "a", "winner": "tie"}\n')
    done = latxa("report", "battles.jsonl", "--rejects", "no.jsonl", cwd=arena)
    assert done.returncode == 0 and b"1 rejected (1 self battle)" in done.stderr
    with (arena / "battles.jsonl").open("a") as file:
        file.write('{"model_a": "a", "model_b": "b", "winner": "a"}\n')
    done = latxa("report", "battles.jsonl", cwd=arena)
    assert done.returncode == 1 and b"battles.jsonl:7: the winner `a`" in done.stderr


def test_results_ratings_and_battles_of_a_model_stand_in_one_row(latxa, arena):
    results = [
        {"model": model, "task": "t", "metric": "acc", "value": 0.5, "path": f"runs/{model}", "weights": model * 8}
        for model in "abcd"
    ]
    (arena / "results.jsonl").write_text("".join(json.dumps(record) + "\n" for record in results))
    done = latxa("report", "results.jsonl", "battles.jsonl", "ratings.jsonl", "--format", "jsonl", cwd=arena)
    rows = [row for row in map(json.loads, done.stdout.splitlines()) if "results" in row]
    assert [(row["model"], list(row["results"])) for row in rows] == [(model, ["t", "win rate"]) for model in "dbac"]
    assert [list(row["ratings"]) for row in rows] == [["winner"], *[["winner", "user_language C1-C2"]] * 2, []]


def test_files_of_one_name_and_no_identity_are_told(latxa, tmp_path):
    """Two checkpoints may have one name; where results say neither path nor weights, nothing tells them apart."""
    for number, path in ((1, None), (2, None), (3, "a/step-5"), (4, "a/step-5")):
        line = {"model": "step-5", "task": f"t{number}", "metric": "acc", "value": 0.5, "path": path}
        (tmp_path / f"{number}.jsonl").write_text(json.dumps(line) + "\n")
    done = latxa("report", "1.jsonl", "2.jsonl", cwd=tmp_path)
    assert b"`step-5`: one row of 2 files, of which none says `path` or `weights`\n" in done.stderr
    for files in (("1.jsonl",), ("3.jsonl", "4.jsonl")):
        assert b"one row" not in latxa("report", *files, cwd=tmp_path).stderr
