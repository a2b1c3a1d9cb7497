"""What is shipped for training: settings (TOML), overlays for DeepSpeed (JSON), and the jobs for Slurm."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import time
import tomllib
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from latxa_cli import cli
from latxa_cli.training.config import TrainConfig, resolve

RECIPES = Path(__file__).resolve().parents[2] / "recipes"
DEFAULTS = RECIPES / "train" / "defaults.toml"
SETTINGS = sorted({*(RECIPES / "train").glob("*.toml")} - {DEFAULTS})
OVERLAYS = sorted((RECIPES / "deepspeed").glob("*.json"))
JOBS = sorted((RECIPES / "slurm").glob("*.sbatch"))
SCRIPTS = [RECIPES / "fetch.sh", *sorted((RECIPES / "slurm").glob("*.*sh"))]

# What the study published of its training (arXiv 2506.07597 and its configuration files): the same for 8B and 70B.
STUDY = {
    "epochs": 4, "learning_rate": 1e-5, "batch_size": 2, "sequence_length": 8192, "warmup_ratio": 0.1,
    "minimum_learning_rate_ratio": 0.33, "weight_decay": 0.1, "beta1": 0.9, "beta2": 0.95, "seed": 33,
    "chat_loss": "assistant", "neftune_alpha": 5, "dtype": "bfloat16", "gradient_checkpointing": True,
}  # fmt: skip
PUBLISHED = {
    "paper_8b.toml": STUDY | {"sequences_per_step": 256},
    "paper_70b.toml": STUDY | {"sequences_per_step": 512},
    "continued_pretraining.toml": {"learning_rate": 1e-5},
    "one_gpu.toml": {},
    "laptop.toml": {},
    "new_model.toml": {},
}


def name(path: Path) -> str:
    return path.name


@pytest.mark.parametrize("path", SETTINGS, ids=name)
def test_settings_are_known_and_can_be(path: Path) -> None:
    resolved = resolve(path)
    for setting, value in tomllib.loads(path.read_text()).items():
        if setting != "deepspeed":
            assert getattr(resolved, setting) == value


def test_all_settings_are_listed_with_their_defaults() -> None:
    listed = tomllib.loads(DEFAULTS.read_text())
    assert sorted(listed) == sorted(field.name for field in fields(TrainConfig))
    assert resolve(DEFAULTS) == TrainConfig()


@pytest.mark.parametrize("path", SETTINGS, ids=name)
def test_what_the_papers_do_not_state_is_marked_as_ours(path: Path) -> None:
    published, settings = PUBLISHED[path.name], tomllib.loads(path.read_text())
    assert {setting: settings[setting] for setting in published} == published
    lines = [line for line in path.read_text().splitlines() if re.match(r"\w+ = ", line)]
    assert [line.split(" = ")[0] for line in lines] == list(settings)
    unmarked = {line.split(" = ")[0] for line in lines if not re.search(r"# .*\bours\b", line)}
    assert unmarked == set(published)


@pytest.mark.parametrize("path", [*SETTINGS, DEFAULTS], ids=name)
def test_the_commands_parse_and_name_the_file(path: Path) -> None:
    commands = re.findall(r"^#     latxa (.*)$", path.read_text(), re.MULTILINE)
    assert f"--config recipes/train/{path.name}" in commands[-1]
    for command in commands:
        verb, *words = shlex.split(command)
        cli.load(verb).make_context(verb, words)


@pytest.mark.parametrize("path", SETTINGS, ids=name)
def test_the_overlay_is_there(path: Path) -> None:
    overlay = tomllib.loads(path.read_text()).get("deepspeed")
    assert overlay is None or path.parent.joinpath(overlay).resolve() in OVERLAYS


# --- overlays


@pytest.mark.parametrize("path", OVERLAYS, ids=name)
def test_overlays_hold_what_latxa_does_not_set(path: Path) -> None:
    overlay = json.loads(path.read_text())
    assert isinstance(overlay, dict)
    assert "auto" not in leaves(overlay), "a word of the HF Trainer's, not of DeepSpeed's"
    ours = {"train_batch_size", "train_micro_batch_size_per_gpu", "gradient_accumulation_steps", "gradient_clipping"}
    assert not {*overlay} & {*ours, "bf16", "optimizer", "scheduler"} and "stage" not in overlay.get(
        "zero_optimization", {}
    )
    assert f"`{path.name}`" in path.with_name("README.md").read_text()


@pytest.mark.parametrize("path", OVERLAYS, ids=name)
def test_deepspeed_knows_what_they_say(path: Path) -> None:
    zero = pytest.importorskip("deepspeed.runtime.zero.config", reason="needs DeepSpeed")
    from deepspeed.runtime import constants

    overlay = json.loads(path.read_text())
    known = {value for value in vars(constants).values() if isinstance(value, str)}
    assert {*overlay} - {"zero_optimization"} <= known
    given = overlay.get("zero_optimization", {})
    read = zero.DeepSpeedZeroConfig(stage=3, **given)  # refuses what it does not know
    assert read.model_dump(include=set(given), exclude_unset=True) == given


def leaves(value: Any) -> list[Any]:
    if not isinstance(value, dict):
        return [value]
    return [leaf for part in value.values() for leaf in leaves(part)]


# --- jobs


@pytest.mark.parametrize("path", JOBS, ids=name)
def test_jobs_are_bash_that_slurm_can_read(path: Path) -> None:
    assert path.read_text().startswith("#!/usr/bin/env bash\n") and path.stat().st_mode & 0o111
    checked = subprocess.run(["bash", "-n", path], capture_output=True, text=True, check=False)
    assert (checked.returncode, checked.stderr) == (0, "")
    lines = path.read_text().splitlines()
    asked = [number for number, line in enumerate(lines) if line.startswith("#SBATCH")]
    first = next(number for number, line in enumerate(lines) if line and not line.startswith("#"))
    assert asked and asked[-1] < first, "Slurm reads no further than the first command"
    assert not [lines[number] for number in asked if "$" in lines[number] or "#" in lines[number][1:]]


@pytest.mark.parametrize("path", [*JOBS, *SCRIPTS], ids=name)
def test_shellcheck_finds_nothing(path: Path) -> None:
    if shutil.which("shellcheck") is None:
        pytest.skip("`shellcheck` is not installed")
    checked = subprocess.run(
        ["shellcheck", "--external-sources", path], cwd=RECIPES.parent, capture_output=True, text=True, check=False
    )
    assert (checked.returncode, checked.stdout) == (0, "")


@pytest.mark.parametrize("path", JOBS, ids=name)
def test_the_commands_of_jobs_parse_and_name_the_file(path: Path) -> None:
    text = path.read_text().replace("\\\n#", "")
    commands = re.findall(r"^#     (sbatch .*)$", text, re.MULTILINE)
    assert commands
    for command in commands:
        words = shlex.split(command.replace("{I}", "3").replace("{N}", "16"))
        start = words.index("latxa")
        assert f"recipes/slurm/{path.name}" in words[:start]
        cli.load(words[start + 1]).make_context(words[start + 1], words[start + 2 :])


@pytest.mark.parametrize("path", JOBS, ids=name)
def test_jobs_differ_in_what_they_ask_for_alone(path: Path) -> None:
    """What they do stands in the envelope; each ends in time to save its work, and is queued again."""
    lines = path.read_text().splitlines()
    assert lines[-1] == '. "${LATXA:?the folder of latxa, with its .venv}/recipes/slurm/envelope.bash"'
    asked = {line.split()[1] for line in lines if line.startswith("#SBATCH")}
    assert asked >= {"--signal=B:USR1@300", "--requeue", "--open-mode=append"}


@pytest.fixture
def cluster(tmp_path: Path) -> dict[str, str]:
    """The environment of a job, with commands that write down what they were called with (`TMP/NAME.called`)."""
    bin_ = tmp_path / "latxa" / ".venv" / "bin"
    bin_.mkdir(parents=True)
    (tmp_path / "latxa" / "recipes").symlink_to(RECIPES)
    for command in ("srun", "scontrol", "scancel", "ray"):
        (bin_ / command).write_text(f"#!/bin/bash\nprintf '%s\\n' \"$@\" > '{tmp_path}/{command}.called'\n")
        (bin_ / command).chmod(0o755)
    return {
        "PATH": f"{bin_}:{os.environ['PATH']}", "LATXA": str(tmp_path / "latxa"), "SLURM_JOB_ID": "77",
        "SLURM_CPUS_PER_TASK": "8", "SLURM_JOB_NUM_NODES": "2", "SLURMD_NODENAME": "gpu03",
    }  # fmt: skip


ARRAY = {
    "SLURM_ARRAY_JOB_ID": "70", "SLURM_ARRAY_TASK_ID": "3", "SLURM_ARRAY_TASK_MAX": "15",
    "SLURM_ARRAY_TASK_COUNT": "16",
}  # fmt: skip


def run_job(name: str, *command: str, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [RECIPES / "slurm" / f"{name}.sbatch", *command], env=environment, capture_output=True, text=True, timeout=30
    )


def called(tmp_path: Path, command: str) -> list[str]:
    return (tmp_path / f"{command}.called").read_text().splitlines()


@pytest.mark.parametrize("kind", ["cpu", "gpu", "train"])
def test_a_job_runs_the_command_that_it_is_given(kind: str, cluster: dict[str, str], tmp_path: Path) -> None:
    command = ("bash", "-c", "echo {I} of {N}, $HF_HUB_OFFLINE $OMP_NUM_THREADS; exit 7")
    done = run_job(kind, *command, environment=cluster | ARRAY)
    assert (done.returncode, done.stdout, done.stderr) == (7, "3 of 16, 1 8\n", "")
    done = run_job(kind, "srun", "latxa", "train", "a b", environment=cluster)
    assert (done.returncode, called(tmp_path, "srun")) == (0, ["latxa", "train", "a b"])


def test_a_command_on_ray(cluster: dict[str, str], tmp_path: Path) -> None:
    """Ray starts on every node; the command runs where all are there, and only there."""
    python = tmp_path / "latxa" / ".venv" / "bin" / "python3"  # asks whether all nodes are there
    python.write_text("#!/bin/bash\ncat > /dev/null; sleep 0.2; exit $MISSING\n")
    python.chmod(0o755)
    done = run_job("ray", "bash", "-c", "echo on $RAY_ADDRESS; exit 7", environment=cluster | {"MISSING": "0"})
    assert (done.returncode, done.stdout) == (7, "on gpu03:6379\n")
    words = called(tmp_path, "srun")
    assert words[:3] == ["--ntasks-per-node=1", "bash", "-c"] and "ray start --head" in " ".join(words)
    done = run_job("ray", "echo", "never", environment=cluster | {"MISSING": "1"})
    assert (done.returncode, done.stdout) == (1, "") and "Ray did not start on all nodes" in done.stderr


@pytest.mark.parametrize(("array", "job"), [({}, "77"), (ARRAY, "70_3")])
def test_before_the_time_is_up_the_job_is_queued_again(
    array: dict[str, str], job: str, cluster: dict[str, str], tmp_path: Path
) -> None:
    work = "trap 'sleep 0.2; touch saved; exit 143' TERM; touch begun; sleep 20 & wait"
    with subprocess.Popen(
        [RECIPES / "slurm" / "cpu.sbatch", "bash", "-c", work], env=cluster | array, stdout=subprocess.PIPE, text=True,
        cwd=tmp_path,
    ) as process:  # fmt: skip
        while not (tmp_path / "begun").exists() and process.poll() is None:
            time.sleep(0.02)
        process.send_signal(signal.SIGUSR1)
        said, _ = process.communicate(timeout=30)
    assert (process.returncode, said) == (143, "the time is up: queued again\n")
    assert (tmp_path / "saved").exists() and called(tmp_path, "scontrol") == ["requeue", job]


@pytest.mark.parametrize(("left", "ends"), [("1:01", True), ("23:59:58", False), ("", False)])
def test_a_command_that_does_not_end_is_cut_off_in_time(
    left: str, ends: bool, cluster: dict[str, str], tmp_path: Path
) -> None:
    """A minute before the end; a real `scontrol requeue` ends the job, and this one says that it was called."""
    squeue = tmp_path / "latxa" / ".venv" / "bin" / "squeue"
    squeue.write_text(f"#!/bin/bash\necho {left}\n")
    squeue.chmod(0o755)
    work = "trap '' TERM; touch begun; for n in {1..30}; do sleep 0.1; done"
    with subprocess.Popen(
        [RECIPES / "slurm" / "cpu.sbatch", "bash", "-c", work], env=cluster, stdout=subprocess.PIPE, text=True,
        cwd=tmp_path,
    ) as process:  # fmt: skip
        while not (tmp_path / "begun").exists() and process.poll() is None:
            time.sleep(0.02)
        process.send_signal(signal.SIGUSR1)
        process.communicate(timeout=30)
    assert (tmp_path / "scontrol.called").exists() is ends


def test_a_job_without_what_it_needs_says_so(cluster: dict[str, str]) -> None:
    done = run_job("gpu", environment=cluster)
    assert done.returncode == 2 and "which command?" in done.stderr
    part = ARRAY | {"SLURM_ARRAY_TASK_COUNT": "2"}
    done = run_job("gpu", "echo", "{I}/{N}", environment=cluster | part)
    assert done.returncode == 2 and "{N} needs the whole array, --array=0-15" in done.stderr
    assert run_job("gpu", "echo", "{I}", environment=cluster | part).stdout == "3\n"
    del cluster["LATXA"]
    done = run_job("gpu", "echo", environment=cluster)
    assert done.returncode != 0 and "LATXA: the folder of latxa" in done.stderr
