"""A live poll: two models answer what a voter writes, several messages long, and both conversations are voted on.

The conversations are kept by the voter's page, which sends them back with the next message and with the vote; their
slip is signed over every word, so that they come back as they were shown. So the server keeps nothing of what people
write until they vote, and a conversation outlives it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Container, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from itertools import permutations
from random import Random
from typing import TypeVar

import aiohttp

from latxa_cli.generation.engine import Decoding
from latxa_cli.stream.records import JsonObject, Record, content_id, user_turns
from latxa_cli.voting.ballots import Ballot, Ballots, Shown, new_id
from latxa_cli.voting.choice import Pair, Seen, Showing, in_order, next_pair
from latxa_cli.voting.contestants import LONGEST_ANSWER, Answer, Contestant
from latxa_cli.voting.limits import Rate, TooFastError, hold
from latxa_cli.voting.pace import Pace

LONGEST_MESSAGE = 4_000  # characters
MOST_UNDER_WAY = 64  # messages that are being answered
BYTES_A_CHARACTER = 6  # in JSON, at most
SEEDS = 1 << 53

Found = tuple[str, Answer]  # a model, and what it answered
Given = TypeVar("Given")


class NoAnswerError(Exception):
    """The models gave no two answers: there is nothing to be shown."""


class BadMessageError(ValueError):
    """What came is no message of a conversation that may go on."""


@dataclass(frozen=True)
class Limits:
    """turns: messages of a conversation. per_minute: messages of a voter."""

    turns: int = 8
    per_minute: int = 10

    @property
    def largest(self) -> int:
        """The most bytes of a request: both conversations, and the marks of JSON."""
        return self.turns * 2 * (LONGEST_MESSAGE + LONGEST_ANSWER + 100) * BYTES_A_CHARACTER


class LiveBallots(Ballots):
    """The ballots of a live poll: a slip is about every word of two conversations.

    contestants: in the order of their names. random: decides between equals, who is shown first, and seeds of texts.
    """

    def __init__(
        self, contestants: Sequence[Contestant], key: bytes, *, decoding: Decoding, limits: Limits, random: Random
    ) -> None:
        super().__init__([contestant.name for contestant in contestants], key)
        self.contestants = {contestant.name: contestant for contestant in contestants}
        self.decoding, self.limits, self._random = decoding, limits, random
        self._rate, self._pace = Rate(limits.per_minute), Pace(random)
        self._writing: set[str] = set()  # voters whose message is being answered
        self._sessions: dict[str, aiohttp.ClientSession] = {}
        self._seconds: dict[str, list[tuple[float, float]]] = {}  # of all answers, by what a ballot is about

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Be able to ask the models, in a running event loop."""
        async with AsyncExitStack() as stack:
            for name, contestant in self.contestants.items():
                self._sessions[name] = await stack.enter_async_context(contestant.engine.server.session())
            yield

    # --- ballots

    @property
    def what(self) -> str:
        return f"{len(self.models)} models, which answer what voters write"

    def summary(self) -> JsonObject:
        return {"decoding": self.decoding.as_dict(), "models": [one.facts() for one in self.contestants.values()]}

    def shown(self, about: str, body: JsonObject) -> Iterable[Shown]:
        try:
            first, second = _conversations(body.get("conversations"))
        except BadMessageError:
            return
        if self._about(first, second) == about:
            prompt = content_id({"turns": user_turns(first)})
            for one, other in permutations(self.models, 2):
                yield Showing(prompt, one, other), {"messages": first}, {"messages": second}

    def facts(self, ballot: Ballot) -> JsonObject:
        """Return how texts were drawn, and how long each answer took, which is not known after a restart."""
        taken = self._seconds.get(ballot.about)
        by_side = dict(zip(("model_a", "model_b"), zip(*taken, strict=True), strict=True)) if taken else None
        return {"live": True, "decoding": self.decoding.as_dict()} | ({"answer_seconds": by_side} if by_side else {})

    def _about(self, first: list[Record], second: list[Record]) -> str:
        return self.digest("conversations", *_texts(first), "", *_texts(second), size=8)

    # --- messages

    async def answer(self, user: str, body: JsonObject, seen: Seen, cast: Container[str]) -> Ballot:
        """Return the ballot on a conversation that goes on by a voter's message, when it is time to show it.

        cast: ids of ballots that were voted on.

        Raises BadMessageError, TooFastError, and NoAnswerError where a model fails: the conversation stays as it was.
        """
        text, before = _message(body.get("message")), None
        if body.get("conversations") is not None:
            before = self.read(body, user)
            if before is None:
                raise BadMessageError("not our conversation")
            if len(user_turns(before.responses[0]["messages"])) >= self.limits.turns:
                raise BadMessageError("a message too many")
            if before.id in cast:  # in another tab
                raise BadMessageError("voted on already")
        if user in self._writing or len(self._writing) >= MOST_UNDER_WAY:
            raise TooFastError
        self._rate.take(user)
        self._writing.add(user)
        try:
            return await self._answered(user, text, before, seen)
        finally:
            self._writing.discard(user)

    async def _answered(self, user: str, text: str, before: Ballot | None, seen: Seen) -> Ballot:
        started, turn = time.monotonic(), {"role": "user", "content": text}
        if before is None:
            (first, one), (second, other) = await self._two_models([turn], seen)
            conversations: Sequence[list[Record]] = ([turn], [turn])
        else:
            first, second = before.showing.first, before.showing.second
            conversations = [[*response["messages"], turn] for response in before.responses]
            answers = await asyncio.gather(*map(self._ask, (first, second), conversations))
            one, other = _both(answers)
        whole = [
            [*turns, {"role": "assistant", "content": answer.text}]
            for turns, answer in zip(conversations, (one, other), strict=True)
        ]
        about, prompt = self._about(*whole), content_id({"turns": user_turns(whole[0])})
        self._note(about, before, (round(one.seconds, 2), round(other.seconds, 2)))
        showing = Showing(prompt, first, second)
        await asyncio.sleep(self._pace.rest(showing.pair, time.monotonic() - started))
        name, issued = (before.id, before.issued) if before else (new_id(), int(time.time()))
        return Ballot(name, issued, user, about, showing, ({"messages": whole[0]}, {"messages": whole[1]}))

    async def _two_models(self, messages: list[Record], seen: Seen) -> tuple[Found, Found]:
        """Return two models and their answers, in the order in which they are shown; one that fails is replaced."""
        now = time.monotonic()
        awake = [name for name, contestant in self.contestants.items() if not contestant.rests(now)]
        pair = next_pair(awake if len(awake) > 1 else self.models, seen, self._random)
        others = [name for name in self.models if name not in pair]
        others.sort(key=lambda name: (self.contestants[name].rests(now), self._random.random()))

        async def one_of(name: str) -> Found | None:
            while (answer := await self._ask(name, messages)) is None:
                if not others:
                    return None
                name = others.pop(0)
            return name, answer

        found = dict(_both(await asyncio.gather(*map(one_of, pair))))
        first, second = in_order(_sorted(found), seen, self._random)
        return (first, found[first]), (second, found[second])

    async def _ask(self, name: str, messages: Sequence[Record]) -> Answer | None:
        seed = self._random.randrange(SEEDS)
        return await self.contestants[name].ask(self._sessions[name], messages, self.decoding, seed)

    def _note(self, about: str, before: Ballot | None, seconds: tuple[float, float]) -> None:
        """Remember how long the answers took, where that is known of the earlier ones."""
        earlier = self._seconds.get(before.about) if before else []
        if earlier is not None:
            hold(self._seconds, about, [*earlier, seconds])


