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
from pathlib import Path
from typing import Any

import pytest

from latxa_cli import cli
from latxa_cli.training.config import resolve

RECIPES = Path(__file__).resolve().parents[2] / "recipes"
SETTINGS = sorted((RECIPES / "train").glob("*.toml"))
OVERLAYS = sorted((RECIPES / "deepspeed").glob("*.json"))
JOBS = sorted((RECIPES / "slurm").glob("*.sbatch"))

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
}


def name(path: Path) -> str:
    return path.name


@pytest.mark.parametrize("path", SETTINGS, ids=name)
def test_settings_are_known_and_can_be(path: Path) -> None:
    resolved = resolve(path)
    for setting, value in tomllib.loads(path.read_text()).items():
        if setting != "deepspeed":
            assert getattr(resolved, setting) == value


@pytest.mark.parametrize("path", SETTINGS, ids=name)
def test_what_the_papers_do_not_state_is_marked_as_ours(path: Path) -> None:
    published, settings = PUBLISHED[path.name], tomllib.loads(path.read_text())
    assert {setting: settings[setting] for setting in published} == published
    lines = [line for line in path.read_text().splitlines() if re.match(r"\w+ = ", line)]
    assert [line.split(" = ")[0] for line in lines] == list(settings)
    unmarked = {line.split(" = ")[0] for line in lines if not re.search(r"# .*\bours\b", line)}
    assert unmarked == set(published)


@pytest.mark.parametrize("path", SETTINGS, ids=name)
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


@pytest.mark.parametrize("path", JOBS, ids=name)
def test_shellcheck_finds_nothing(path: Path) -> None:
    if shutil.which("shellcheck") is None:
        pytest.skip("`shellcheck` is not installed")
    checked = subprocess.run(["shellcheck", path], capture_output=True, text=True, check=False)
    assert (checked.returncode, checked.stdout) == (0, "")


@pytest.fixture
def cluster(tmp_path: Path) -> dict[str, str]:
    """The environment of a job, with commands that write down what they were called with (`TMP/NAME.called`)."""
    bin_ = tmp_path / "latxa" / ".venv" / "bin"
    bin_.mkdir(parents=True)
    for command in ("srun", "scontrol", "latxa"):
        (bin_ / command).write_text(
            f"#!/bin/bash\nprintf '%s\\n' \"$@\" > '{tmp_path}/{command}.called'\n"
            f'[ {command} != srun ] || exec sleep "$SECONDS_OF_WORK"\n'
        )
        (bin_ / command).chmod(0o755)
    for part in ("0", "1"):
        (tmp_path / "prepared" / part).mkdir(parents=True)
    return {
        "PATH": f"{bin_}:{os.environ['PATH']}", "LATXA": str(tmp_path / "latxa"), "MODEL": "model", "DATA": "mix.jsonl",
        "PREPARED": str(tmp_path / "prepared"), "CONFIG": "paper_8b.toml", "OUT": str(tmp_path / "out"),
        "SLURM_JOB_ID": "77", "SLURM_CPUS_PER_TASK": "8", "SLURM_ARRAY_TASK_ID": "3", "SLURM_ARRAY_TASK_COUNT": "16",
        "SECONDS_OF_WORK": "0",
    }  # fmt: skip


def called(tmp_path: Path, command: str) -> list[str]:
    return (tmp_path / f"{command}.called").read_text().splitlines()


def test_the_job_of_training_runs_latxa(cluster: dict[str, str], tmp_path: Path) -> None:
    done = subprocess.run([RECIPES / "slurm" / "train.sbatch"], env=cluster, capture_output=True, text=True, timeout=30)
    assert (done.returncode, done.stderr) == (0, "")
    words = called(tmp_path, "srun")
    assert f"--output={tmp_path}/out.logs/rank-%t.log" in words and (tmp_path / "out.logs").is_dir()
    verb, *flags = words[words.index("latxa") + 1 :]
    given = cli.load(verb).make_context(verb, flags).params
    assert given["sources"] == [str(tmp_path / "prepared" / part) for part in ("0", "1")]
    assert given["resume"] is True and given["model"] == "model"


def test_before_the_time_is_up_the_job_is_queued_again(cluster: dict[str, str], tmp_path: Path) -> None:
    environment = cluster | {"SECONDS_OF_WORK": "2"}
    with subprocess.Popen(
        [RECIPES / "slurm" / "train.sbatch"], env=environment, stdout=subprocess.PIPE, text=True
    ) as job:
        while not (tmp_path / "srun.called").exists() and job.poll() is None:
            time.sleep(0.02)
        job.send_signal(signal.SIGUSR1)
        said, _ = job.communicate(timeout=30)
    assert (job.returncode, said) == (0, "the time is up: queued again\n")
    assert called(tmp_path, "scontrol") == ["requeue", "77"]


def test_a_job_that_fails_says_so(cluster: dict[str, str]) -> None:
    done = subprocess.run(
        [RECIPES / "slurm" / "train.sbatch"], env=cluster | {"SECONDS_OF_WORK": "nonsense"}, capture_output=True,
        timeout=30, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    del cluster["OUT"]
    done = subprocess.run([RECIPES / "slurm" / "train.sbatch"], env=cluster, capture_output=True, text=True)
    assert done.returncode != 0 and "OUT: the directory for the trained model" in done.stderr


def test_the_job_of_preparing_makes_one_part(cluster: dict[str, str], tmp_path: Path) -> None:
    subprocess.run([RECIPES / "slurm" / "prepare.sbatch"], env=cluster, check=True, timeout=30)
    verb, *flags = called(tmp_path, "latxa")
    given = cli.load(verb).make_context(verb, flags).params
    assert given["shard"] == (3, 16) and given["output"] == tmp_path / "prepared" / "3" and given["resume"] is True
