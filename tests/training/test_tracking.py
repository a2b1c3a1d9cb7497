"""Trackers: what they show, how they go on, and that none of them ends a run. The real libraries, offline."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from latxa_cli.stream.errors import LatxaError, UsageError
from latxa_cli.training.tracking import LIBRARIES, open_tracker, values_of

# TensorBoard's own thread fails in a test that makes it fail; pytest tells of that whenever it comes to know.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")

STEP = {"step": 3, "epoch": 0.5, "loss": 2.5, "learning_rate": 1e-5, "tokens": 64}
VALIDATION = {"step": 3, "validation": "eu", "loss": 2.0, "perplexity": 7.389, "bits_per_byte": None}


def no_warning(text: str) -> None:
    raise AssertionError(text)


def test_values_are_named_by_what_they_were_measured_on() -> None:
    assert values_of(STEP) == {"train/epoch": 0.5, "train/loss": 2.5, "train/learning_rate": 1e-5, "train/tokens": 64}
    assert values_of(VALIDATION) == {"validation/eu/loss": 2.0, "validation/eu/perplexity": 7.389}


def test_another_tracker_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no tracker `tensorbord`") as refusal:
        open_tracker("tensorbord", tmp_path, "run", {}, warn=no_warning)
    assert "`tensorboard`" in refusal.value.hint


@pytest.mark.parametrize("name", LIBRARIES)
def test_a_library_that_is_missing_is_told_of_in_one_line(tmp_path: Path, name: str) -> None:
    if find_spec(name):
        pytest.skip(f"{name} is here")
    with pytest.raises(UsageError, match=f"the tracker `{name}` is not installed") as refusal:
        open_tracker(name, tmp_path, "run", {}, warn=no_warning)
    assert refusal.value.hint == f"pip install {name}"


# --- TensorBoard


def events(folder: Path) -> dict[str, list[tuple[int, float]]]:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    read = accumulator.EventAccumulator(str(folder / "tensorboard")).Reload()
    return {tag: [(e.step, round(e.value, 4)) for e in read.Scalars(tag)] for tag in read.Tags()["scalars"]}


def test_tensorboard_has_the_values_and_hides_what_comes_again(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard", reason="needs the extra `tracking`")
    tracker = open_tracker("tensorboard", tmp_path, "run", {"epochs": 4}, warn=no_warning)
    assert tracker.where == f"tensorboard --logdir {tmp_path / 'tensorboard'}"
    for step in (1, 2, 3):
        tracker.log(step, {"train/loss": 3.0 - step, "train/broken": float("nan")})
    tracker.close()
    assert events(tmp_path) == {"train/loss": [(1, 2.0), (2, 1.0), (3, 0.0)]}
    again = open_tracker("tensorboard", tmp_path, "run", {"epochs": 4}, done=1, warn=no_warning)
    again.log(2, {"train/loss": 1.5})
    again.close()
    assert events(tmp_path) == {"train/loss": [(1, 2.0), (2, 1.5)]}


def test_a_tracker_that_fails_is_told_of_once_and_training_goes_on(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard", reason="needs the extra `tracking`")
    warnings: list[str] = []
    tracker = open_tracker("tensorboard", tmp_path, "run", {}, warn=warnings.append)
    for file in (tmp_path / "tensorboard").iterdir():
        file.unlink()
    (tmp_path / "tensorboard").rmdir()
    for step in range(1, 200):
        tracker.log(step, values_of(STEP))
    tracker.close()
    (warning,) = warnings
    assert warning.startswith("tensorboard failed (") and warning.endswith("`metrics.jsonl` has everything")


def test_a_tracker_that_cannot_begin_says_so(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard", reason="needs the extra `tracking`")
    (tmp_path / "tensorboard").write_text("a file where the folder should be")
    with pytest.raises(LatxaError, match="the tracker `tensorboard` does not start"):
        open_tracker("tensorboard", tmp_path, "run", {}, warn=no_warning)


# --- Weights & Biases, and Trackio: in processes of their own, since they leave threads behind

RUN = """
import json, sys
from pathlib import Path
from latxa_cli.training.tracking import open_tracker
name, folder, done = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
tracker = open_tracker(name, folder, "run", {"epochs": 4}, done=done, warn=lambda text: print("WARNED", text))
print(tracker.where)
for step in (done + 1, done + 2):
    exec(sys.argv[4])
    tracker.log(step, {"train/loss": 1.0 / step})
tracker.close()
"""


def tracked(name: str, folder: Path, done: int = 0, each_step: str = "", **environment: str) -> list[str]:
    """Track two steps in a new process; return the lines that it wrote to stdout."""
    pytest.importorskip(name, reason="needs the extra `tracking`")
    ran = subprocess.run(
        [sys.executable, "-c", RUN, name, str(folder), str(done), each_step], cwd=folder, text=True, timeout=100,
        env=os.environ | environment, capture_output=True, check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    return ran.stdout.splitlines() if ran.returncode == 0 else [ran.stderr.splitlines()[-1]]


def test_wandb_works_offline_and_a_resumed_run_is_the_same_one(tmp_path: Path) -> None:
    (first,) = tracked("wandb", tmp_path, WANDB_MODE="offline")
    (second,) = tracked("wandb", tmp_path, done=2, WANDB_MODE="offline")
    folders = [Path(line.removeprefix("wandb sync ")) for line in (first, second)]
    identity = (tmp_path / "tracked-as").read_text()
    assert all(folder.name.startswith("offline-run-") and folder.name.endswith(identity) for folder in folders)
    assert all(list(folder.glob("*.wandb")) for folder in folders)
    tracked("wandb", tmp_path, WANDB_MODE="offline")
    assert (tmp_path / "tracked-as").read_text() != identity, "a new run is another one"


def test_wandb_without_its_process_warns_once(tmp_path: Path) -> None:
    psutil = "import psutil, time; [child.kill() for child in psutil.Process().children()]; time.sleep(1)"
    _, *said = tracked("wandb", tmp_path, each_step=psutil, WANDB_MODE="offline")
    assert len(said) == 1 and said[0].startswith("WARNED wandb failed (")


def test_wandb_without_a_login_is_one_line(tmp_path: Path) -> None:
    (said,) = tracked("wandb", tmp_path, WANDB_MODE="online", WANDB_API_KEY="", HOME=str(tmp_path))
    assert "LatxaError: the tracker `wandb` does not start: No API key configured" in said


def test_trackio_keeps_stdout_clean_and_goes_on(tmp_path: Path) -> None:
    store = tmp_path / "store"
    for done in (0, 2):
        said = tracked("trackio", tmp_path, done=done, TRACKIO_DIR=str(store))
        assert said == ["trackio show --project latxa"]
    with sqlite3.connect(store / "latxa.db") as database:
        rows = database.execute("SELECT run_name, step, metrics FROM metrics ORDER BY step").fetchall()
    name = f"run-{(tmp_path / 'tracked-as').read_text()}"
    assert [(run, step, json.loads(values)["train/loss"]) for run, step, values in rows] == [
        (name, step, 1 / step) for step in (1, 2, 3, 4)
    ]
