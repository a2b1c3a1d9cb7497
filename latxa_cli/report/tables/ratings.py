"""Read rating records, whose rating and bounds are null where they are infinite or unknown."""

from __future__ import annotations

from math import inf, isnan, nan

from latxa_cli.stream.records import Record


def rating_of(record: Record) -> float:
    """Return the rating of a record; null is infinite where the record says so, else unknown: nan."""
    if record["rating"] is None:
        return {"above": inf, "below": -inf}.get(record.get("infinite", ""), nan)
    return float(record["rating"])


def bounds_of(record: Record) -> tuple[float, float]:
    """Return the bounds of a record's interval; a null bound is infinite, and without bounds both are the rating."""
    lower, upper = (record.get(name, rating_of(record)) for name in ("lower", "upper"))
    return -inf if lower is None else float(lower), inf if upper is None else float(upper)


def place_of(record: Record) -> tuple[bool, float]:
    """Return a key that sorts rating records from the best to the worst, unknown ratings last."""
    rating = rating_of(record)
    return (True, 0.0) if isnan(rating) else (False, -rating)
