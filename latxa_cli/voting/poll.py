"""A poll as it stands: who has voted on what, which ballots are open, and how fast votes may come."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable
from random import Random
from typing import TypeVar

from latxa_cli.stream.errors import UsageError
from latxa_cli.stream.records import JsonObject, Record, Reject
from latxa_cli.voting.ballots import Ballot, Ballots
from latxa_cli.voting.box import Append, Box
from latxa_cli.voting.choice import Seen, Showing, next_showing
from latxa_cli.voting.contest import Contest
from latxa_cli.voting.verdicts import Answers, BadVoteError, battle_of

MOST_VOTERS_HELD = 20_000  # of whom an open ballot, or the times of their last requests, are remembered

Value = TypeVar("Value")
Refuse = Callable[[Reject], None]


class RefusedError(Exception):
    """A vote that is not counted, for the reason that the message says."""


class TooFastError(Exception):
    """A voter sends more than the limit."""


class Tally:
    """Counts of the votes on the disk, by hour (`2026-03-19T10`), by reason of suspicion, and in all."""

    def __init__(self) -> None:
        self.votes = 0
        self.hours: Counter[str] = Counter()
        self.suspicion: Counter[str] = Counter()

    def add(self, battle: Record) -> None:
        """Count a vote."""
        self.votes += 1
        self.hours[str(battle.get("timestamp", ""))[:13]] += 1
        self.suspicion.update((battle.get("metadata") or {}).get("suspicion") or ())


class Poll:
    """The votes on a contest.

    append: stores votes. refuse: is told of what is no vote. consent: the hash of the text that voters accept, or "".
    per_minute: the most votes of a voter. random: decides between equals, and who is shown first.
    """

    def __init__(
        self,
        contest: Contest,
        key: bytes,
        *,
        append: Append,
        refuse: Refuse,
        random: Random,
        consent: str = "",
        per_minute: int = 30,
        facts: JsonObject | None = None,
    ) -> None:
        self.contest, self.ballots, self.random = contest, Ballots(contest, key), random
        self.refuse, self.consent, self.per_minute, self.facts = refuse, consent, per_minute, facts or {}
        self.seen, self.tally = Seen(), Tally()
        self.box = Box(append, set())
        self._open: dict[str, Ballot] = {}  # by voter: a page that is loaded again shows the same pair
        self._times: dict[str, deque[float]] = {}

    def recall(self, battles: Iterable[Record]) -> int:
        """Take in the votes of earlier runs and return how many there are; raises UsageError for other battles."""
        for number, battle in enumerate(battles, 1):
            if not all(isinstance(battle.get(name), str) for name in ("id", "user", "prompt_id")):
                raise UsageError(
                    f"the battle {number:,} of the output is no vote of `latxa vote`", hint="name another `-o`"
                )
            self.box.cast.add(battle["id"])
            self.seen.add(battle["user"], Showing(battle["prompt_id"], battle["model_a"], battle["model_b"]))
            self.tally.add(battle)
        return len(self.box.cast)

    def votes_of(self, user: str) -> int:
        """Return how many votes a voter has cast."""
        return self.seen.by_user[user].total() if user in self.seen.by_user else 0

    def ballot_for(self, user: str, now: float) -> Ballot | None:
        """Return the ballot of a voter, the same until it is cast; None where everything was seen."""
        ballot = self._open.get(user)
        if ballot is None or ballot.id in self.box.cast:
            showing = next_showing(self.contest, self.seen, user, self.random)
            if showing is None:
                return None
            ballot = self.ballots.issue(user, showing, int(now))
            _hold(self._open, user, ballot)
        return ballot

    async def cast(self, user: str, body: object, now: float) -> None:
        """Store a vote once; raises RefusedError, TooFastError, and LatxaError where the disk does not take it."""
        ballot = self.ballots.read(body.get("ballot"), user) if isinstance(body, dict) else None
        if ballot is None or not isinstance(body, dict):
            raise self._refused(body, "not our ballot")
        if ballot.id in self.box.cast:
            return
        self._hold_back(user, now)
        if self.consent and body.get("consent") != self.consent:
            raise self._refused(body, "no consent")
        try:
            answers = Answers.of(body)
        except BadVoteError as error:
            raise self._refused(body, "malformed vote", str(error)) from None
        facts = self.facts | ({"consent": self.consent} if self.consent else {})
        battle = battle_of(ballot, answers, self.contest, now=now, facts=facts)
        if self.seen.by_user[user][ballot.showing.prompt, ballot.showing.pair]:
            battle["metadata"]["suspicion"].append("again")
        if await self.box.put(battle):
            self.seen.add(user, ballot.showing)
            self.tally.add(battle)

    def _refused(self, body: object, reason: str, detail: str = "") -> RefusedError:
        self.refuse(Reject(body if isinstance(body, dict) else {"sent": body}, reason, detail))
        return RefusedError(reason)

    def _hold_back(self, user: str, now: float) -> None:
        times = self._times.get(user) or deque()
        _hold(self._times, user, times)
        while times and times[0] <= now - 60:
            times.popleft()
        if len(times) >= self.per_minute:
            raise TooFastError
        times.append(now)


def _hold(held: dict[str, Value], user: str, value: Value) -> None:
    """Remember something of a voter, and forget the voter who was not seen longest where there are too many."""
    held.pop(user, None)
    held[user] = value
    if len(held) > MOST_VOTERS_HELD:
        del held[next(iter(held))]
