"""Values in documents of other tools, where any field may be missing or of another type."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from latxa_cli.stream.records import JsonObject


def member(document: JsonObject, name: str) -> JsonObject:
    """Return the object in the field `name`; an empty one where there is none."""
    value = document.get(name)
    return value if type(value) is dict else {}


def text(document: JsonObject, *names: str) -> str:
    """Return the first of the fields `names` that is a string with something in it; else the empty string."""
    return next((value for name in names if type(value := document.get(name)) is str and value), "")


def number(value: Any) -> float | int | None:
    """Return a value that is a number, else None; booleans are none."""
    return value if type(value) in (int, float) else None


def iso_date(seconds: float | None) -> str | None:
    """Return seconds since 1970 as a date with its time (UTC); None for what is none."""
    try:
        return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds") if seconds is not None else None
    except (ValueError, OverflowError, OSError):
        return None
