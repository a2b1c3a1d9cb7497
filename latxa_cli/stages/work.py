"""The folder of an unfinished run, which records the stages and tasks that are done, and keeps their files.

    FOLDER/latxa.lock        locked while a run uses the folder, so that no other run can
    FOLDER/plan.json         settings and inputs; only a run with the same plan can continue
    FOLDER/STAGE/tasks       a hash of the stage's tasks; with other tasks (another `--memory`) the stage is done anew
    FOLDER/STAGE/NNNNN.json  the result of a task, written last, which marks the task as done

A stage may put its own files into FOLDER/STAGE, which is removed before the stage is done anew. A task's files get
their names before its result is saved, so that after a kill each task is either wholly done or done again. Nothing is
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
from latxa_cli.stream.files import WORK_LOCK, lock, remove_work, save_bytes
from latxa_cli.stream.records import JsonObject
from latxa_cli.stream.writer import make_directory

LOCK, PLAN, TASKS = WORK_LOCK, "plan.json", "tasks"
OnProgress = Callable[[str, int, int], None]  # called with (stage, tasks done, tasks)


class Work:
    """Work in `folder` by `plan`, done by `executor`; an interrupted run's work is continued or removed.

    Raises UsageError where the folder holds other files, or `resume` finds work by another plan; LatxaError where
    another run uses the folder, it cannot be made, or a worker cannot see it.
    """

    def __init__(
        self,
        folder: Path,
        plan: JsonObject,
        executor: Executor,
        *,
        resume: bool = False,
        progress: OnProgress = lambda _stage, _done, _count: None,
    ) -> None:
        self.folder = folder.absolute()  # a worker's current folder may be another
        self.executor, self.progress = executor, progress
        self.stages: list[str] = []  # the stages that this run has begun, in order
        self._lock = _lock(self.folder)
        try:
            self._take_over(orjson.loads(_json({"latxa": __version__, **plan})), resume)
            executor.check(self.folder / PLAN)
        except BaseException:
            self.close()
            raise

    def _take_over(self, plan: JsonObject, resume: bool) -> None:
        """Continue the work in the folder, or clear the folder and begin by `plan`."""
        if resume and self._has(plan):
            for part in self.folder.rglob("*.part"):  # left by tasks that were killed
                part.unlink(missing_ok=True)  # on a cluster such a task may outlive its run, and remove its file itself
            return
        self._clear()
        save_bytes(self.folder / PLAN, _json(plan))

    def _has(self, plan: JsonObject) -> bool:
        """Whether an interrupted run by the same plan left its work; raises UsageError for work by another plan."""
        before = manifest.load(self.folder / PLAN)
        if before is None:
            return False
        if different := manifest.difference(before, plan):
            hint = f"remove `{self.folder}`, or leave `--resume` out, to start again"
            raise UsageError(f"{self.folder}: the interrupted run was another: {different}", hint=hint)
        return True

    def is_done(self, name: str, tasks: Sequence[object]) -> bool:
        """Whether an interrupted run has done all these tasks of a stage."""
        return self._is_same(name, tasks) and all(self._marker(name, index).exists() for index in range(len(tasks)))

    def stage(
        self, name: str, function: Callable[[Any], JsonObject], tasks: Sequence[object], *, here: bool = False
    ) -> list[JsonObject]:
        """Return the results of `function` for all tasks, in order; tasks that are done are not done again.

        - tasks: dataclasses, dicts, lists, strings and numbers, or nested ones. Results are saved as JSON.
        - here: do the tasks in this process, one after the other.
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

    def _begin(self, name: str, tasks: Sequence[object]) -> None:
        """Keep the files of a stage with the same tasks; else remove them and the later stages made from them."""
        assert name not in self.stages, f"two stages `{name}`"
        self.stages.append(name)
        if self._is_same(name, tasks):
            return
        for marked in self.folder.glob(f"*/{TASKS}"):
            if marked.parent.name not in self.stages[:-1]:
                marked.unlink()  # first, since a kill may come before everything is removed
                shutil.rmtree(marked.parent)
        if (self.folder / name).exists():
            shutil.rmtree(self.folder / name)
        save_bytes(self.folder / name / TASKS, _digest(tasks))

    def _is_same(self, name: str, tasks: Sequence[object]) -> bool:
        path = self.folder / name / TASKS
        return path.exists() and path.read_bytes() == _digest(tasks)

    def _marker(self, stage: str, index: int) -> Path:
        return self.folder / stage / f"{index:05}.json"

    def _saved(self, stage: str, index: int) -> JsonObject | None:
        try:
            return orjson.loads(self._marker(stage, index).read_bytes())
        except (FileNotFoundError, orjson.JSONDecodeError):
            return None

    def remove(self) -> None:
        """Remove the folder of a complete run."""
        remove_work(self.folder)
        self.close()

    def close(self) -> None:
        """Unlock the folder, which stays."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def _clear(self) -> None:
        (self.folder / PLAN).unlink(missing_ok=True)  # first, since a folder that is half cleared cannot be continued
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
    """Make and lock the folder, and return the descriptor of the lock; raises UsageError and LatxaError."""
    make_directory(folder)
    path = folder / LOCK
    if not path.exists() and any(folder.iterdir()):
        raise UsageError(f"`{folder}` holds other things than an interrupted run", hint="name a new folder")
    return lock(path)


def _digest(tasks: Sequence[object]) -> bytes:
    return xxhash.xxh3_128_hexdigest(_json(tasks)).encode()


def _json(value: object) -> bytes:
    return orjson.dumps(value, default=_plain, option=orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS)


def _plain(value: object) -> object:
    if isinstance(value, set | frozenset):
        return sorted(value)
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"{type(value).__name__} has no place in tasks and results")
