"""What looks at whole battles before they are counted: exclusions, measures of style, preference pairs."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Sequence
from typing import Any

from latxa_cli.arena.battles import Look
from latxa_cli.arena.control import STYLE, style_of
from latxa_cli.arena.preferences import preferences
from latxa_cli.stream.records import Record, Reject


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
