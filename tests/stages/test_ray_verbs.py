"""`latxa corpus` and `latxa mix` on a Ray cluster of two nodes, whose workers are killed: the bytes of a local run."""

from __future__ import annotations

import gzip
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Timer
from typing import Any

import orjson
import psutil
import pytest
import zstandard
from bench import mess
from preloaded import Call, Server
from tiny import BINARY, Latxa
from two_nodes import two_nodes

ray = pytest.importorskip("ray", reason="Ray is not installed (`pip install 'latxa-cli[ray]'`)")

TIMEOUT = 300  # seconds for any one run
TASK = "ray::_do"  # the title of a worker's process, as long as it does a task
KILLS = 2  # in a run, at most; each in another stage
ATTEMPTS = 5  # to kill a worker in a run: on a busy machine one may end without a task in which it was met
OPEN: dict[str, Callable[..., Any]] = {"": open, ".gz": gzip.open, ".zst": zstandard.open}


@dataclass(frozen=True)
class Case:
    """A command line but for `--executor`; the files that it makes, and what of the manifest is no setting."""

    words: str
    outcomes: tuple[str, ...]
    facts: tuple[str, ...]


CASES = {
    "corpus": Case(
        "wiki=wiki crawl_a=crawl_a crawl_b=crawl_b crawl_c=crawl_c --language eu --against items.jsonl"
        " --rejects rejects.jsonl --review review.jsonl",
        ("out.jsonl", "rejects.jsonl", "review.jsonl"),
        ("counts", "funnel", "boilerplate", "leaks"),
    ),
    "mix": Case(  # on a cluster by files; on one machine so little is mixed in memory
        "corpus=documents eu=eu en=en --weight eu=2.5 --weight corpus=0.5 --hold-out en=40 --hold-out-file held.jsonl"
        " --rejects rejects.jsonl --memory 400MB",
        ("out.jsonl", "held.jsonl", "rejects.jsonl"),
        ("counts", "sources"),
    ),
}
for_both_verbs = pytest.mark.parametrize("verb", CASES)


Start = Callable[[str, Path, str], "subprocess.Popen[bytes]"]


def command(verb: str, executor: str) -> list[str]:
    return [str(BINARY), verb, *CASES[verb].words.split(), "--workers", "2", "--executor", executor, "-o", "out.jsonl"]


@pytest.fixture(scope="module")
def start(fork_server: Server) -> Start:
    """`start(verb, folder, executor)` starts the command, which has its libraries loaded already, but for Ray."""

    def run(verb: str, folder: Path, executor: str) -> subprocess.Popen[bytes]:
        return Call(
            fork_server, command(verb, executor), cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )  # fmt: skip

    return run


# --- without a cluster (first: the one of this module would be found)


