"""Local processes that do tasks: what they give, and what happens when tasks fail or processes are killed."""

from __future__ import annotations

import os
import pickle
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import stage_tasks

from latxa_cli.stages import Executor, cores, open_executor
from latxa_cli.stream.errors import LatxaError, RecordError, UsageError

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def pool() -> Iterator[Executor]:
    with open_executor("local", 2, ["stage_tasks"]) as executor:
        yield executor


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_every_task_is_done_once(workers: int) -> None:
    with open_executor("local", workers) as executor:
        for count in (0, 1, 2, 7):
            assert sorted(executor.map(stage_tasks.square, range(count))) == [(n, n * n) for n in range(count)]


def test_processes_are_kept_from_stage_to_stage(pool: Executor) -> None:
    first = {number for _, number in pool.map(stage_tasks.process, range(6))}
    assert len(first) == 2 and os.getpid() not in first
    assert {number for _, number in pool.map(stage_tasks.process, range(6))} == first


def test_there_is_a_worker_for_each_core_as_far_as_that_goes() -> None:
    for workers, most, expected in [(None, 1, 1), (None, 0, 1), (None, 10**6, cores()), (3, 1, 3)]:
        with open_executor("local", workers, most=most) as executor:
            assert executor.workers == expected


def test_one_worker_is_this_process() -> None:
    with open_executor("local", 1) as executor:
        assert dict(executor.map(stage_tasks.process, range(2))) == {0: os.getpid(), 1: os.getpid()}


def test_workers_leave_ctrl_c_to_the_run(pool: Executor) -> None:
    assert dict(pool.map(stage_tasks.ignores_interrupts, range(2))) == {0: True, 1: True}


def test_results_too_large_for_a_pipe_come_whole(pool: Executor) -> None:
    data = [bytes([number]) * 3_000_000 for number in range(4)]
    assert sorted(pool.map(bytes.upper, data)) == list(enumerate(map(bytes.upper, data)))


# --- killed


def test_a_killed_task_is_done_again(pool: Executor, tmp_path: Path) -> None:
    tasks = [(str(tmp_path), number, {2: 1, 4: 3}.get(number, 0)) for number in range(8)]
    assert sorted(pool.map(stage_tasks.killed, tasks)) == [(n, n) for n in range(8)]
    assert len(list(tmp_path.iterdir())) == 4


def test_a_task_that_kills_every_process_is_given_up(pool: Executor, tmp_path: Path) -> None:
    tasks = [(str(tmp_path), number, {5: 100}.get(number, 0)) for number in range(8)]
    with pytest.raises(LatxaError) as caught:
        list(pool.map(stage_tasks.killed, tasks))
    assert caught.value.message == (
        "task 6 of 8 of `killed` was begun 4 times, and its process was killed by SIGKILL each time"
    )
    assert "`--workers`" in caught.value.hint and "`--memory`" in caught.value.hint
    assert sorted(pool.map(stage_tasks.square, range(4))) == [(n, n * n) for n in range(4)]


def test_an_idle_process_that_was_killed_is_replaced(pool: Executor) -> None:
    for number in {number for _, number in pool.map(stage_tasks.process, range(6))}:
        os.kill(number, signal.SIGKILL)
    assert sorted(pool.map(stage_tasks.square, range(5))) == [(n, n * n) for n in range(5)]


def test_the_server_that_begins_processes_may_be_killed_too(pool: Executor, tmp_path: Path) -> None:
    (server,) = {number for _, number in pool.map(stage_tasks.begun_by, range(4))}
    os.kill(server, signal.SIGKILL)
    tasks = [(str(tmp_path), number, 1) for number in range(4)]  # each kills its process
    assert sorted(pool.map(stage_tasks.killed, tasks)) == [(n, n) for n in range(4)]
    assert {number for _, number in pool.map(stage_tasks.begun_by, range(4))} != {server}


DEADLY = """
import multiprocessing, os, signal, sys
from pathlib import Path

WHERE = {"server": sys.argv[0] == "-c", "worker": multiprocessing.parent_process() is not None}
killed = len(list(Path("FOLDER").glob("*.killed")))
if WHERE["PLACE"] and killed < TIMES:
    Path(f"FOLDER/{killed}-{os.getpid()}.killed").touch()
    END

def square(number):
    return number * number
"""
USE = """
from latxa_cli.stages import open_executor
if __name__ == "__main__":
    import deadly
    with open_executor("local", 2, PRELOAD) as executor:
        print(sorted(executor.map(deadly.square, range(4))))
"""


