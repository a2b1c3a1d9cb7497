"""The folder of an unfinished run: which stages and tasks are done, and what they left.

    FOLDER/latxa.lock        locked while a run uses the folder, so that two cannot
    FOLDER/plan.json         what is made of what: an interrupted run goes on with the same plan only
    FOLDER/STAGE/tasks       a hash of the stage's tasks: with other tasks (another `--memory`), it is done anew
    FOLDER/STAGE/NNNNN.json  the result of a task, written last: what marks it as done

FOLDER/STAGE is the stage's own, and is removed before the stage is begun anew. A task's own files are renamed to their
names before its result is saved, so that whatever is killed, a task is done wholly or will be done again. Nothing is
forced to the disk: after a power cut start without `--resume`.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import orjson
import xxhash

from latxa_cli import __version__
from latxa_cli.stages.executor import Executor
from latxa_cli.stream import manifest
from latxa_cli.stream.errors import UsageError
from latxa_cli.stream.files import lock, save_bytes
from latxa_cli.stream.run import WORK_LOCK
from latxa_cli.stream.writer import make_directory

LOCK, PLAN, TASKS = WORK_LOCK, "plan.json", "tasks"
OnProgress = Callable[[str, int, int], None]  # is told (stage, tasks done, tasks)


class Work:
    """The work in `folder`, as `plan` says, done by `executor`; an interrupted run's work is gone on with or removed.

    Raises UsageError where the folder holds other things, or `resume` finds work by another plan; LatxaError where
    another run uses it, it cannot be made, or not all that do the tasks see it.
    """

    def __init__(
        self,
        folder: Path,
        plan: dict[str, Any],
        executor: Executor,
        *,
        resume: bool = False,
        progress: OnProgress = lambda _stage, _done, _count: None,
    ) -> None:
        self.folder = folder.absolute()  # for workers, whose current folder may be another
        self.executor, self.progress = executor, progress
        self.stages: list[str] = []  # those that this run has begun, in order
        self._lock = _lock(self.folder)
        try:
            self._take_over(orjson.loads(_json({"latxa": __version__, **plan})), resume)
            executor.check(self.folder / PLAN)
        except BaseException:
            self.close()
            raise

    def _take_over(self, plan: dict[str, Any], resume: bool) -> None:
        """Go on with what is there, or begin by `plan` in the cleared folder."""
        if resume and self._has(plan):
            for part in self.folder.rglob("*.part"):  # of tasks that were killed
                part.unlink(missing_ok=True)  # on a cluster the last of them may end a moment after their run
            return
        self._clear()
        save_bytes(self.folder / PLAN, _json(plan))

    def _has(self, plan: dict[str, Any]) -> bool:
        """Whether an interrupted run by the same plan left its work; raises UsageError where it is by another."""
        left = manifest.load(self.folder / PLAN)
        if left is None:
            return False
        if different := manifest.difference(left, plan):
            hint = f"remove `{self.folder}`, or leave `--resume` out, to start again"
            raise UsageError(f"{self.folder}: the interrupted run was another: {different}", hint=hint)
        return True

    def is_done(self, name: str, tasks: Sequence[Any]) -> bool:
        """Whether an interrupted run has done all these tasks of a stage."""
        return self._is_same(name, tasks) and all(self._marker(name, index).exists() for index in range(len(tasks)))

    def stage(
        self, name: str, function: Callable[[Any], dict[str, Any]], tasks: Sequence[Any], *, here: bool = False
    ) -> list[dict[str, Any]]:
        """Return the results of `function` for all tasks, in their order; those that are done are not done again.

        Tasks are dataclasses, dicts, lists, strings and numbers, or made of these; results go through JSON.
        `here`: in this process, one after the other.
        """
        self._begin(name, tasks)
        results = {index: result for index in range(len(tasks)) if (result := self._saved(name, index)) is not None}
        missing = [index for index in range(len(tasks)) if index not in results]
        self.progress(name, len(results), len(tasks))
        todo = [tasks[index] for index in missing]
        for place, result in enumerate(map(function, todo)) if here else self.executor.map(function, todo):
            index, data = missing[place], _json(result)
            save_bytes(self._marker(name, index), data)
            results[index] = orjson.loads(data)
            self.progress(name, len(results), len(tasks))
        return [results[index] for index in range(len(tasks))]

    def _begin(self, name: str, tasks: Sequence[Any]) -> None:
        """See that what is there of a stage was made by the same tasks; else remove it and what was made of it."""
        assert name not in self.stages, f"two stages `{name}`"
        self.stages.append(name)
        if self._is_same(name, tasks):
            return
        for marked in self.folder.glob(f"*/{TASKS}"):
            if marked.parent.name not in self.stages[:-1]:
                marked.unlink()  # first: a kill may come before all the rest is gone
                shutil.rmtree(marked.parent)
        if (self.folder / name).exists():
            shutil.rmtree(self.folder / name)
        save_bytes(self.folder / name / TASKS, _digest(tasks))

    def _is_same(self, name: str, tasks: Sequence[Any]) -> bool:
        path = self.folder / name / TASKS
        return path.exists() and path.read_bytes() == _digest(tasks)

    def _marker(self, stage: str, index: int) -> Path:
        return self.folder / stage / f"{index:05}.json"

    def _saved(self, stage: str, index: int) -> dict[str, Any] | None:
        try:
            return orjson.loads(self._marker(stage, index).read_bytes())
        except (FileNotFoundError, orjson.JSONDecodeError):
            return None

    def remove(self) -> None:
        """Remove the folder: all is done."""
        # On a network file system what is still open cannot be removed; that must not fail a run that is complete.
        shutil.rmtree(self.folder, ignore_errors=True)
        self.close()

    def close(self) -> None:
        """Let go of the folder, which stays."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def _clear(self) -> None:
        (self.folder / PLAN).unlink(missing_ok=True)  # first: from here on there is nothing to go on with
        for entry in self.folder.iterdir():
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            elif entry.name != LOCK:
                entry.unlink()

    def __enter__(self) -> Work:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _lock(folder: Path) -> int:
    """Make the folder if need be, lock it, and return the descriptor of the lock; raises LatxaError."""
    make_directory(folder)
    path = folder / LOCK
    if not path.exists() and any(folder.iterdir()):
        raise UsageError(f"`{folder}` holds other things than an interrupted run", hint="name a new folder")
    return lock(path)


def _digest(tasks: Sequence[Any]) -> bytes:
    return xxhash.xxh3_128_hexdigest(_json(tasks)).encode()


def _json(value: Any) -> bytes:
    return orjson.dumps(value, default=_plain, option=orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS)


def _plain(value: Any) -> Any:
    if isinstance(value, set | frozenset):
        return sorted(value)
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"{type(value).__name__} has no place in tasks and results")
