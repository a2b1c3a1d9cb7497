"""What becomes of the outcomes of a verb that generates: written as they come, or (dry run) a few of them shown."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from latxa_cli.generation.preflight import preview
from latxa_cli.stream.run import watched

if TYPE_CHECKING:
    from latxa_cli.generation.engine import Engine
    from latxa_cli.stream.records import Outcome
    from latxa_cli.stream.run import Run


def deliver(
    run: Run,
    engine: Engine,
    outcomes: Iterable[Outcome],
    *,
    total: int | None,
    most: int | None = None,
    dry_run: bool = False,
) -> None:
    """Write outcomes with progress, and what the engine says of itself into the manifest; see `preview` for a dry run.

    `total`: how many there will be, where that is known; `most`: see `Run.write`.
    """
    if dry_run:
        preview(run.say, outcomes, total=total)
        return
    shown = watched(run, outcomes, total=total, tokens=lambda: engine.completion_tokens)
    run.write(shown, burst=engine.window, most=most)
    run.note(engine=engine.facts())  # again, with the tokens and the cost of the whole run
