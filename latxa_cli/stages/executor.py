"""Doing tasks: in this process, in processes of this machine, or (see `ray`) on the machines of a cluster.

Whatever does them: each task is done once, again where what did it was killed; and when tasks fail, the error is that
of the first of them in order, so that a run ends in the same way however many work on it.
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

ATTEMPTS = 4  # of one task, before it is thought to be what kills those that do it
Task = TypeVar("Task")
Function = Callable[[Any], Any]


class Died(Exception):  # noqa: N818
    """What did a task ended before the task was done: `how`, in words."""

    def __init__(self, how: str) -> None:
        super().__init__(how)
        self.how = how


class Executor(ABC):
    """What does tasks, at most `workers` at once."""

    workers: int

    def map(self, function: Callable[[Task], Any], tasks: Sequence[Task]) -> Iterator[tuple[int, Any]]:
        """Yield (index, `function(task)`) of all tasks, as they are done; function, tasks and results are pickled.

        When tasks fail with a LatxaError, those before them in order are still done, and the first error is raised.
        A task is done again when its worker is killed; after `ATTEMPTS` times LatxaError is raised.
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
                    if handle not in running:  # stopped a moment ago
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
        """Raise LatxaError where not all that do tasks see `file`."""

    @abstractmethod
    def close(self) -> None:
        """End what does tasks."""

    @abstractmethod
    def _start(self, function: Function, task: Any) -> Hashable:
        """Begin a task and return its handle."""

    @abstractmethod
    def _wait(self, handles: list[Any]) -> list[Any]:
        """Wait until a task or several are over, and return their handles."""

    @abstractmethod
    def _result(self, handle: Any) -> Any:
        """Return the result of a task that is over; raises its LatxaError, or Died."""

    @abstractmethod
    def _stop(self, handle: Any) -> None:
        """End a task, done or not."""

    def __enter__(self) -> Executor:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Local(Executor):
    """Processes of this machine, which live until `close`; one worker, or one task, is done in this process."""

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
        """All processes are on this machine."""

    def close(self) -> None:
        for process in self.processes:
            process.kill()
        self.processes, self.idle = set(), []

    def _start(self, function: Function, task: Any) -> Process:
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
        f"task {index + 1} of {count} of `{name}` was begun {ATTEMPTS} times, and its process {death.how} each time",
        hint="if memory ran out, fewer `--workers` or a smaller `--memory` need less",
    )


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0))


def one_a_core(cores: float, most: float) -> int:
    """Return how many tasks to do at once on so many cores, where the memory has room for `most`."""
    return max(1, int(min(cores, most)))
