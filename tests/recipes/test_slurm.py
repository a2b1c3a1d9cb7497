"""The study on a Slurm cluster: real daemons on this machine, jobs that fail, nodes that die, and two who submit."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import slurm_cluster
import tiny
from slurm_cluster import NODES, Cluster
from tiny import Latxa

ROOT = Path(__file__).resolve().parents[2]
SLURM, JOBS = ROOT / "recipes" / "slurm", ROOT / "recipes" / "study" / "jobs.py"

pytestmark = pytest.mark.skipif(
    bool(slurm_cluster.missing()), reason=f"`{slurm_cluster.missing()}` is not installed (apt install slurm-wlm)"
)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    folder = tmp_path_factory.mktemp("slurm")
    try:
        with slurm_cluster.running(folder) as cluster:
            latxa = folder / "latxa"
            latxa.mkdir()
            (latxa / "recipes").symlink_to(ROOT / "recipes")
            (latxa / ".venv").symlink_to(Path(sys.executable).parents[1])
            cluster.environment |= {"LATXA": str(latxa), "PYTHONPATH": str(ROOT)}
            yield cluster
    except slurm_cluster.Unable as unable:
        pytest.skip(f"Slurm does not run here: {unable}")


def sbatch(cluster: Cluster, folder: Path, *words: str) -> str:
    done = subprocess.run(
        ["sbatch", "--parsable", *words],
        cwd=folder,
        env=cluster.environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


def job(made: str, needs: str = "", command: str = "", stage: str = "work") -> str:
    command = command or f"echo {made} >> runs; cat {needs} /dev/null > {made}.part; mv {made}.part {made}"
    return f"{stage}\t{made}\t{needs}\t{command}\n"


def submit(cluster: Cluster, folder: Path, jobs: str, *words: str) -> subprocess.Popen[str]:
    (folder / "jobs").write_text(jobs)
    with (folder / "jobs").open() as stdin:
        return subprocess.Popen(
            [sys.executable, JOBS, "--submit", *words], cwd=folder, stdin=stdin, env=cluster.environment,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip


def submitted(cluster: Cluster, folder: Path, jobs: str, *words: str) -> str:
    process = submit(cluster, folder, jobs, *words)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 0, said
    return said


def runs(folder: Path) -> list[str]:
    return (folder / "runs").read_text().split()


STAGES = (
    job("text") + job("mix/a", "text", stage="mix") + job("mix/b", "text", stage="mix")
    + job("model/a", "mix/a", stage="train") + job("model/b", "mix/b", stage="train")
    + job("table", "model/a model/b", stage="report")
)  # fmt: skip


# --- a job of one command


def test_a_task_of_an_array_knows_its_number(cluster: Cluster, tmp_path: Path) -> None:
    sbatch(
        cluster,
        tmp_path,
        "--array=0-2",
        str(SLURM / "gpu.sbatch"),
        "bash",
        "-c",
        "echo '{I}/{N}' $HF_HUB_OFFLINE > {I}",
    )
    cluster.wait_for_all()
    assert [(tmp_path / str(n)).read_text() for n in range(3)] == ["0/3 1\n", "1/3 1\n", "2/3 1\n"]


def test_a_part_of_an_array_has_no_shards(cluster: Cluster, tmp_path: Path) -> None:
    number = sbatch(cluster, tmp_path, "--array=1-2", "-o", "log", str(SLURM / "cpu.sbatch"), "touch", "{I}-{N}")
    cluster.wait_for_all()
    assert "{N} needs the whole array, --array=0-2" in (tmp_path / "log").read_text()
    assert "ExitCode=2:0" in cluster.call("scontrol", "show", "job", number)
    assert not list(tmp_path.glob("*-*"))


SAVING = """
import signal, sys, time, os, pathlib
kept = pathlib.Path("kept." + os.environ.get("SLURM_PROCID", "0"))
def save(*_):
    time.sleep(0.3)
    kept.write_text("half")
    while len(list(pathlib.Path().glob("kept.*"))) < int(os.environ.get("SLURM_NTASKS", "1")):
        time.sleep(0.05)  # as training does: whoever ends ends all
    sys.exit(143)
signal.signal(signal.SIGTERM, save)
if kept.exists():
    kept.write_text("whole")
    sys.exit(0)