def import_deadly(folder: Path, place: str, times: int, end: str) -> subprocess.CompletedProcess[str]:
    """Do tasks of a module that comes to an `end` when it is imported at a `place`, so many times."""
    filled = {"FOLDER": str(folder), "PLACE": place, "TIMES": str(times), "END": end}
    (folder / "deadly.py").write_text(re.sub("|".join(filled), lambda found: filled[found[0]], DEADLY))
    (folder / "run.py").write_text(USE.replace("PRELOAD", repr(["deadly"] if place == "server" else [])))
    environment = os.environ | {"PYTHONPATH": str(folder)}
    command = [sys.executable, str(folder / "run.py")]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("place", ["server", "worker"])
def test_killed_while_it_is_started(place: str, tmp_path: Path) -> None:
    done = import_deadly(tmp_path, place, 3, "os.kill(os.getpid(), signal.SIGKILL)")
    assert (done.stdout, done.stderr) == ("[(0, 0), (1, 1), (2, 4), (3, 9)]\n", "")
    assert len(list(tmp_path.glob("*.killed"))) >= 3


@pytest.mark.parametrize(
    ("place", "end", "said"),
    [
        ("server", "os.kill(os.getpid(), signal.SIGKILL)", "no worker process can be started"),
        ("worker", "os.kill(os.getpid(), signal.SIGKILL)", "was begun 4 times, and its process was killed by SIGKILL"),
        ("worker", "raise MemoryError", "there is not enough memory"),
    ],
)
def test_what_cannot_be_started_is_one_error(place: str, end: str, said: str, tmp_path: Path) -> None:
    done = import_deadly(tmp_path, place, 1000, end)
    assert done.stdout == ""
    assert said in done.stderr.splitlines()[-1] and done.stderr.count("Error: ") == 1, done.stderr


# --- failing


@pytest.mark.parametrize("workers", [1, 2, 3])
@pytest.mark.parametrize(
    "tasks",
    [
        [(0.0, ""), (0.3, "the first"), (0.0, "the second"), (0.0, "")],
        [(0.2, ""), (0.0, "the first"), (0.1, "the second"), (60.0, ""), (60.0, "")],
        [(0.0, "the first")],
    ],
)
def test_the_error_is_that_of_the_first_task_that_fails(workers: int, tasks: list[tuple[float, str]]) -> None:
    done: list[int] = []
    with open_executor("local", workers, ["stage_tasks"]) as executor, pytest.raises(RecordError) as caught:
        for index, _ in executor.map(stage_tasks.fails, tasks):
            done.append(index)
    assert (caught.value.message, caught.value.hint) == ("in.jsonl:7: the first", "mend it")
    failed = next(index for index, (_, what) in enumerate(tasks) if what)
    assert sorted(done)[:failed] == list(range(failed))


@pytest.mark.parametrize("workers", [1, 2])
def test_memory_that_runs_out_is_one_line(workers: int) -> None:
    with open_executor("local", workers) as executor, pytest.raises(LatxaError, match="not enough memory"):
        list(executor.map(stage_tasks.fails, [(0.0, "memory"), (0.0, "")]))


def test_a_bug_is_not_tried_again(pool: Executor) -> None:
    with pytest.raises(RuntimeError, match="a worker process failed") as caught:
        list(pool.map(stage_tasks.fails, [(0.0, "bug"), (0.0, "")]))
    assert caught.value.__context__ is None
    assert sorted(pool.map(stage_tasks.square, range(2))) == [(0, 0), (1, 1)]


def test_what_is_no_longer_asked_for_is_ended(tmp_path: Path) -> None:
    with open_executor("local", 2) as executor:
        results = executor.map(stage_tasks.fails, [(0.0, ""), (60.0, ""), (60.0, "")])
        assert next(results) == (0, "done")
        results.close()
        assert sorted(executor.map(stage_tasks.square, range(3))) == [(0, 0), (1, 1), (2, 4)]


