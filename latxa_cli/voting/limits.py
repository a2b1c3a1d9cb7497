"""How often a voter may ask for something, and of how many something is remembered."""

from __future__ import annotations

import time
from collections import deque
from typing import TypeVar

MOST_HELD = 20_000  # voters, or ballots, of which something is remembered

Value = TypeVar("Value")


class TooFastError(Exception):
    """A voter sends more than the limit."""


class Rate:
    """At most so many requests of one voter in a minute, by a clock that nobody sets."""

    def __init__(self, per_minute: int) -> None:
        self.per_minute = per_minute
        self._times: dict[str, deque[float]] = {}

    def take(self, user: str) -> None:
        """Count a request; raises TooFastError for one too many, which does not count."""
        now = time.monotonic()
        times = self._times.get(user) or deque()
        hold(self._times, user, times)
        while times and times[0] <= now - 60:
            times.popleft()
        if len(times) >= self.per_minute:
            raise TooFastError
        times.append(now)


def hold(held: dict[str, Value], name: str, value: Value) -> None:
    """Remember something of a voter, or of a ballot, and forget what was not seen longest where there is too much."""
    held.pop(name, None)
    held[name] = value
    if len(held) > MOST_HELD:
        del held[next(iter(held))]