pathlib.Path("begun." + os.environ.get("SLURM_PROCID", "0")).touch()
time.sleep(60)
"""


@pytest.mark.parametrize(
    ("flags", "envelope", "words", "tasks"),
    [
        (["--array=3"], "cpu", [], 1),
        (["--nodes=2", "--ntasks-per-node=2", "--cpus-per-task=1"], "train", ["srun"], 4),
    ],
)
def test_before_the_time_is_up_work_is_saved_and_queued_again(
    flags: list[str], envelope: str, words: list[str], tasks: int, cluster: Cluster, tmp_path: Path
) -> None:
    (tmp_path / "saving.py").write_text(SAVING)
    command = [*words, "python3", "saving.py"]
    number = sbatch(cluster, tmp_path, *flags, "-o", "log", str(SLURM / f"{envelope}.sbatch"), *command)
    cluster.wait(lambda: len(list(tmp_path.glob("begun.*"))) == tasks)
    cluster.call("scancel", "--signal=USR1", "--batch", number)
    cluster.wait_for_all()
    assert [path.read_text() for path in tmp_path.glob("kept.*")] == ["whole"] * tasks
    assert "the time is up: queued again" in (tmp_path / "log").read_text()


def test_the_exit_code_is_that_of_the_command(cluster: Cluster, tmp_path: Path) -> None:
    number = sbatch(cluster, tmp_path, str(SLURM / "cpu.sbatch"), "bash", "-c", "exit 7")
    cluster.wait_for_all()
    assert "ExitCode=7:0" in cluster.call("scontrol", "show", "job", number)


# --- a study


def test_each_job_runs_once_and_two_who_submit_do_nothing_twice(cluster: Cluster, tmp_path: Path) -> None:
    both = [submit(cluster, tmp_path, STAGES) for _ in range(2)]
    said = [process.communicate(timeout=30)[1] for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert sum("6 jobs were queued already" in text for text in said) == 1
    cluster.wait_for_all()
    assert sorted(runs(tmp_path)) == ["mix/a", "mix/b", "model/a", "model/b", "table", "text"]
    assert runs(tmp_path)[0] == "text" and runs(tmp_path)[-1] == "table"
    assert submitted(cluster, tmp_path, STAGES) == "study: `squeue --me` shows them\n"


def test_a_job_that_failed_stops_what_needs_it_and_is_made_by_the_same_line(cluster: Cluster, tmp_path: Path) -> None:
    failing = job("mix/a", "text", "test -e mended && echo mix/a >> runs && touch mix/a", stage="mix")
    stages = STAGES.replace(job("mix/a", "text", stage="mix"), failing)
    submitted(cluster, tmp_path, stages)
    cluster.wait_for_all()
    assert sorted(runs(tmp_path)) == ["mix/b", "model/b", "text"], "what does not need it has been made"
    (tmp_path / "mended").touch()
    said = submitted(cluster, tmp_path, stages)
    assert said.count(" 1 x ") == 3
    cluster.wait_for_all()
    assert sorted(runs(tmp_path)) == ["mix/a", "mix/b", "model/a", "model/b", "table", "text"]


def test_a_job_that_is_queued_is_waited_for(cluster: Cluster, tmp_path: Path) -> None:
    slow = STAGES.replace("echo text", "sleep 3; echo text")
    submitted(cluster, tmp_path, slow, "--stage", "work")
    said = submitted(cluster, tmp_path, slow, "--stage", "mix")
    assert "1 jobs were queued already" not in said and "afterok:" in said
    cluster.wait_for_all()
    assert sorted(runs(tmp_path)) == ["mix/a", "mix/b", "text"]


def test_a_job_of_a_study_is_told_too_and_continues(cluster: Cluster, tmp_path: Path) -> None:
    """The signal goes the whole way: from Slurm to the job, to the tasks that it started on both nodes."""
    (tmp_path / "saving.py").write_text(SAVING)
    study = job("made", "", "srun python3 saving.py && touch made", stage="train")
    said = submitted(cluster, tmp_path, study, "--slurm=train=train --nodes=2 --ntasks-per-node=1 --cpus-per-task=1")
    cluster.wait(lambda: len(list(tmp_path.glob("begun.*"))) == 2)
    cluster.call("scancel", "--signal=USR1", "--batch", said.split()[1])
    cluster.wait_for_all()
    assert (tmp_path / "made").exists()
    assert [path.read_text() for path in tmp_path.glob("kept.*")] == ["whole"] * 2


def test_training_goes_on_where_a_node_was_killed(
    cluster: Cluster, tmp_path: Path, tiny_models: Path, latxa: Latxa
) -> None:
    """One process on each of two nodes: Slurm queues the job again, and it continues from its last checkpoint."""
    tiny.write_jsonl(tmp_path / "data.jsonl", tiny.training_records()[:40])
    flags = ("--model", str(tiny_models / "base"), "--sequence-length", "64")
    assert latxa("prepare", "data.jsonl", *flags, "-o", "prepared", cwd=tmp_path).returncode == 0
    train = shlex.join(["latxa", "train", "prepared", *flags, "--epochs", "16", "--checkpoint-every", "8"])
    study = job("model", "", f"srun {train} --threads 1 -o model --resume", stage="train")
    submitted(cluster, tmp_path, study, "--slurm=train=train --nodes=2 --ntasks-per-node=1 --cpus-per-task=1")
    cluster.wait(lambda: bool(list(tmp_path.glob("model/checkpoints/step-*[0-9]"))))
    cluster.kill(NODES[1])
    cluster.call("scontrol", "update", f"nodename={NODES[1]}", "state=down", "reason=killed")
    assert not (tmp_path / "model" / "manifest.json").exists()
    cluster.start_node(NODES[1])
    cluster.call("scontrol", "update", f"nodename={NODES[1]}", "state=resume")
    cluster.wait_for_all()
    steps = [json.loads(line)["step"] for line in (tmp_path / "model" / "metrics.jsonl").open()]
    assert (tmp_path / "model" / "manifest.json").exists() and steps == list(range(1, steps[-1] + 1))
    assert "DUE TO NODE FAILURE" in "".join(path.read_text() for path in (tmp_path / "logs").glob("slurm-*"))