@pytest.mark.parametrize(
    "error", [LatxaError("a", hint="b"), UsageError("a", hint="b"), RecordError("f:1", "what", hint="b")], ids=repr
)
def test_errors_can_be_sent(error: LatxaError) -> None:
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error)
    assert (str(again), again.message, again.hint, again.exit_code) == (
        str(error), error.message, error.hint, error.exit_code
    )  # fmt: skip


def test_ray_that_is_not_installed_is_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.delitem(sys.modules, "latxa_cli.stages.ray", raising=False)
    with pytest.raises(UsageError, match="Ray is not installed") as caught:
        open_executor("ray")
    assert caught.value.hint == "`pip install 'latxa-cli[ray]'`"


# --- the end of the run

RUN = """
import stage_tasks
from latxa_cli.stages import open_executor
if __name__ == "__main__":
    with open_executor("local", 2) as executor:
        list(executor.map(stage_tasks.waits, [FOLDER] * 3))
"""


def is_running(number: int) -> bool:
    try:
        return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def until(condition: object, seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_no_process_outlives_the_run(sent: signal.Signals, tmp_path: Path) -> None:
    script = tmp_path / "run.py"
    script.write_text(RUN.replace("FOLDER", repr(str(tmp_path))))
    run = subprocess.Popen(
        [sys.executable, str(script)], env=os.environ | {"PYTHONPATH": str(HERE)}, stderr=subprocess.PIPE,
        start_new_session=True,
    )  # fmt: skip
    until(lambda: len(list(tmp_path.glob("*.pid"))) == 2 or run.poll() is not None)
    children = [int(Path(file).stem) for file in tmp_path.glob("*.pid")]
    assert len(children) == 2 and all(map(is_running, children))
    group = {int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit() and session(path) == run.pid}
    assert group >= {run.pid, *children}
    if sent == signal.SIGINT:
        os.killpg(run.pid, sent)  # as a terminal does
    else:
        os.kill(run.pid, sent)
    _, said = run.communicate(timeout=30)  # the pipe is closed when all that hold it have ended
    until(lambda: not any(map(is_running, group)))
    assert run.returncode == -sent
    assert said.count(b"Traceback") == (sent == signal.SIGINT)  # the run's own


UNREAD = """
import os, signal, time
import stage_tasks
from latxa_cli.stages import open_executor
if __name__ == "__main__":
    with open_executor("local", 24) as executor:
        for _ in executor.map(stage_tasks.square, range(24)):
            time.sleep(1)  # until the others are done
            os.kill(os.getpid(), signal.SIGKILL)
"""


def test_processes_whose_answers_nobody_reads_end_without_a_word(tmp_path: Path) -> None:
    (tmp_path / "run.py").write_text(UNREAD)
    environment = os.environ | {"PYTHONPATH": str(HERE)}
    command = [sys.executable, str(tmp_path / "run.py")]
    run = subprocess.run(command, env=environment, capture_output=True, timeout=60, check=False)
    assert (run.returncode, run.stderr) == (-signal.SIGKILL, b"")


def test_an_interrupt_while_processes_begin_is_the_run_s_alone(tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text(
        f"import pathlib, time\npathlib.Path({str(tmp_path)!r}, 'begun').touch()\ntime.sleep(1)"
    )
    script = tmp_path / "run.py"
    script.write_text(RUN.replace("FOLDER", repr(str(tmp_path))).replace('"local", 2', '"local", 2, ["slow"]'))
    path = os.pathsep.join([str(HERE), str(tmp_path)])
    run = subprocess.Popen(
        [sys.executable, str(script)], env=os.environ | {"PYTHONPATH": path}, stderr=subprocess.PIPE,
        start_new_session=True,
    )  # fmt: skip
    until(lambda: (tmp_path / "begun").exists() or run.poll() is not None)
    os.killpg(run.pid, signal.SIGINT)
    _, said = run.communicate(timeout=30)
    assert (run.returncode, said.count(b"Traceback"), said.count(b"KeyboardInterrupt")) == (-signal.SIGINT, 1, 1)


def session(process: Path) -> int:
    try:
        return int((process / "stat").read_text().rpartition(")")[2].split()[3])
    except OSError:
        return -1
