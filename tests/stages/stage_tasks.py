"""Stage functions for the tests, in a module that worker processes can import; what they did is seen in files."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

from latxa_cli.stages import save_bytes
from latxa_cli.stream.errors import LatxaError, RecordError


def square(number: int) -> int:
    return number * number


def process(_: int) -> int:
    time.sleep(0.05)
    return os.getpid()


def begun_by(_: int) -> int:
    return os.getppid()


def ignores_interrupts(_: int) -> bool:
    return signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, [])


def killed(task: tuple[str, int, int]) -> int:
    """The task (folder, number, times) is killed so many times, then gives its number."""
    folder, number, times = task
    time.sleep(0.02)
    for attempt in range(times):
        mark = Path(folder) / f"{number}-{attempt}"
        if not mark.exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
    return number


def meets(task: tuple[str, int]) -> int:
    """The task (folder, number): wait for another task there, and return the process that began this one's."""
    folder, number = task
    (Path(folder) / str(number)).touch()
    end = time.monotonic() + 60
    while len(list(Path(folder).iterdir())) < 2 and time.monotonic() < end:
        time.sleep(0.02)
    return os.getppid()


def leaves_a_mark(task: tuple[str, int]) -> int:
    folder, number = task
    (Path(folder) / str(number)).touch()
    time.sleep(0.3)
    return number


def fails(task: tuple[float, str]) -> str:
    """The task (seconds, what): sleeps, then fails with `what`, unless that is empty."""
    seconds, what = task
    time.sleep(seconds)
    if what == "bug":
        raise KeyError(what)
    if what == "memory":
        raise MemoryError
    if what:
        raise RecordError("in.jsonl:7", what, hint="mend it")
    return "done"


def waits(folder: str) -> None:
    """Leave the process's number in `folder` and wait for its end."""
    (Path(folder) / f"{os.getpid()}.pid").touch()
    time.sleep(120)


def noted(task: dict[str, Any]) -> dict[str, Any]:
    """A task {folder, number, …}: writes a file, notes that it was done, and may fail."""
    folder = Path(task["folder"])
    save_bytes(folder / "made" / str(task["number"]), str(task["number"]).encode())
    with (folder / "log").open("a") as log:
        log.write(f"{task['number']}\n")
    if task.get("fails"):
        raise LatxaError(f"task {task['number']} failed")
    return {"number": task["number"], "pair": (1, 2)}


def broken_at_3(task: dict[str, Any]) -> dict[str, Any]:
    return noted(task | {"fails": task["number"] == 3})
