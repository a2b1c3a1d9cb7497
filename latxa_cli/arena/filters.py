"""Filters of battles: which are left out before anything is counted, each with its reason."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, date, datetime, time
from typing import Any

from latxa_cli.stream.named import named_value
from latxa_cli.stream.records import Record, Reject

# Says why a battle is left out, or None.
Filter = Callable[[Record], Reject | None]

MILLISECONDS = 10**11  # larger numbers are these, not seconds


def battle_filters(
    exclude: Iterable[str] | None = None,
    since: date | None = None,
    until: date | None = None,
    most_per_user: int | None = None,
) -> list[Filter]:
    """Return the filters that the flags of a verb ask for; users' votes are counted after all that is left out.

    exclude: texts `FIELD=VALUE`.
    """
    filters = [exclusion(*named_value("--exclude", text, "FIELD=VALUE", str)) for text in exclude or ()]
    if since or until:
        filters.append(period(since, until))
    return filters + ([user_limit(most_per_user)] if most_per_user else [])


def rejection(filters: Sequence[Filter], battle: Record) -> Reject | None:
    """Return why the first of `filters` that objects leaves a battle out, or None."""
    return next((reject for one in filters if (reject := one(battle))), None)


def exclusion(field: str, value: str) -> Filter:
    """Leave out battles whose `field` is `value`; the field `model` is either model."""
    fields = ("model_a", "model_b") if field == "model" else (field,)

    def check(battle: Record) -> Reject | None:
        if any(str(battle.get(name)) == value for name in fields if battle.get(name) is not None):
            return Reject(battle, f"excluded by {field}", f"`{field}` is {value[:40]!r}")
        return None

    return check


def user_limit(most: int) -> Filter:
    """Leave out what a user votes beyond the first `most` battles."""
    votes: Counter[str] = Counter()

    def check(battle: Record) -> Reject | None:
        user = battle.get("user")
        if user is None:
            return None
        votes[str(user)] += 1
        return Reject(battle, f"beyond {most} of the user") if votes[str(user)] > most else None

    return check


def period(since: date | None, until: date | None) -> Filter:
    """Leave out battles before the day `since`, from the day `until` on, and those that do not say when they were."""
    first, end = (day and datetime.combine(day, time(), UTC) for day in (since, until))

    def check(battle: Record) -> Reject | None:
        given = battle.get("timestamp")
        when = moment(given)
        if when is None:
            return Reject(battle, "no timestamp", f"`timestamp` is {str(given)[:40]!r}")
        if first is not None and when < first:
            return Reject(battle, "too early")
        return Reject(battle, "too late") if end is not None and when >= end else None

    return check


def moment(value: Any) -> datetime | None:
    """Return the time that a number (seconds or milliseconds since 1970) or a text in ISO 8601 is; None for all else.

    A text without a time zone is taken for UTC.
    """
    try:
        if type(value) is str:
            when = datetime.fromisoformat(value)
            return when if when.tzinfo else when.replace(tzinfo=UTC)
        if type(value) in (int, float):
            return datetime.fromtimestamp(value / 1000 if abs(value) > MILLISECONDS else value, UTC)
    except (ValueError, OverflowError, OSError):
        pass
    return None