def _both(given: Sequence[Given | None]) -> tuple[Given, Given]:
    one, other = given
    if one is None or other is None:
        raise NoAnswerError
    return one, other


def _sorted(found: dict[str, Answer]) -> Pair:
    one, other = sorted(found)
    return one, other


def _message(text: object) -> str:
    if not isinstance(text, str) or not text.strip() or len(text) > LONGEST_MESSAGE:
        raise BadMessageError("no message")
    return text.strip()


def _conversations(given: object) -> tuple[list[Record], list[Record]]:
    """Return both conversations of a request; raises BadMessageError for what cannot be two of ours."""
    if not isinstance(given, list) or len(given) != 2:
        raise BadMessageError("no conversations")
    first, second = (_turns(one) for one in given)
    if user_turns(first) != user_turns(second):
        raise BadMessageError("two conversations of different messages")
    return first, second


def _turns(given: object) -> list[Record]:
    if not isinstance(given, list) or not given or len(given) % 2:
        raise BadMessageError("no conversation")
    for place, turn in enumerate(given):
        role = "assistant" if place % 2 else "user"
        if not isinstance(turn, dict) or turn.get("role") != role or not isinstance(turn.get("content"), str):
            raise BadMessageError("no conversation")
    return [{"role": turn["role"], "content": turn["content"]} for turn in given]


def _texts(conversation: list[Record]) -> list[str]:
    return [turn["content"] for turn in conversation]
