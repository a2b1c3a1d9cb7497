"""The work of a run: what does its tasks, and the folder that they are done in, opened together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Any

from latxa_cli.stages.work import Work

if TYPE_CHECKING:
    from latxa_cli.stream.run import Run


def plan_of(run: Run, **more: Any) -> dict[str, Any]:
    """Return by what an interrupted run is known to be the same: its settings, what it uses, and `more`."""
    return {"settings": run.settings, "uses": run.uses, "rejects": run.sets_aside, **more}


@contextmanager
def open_work(
    run: Run,
    folder: Path,
    plan: Mapping[str, Any],
    modules: Sequence[str],
    *,
    executor: str = "local",
    workers: int | None = None,
    most: float = inf,
) -> Iterator[Work]:
    """Open the work of `run` in `folder`, which goes when the run is complete; see `Work` and `open_executor`.

    `modules`: those that worker processes need; `most`: tasks at once that the memory has room for.
    """
    from latxa_cli.stages import open_executor

    with (
        open_executor(executor, workers, modules, most=most) as pool,
        Work(folder, dict(plan), pool, resume=run.destination.resume, progress=run.stage) as work,
    ):
        run.afterwards(work.remove)
        yield work
