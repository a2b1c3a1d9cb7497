"""What a rating record says: its rating and its bounds, which are null where they are infinite or not known."""

from __future__ import annotations

from math import inf, isnan, nan

from latxa_cli.stream.records import Record


def rating_of(record: Record) -> float:
    """Return the rating of a record, which holds null where it is infinite; nan where it is not known at all."""
    if record["rating"] is None:
        return {"above": inf, "below": -inf}.get(record.get("infinite", ""), nan)
    return float(record["rating"])


def bounds_of(record: Record) -> tuple[float, float]:
    """Return the ends of a record's interval, null where they are infinite; a record without them is a point."""
    lower, upper = (record.get(name, rating_of(record)) for name in ("lower", "upper"))
    return -inf if lower is None else float(lower), inf if upper is None else float(upper)


def place_of(record: Record) -> tuple[bool, float]:
    """Return what sorts rating records from the best to the last, which are those not known."""
    rating = rating_of(record)
    return (True, 0.0) if isnan(rating) else (False, -rating)
