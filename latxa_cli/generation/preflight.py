"""`--dry-run` of verbs that generate: a few records made and shown, and what all of them would take."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from itertools import islice

import orjson

from latxa_cli.stream.records import Outcome, Reject

RECORDS = 4


def preview(say: Callable[[str], None], outcomes: Iterable[Outcome], *, total: int | None = None) -> None:
    """Make the first records, show them through `say`, and estimate the time of `total` records when it is known."""
    started = time.monotonic()
    made = list(islice(outcomes, RECORDS))
    seconds = time.monotonic() - started
    for outcome in made:
        if isinstance(outcome, Reject):
            say(f"rejected ({outcome.reason}): {orjson.dumps(outcome.record).decode()}")
        else:
            say(orjson.dumps(outcome).decode())
    if not made:
        say("there is nothing to do: the input is empty")
        return
    say(f"dry run: {len(made)} records took {seconds:.1f} s (one batch); nothing was written")
    if total is not None:
        minutes = total / len(made) * seconds / 60
        say(f"all {total:,} would take at most {minutes:,.1f} min at this pace; full batches are faster")
