"""A poll as it stands: who has voted on what, which ballots are open, and how fast votes may come."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from random import Random

from latxa_cli.stream.errors import UsageError
from latxa_cli.stream.records import JsonObject, Record, Reject
from latxa_cli.voting.ballots import Ballot, Ballots, ContestBallots
from latxa_cli.voting.box import Append, Box
from latxa_cli.voting.choice import Seen, Showing, next_showing
from latxa_cli.voting.limits import Rate, hold
from latxa_cli.voting.remarks import BadVoteError
from latxa_cli.voting.verdicts import Answers, battle_of

Refuse = Callable[[Reject], None]


class RefusedError(Exception):
    """A vote that is not counted, for the reason that the message says."""


class Tally:
    """Counts of the votes on the disk: in all, by hour (`2026-03-19T10`), by reason of suspicion; skipped pairs too."""

    def __init__(self) -> None:
        self.votes = self.skipped = 0
        self.hours: Counter[str] = Counter()
        self.suspicion: Counter[str] = Counter()

    def add(self, battle: Record) -> None:
        """Count a vote, or a pair that was skipped."""
        if is_skipped(battle):
            self.skipped += 1
            return
        self.votes += 1
        self.hours[str(battle.get("timestamp", ""))[:13]] += 1
        self.suspicion.update((battle.get("metadata") or {}).get("suspicion") or ())


def is_skipped(battle: Record) -> bool:
    """Whether the voter could not judge the pair, and gave no verdict."""
    return battle.get("skipped") is True


class Poll:
    """The votes that came.

    ballots: what may be voted on. append: stores votes. refuse: is told of what is no vote. consent: the hash of the
    text that voters accept, or "". per_minute: the most votes of a voter. random: decides between equals, and who is
    shown first.
    """

    def __init__(
        self,
        ballots: Ballots,
        *,
        append: Append,
        refuse: Refuse,
        random: Random,
        consent: str = "",
        per_minute: int = 30,
        facts: JsonObject | None = None,
    ) -> None:
        self.ballots, self.random = ballots, random
        self.refuse, self.consent, self.facts = refuse, consent, facts or {}
        self.seen, self.tally = Seen(), Tally()
        self.box = Box(append, set())
        self._open: dict[str, Ballot] = {}  # by voter: a page that is loaded again shows the same pair
        self._rate = Rate(per_minute)

    def recall(self, battles: Iterable[Record]) -> int:
        """Take in the votes of earlier runs and return how many there are; raises UsageError for other battles."""
        for number, battle in enumerate(battles, 1):
            if not all(isinstance(battle.get(name), str) for name in ("id", "user", "prompt_id")):
                raise UsageError(
                    f"the battle {number:,} of the output is no vote of `latxa vote`", hint="name another `-o`"
                )
            self.box.cast.add(battle["id"])
            self._count(battle)
        return len(self.box.cast)

    def votes_of(self, user: str) -> int:
        """Return how many votes a voter has cast."""
        return self.seen.votes[user]

    def ballot_for(self, user: str, now: float) -> Ballot | None:
        """Return the ballot of a voter on a contest, the same until it is cast; None where everything was seen."""
        assert isinstance(self.ballots, ContestBallots)
        ballot = self._open.get(user)
        if ballot is None or ballot.id in self.box.cast:
            showing = next_showing(self.ballots.contest, self.seen, user, self.random)
            if showing is None:
                return None
            ballot = self.ballots.issue(user, showing, int(now))
            hold(self._open, user, ballot)
        return ballot

    def agreed(self, body: JsonObject) -> bool:
        """Whether a voter has accepted the text of the organiser, where there is one."""
        return not self.consent or body.get("consent") == self.consent

    async def cast(self, user: str, body: object, now: float) -> None:
        """Store a vote once; raises RefusedError, TooFastError, and LatxaError where the disk does not take it."""
        ballot = self.ballots.read(body, user)
        if ballot is None or not isinstance(body, dict):
            raise self._refused(body, "not our ballot")
        if ballot.id in self.box.cast:
            return
        self._rate.take(user, now)
        if not self.agreed(body):
            raise self._refused(body, "no consent")
        facts = self.facts | ({"consent": self.consent} if self.consent else {}) | self.ballots.facts(ballot)
        try:
            battle = battle_of(ballot, Answers.of(body), now=now, facts=facts)
        except BadVoteError as error:
            raise self._refused(body, "malformed vote", str(error)) from None
        if self.seen.by_user[user][ballot.showing.prompt, ballot.showing.pair]:
            battle["metadata"]["suspicion"].append("again")
        if await self.box.put(battle):
            self._count(battle)

    def _count(self, battle: Record) -> None:
        showing = Showing(battle["prompt_id"], battle["model_a"], battle["model_b"])
        self.seen.add(battle["user"], showing, skipped=is_skipped(battle))
        self.tally.add(battle)

    def _refused(self, body: object, reason: str, detail: str = "") -> RefusedError:
        self.refuse(Reject(body if isinstance(body, dict) else {"sent": body}, reason, detail))
        return RefusedError(reason)
