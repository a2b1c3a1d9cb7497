"""Filters of battles: which are left out before anything is counted, each with its reason."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, date, datetime, time

from latxa_cli.arena.pseudonyms import PREFIX, pseudonym
from latxa_cli.stream.named import named_value
from latxa_cli.stream.records import Record, Reject
from latxa_cli.stream.spellings import ALIASES, JUDGE, field_text, spelled

# Says why a battle is left out, or None.
Filter = Callable[[Record], Reject | None]

SUSPICION = "suspicion"
MOST_SHOWN = 5  # values of a field that an exclusion did not match
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
    filters: list[Filter] = [exclusion(*named_value("--exclude", text, "FIELD=VALUE", str)) for text in exclude or ()]
    if since or until:
        filters.append(period(since, until))
    return filters + ([user_limit(most_per_user)] if most_per_user else [])


def rejection(filters: Sequence[Filter], battle: Record) -> Reject | None:
    """Return why the first of `filters` that objects leaves a battle out, or None."""
    return next((reject for one in filters if (reject := one(battle))), None)


def exclusion(field: str, value: str) -> Exclusion:
    """Leave out battles whose `field` is `value`; the field `model` is either model."""
    return Exclusion(field, value)


class Exclusion:
    """Leaves out battles whose `field` is `value`, and knows whether there were any.

    Values are compared as text, as JSON writes them (`true`), or as Python does (`True`); numbers as numbers. A user is
    known by the pseudonym too, which is what findings name.
    """

    def __init__(self, field: str, value: str) -> None:
        self.field, self.value = field, value
        self.names = ("model_a", "model_b") if field == "model" else (field,)
        self.matches, self.number = 0, _number(value)
        self.is_pseudonym = field in ("user", JUDGE, *ALIASES["user"]) and value.startswith(PREFIX)
        self.others: dict[str, None] = {}  # some values that the field has

    def __call__(self, battle: Record) -> Reject | None:
        found = suspicion_of(battle) if self.field == SUSPICION else [spelled(battle, name)[1] for name in self.names]
        values = [value for value in found if value is not None]
        if any(self._is_it(value) for value in values):
            self.matches += 1
            return Reject(battle, f"excluded by {self.field}", f"`{self.field}` is {self.value[:40]!r}")
        if len(self.others) < MOST_SHOWN:
            self.others.update((str(field_text(value))[:40], None) for value in values)
        return None

    def _is_it(self, value: object) -> bool:
        if isinstance(value, bool):
            return str(value).lower() == self.value.lower()
        if self.is_pseudonym and pseudonym(str(field_text(value))) == self.value:
            return True
        return str(value) == self.value or (isinstance(value, int | float) and value == self.number)

    @property
    def complaint(self) -> str:
        """What is to be said of an exclusion that matched nothing; empty for another."""
        if self.matches:
            return ""
        shown = f"`--exclude {self.field}={self.value}` leaves out nothing: "
        if not self.others:
            return shown + f"no battle has a `{self.field}`"
        values = ", ".join(f"`{other}`" for other in list(self.others)[:MOST_SHOWN])
        return shown + f"`{self.field}` is {values}{' …' if len(self.others) >= MOST_SHOWN else ''}"


def complaints(filters: Iterable[Filter]) -> list[str]:
    """Return what is to be said of exclusions that matched nothing, once battles were read."""
    return [one.complaint for one in filters if isinstance(one, Exclusion) and one.complaint]


def suspicion_of(battle: Record) -> list[str]:
    """Return why a vote may be of little worth, as whoever collected it says in `metadata.suspicion`."""
    said = (battle.get("metadata") or {}).get(SUSPICION, battle.get(SUSPICION))
    return [said] if isinstance(said, str) and said else list(map(str, said)) if isinstance(said, list) else []


def odd_preference(battle: Record) -> Reject | None:
    """Leave out battles whose `preference` is no share."""
    value = battle.get("preference")
    if value is None or 0 <= value <= 1:
        return None
    return Reject(battle, "odd preference", f"`preference` is {str(value)[:40]}, and not from 0 to 1")


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def user_limit(most: int) -> Filter:
    """Leave out what a user votes beyond the first `most` battles."""
    votes: Counter[str] = Counter()

    def check(battle: Record) -> Reject | None:
        user = field_text(spelled(battle, "user")[1]) or field_text(battle.get(JUDGE))
        if user is None:
            return None
        votes[user] += 1
        return Reject(battle, f"beyond {most} of the user") if votes[user] > most else None

    return check


def period(since: date | None, until: date | None) -> Filter:
    """Leave out battles before the day `since`, from the day `until` on, and those that do not say when they were."""
    first, end = (day and datetime.combine(day, time(), UTC) for day in (since, until))

    def check(battle: Record) -> Reject | None:
        name, value = spelled(battle, "timestamp")
        when = moment(value)
        if when is None:
            return Reject(battle, "no timestamp", f"`{name}` is {str(value)[:40]!r}")
        if first is not None and when < first:
            return Reject(battle, "too early")
        return Reject(battle, "too late") if end is not None and when >= end else None

    return check


def moment(value: object) -> datetime | None:
    """Return the time that a number (seconds or milliseconds since 1970) or a text in ISO 8601 is; None for all else.

    A text without a time zone is taken for UTC.
    """
    try:
        if isinstance(value, str):
            when = datetime.fromisoformat(value)
            return when if when.tzinfo else when.replace(tzinfo=UTC)
        if isinstance(value, int | float) and not isinstance(value, bool):
            return datetime.fromtimestamp(value / 1000 if abs(value) > MILLISECONDS else value, UTC)
    except (ValueError, OverflowError, OSError):
        pass
    return None
