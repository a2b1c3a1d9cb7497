"""The work of a run: its executor and its folder of intermediate files, opened together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING

from latxa_cli.stages.work import PLAN, Work
from latxa_cli.stream import manifest

if TYPE_CHECKING:
    from latxa_cli.stream.records import JsonObject
    from latxa_cli.stream.run import Run


def plan_of(run: Run, **more: object) -> JsonObject:
    """Return the facts that must be equal for `--resume`: the run's settings, its side inputs, and `more`."""
    return {"settings": run.settings, "uses": run.intake.uses, "rejects": run.sets_aside, **more}


def day_of(run: Run, folder: Path) -> date:
    """Return the one date of a run with work in `folder`: what `--date` says, that of the work there, or today."""
    before = manifest.load(folder / PLAN) if run.destination.resume else None
    kept = (before or {}).get("date")
    return run.day(run.settings.get("date") or (date.fromisoformat(kept) if kept else None))


@contextmanager
def open_work(
    run: Run,
    folder: Path,
    plan: JsonObject,
    modules: Sequence[str],
    *,
    executor: str = "local",
    workers: int | None = None,
    most: float = inf,
) -> Iterator[Work]:
    """Open the work of `run` in `folder`, which is removed when the run is complete; see `Work` and `open_executor`.

    modules: modules for worker processes to import once; most: the number of tasks at once that memory has room for.
    """
    from latxa_cli.stages import open_executor

    with (
        open_executor(executor, workers, modules, most=most) as pool,
        Work(folder, plan, pool, resume=run.destination.resume, progress=run.stage) as work,
    ):
        run.afterwards(work.remove)
        yield work