@for_both_verbs
def test_a_cluster_has_to_run(verb: str, folder: Path, start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    with suppress(ConnectionError):
        found = ray._private.services.get_ray_address_from_environment("auto", None)
        pytest.skip(f"a Ray cluster runs on this machine, at {found}")
    run = start(verb, folder, "ray")
    assert run.communicate(timeout=TIMEOUT) == (
        b"",
        b"latxa: there is no running Ray cluster\n"
        b"hint: `ray start --head` starts one; `ray start --address=HEAD:6379` on other machines joins it\n",
    )
    assert run.returncode == 1
    assert all(path.is_symlink() for path in folder.iterdir()), "nothing is left behind"


@for_both_verbs
def test_ray_has_to_be_installed(verb: str, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "without").mkdir()
    (tmp_path / "without" / "ray.py").write_text("raise ModuleNotFoundError(\"No module named 'ray'\", name='ray')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "without"))
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    run = subprocess.Popen(command(verb, "ray"), cwd=folder, **pipes)  # what is on the path is read at the start
    said = b"latxa: Ray is not installed\nhint: `pip install 'latxa-cli[ray]'`\n"
    assert run.communicate(timeout=TIMEOUT) == (b"", said)
    assert run.returncode == 2


# --- on a cluster


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    with two_nodes() as cluster:
        yield cluster


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory, shared_data: Path) -> Path:
    """A folder with the input of both verbs: small files, of which each is a part of its own."""
    folder = tmp_path_factory.mktemp("data")
    built = mess.build(tmp_path_factory.mktemp("mess"), 2, seed=7)
    (folder / "items.jsonl").write_bytes(built.items.read_bytes())
    for name, path in built.files.items():
        packed = path.suffix.replace(".jsonl", "")
        with OPEN[packed](path, "rb") as file:
            write(folder / name, [*file.read().splitlines(), b'{"id": "no text"}'], packed)
    write(folder / "documents", [orjson.dumps({"id": f"d{n}", "text": f"text {n} " * 99}) for n in range(2000)])
    for name in ("eu", "en"):
        write(folder / name, [conversation(f"{name}{n % 290}") for n in range(300)], ".zst")
    return folder


def conversation(name: str) -> bytes:
    turns = [{"role": role, "content": f"{role} of {name} " * 10} for role in ("user", "assistant")]
    return orjson.dumps({"id": name, "messages": turns})


def write(folder: Path, lines: list[bytes], packed: str = "") -> None:
    folder.mkdir()
    for number in range(3):
        with OPEN[packed](folder / f"{number}.jsonl{packed}", "wb") as file:
            file.write(b"".join(line + b"\n" for line in lines[number::3]))


@pytest.fixture
def folder(data: Path, tmp_path: Path) -> Path:
    return linked(data, tmp_path / "run")


def linked(data: Path, folder: Path) -> Path:
    """Make a folder that shows the input."""
    folder.mkdir()
    for path in data.iterdir():
        (folder / path.name).symlink_to(path)
    return folder


@for_both_verbs
def test_killed_workers_change_nothing(verb: str, cluster: Any, data: Path, start: Start, tmp_path: Path) -> None:
    alone = linked(data, tmp_path / "alone")
    expected = ending(start(verb, alone, "local"))
    assert expected[0] == 0, expected
    for attempt in range(ATTEMPTS):
        folder = linked(data, tmp_path / f"run{attempt}")
        run = start(verb, folder, "ray")
        killed_in = kill_workers(run, folder / "out.jsonl.work")
        assert ending(run) == expected
        if killed_in:
            break
    assert killed_in
    assert {path.name for path in folder.iterdir()} == {path.name for path in alone.iterdir()}
    for name in CASES[verb].outcomes:
        assert (folder / name).read_bytes() == (alone / name).read_bytes() != b"", name
    manifests = [orjson.loads((where / "out.jsonl.manifest.json").read_bytes()) for where in (folder, alone)]
    for fact in CASES[verb].facts:
        assert manifests[0][fact] == manifests[1][fact], fact


def test_rows_are_those_of_a_local_run(
    cluster: Any, data: Path, tiny_models: Path, latxa: Latxa, tmp_path: Path
) -> None:
    """`latxa prepare`, which makes a directory."""
    words = ("prepare", "documents", "eu", "en", "-m", tiny_models / "base", "--sequence-length", "256", "-q")
    for executor in ("ray", "local"):
        out = ("--executor", executor, "--workers", "2", "-o", tmp_path / executor)
        done = latxa(*words, *out, cwd=data, timeout=TIMEOUT)
        assert done.returncode == 0, done.stderr.decode()
    names = {path.name for path in (tmp_path / "local").iterdir()} - {"manifest.json"}
    assert len(names) == 4 and names < {path.name for path in (tmp_path / "ray").iterdir()}
    for name in names:
        assert (tmp_path / "ray" / name).read_bytes() == (tmp_path / "local" / name).read_bytes(), name


def test_the_end_of_ray_on_this_machine_is_one_error(cluster: Any, folder: Path, start: Start) -> None:
    run = start("mix", folder, "ray")
    while run.poll() is None and not stage_of(folder / "out.jsonl.work"):
        time.sleep(0.01)
    cluster.head_node.kill_raylet()  # the cluster's end: no test can follow
    said = "latxa: Ray has ended on this machine\nhint: start it again; with `-o FILE`, `--resume` continues\n"
    assert ending(run) == (1, b"", said)


def ending(run: subprocess.Popen[bytes]) -> tuple[int, bytes, str]:
    """Return a run's exit code, stdout, and stderr without the seconds that it took."""
    out, said = run.communicate(timeout=TIMEOUT)
    return run.returncode, out, re.sub(r"[\d.]+ s;", "", said.decode())


def kill_workers(run: subprocess.Popen[bytes], work: Path) -> list[str]:
    """Kill a worker in the middle of a task in several stages of a run, and return these stages."""
    stages: list[str] = []
    watch = Timer(TIMEOUT, run.kill)
    watch.daemon = True
    watch.start()
    workers = Workers()
    while run.poll() is None and len(stages) < KILLS:
        time.sleep(0.001)  # most tasks take some milliseconds
        for worker in workers.at_tasks()[:1]:
            if stage_of(work) in ("", *stages):  # "": the run looks at what the nodes see
                continue
            with suppress(psutil.NoSuchProcess):
                worker.suspend()
                if title(worker) == TASK and keeps_waiting(run, worker, workers):
                    stages.append(stage_of(work))
                    worker.kill()
                else:
                    worker.resume()
    run.wait()
    watch.cancel()
    return stages


def keeps_waiting(run: subprocess.Popen[bytes], stopped: psutil.Process, workers: Workers) -> bool:
    """Whether the run waits for what a stopped worker does: no other does anything any more, and it is not over."""
    seen = time.monotonic()
    while run.poll() is None:
        if workers.at_tasks() != [stopped]:
            seen = time.monotonic()
        elif time.monotonic() - seen > 1:
            return True
        time.sleep(0.02)
    return False


class Workers:
    """The workers of this process's cluster, which are looked for five times a second: that takes long."""

    def __init__(self) -> None:
        self.known: list[psutil.Process] = []
        self.seen = 0.0

    def at_tasks(self) -> list[psutil.Process]:
        """Return those that do tasks."""
        if time.monotonic() - self.seen > 0.2:
            self.known = [one for one in psutil.Process().children(recursive=True) if title(one).startswith("ray::")]
            self.seen = time.monotonic()
        return [one for one in self.known if title(one) == TASK]


def title(process: psutil.Process) -> str:
    try:
        return process.cmdline()[0]
    except (psutil.Error, IndexError):
        return ""


def stage_of(work: Path) -> str:
    """Return the name of the stage that a run has begun last, if any."""
    with suppress(FileNotFoundError):  # the folder is being removed
        begun = sorted(work.glob("*/tasks"), key=lambda path: path.stat().st_mtime_ns)
        return begun[-1].parent.name if begun else ""
    return ""
