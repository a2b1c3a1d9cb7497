"""`latxa corpus --resume` after kills at any moment: the bytes of an uninterrupted run, rejects and review included."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import orjson
import psutil
import pytest
from bench import mess
from corpus_world import OUTCOMES, outcomes, read, write
from preloaded import Call, Server
from tiny import BINARY, Latxa

KILLS = 4
TIMEOUT = 120  # seconds for any one process
WORDS = [
    "corpus", "docs=in", "--language", "eu", "--workers", "2", "-o", "out.jsonl", "--rejects", "rejects.jsonl",
    "--review", "review.jsonl", "--against", "items.jsonl",
]  # fmt: skip


Start = Callable[..., "subprocess.Popen[bytes]"]


class Uninterrupted:
    """What a run left that nobody killed, and how long it took."""

    def __init__(self, folder: Path, start: Start) -> None:
        started = time.monotonic()
        process = start(folder, *WORDS)
        assert process.wait(TIMEOUT) == 0, stderr_of(folder)
        self.seconds = time.monotonic() - started
        self.folder = folder
        self.outcomes = outcomes(folder)
        self.counts = manifest(folder)["counts"]
        self.files = {path.name for path in folder.iterdir()}


@pytest.fixture(scope="module")
def start(fork_server: Server) -> Start:
    """`start(folder, *words)` starts the command, loaded already, as its workers are."""

    def run(folder: Path, *words: str) -> subprocess.Popen[bytes]:
        with (folder / "stderr.txt").open("wb") as stderr:
            return Call(fork_server, [BINARY, *words], cwd=folder, stdin=subprocess.DEVNULL, stderr=stderr)

    return run


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, shared_data: Path, start: Start) -> Uninterrupted:
    folder = tmp_path_factory.mktemp("whole")
    built = mess.build(tmp_path_factory.mktemp("mess"), 1, seed=7)
    records = [record for path in built.files.values() for record in read(path)]
    (folder / "in").mkdir()
    for number in range(12):  # each file is a part of its own
        write(folder / "in" / f"{number:02}.jsonl", records[number::12])
    (folder / "items.jsonl").write_bytes(built.items.read_bytes())
    return Uninterrupted(folder, start)


@pytest.fixture
def folder(whole: Uninterrupted, tmp_path: Path) -> Path:
    """A new folder with the same input."""
    for name in ("in", "items.jsonl"):
        (tmp_path / name).symlink_to(whole.folder / name)
    return tmp_path


def stderr_of(folder: Path) -> str:
    return (folder / "stderr.txt").read_text()


def manifest(folder: Path) -> Any:
    return orjson.loads((folder / "out.jsonl.manifest.json").read_bytes())


def intermediate(folder: Path) -> list[str]:
    """Return the intermediate files that are whole."""
    found = [f"{place}/{file}" for place, _, files in os.walk(folder / "out.jsonl.work") for file in files]
    return sorted(file for file in found if not file.endswith(".part"))


def progress(folder: Path) -> int:
    """Return how many intermediate files there are that are whole, and outputs begun."""
    return len(intermediate(folder)) + len(list(folder.glob("*.part")))


def kill(process: subprocess.Popen[bytes], how: int = signal.SIGKILL) -> None:
    """Kill a process, and see that its workers end with it."""
    workers = psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
    process.send_signal(how)
    process.wait(TIMEOUT)
    _, alive = psutil.wait_procs(workers, timeout=10)
    assert not alive, "workers outlive their parent"


def at_a_time(process: subprocess.Popen[bytes], folder: Path, seconds: float, draw: random.Random) -> None:
    """Wait for some of the time that a whole run takes."""
    with suppress(subprocess.TimeoutExpired):
        process.wait(draw.random() * seconds)


def at_a_file(process: subprocess.Popen[bytes], folder: Path, seconds: float, draw: random.Random) -> None:
    """Wait until the process has made some more files."""
    goal = progress(folder) + draw.randrange(1, 40)
    while process.poll() is None and progress(folder) < goal:
        time.sleep(0.001)
    time.sleep(draw.random() * 0.01)


@pytest.mark.parametrize("wait", [at_a_time, at_a_file])
def test_killed_again_and_again(whole: Uninterrupted, folder: Path, start: Start, wait: Any) -> None:
    seed = random.randrange(10**6)
    draw, kills, completed = random.Random(seed), 0, 0
    while kills < KILLS or not completed:
        process = start(folder, *WORDS, "--resume")
        wait(process, folder, whole.seconds, draw)
        kill(process)
        if process.returncode == 0:
            completed += 1
            assert outcomes(folder) == whole.outcomes, seed
            assert manifest(folder)["counts"] == whole.counts
            assert {path.name for path in folder.iterdir()} == whole.files, "nothing stays behind"
            for name in (*OUTCOMES, "out.jsonl.manifest.json"):  # once more from the start
                (folder / name).unlink()
        else:
            assert process.returncode == -signal.SIGKILL, stderr_of(folder)
            kills += 1
            if (folder / "out.jsonl.manifest.json").exists():  # written last: only cleaning up was left
                assert outcomes(folder) == whole.outcomes, seed


def test_a_killed_worker_is_replaced(whole: Uninterrupted, folder: Path, start: Start) -> None:
    draw, killed, runs = random.Random(), 0, 0
    while runs < 3 or (not killed and runs < 10):  # on a busy machine a run may end before a worker is met
        runs += 1
        process = start(folder, *WORDS)
        at_a_file(process, folder, whole.seconds, draw)
        with suppress(psutil.Error):
            for worker in psutil.Process(process.pid).children(recursive=True):
                if not worker.children() and "tracker" not in " ".join(worker.cmdline()):
                    worker.kill()
                    killed += 1
                    break
        assert process.wait(TIMEOUT) == 0, stderr_of(folder)
        assert outcomes(folder) == whole.outcomes
    assert killed


def test_interrupted_by_the_user(whole: Uninterrupted, folder: Path, start: Start) -> None:
    with (folder / "stderr.txt").open("wb") as stderr:
        process = subprocess.Popen([BINARY, *WORDS], cwd=folder, stdin=subprocess.DEVNULL, stderr=stderr)
    at_a_file(process, folder, whole.seconds, random.Random())
    kill(process, signal.SIGINT)
    assert process.returncode == 130, stderr_of(folder)
    assert stderr_of(folder).splitlines()[-2:] == [
        "latxa: interrupted", "hint: with `-o FILE`, `--resume` continues",
    ]  # fmt: skip
    assert not (folder / "out.jsonl").exists()
    assert start(folder, *WORDS, "--resume").wait(TIMEOUT) == 0, stderr_of(folder)
    assert outcomes(folder) == whole.outcomes


def interrupted(folder: Path, start: Start) -> None:
    """Leave a run in `folder` that was killed in the middle."""
    process = start(folder, *WORDS)
    while progress(folder) < 20:
        assert process.poll() is None, stderr_of(folder)
        time.sleep(0.001)
    kill(process)


CHANGES = {
    "another setting": ["--skip", "quality"],
    "another threshold": ["--similarity", "0.9"],
    "another seed": ["--seed", "5"],
    "another memory": ["--memory", "1GB"],  # the tasks are cut by it
}


def test_an_interrupted_run_goes_on_with_the_same_settings_and_input_only(
    whole: Uninterrupted, folder: Path, start: Start
) -> None:
    interrupted(folder, start)
    before = intermediate(folder)
    for change in CHANGES.values():
        assert start(folder, *WORDS, "--resume", *change).wait(TIMEOUT) == 2, change
        assert "latxa: " in stderr_of(folder) and "hint: " in stderr_of(folder)
    (folder / "in").unlink()
    (folder / "in").mkdir()
    for path in (whole.folder / "in").iterdir():
        (folder / "in" / path.name).write_bytes(path.read_bytes())
    changed = folder / "in" / "03.jsonl"
    original = changed.read_bytes()
    changed.write_bytes(b"\n".join(original.split(b"\n")[1:]))
    assert start(folder, *WORDS, "--resume").wait(TIMEOUT) == 2, "the input has changed"
    assert "03.jsonl" in stderr_of(folder)
    assert intermediate(folder) == before, "a refused run spoils nothing"
    changed.write_bytes(original)
    assert start(folder, *WORDS, "--resume", "--workers", "1").wait(TIMEOUT) == 0, stderr_of(folder)
    assert outcomes(folder) == whole.outcomes


def test_without_resume_a_run_starts_again(whole: Uninterrupted, folder: Path, start: Start) -> None:
    interrupted(folder, start)
    assert start(folder, *WORDS).wait(TIMEOUT) == 0, stderr_of(folder)
    assert outcomes(folder) == whole.outcomes
    assert {path.name for path in folder.iterdir()} == whole.files


def test_two_runs_do_not_share_a_work_folder(whole: Uninterrupted, folder: Path, start: Start, latxa: Latxa) -> None:
    first = start(folder, *WORDS)
    while progress(folder) < 8:
        assert first.poll() is None, stderr_of(folder)
        time.sleep(0.001)
    os.kill(first.pid, signal.SIGSTOP)
    try:
        second = latxa(*WORDS, "--resume", cwd=folder, timeout=TIMEOUT)
    finally:
        os.kill(first.pid, signal.SIGCONT)
    assert second.returncode in (1, 2) and b"another run" in second.stderr
    assert first.wait(TIMEOUT) == 0
    assert outcomes(folder) == whole.outcomes
