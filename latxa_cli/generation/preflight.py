"""`--dry-run` of verbs that generate: a few records made and shown, and what all of them would take."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from itertools import islice
from typing import TypeVar

import orjson

from latxa_cli.stream.records import Outcome, Record, Reject

Unit = TypeVar("Unit")
RECORDS = 4
TOKENS = ("tokens", "instruction_tokens", "answer_tokens")  # where the verbs say how many they made


def first(units: Iterable[Unit]) -> list[Unit]:
    """Read the few units of work that a dry run does, before its clock starts."""
    return list(islice(units, RECORDS))


def share(total: int | None, shard: tuple[int, int] | None) -> int | None:
    """Return how many of `total` units (None: unknown) fall to the shard (index, count)."""
    if total is None or shard is None:
        return total
    return len(range(shard[0], total, shard[1]))


def preview(say: Callable[[str], None], outcomes: Iterable[Outcome], *, total: int | None = None) -> None:
    """Make the outcomes of the `first` units, show them through `say`, and estimate the time of `total` where known."""
    started = time.monotonic()
    made = [one for outcome in outcomes for one in (outcome if isinstance(outcome, list) else [outcome])]
    seconds = time.monotonic() - started
    for outcome in made:
        if isinstance(outcome, Reject):
            say(f"rejected ({outcome.reason}): {orjson.dumps(outcome.record).decode()}")
        else:
            say(orjson.dumps(outcome).decode())
    if not made:
        say("there is nothing to do: the input is empty")
        return
    tokens = sum(_tokens(outcome) for outcome in made if isinstance(outcome, dict))
    counted = f" and {tokens:,} tokens" if tokens else ""
    say(f"dry run: {len(made)} records{counted} took {seconds:.1f} s (one batch); nothing was written")
    if total is not None:
        minutes = total / len(made) * seconds / 60
        say(f"all {total:,} would take at most {minutes:,.1f} min at this pace; full batches are faster")


def _tokens(record: Record) -> int:
    values = ((record.get("metadata") or {}).get(name) for name in TOKENS)
    return sum(value for value in values if type(value) is int)
