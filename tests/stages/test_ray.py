"""The same on a Ray cluster of two nodes on this machine, each with one core."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from socket import socket
from typing import Any

import pytest
import stage_tasks
from two_nodes import two_nodes

from latxa_cli.stages import Executor, Work, open_executor
from latxa_cli.stream.errors import LatxaError, RecordError

pytest.importorskip("ray", reason="Ray is not installed (`pip install 'latxa-cli[ray]'`)")
HERE = Path(__file__).parent
OPEN = "from latxa_cli.stages import open_executor; open_executor('ray')"


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    with two_nodes(HERE) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def pool(cluster: Any) -> Iterator[Executor]:
    with open_executor("ray") as executor:
        yield executor


def test_every_task_is_done_once(pool: Executor) -> None:
    for count in (0, 1, 7):
        assert sorted(pool.map(stage_tasks.square, range(count))) == [(n, n * n) for n in range(count)]


def test_each_node_does_a_task(pool: Executor, tmp_path: Path) -> None:
    assert pool.workers == 2
    nodes = dict(pool.map(stage_tasks.meets, [(str(tmp_path), 0), (str(tmp_path), 1)]))
    assert nodes[0] != nodes[1]


def test_a_killed_task_is_done_again(pool: Executor, tmp_path: Path) -> None:
    tasks = [(str(tmp_path), number, {2: 1, 3: 2}.get(number, 0)) for number in range(6)]
    assert sorted(pool.map(stage_tasks.killed, tasks)) == [(n, n) for n in range(6)]
    assert len(list(tmp_path.iterdir())) == 3


def test_the_error_is_that_of_the_first_task_that_fails(pool: Executor) -> None:
    tasks = [(0.0, ""), (0.3, "the first"), (0.0, "the second"), (60.0, "")]
    with pytest.raises(RecordError) as caught:
        list(pool.map(stage_tasks.fails, tasks))
    assert (caught.value.message, caught.value.hint) == ("in.jsonl:7: the first", "mend it")


def test_a_task_that_kills_every_process_is_given_up(pool: Executor, tmp_path: Path) -> None:
    with pytest.raises(LatxaError, match="task 1 of 1 of `killed` was begun 4 times, and its process was lost"):
        list(pool.map(stage_tasks.killed, [(str(tmp_path), 0, 100)]))


def test_a_bug_shows_itself(pool: Executor) -> None:
    with pytest.raises(KeyError):
        list(pool.map(stage_tasks.fails, [(0.0, "bug")]))


def test_a_run_goes_on_on_the_cluster_where_it_was_left(pool: Executor, tmp_path: Path) -> None:
    tasks = [{"folder": str(tmp_path), "number": number} for number in range(5)]
    with Work(tmp_path / "w", {}, open_executor("local", 1)) as work, pytest.raises(LatxaError):
        work.stage("first", stage_tasks.broken_at_3, tasks)
    with Work(tmp_path / "w", {}, pool, resume=True) as work:
        assert [result["number"] for result in work.stage("first", stage_tasks.noted, tasks)] == list(range(5))
    assert (tmp_path / "log").read_text().split()[:4] == ["0", "1", "2", "3"]
    assert sorted((tmp_path / "log").read_text().split()[4:]) == ["3", "4"]


def test_a_folder_that_a_node_does_not_see_is_told_of(pool: Executor, tmp_path: Path) -> None:
    with pytest.raises(LatxaError, match="does not see") as caught:
        pool.check(tmp_path / "elsewhere" / "plan.json")
    assert "share" in caught.value.hint


def test_a_cluster_that_is_no_more_is_one_line_with_a_hint(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket() as taken:
        taken.bind(("127.0.0.1", 0))  # nobody listens
        monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:{1}".format(*taken.getsockname()))
        done = subprocess.run([sys.executable, "-c", OPEN], capture_output=True, text=True, check=False)
    assert "LatxaError: the Ray cluster at `127.0.0.1:" in done.stderr and "does not answer" in done.stderr


RUN = """
import os, sys, stage_tasks
from latxa_cli.stages import open_executor
before = dict(os.environ)
with open_executor("ray", most=1) as executor:
    assert executor.workers == 1
with open_executor("ray", 2) as executor:
    results = dict(executor.map(stage_tasks.leaves_a_mark, [(sys.argv[1], number) for number in range(12)]))
assert results == {number: number for number in range(12)}, results
assert dict(os.environ) == before
"""


def test_a_node_that_is_lost_is_done_without_and_nothing_is_said(cluster: Any, tmp_path: Path) -> None:
    path = {"PYTHONPATH": os.pathsep.join([str(HERE), os.environ.get("PYTHONPATH", "")])}
    run = subprocess.Popen(
        [sys.executable, "-c", RUN, str(tmp_path)], env=os.environ | path, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )  # fmt: skip
    while len(list(tmp_path.iterdir())) < 3 and run.poll() is None:
        time.sleep(0.05)
    cluster.remove_node(next(iter(cluster.worker_nodes)), allow_graceful=False)
    out, said = run.communicate(timeout=60)
    assert (run.returncode, out, said) == (0, b"", b"")
