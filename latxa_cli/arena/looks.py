"""What looks at whole battles before they are counted: exclusions, measures of style, preference pairs."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from latxa_cli.arena.battles import Look
from latxa_cli.arena.control import STYLE, style_of
from latxa_cli.arena.preferences import preferences
from latxa_cli.stream.records import Record, Reject

MILLISECONDS = 10**11  # larger numbers are these, not seconds


def excluded(field: str, value: str) -> Look:
    """Leave out battles whose `field` is `value`; the field `model` is either model."""
    fields = ("model_a", "model_b") if field == "model" else (field,)

    def look(battle: Record) -> Reject | None:
        if any(str(battle.get(name)) == value for name in fields if battle.get(name) is not None):
            return Reject(battle, f"excluded by {field}", f"`{field}` is {value[:40]!r}")
        return None

    return look


def cap(most: int) -> Look:
    """Leave out what a user votes beyond the first `most` battles."""
    votes: Counter[str] = Counter()

    def look(battle: Record) -> Reject | None:
        user = battle.get("user")
        if user is None:
            return None
        votes[str(user)] += 1
        return Reject(battle, f"beyond {most} of the user") if votes[str(user)] > most else None

    return look


def between(since: datetime | None, until: datetime | None) -> Look:
    """Leave out battles before `since`, from `until` on, and those that do not say when they were."""

    def look(battle: Record) -> Reject | None:
        given = battle.get("timestamp")
        when = moment(given)
        if when is None:
            return Reject(battle, "no timestamp", f"`timestamp` is {str(given)[:40]!r}")
        if since is not None and when < since:
            return Reject(battle, "too early")
        return Reject(battle, "too late") if until is not None and when >= until else None

    return look


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


def measured(names: Sequence[str]) -> Callable[[Record], list[list[float]]]:
    """Return what measures the style of both responses: for each name, [of the first, of the second]."""
    places = [STYLE.index(name) for name in names]

    def measure(battle: Record) -> list[list[float]]:
        a, b = style_of(battle.get("conversation_a")), style_of(battle.get("conversation_b"))
        return [[a[place], b[place]] for place in places]

    return measure


def written_as_preferences(write: Callable[[Record], Any], criterion: str, counted: dict[str, int]) -> Look:
    """Write the preference pair that a battle is, or count in `counted` why it is none; all battles stay."""
    waiting: deque[Record] = deque()
    outcomes = preferences(iter(waiting.popleft, None), criterion)

    def look(battle: Record) -> None:
        waiting.append(battle)
        outcome = next(outcomes)
        reason = outcome.reason if isinstance(outcome, Reject) else "written"
        counted[reason] = counted.get(reason, 0) + 1
        if not isinstance(outcome, Reject):
            write(outcome)

    return look
