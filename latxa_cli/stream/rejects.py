"""What `--rejects` holds: an entry for every record that is left out, each with its reason.

{"reason": "malformed", "detail": what is wrong, "where": "FILE:LINE", "line": the line as it stood there}
{"reason": why it is unfit, "detail": in words, "record": the record as it was read}
"""

from __future__ import annotations

from latxa_cli.stream.errors import RecordError
from latxa_cli.stream.records import Record

MALFORMED = "malformed"
LONGEST_SHOWN = 1 << 20  # bytes of a malformed line: a broken file may be one line of gigabytes
SHOWS_WHY = "`--rejects FILE` shows why"  # the hint where nothing was kept


def malformed_entry(where: str, what: str, raw: bytes, *, set_aside: bool) -> Record:
    """Return the entry of a malformed line; raises RecordError where none are set aside."""
    if not set_aside:
        raise RecordError(where, what, hint="`--rejects FILE` sets such lines aside and goes on")
    return {"reason": MALFORMED, "detail": what, "where": where, "line": raw[:LONGEST_SHOWN].decode("utf-8", "replace")}


def unfit_entry(record: Record, reason: str, detail: str) -> Record:
    """Return the entry of a record that was judged unfit."""
    return {"reason": reason, "detail": detail, "record": record}
