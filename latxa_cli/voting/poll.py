"""A poll as it stands: who has voted on what, which ballots are open, and how fast votes may come."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import combinations
from random import Random

from latxa_cli.stream.errors import LatxaError, UsageError
from latxa_cli.stream.records import JsonObject, Record, Reject, content_id
from latxa_cli.voting.ballots import Ballot, Ballots, ContestBallots
from latxa_cli.voting.box import Box, Votes
from latxa_cli.voting.choice import Seen, Showing, next_showing
from latxa_cli.voting.limits import Rate, hold
from latxa_cli.voting.profile import Questions, said_by
from latxa_cli.voting.remarks import BadVoteError
from latxa_cli.voting.verdicts import Answers, battle_of

WITHDRAWALS_PER_MINUTE = 20  # of one browser, codes tried in vain among them


class RefusedError(Exception):
    """A vote that is not counted, for the reason that the message says."""


class Tally:
    """Counts of the votes on the disk: all, skipped pairs, by hour (`2026-03-19T10`), by reason of suspicion, wins."""

    def __init__(self) -> None:
        self.votes = self.skipped = 0
        self.won: Counter[tuple[str, str]] = Counter()  # (winner, loser)
        self.hours: Counter[str] = Counter()
        self.suspicion: Counter[str] = Counter()

    def add(self, battle: Record, times: int = 1) -> None:
        """Count a vote, or a pair that was skipped; times: -1 takes it back."""
        if is_skipped(battle):
            self.skipped += times
            return
        self.votes += times
        for winner, loser in (("model_a", "model_b"), ("model_b", "model_a")):
            if battle.get("winner") == winner:
                self.won[battle[winner], battle[loser]] += times
        self.hours[str(battle.get("timestamp", ""))[:13]] += times
        for reason in (battle.get("metadata") or {}).get("suspicion") or ():
            self.suspicion[reason] += times


def is_skipped(battle: Record) -> bool:
    """Whether the voter could not judge the pair, and gave no verdict."""
    return battle.get("skipped") is True


def _showing(battle: Record) -> Showing:
    return Showing(battle["prompt_id"], battle["model_a"], battle["model_b"])


class Preferred:
    """How often each voter voted on each model, and preferred it."""

    def __init__(self) -> None:
        self._votes: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self._won: defaultdict[str, Counter[str]] = defaultdict(Counter)

    def add(self, battle: Record) -> None:
        """Count a vote."""
        if is_skipped(battle):
            return
        self._votes[battle["user"]].update((battle["model_a"], battle["model_b"]))
        if battle.get("winner") in ("model_a", "model_b"):
            self._won[battle["user"]][battle[battle["winner"]]] += 1

    def forget(self, user: str) -> None:
        """Forget a voter."""
        self._votes.pop(user, None)
        self._won.pop(user, None)

    def rows(self, user: str) -> list[JsonObject]:
        """Return {model, votes, won} of each model, those that were preferred most often first."""
        votes, won = self._votes[user], self._won[user]
        order = sorted(votes, key=lambda model: (-won[model] / votes[model], model))
        return [{"model": model, "votes": votes[model], "won": won[model]} for model in order]


@dataclass(frozen=True)
class Rules:
    """What holds for voters.

    consent: the hash of the text that they accept, or "". per_minute: the most votes of a voter. questions: about
    themselves. table: how many votes they cast before they may see what they preferred; None for never.
    """

    consent: str = ""
    per_minute: int = 30
    questions: Questions = field(default_factory=dict)
    table: int | None = None


class Poll:
    """The votes that came.

    ballots: what may be voted on. votes: where they are kept. random: decides between equals, and who is shown first.
    facts: for `metadata` of every vote. tell: hears what the organiser is to know at once, once.
    """

    def __init__(
        self, ballots: Ballots, votes: Votes, rules: Rules, *, random: Random, facts: JsonObject | None = None,
        tell: Callable[[str], None] = lambda text: None,
    ) -> None:  # fmt: skip
        self.ballots, self.rules, self.random, self.facts = ballots, rules, random, facts or {}
        self.seen, self.tally, self.preferred = Seen(), Tally(), Preferred()
        self.box, self._votes = Box(votes, set()), votes
        self._tell, self._told = tell, votes.remark
        self._list = ""  # of pairs that are wanted: its name, which stands in the votes that answer it
        self._open: dict[str, Ballot] = {}  # by voter: a page that is loaded again shows the same pair
        self._rate, self._withdrawals = Rate(rules.per_minute), Rate(WITHDRAWALS_PER_MINUTE)

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

    def want(self, proposals: Iterable[Record]) -> str:
        """Show these pairs of models first, one vote each; return what is to be said of those that cannot be shown.

        Votes that were cast for the same pairs count, if they are taken in afterwards.
        """
        pairs = [tuple(sorted((one["model_a"], one["model_b"]))) for one in proposals]
        self._list = content_id({"pairs": pairs})
        known = set(combinations(sorted(self.ballots.models), 2))
        self.seen.wanted = [(one, other) for one, other in pairs if (one, other) in known]
        lacking = len(pairs) - len(self.seen.wanted)
        return f"{lacking:,} of {len(pairs):,} pairs are of models that are not here" if lacking else ""

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
        return not self.rules.consent or body.get("consent") == self.rules.consent

    async def cast(self, user: str, body: object, now: float, *, informed: bool = False) -> None:
        """Store a vote once; raises RefusedError, TooFastError, and LatxaError where the disk does not take it.

        informed: the voter has seen names of models.
        """
        ballot = self.ballots.read(body, user)
        if ballot is None or not isinstance(body, dict):
            self._rate.take(user)  # nobody fills the disk with what is refused
            raise self._refused(body, "not our ballot")
        if ballot.id in self.box.cast:
            return
        self._rate.take(user)
        if not self.agreed(body):
            raise self._refused(body, "no consent")
        consent = {"consent": self.rules.consent} if self.rules.consent else {}
        wanted = {"pairs": self._list} if ballot.showing.pair in self.seen.wanted else {}
        facts = self.facts | consent | wanted | self.ballots.facts(ballot)
        try:
            battle = battle_of(ballot, Answers.of(body), now=now, facts=facts)
            battle |= said_by(body.get("about", {}), self.rules.questions)
        except BadVoteError as error:
            raise self._refused(body, "malformed vote", str(error)) from None
        if self.seen.by_user[user][ballot.showing.prompt, ballot.showing.pair]:
            battle["metadata"]["suspicion"].append("again")
        if informed and not is_skipped(battle):
            battle["metadata"]["suspicion"].append("informed")
        try:
            is_new = await self.box.put(battle)
        except LatxaError as error:
            self.tell(error.message)
            raise
        self.tell(self._votes.remark)
        if is_new:
            self._count(battle)

    async def withdraw(self, asking: str, code: object, *, sure: bool) -> int:
        """Remove the votes of who has a code from the disk, and return how many these are; ask first, unless `sure`.

        Raises TooFastError, and LatxaError where the disk does not take it.
        """
        self._withdrawals.take(asking)
        user = self.ballots.owner(code)
        if user is None or user not in self.seen.by_user:
            return 0
        if not sure:
            return self.seen.by_user[user].total()
        gone = await self.box.remove(user)
        self.seen.forget(user, [_showing(battle) for battle in gone if not is_skipped(battle)])
        self.preferred.forget(user)
        for battle in gone:
            self.tally.add(battle, -1)
        self.seen.wanted[:0] = [_showing(battle).pair for battle in gone if self._was_wanted(battle)]
        return len(gone)

    def tell(self, text: str) -> None:
        """Tell the organiser something, unless it was told just before."""
        if text and text != self._told:
            self._tell(text)
        self._told = text

    def table(self, user: str) -> list[JsonObject] | None:
        """Return how often a voter saw and preferred each model; None where it is too early, or never shown."""
        if self.rules.table is None or self.votes_of(user) < self.rules.table:
            return None
        return self.preferred.rows(user)

    def _count(self, battle: Record) -> None:
        skipped, wanted = is_skipped(battle), self._was_wanted(battle)
        self.seen.add(battle["user"], _showing(battle), skipped=skipped, wanted=wanted)
        self.tally.add(battle)
        if self.rules.table is not None:
            self.preferred.add(battle)

    def _was_wanted(self, battle: Record) -> bool:
        """Whether a vote was cast for the pairs that are wanted."""
        return self._list != "" and (battle.get("metadata") or {}).get("pairs") == self._list and not is_skipped(battle)

    def _refused(self, body: object, reason: str, detail: str = "") -> RefusedError:
        self._votes.refuse(Reject(body if isinstance(body, dict) else {"sent": body}, reason, detail))
        return RefusedError(reason)
