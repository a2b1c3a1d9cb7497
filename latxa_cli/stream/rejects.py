"""Entries of `--rejects`, one for every record that is left out. There are two forms:

{"reason": "malformed", "detail": the problem in words, "where": "FILE:LINE", "line": the line itself}
{"reason": a name that is counted, "detail": the same in words, "record": the record as it was read}
"""

from __future__ import annotations

from latxa_cli.stream.errors import RecordError
from latxa_cli.stream.records import Record

MALFORMED = "malformed"
LONGEST_SHOWN = 1 << 20  # bytes of a malformed line: a broken file may be one line of gigabytes
SHOWS_WHY = "`--rejects FILE` shows why"  # the hint where nothing was kept


def malformed_entry(place: str, problem: str, line: bytes, *, set_aside: bool) -> Record:
    """Return the entry of the malformed line at `place`; raises RecordError unless such lines are `set_aside`."""
    if not set_aside:
        raise RecordError(place, problem, hint="`--rejects FILE` sets such lines aside and goes on")
    shown = line[:LONGEST_SHOWN].decode("utf-8", "replace")
    return {"reason": MALFORMED, "detail": problem, "where": place, "line": shown}


def unfit_entry(record: Record, reason: str, detail: str) -> Record:
    """Return the entry of a record that was judged unfit."""
    return {"reason": reason, "detail": detail, "record": record}
