"""Ballots: signed slips that let a voter vote once on what was shown, and that say nothing of it.

A slip holds a random id, the time of issue, and a signature over these, the voter, the prompt and the two models in
their order. The models do not stand in it: the server finds them as those whose signature it is. So a slip outlives
the server that issued it, names nobody, and cannot be made, changed or used by others.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import blake2b
from hmac import compare_digest
from itertools import permutations

from latxa_cli.voting.choice import Showing
from latxa_cli.voting.contest import Contest

_SLIP = re.compile(
    r"(?P<id>[0-9a-f]{24})\.(?P<issued>[0-9]{1,12})\.(?P<prompt>[0-9a-f]{16})\.(?P<signature>[0-9a-f]{32})"
)
_COOKIE = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True)
class Ballot:
    """id: random. issued: seconds since the epoch. user: the voter's pseudonym."""

    id: str
    issued: int
    user: str
    showing: Showing


class Ballots:
    """Issues and reads the ballots of a contest, with the key of the runs that write its votes."""

    def __init__(self, contest: Contest, key: bytes) -> None:
        self.contest, self._key = contest, key
        self._prompts = {self._digest("prompt", prompt, size=8): prompt for prompt in contest.answers}

    @property
    def poll(self) -> str:
        """A public name of the poll, under which pages keep votes that are not sent yet."""
        return self._digest("poll", size=8)

    @property
    def organiser(self) -> str:
        """The secret part of the address of the organiser's page."""
        return self._digest("organiser", size=16)

    def pseudonym(self, cookie: str) -> str:
        """Return the name under which the votes of a browser are stored; it does not tell the browser's cookie."""
        return "voter-" + self._digest("voter", cookie, size=6)

    def issue(self, user: str, showing: Showing, now: int) -> Ballot:
        """Return a new ballot."""
        return Ballot(secrets.token_hex(12), now, user, showing)

    def slip(self, ballot: Ballot) -> str:
        """Return the slip of a ballot, the same each time."""
        prompt = self._digest("prompt", ballot.showing.prompt, size=8)
        return f"{ballot.id}.{ballot.issued}.{prompt}.{self._signature(ballot)}"

    def read(self, slip: object, user: str) -> Ballot | None:
        """Return the ballot of a slip; None for one that was not issued to this voter for this contest."""
        match = _SLIP.fullmatch(slip) if isinstance(slip, str) else None
        prompt = self._prompts.get(match["prompt"]) if match else None
        if match is None or prompt is None:
            return None
        for first, second in permutations(self.contest.answers[prompt], 2):
            ballot = Ballot(match["id"], int(match["issued"]), user, Showing(prompt, first, second))
            if compare_digest(self._signature(ballot), match["signature"]):
                return ballot
        return None

    def _signature(self, ballot: Ballot) -> str:
        shown = ballot.showing
        parts = ballot.id, str(ballot.issued), ballot.user, shown.prompt, shown.first, shown.second
        return self._digest("ballot", *parts, size=16)

    def _digest(self, what: str, *parts: str, size: int) -> str:
        """Return a keyed hash (BLAKE2b, a MAC by design) of parts, each behind its length."""
        return blake2b(_joined((what, *parts)), digest_size=size, key=self._key).hexdigest()


def new_cookie() -> str:
    """Return what tells a browser from all others."""
    return secrets.token_hex(16)


def is_cookie(text: str | None) -> bool:
    """Whether a browser's cookie is one of ours, as far as its form says."""
    return text is not None and _COOKIE.fullmatch(text) is not None


def _joined(parts: Iterable[str]) -> bytes:
    encoded = [part.encode() for part in parts]
    return b"".join(len(part).to_bytes(8, "big") + part for part in encoded)
