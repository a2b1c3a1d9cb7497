"""One worker process: it is sent tasks through a pipe and sends back their results.

Workers are forked from a server process of Python's, which starts anew and imports the libraries once for all of them.
Forking the run itself would be cheaper, but it may have threads (of its progress bar, of numpy, pyarrow or torch), and
the locks that those hold at that moment stay locked in a worker for ever.
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

STARTS = 6  # times that a worker's start is tried: the server may be killed, and it takes a moment until it is seen


class Process:
    """A worker process, and this side of its pipe. One task at a time."""

    def __init__(self, preload: Sequence[str]) -> None:
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["__main__", __name__, *preload])  # for the first worker of all
        for attempt in range(STARTS):
            sleep(attempt / 4)
            self.pipe, theirs = context.Pipe()
            with theirs, suppress(EOFError, OSError):
                self.process = context.Process(target=_serve, args=(theirs,), daemon=True)
                with _deaf_to_interrupts():
                    self.process.start()
                return
        raise LatxaError("no worker process can be started", hint="is there memory for fewer `--workers`?")

    def send(self, function: Callable[[Any], Any], task: Any) -> None:
        """Begin a task."""
        with suppress(BrokenPipeError, ConnectionResetError):  # it was killed while idle: `receive` will tell
            self.pipe.send((function, task))

    def receive(self) -> tuple[Any, LatxaError | None] | None:
        """Return the task's (result, error), or None when the process has ended before it was done."""
        try:
            answer = self.pipe.recv_bytes()
        except (EOFError, OSError):  # OSError: in the middle of its answer
            return None
        return pickle.loads(answer)

    @staticmethod
    def wait(processes: list[Process]) -> list[Process]:
        """Wait until one or more have something to `receive`."""
        ready = wait([process.pipe for process in processes])
        return [process for process in processes if process.pipe in ready]

    def end(self) -> str:
        """Return in words how the process was killed; raises RuntimeError when it ended by itself, which is a bug."""
        self.process.join()
        code = self.process.exitcode
        self.kill()
        if code == 1:
            raise RuntimeError("a worker process failed: its traceback is above")
        return f"was killed by {signal.Signals(-code).name}" if code is not None and code < 0 else f"ended with {code}"

    def kill(self) -> None:
        """End the process at once: what it was writing has no name yet."""
        self.process.kill()
        self.process.join()
        self.pipe.close()


@contextmanager
def _deaf_to_interrupts() -> Iterator[None]:
    """Start processes that do not hear Ctrl-C, which goes to all of a terminal: the run itself ends them."""
    resource_tracker.ensure_running()  # which begins with the server, and would make this process hear them again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _serve(pipe: Connection) -> None:
    """Do the tasks that come through `pipe`, until its other end is closed."""
    Thread(target=_end_with_run, daemon=True).start()
    os.dup2(2, 1)  # stdout is for data, which only the run itself writes
    while True:
        try:
            sent = pipe.recv_bytes()
        except (EOFError, OSError):  # the run has ended, or was killed before it had read all answers
            return
        answer: tuple[Any, LatxaError | None]
        try:
            answer = do(_call, sent), None
        except LatxaError as error:
            answer = None, error
        with suppress(BrokenPipeError, ConnectionResetError):
            pipe.send(answer)


def _call(sent: bytes) -> Any:
    function, task = pickle.loads(sent)  # which may import a module, and memory run out
    return function(task)


def _end_with_run() -> None:
    """Wait for the end of the run, whatever ends it, and end this process, in the middle of a task or not."""
    run = multiprocessing.parent_process()
    assert run is not None
    run.join()
    os.kill(os.getpid(), signal.SIGKILL)


def do(function: Callable[[Any], Any], task: Any) -> Any:
    """Return `function(task)`; raises LatxaError where memory runs out."""
    try:
        return function(task)
    except MemoryError:
        hint = "fewer `--workers` or a smaller `--memory` need less"
        raise LatxaError("there is not enough memory", hint=hint) from None
