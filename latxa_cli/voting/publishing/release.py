"""Which votes may be published, and what is counted of them for the card."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta

from latxa_cli.stream.records import Record, Reject, content_id
from latxa_cli.voting.publishing.review import Review
from latxa_cli.voting.publishing.shape import odd_part


@dataclass
class Published:
    """Counts of what is published, and of what is not, by reason."""

    votes: int = 0
    winners: Counter[str] = field(default_factory=Counter)
    models: Counter[str] = field(default_factory=Counter)
    languages: Counter[str] = field(default_factory=Counter)
    suspicion: Counter[str] = field(default_factory=Counter)
    fields: Counter[str] = field(default_factory=Counter)  # that votes have
    left_out: Counter[str] = field(default_factory=Counter)
    users: set[str] = field(default_factory=set)
    prompts: set[str] = field(default_factory=set)
    first: str = ""  # day
    last: str = ""

    def add(self, vote: Record) -> None:
        """Count a vote."""
        self.votes += 1
        self.winners[str(vote.get("winner"))] += 1
        self.models.update((vote["model_a"], vote["model_b"]))
        self.languages.update([vote["language"]] if vote.get("language") else [])
        self.suspicion.update((vote.get("metadata") or {}).get("suspicion") or ())
        self.fields.update(name for name, value in vote.items() if value is not None)
        self.users.update([str(vote["user"])] if vote.get("user") is not None else [])
        self.prompts.update([str(vote["prompt_id"])] if vote.get("prompt_id") is not None else [])
        if (moment := _moment(vote)) is not None:
            day = moment.date().isoformat()
            self.first, self.last = min(self.first or day, day), max(self.last, day)


def release(
    votes: Iterable[Record], review: Review, form: Callable[[Record], Record], published: Published, *,
    today: date, delay: int,
) -> Iterator[Record | Reject]:  # fmt: skip
    """Yield the votes that may be published, once each, in their form; and Rejects of the others, with the reason.

    Votes without an `id` are never the same vote.
    today, delay: votes of the last `delay` days are too young, so that voters can withdraw them.
    """
    end = datetime.combine(today - timedelta(days=delay), time(), UTC) + timedelta(days=1)
    read: set[str] = set()
    for vote in votes:
        name = content_id(vote) if vote.get("id") is not None else ""
        outcome = Reject(vote, "repeated") if name in read else _outcome(vote, review, end if delay else None)
        read.update([name] if name else [])
        if isinstance(outcome, Reject):
            published.left_out[outcome.reason] += 1
            yield outcome
        else:
            published.add(outcome)
            yield form(outcome)


def _outcome(vote: Record, review: Review, end: datetime | None) -> Record | Reject:
    if vote.get("skipped") is True:
        return Reject(vote, "skipped")
    if odd := odd_part(vote):
        return Reject(vote, "of another shape", odd)
    moment = _moment(vote)
    if end is not None and moment is None:
        return Reject(vote, "no timestamp", f"`timestamp` is {str(vote.get('timestamp'))[:40]!r}")
    if end is not None and moment is not None and moment >= end:
        return Reject(vote, "too young")
    decision, made = review.decide(vote)
    if decision == "publish":
        return made
    return Reject(vote, "left out by review" if decision else "waits for review")


def _moment(vote: Record) -> datetime | None:
    """Return when a vote was cast, by its time in ISO 8601 or in seconds since 1970; None for all else."""
    given = vote.get("timestamp")
    try:
        if isinstance(given, str):
            moment = datetime.fromisoformat(given)
            return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        if isinstance(given, int | float) and not isinstance(given, bool):
            return datetime.fromtimestamp(given, UTC)
    except (ValueError, OverflowError, OSError):
        pass
    return None
