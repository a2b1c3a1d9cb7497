"""A worker process, which gets tasks through a pipe and sends back their results.

Workers are forked from Python's fork server, which is started fresh and imports the libraries once for all workers.
Forking the run itself would be cheaper, but it may have threads (of its progress bar, of numpy, pyarrow or torch), and
the locks that they hold at the time of the fork stay locked in the worker for ever.
"""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from threading import Thread
from time import sleep
from typing import Any

from latxa_cli.stream.errors import LatxaError

STARTS = 6  # attempts to start a worker: the fork server may have been killed, which is noticed only after a moment


class Process:
    """A worker process, which does one task at a time, and the run's end of its pipe."""

    def __init__(self, preload: Sequence[str]) -> None:
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["__main__", __name__, *preload])  # only the first call has an effect
        for attempt in range(STARTS):
            sleep(attempt / 4)
            self.pipe, theirs = context.Pipe()
            with theirs, suppress(EOFError, OSError):
                self.process = context.Process(target=_serve, args=(theirs,), daemon=True)
                with _deaf_to_interrupts():
                    self.process.start()
                return
        raise LatxaError("no worker process can be started", hint="is there memory for fewer `--workers`?")

    def send(self, function: Callable[[Any], Any], task: object) -> None:
        """Begin a task."""
        with suppress(BrokenPipeError, ConnectionResetError):  # it was killed while idle, which `receive` reports
            self.pipe.send((function, task))

    def receive(self) -> tuple[Any, LatxaError | None] | None:
        """Return the task's (result, error), or None when the process ended before the task was done."""
        try:
            answer = self.pipe.recv_bytes()
        except (EOFError, OSError):  # OSError where it ended in the middle of its answer
            return None
        return pickle.loads(answer)

    @staticmethod
    def wait(processes: list[Process]) -> list[Process]:
        """Wait until one or more have something to `receive`."""
        ready = wait([process.pipe for process in processes])
        return [process for process in processes if process.pipe in ready]

    def end(self) -> str:
        """Return in words how the process ended; raises RuntimeError where it failed by itself, which is a bug."""
        self.process.join()
        code = self.process.exitcode
        self.kill()
        if code == 1:
            raise RuntimeError("a worker process failed: its traceback is above")
        return f"was killed by {signal.Signals(-code).name}" if code is not None and code < 0 else f"ended with {code}"

    def kill(self) -> None:
        """End the process at once, which is safe: files that it is writing do not have their names yet."""
        self.process.kill()
        self.process.join()
        self.pipe.close()


@contextmanager
def _deaf_to_interrupts() -> Iterator[None]:
    """Start processes that ignore Ctrl-C, which a terminal sends to every process; the run ends its workers itself."""
    # The fork server would start the tracker, and that start unblocks interrupts in this process.
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _serve(pipe: Connection) -> None:
    """Do the tasks that come through `pipe`, until its other end is closed."""
    Thread(target=_end_with_run, daemon=True).start()
    os.dup2(2, 1)  # stdout is for data, and only the run itself writes data
    while True:
        try:
            message = pipe.recv_bytes()
        except (EOFError, OSError):  # the run has ended, or was killed before it had read all answers
            return
        answer: tuple[Any, LatxaError | None]
        try:
            answer = do(_call, message), None
        except LatxaError as error:
            answer = None, error
        with suppress(BrokenPipeError, ConnectionResetError):
            pipe.send(answer)


def _call(message: bytes) -> Any:
    function, task = pickle.loads(message)  # inside `do`, since it may import modules and run out of memory
    return function(task)


def _end_with_run() -> None:
    """Kill this process when the run ends, for whatever reason and even in the middle of a task."""
    run = multiprocessing.parent_process()
    assert run is not None
    run.join()
    os.kill(os.getpid(), signal.SIGKILL)


def do(function: Callable[[Any], Any], task: object) -> Any:
    """Return `function(task)`; raises LatxaError where memory runs out."""
    try:
        return function(task)
    except MemoryError:
        hint = "fewer `--workers` or a smaller `--memory` need less"
        raise LatxaError("there is not enough memory", hint=hint) from None
