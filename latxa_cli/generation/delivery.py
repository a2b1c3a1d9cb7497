"""What becomes of the outcomes of a verb that generates: written as they come, or (dry run) a few of them shown."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Protocol

from latxa_cli.generation.preflight import preview
from latxa_cli.stream.manifest import difference
from latxa_cli.stream.run import watched

if TYPE_CHECKING:
    from latxa_cli.stream.records import Outcome
    from latxa_cli.stream.run import Run


# What of an engine's facts may change its texts; not which of several GPUs it runs on.
DECIDES = (
    "engine", "engine_version", "model", "revision", "base_url", "server", "server_version", "dtype", "quantization",
)  # fmt: skip


class Writer(Protocol):
    """Who writes: an engine, or several together."""

    @property
    def window(self) -> int: ...

    @property
    def completion_tokens(self) -> int: ...

    def facts(self) -> dict[str, Any]: ...


def note_engine(run: Run, engine: Writer) -> None:
    """Note in the manifest which engine writes, and all those that wrote before `--resume`; say where it is another."""
    facts = engine.facts()
    run.note(engine=facts)
    identity = {name: facts[name] for name in DECIDES if facts.get(name) is not None}
    before = run.kept.get("engines") or []
    if before:
        last = {name: value for name, value in before[-1].items() if name != "from_record"}
        different = difference(last, identity)
        if not different:
            return
        run.say(f"another engine than before goes on: {different}")
    run.keep(engines=[*before, {"from_record": run.done_before, **identity}])


def deliver(
    run: Run,
    engine: Writer,
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
