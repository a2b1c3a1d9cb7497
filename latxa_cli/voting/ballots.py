"""Ballots: signed slips that let a voter vote once on what was shown, and that say nothing of it.

A slip holds a random id, the time of issue, a hash of what it is about, and a signature over these, the voter, the two
models in their order, and what they wrote. The models do not stand in it: the server finds them as those whose
signature it is. So a slip outlives the server that issued it, names nobody, and cannot be made, changed or used by
others.
"""

from __future__ import annotations

import re
import secrets
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from hmac import compare_digest
from itertools import permutations

from latxa_cli.stream.records import JsonObject, Record
from latxa_cli.voting.choice import Showing
from latxa_cli.voting.contest import Contest

_SLIP = re.compile(
    r"(?P<id>[0-9a-f]{24})\.(?P<issued>[0-9]{1,12})\.(?P<about>[0-9a-f]{16})\.(?P<signature>[0-9a-f]{32})"
)
_COOKIE = re.compile(r"[0-9a-f]{32}")
_CODE = re.compile(r"[0-9a-f]{28}")
VOTER = "voter-"


Shown = tuple[Showing, Record, Record]  # and the responses of its two models, in their order


@dataclass(frozen=True)
class Ballot:
    """id: random. issued: seconds since the epoch. user: the voter's pseudonym. about: a hash of what is voted on.

    responses: of the two models that `showing` names, in their order.
    """

    id: str
    issued: int
    user: str
    about: str
    showing: Showing
    responses: tuple[Record, Record]


class Ballots(ABC):
    """Reads the ballots of a poll, with the key of the runs that write its votes. models: those that can be shown."""

    def __init__(self, models: Sequence[str], key: bytes) -> None:
        self.models, self._key = models, key

    @abstractmethod
    def shown(self, about: str, body: JsonObject) -> Iterable[Shown]:
        """Yield all that may have been shown to a voter who sends this slip's hash, in this body."""

    def words(self, showing: Showing) -> tuple[str, ...]:
        """Return hashes of what the two models wrote, where `about` does not say it."""
        return ()

    def facts(self, ballot: Ballot) -> JsonObject:
        """Return what else is known of what was shown, for the vote's `metadata`."""
        return {}

    @property
    @abstractmethod
    def what(self) -> str:
        """What is shown, in a few words."""

    @property
    def remark(self) -> str:
        """What is to be said of what cannot be shown; empty for nothing."""
        return ""

    def summary(self) -> JsonObject:
        """Return what a manifest says of it in the end."""
        return {}

    @property
    def poll(self) -> str:
        """A public name of the poll, under which pages keep votes that are not sent yet."""
        return self.digest("poll", size=8)

    @property
    def organiser(self) -> str:
        """The secret part of the address of the organiser's page."""
        return self.digest("organiser", size=16)

    def pseudonym(self, cookie: str) -> str:
        """Return the name under which the votes of a browser are stored; it does not tell the browser's cookie."""
        return VOTER + self.digest("voter", cookie, size=6)

    def code(self, user: str) -> str:
        """Return the code by which a voter can withdraw votes: who the voter is, and a signature of it."""
        digits = user.removeprefix(VOTER) + self.digest("withdraw", user, size=8)
        return "-".join(digits[place : place + 4] for place in range(0, len(digits), 4))

    def owner(self, code: object) -> str | None:
        """Return the voter to whom a code was given; None where it is not one of ours."""
        digits = re.sub(r"[\s-]", "", code).lower() if isinstance(code, str) else ""
        if not _CODE.fullmatch(digits):
            return None
        user = VOTER + digits[:12]
        return user if compare_digest(self.digest("withdraw", user, size=8), digits[12:]) else None

    def slip(self, ballot: Ballot) -> str:
        """Return the slip of a ballot, the same each time."""
        return f"{ballot.id}.{ballot.issued}.{ballot.about}.{self._signature(ballot)}"

    def read(self, body: object, user: str) -> Ballot | None:
        """Return the ballot whose slip is in a request; None for one that was not issued to this voter in this poll."""
        slip = body.get("ballot") if isinstance(body, dict) else None
        match = _SLIP.fullmatch(slip) if isinstance(slip, str) else None
        if match is None or not isinstance(body, dict):
            return None
        for showing, *responses in self.shown(match["about"], body):
            ballot = Ballot(
                match["id"], int(match["issued"]), user, match["about"], showing, (responses[0], responses[1])
            )
            if compare_digest(self._signature(ballot), match["signature"]):
                return ballot
        return None

    def _signature(self, ballot: Ballot) -> str:
        shown = ballot.showing
        who = ballot.user, ballot.about, shown.first, shown.second
        parts = ballot.id, str(ballot.issued), *who, *self.words(shown)
        return self.digest("ballot", *parts, size=16)

    def digest(self, what: str, *parts: str, size: int) -> str:
        """Return a keyed hash (BLAKE2b, a MAC by design) of parts, each behind its length."""
        return blake2b(_joined((what, *parts)), digest_size=size, key=self._key).hexdigest()


class ContestBallots(Ballots):
    """The ballots of a contest: a slip is about a prompt."""

    def __init__(self, contest: Contest, key: bytes) -> None:
        super().__init__(contest.models, key)
        self.contest = contest
        self._prompts = {self._about(prompt): prompt for prompt in contest.answers}
        self._words = {
            (prompt, model): self.digest("words", *(turn["content"] for turn in response["messages"]), size=8)
            for prompt, of_prompt in contest.answers.items()
            for model, response in of_prompt.items()
        }

    @property
    def what(self) -> str:
        return f"{len(self.models)} models on {len(self.contest.answers):,} prompts"

    @property
    def remark(self) -> str:
        return self.contest.remark

    def issue(self, user: str, showing: Showing, now: int) -> Ballot:
        """Return a new ballot."""
        of_prompt = self.contest.answers[showing.prompt]
        responses = of_prompt[showing.first], of_prompt[showing.second]
        return Ballot(new_id(), now, user, self._about(showing.prompt), showing, responses)

    def shown(self, about: str, body: JsonObject) -> Iterable[Shown]:
        if prompt := self._prompts.get(about):
            of_prompt = self.contest.answers[prompt]
            for first, second in permutations(of_prompt, 2):
                yield Showing(prompt, first, second), of_prompt[first], of_prompt[second]

    def words(self, showing: Showing) -> tuple[str, ...]:
        """They may be other ones when the server is started again: a vote is on what was shown."""
        return self._words[showing.prompt, showing.first], self._words[showing.prompt, showing.second]

    def _about(self, prompt: str) -> str:
        return self.digest("prompt", prompt, size=8)


def new_id() -> str:
    """Return a random id of a ballot."""
    return secrets.token_hex(12)


def new_cookie() -> str:
    """Return what tells a browser from all others."""
    return secrets.token_hex(16)


def is_cookie(text: str | None) -> bool:
    """Whether a browser's cookie is one of ours, as far as its form says."""
    return text is not None and _COOKIE.fullmatch(text) is not None


def _joined(parts: Iterable[str]) -> bytes:
    encoded = [part.encode() for part in parts]
    return b"".join(len(part).to_bytes(8, "big") + part for part in encoded)
