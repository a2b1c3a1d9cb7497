"""Executors, which do tasks: in this process, in processes of this machine, or (see `ray`) on a cluster.

With every executor a task is done once, and again where its worker was killed. When tasks fail, the error is that of
the first of them in order, so that a run ends in the same way with any number of workers.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

from latxa_cli.stages.process import Process, do
from latxa_cli.stream.errors import LatxaError

ATTEMPTS = 4  # after so many dead workers the task itself is taken for the cause
Task = TypeVar("Task")
Function = Callable[[Any], Any]


class Died(Exception):  # noqa: N818
    """A worker ended before its task was done; `cause` says how, in words."""

    def __init__(self, cause: str) -> None:
        super().__init__(cause)
        self.cause = cause


class Executor(ABC):
    """Does tasks, at most `workers` at once."""

    workers: int

    def map(self, function: Callable[[Task], Any], tasks: Sequence[Task]) -> Iterator[tuple[int, Any]]:
        """Yield (index, `function(task)`) for all tasks, in the order in which they finish.

        - The function, tasks and results must be picklable.
        - When a task fails with a LatxaError, those before it in order are still done, and the error of the first is
          raised.
        - A task whose worker is killed is done again, `ATTEMPTS` times at most; then LatxaError is raised.
        """
        waiting = list(range(len(tasks)))[::-1]
        running: dict[Hashable, int] = {}
        deaths: Counter[int] = Counter()
        failed, failure = len(tasks), None  # the first task that failed, and its error
        try:
            while running or waiting:
                while waiting and len(running) < self.workers:
                    index = waiting.pop()
                    running[self._start(function, tasks[index])] = index
                for handle in self._wait(list(running)):
                    if handle not in running:  # an earlier failure in this loop has stopped it
                        continue
                    index = running.pop(handle)
                    try:
                        result = self._result(handle)
                    except Died as death:
                        deaths[index] += 1
                        if deaths[index] < ATTEMPTS:
                            waiting.append(index)
                            continue
                        failed, failure = index, _given_up(function, index, len(tasks), death)
                    except LatxaError as error:
                        failed, failure = index, error
                    else:
                        yield index, result
                        continue
                    waiting = [earlier for earlier in waiting if earlier < failed]
                    for later in [handle for handle, place in running.items() if place > failed]:
                        del running[later]
                        self._stop(later)
            if failure is not None:
                raise failure
        finally:
            for handle in running:
                self._stop(handle)

    @abstractmethod
    def check(self, file: Path) -> None:
        """Raise LatxaError where a worker cannot see `file`."""

    @abstractmethod
    def close(self) -> None:
        """End all workers."""

    @abstractmethod
    def _start(self, function: Function, task: object) -> Hashable:
        """Begin a task and return its handle."""

    @abstractmethod
    def _wait(self, handles: list[Any]) -> list[Any]:
        """Wait until at least one task is over, and return the handles of those that are."""

    @abstractmethod
    def _result(self, handle: Any) -> Any:
        """Return the result of a task that is over; raises the task's LatxaError, or Died."""

    @abstractmethod
    def _stop(self, handle: Any) -> None:
        """End a task, whether it is done or not."""

    def __enter__(self) -> Executor:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Local(Executor):
    """Processes of this machine, which live until `close`.

    Where there is only one worker or one task, this process does the work itself.
    """

    def __init__(self, workers: int, preload: Sequence[str] = ()) -> None:
        self.workers = workers
        self.preload = tuple(preload)
        self.processes: set[Process] = set()
        self.idle: list[Process] = []

    def map(self, function: Callable[[Task], Any], tasks: Sequence[Task]) -> Iterator[tuple[int, Any]]:
        if self.workers > 1 and len(tasks) > 1:
            yield from super().map(function, tasks)
            return
        for index, task in enumerate(tasks):
            yield index, do(function, task)

    def check(self, file: Path) -> None:
        """Do nothing: all processes are on this machine."""

    def close(self) -> None:
        for process in self.processes:
            process.kill()
        self.processes, self.idle = set(), []

    def _start(self, function: Function, task: object) -> Process:
        process = self.idle.pop() if self.idle else Process(self.preload)
        self.processes.add(process)
        process.send(function, task)
        return process

    def _wait(self, handles: list[Process]) -> list[Process]:
        return Process.wait(handles)

    def _result(self, handle: Process) -> Any:
        answer = handle.receive()
        if answer is None:
            self.processes.discard(handle)
            raise Died(handle.end())
        self.idle.append(handle)
        result, error = answer
        if error is not None:
            raise error
        return result

    def _stop(self, handle: Process) -> None:
        self.processes.discard(handle)
        handle.kill()


def _given_up(function: Function, index: int, count: int, death: Died) -> LatxaError:
    name = getattr(function, "__name__", "a stage")
    return LatxaError(
        f"task {index + 1} of {count} of `{name}` was begun {ATTEMPTS} times, and its process {death.cause} each time",
        hint="if memory ran out, fewer `--workers` or a smaller `--memory` need less",
    )


def cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0))


def one_a_core(cores: float, most: float) -> int:
    """Return the number of tasks to do at once: one per core, at least one, and at most `most`."""
    return max(1, int(min(cores, most)))
