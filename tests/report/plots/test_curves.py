"""The metrics of training runs, as curves and as results."""

import pytest

from latxa_cli.report.plots.curves import TRAINING, Curves, run_names
from latxa_cli.stream.checks import checker


def step(number, loss, **more):
    return {"step": number, "loss": loss, **more}


def test_curves_stand_by_run_and_set():
    curves = Curves()
    assert list(curves.add("a", [step(1, 3.0), step(2, 2.0), step(2, 2.5, validation="eu")])) == []
    assert list(curves.add("b", [step(10, 1.0), step(10, 1.5, validation="en")])) == []
    assert curves.sets() == ["eu", "en"]
    assert {run: (list(x), list(y)) for run, (x, y) in curves.of(TRAINING).items()} == {
        "a": ([1, 2], [3.0, 2.0]),
        "b": ([10], [1.0]),
    }
    assert list(curves.of("eu")) == ["a"]


def test_results_are_the_last_training_and_the_best_validation_loss():
    curves = Curves()
    lines = [step(1, 4.0, validation="eu"), step(1, 3.0), step(2, 2.0), step(2, 3.0, validation="eu"), step(3, 2.5)]
    assert list(curves.add("a", [*lines, step(3, 3.5, validation="eu")])) == []
    assert list(curves.results()) == [
        {"model": "a", "task": "last training loss", "metric": "loss", "value": 2.5},
        {"model": "a", "task": "best validation loss eu", "metric": "loss", "value": 3.0},
    ]


def test_what_comes_twice_or_is_no_number_is_rejected():
    curves = Curves()
    lines = [step(1, 3.0), step(1, 2.0), step(2, float("nan")), step(2, 2.0), step(1, 1.0)]
    assert [reject.reason for reject in curves.add("a", lines)] == [
        "repeated metrics",
        "no finite value",
        "repeated metrics",
    ]
    assert list(curves.of(TRAINING)["a"][1]) == [3.0, 2.0]


@pytest.mark.parametrize(
    ("files", "names"),
    [
        (["run/metrics.jsonl"], ["run"]),
        (["x/run/metrics.jsonl", "y/run/metrics.jsonl", "z/metrics.jsonl"], ["x/run", "y/run", "WORK/z"]),
        (["run/a.jsonl", "run/b.jsonl"], ["run", "run"]),
        (["-", "hf:me/metrics", "run/m.jsonl"], ["stdin", "hf:me/metrics", "run"]),
    ],
)
def test_the_folder_names_the_run(files, names, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert list(run_names(files).values()) == [name.replace("WORK", tmp_path.name) for name in names]


def test_metrics_are_checked():
    check = checker(("result", "rating", "metrics"))
    check(step(1, 2.0))
    check(step(1, 2.0, validation="eu"))
    for broken, what in [({"step": 1}, "`loss` is missing"), (step(1, "2"), "a string, not a number"),
                         (step(1, 2.0, validation=3), "`validation` is a number")]:  # fmt: skip
        with pytest.raises(ValueError, match=what):
            check(broken)
    with pytest.raises(ValueError, match="neither `metric` nor `rating` nor `step` is there"):
        check({"loss": 2.0})
