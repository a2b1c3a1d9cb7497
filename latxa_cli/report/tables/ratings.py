"""Read rating records, whose rating and bounds are null where they are infinite or unknown."""

from __future__ import annotations

from math import inf, isnan, nan

from latxa_cli.stream.records import Record

PLAIN = "winner"  # the criterion of battles with one question only: their board needs no name


def rating_of(record: Record) -> float:
    """Return the rating of a record; null is infinite where the record says so, else unknown: nan."""
    if record["rating"] is None:
        return {"above": inf, "below": -inf}.get(record.get("infinite", ""), nan)
    return float(record["rating"])


def bounds_of(record: Record) -> tuple[float, float]:
    """Return the bounds of a record's interval; a null bound is infinite, and without bounds both are the rating."""
    lower, upper = (record.get(name, rating_of(record)) for name in ("lower", "upper"))
    return -inf if lower is None else float(lower), inf if upper is None else float(upper)


def interval_of(record: Record) -> str | None:
    """Return the interval in words, `990 – 1010`, as the record says it or by its bounds; None where it has none."""
    if record.get("interval") is not None:
        return str(record["interval"])
    if "lower" not in record or "upper" not in record or isnan(rating_of(record)):
        return None
    lower, upper = bounds_of(record)
    return " – ".join(f"{bound:.0f}".replace("inf", "∞") for bound in (lower, upper))


def ranks_of(record: Record) -> str | None:
    """Return the ranks that a model may have, `2–5`, else its rank; None where neither is known."""
    best, worst = (record.get(name) for name in ("rank_lower", "rank_upper"))
    if best is None or worst is None:
        rank = record.get("rank")
        return None if rank is None else str(rank)
    return str(best) if best == worst else f"{best}–{worst}"


def board_of(record: Record) -> str:
    """Name a rating's board: its criterion, group of votes, model of ties and island (models that met each other)."""
    group, island, ties = record.get("group") or {}, record.get("island"), record.get("ties_as")
    groups = [f"{name} {value}" for name, value in group.items()] if isinstance(group, dict) else [str(group)]
    # Another model of ties gives another scale, and islands have none in common: neither may share a column.
    parts = [*groups, f"ties {ties}"] if ties else groups
    parts = [*parts, f"island {island}"] if island else parts
    criterion = record.get("criterion") or PLAIN
    return " ".join([criterion, *parts] if criterion != PLAIN or not parts else parts)


def heading(board: str, part: str = "rating") -> str:
    """Return the name of a column of a board."""
    return part if board == PLAIN else f"{board} {part}"


def place_of(record: Record) -> tuple[bool, float]:
    """Return a key that sorts rating records from the best to the worst, unknown ratings last."""
    rating = rating_of(record)
    return (True, 0.0) if isnan(rating) else (False, -rating)
