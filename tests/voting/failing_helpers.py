"""A live poll whose helpers fail at random: models that die, hang and answer rubbish, and a disk that is full at times.

Voters write until they are answered, and send each vote until they hear that it is stored.
"""

from __future__ import annotations

import random
import resource
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import web
from model_servers import ModelServer
from openai_server import SIX_WAYS
from poll_server import MODELS, Served, Voter, serving, talk, votes_in

NAMES = (*MODELS, "saltmarsh")
WORDS = (
    "--timeout",
    "1",
    "--messages-per-minute",
    "100000",
    "--votes-per-minute",
    "100000",
    "--rejects",
    "rejects.jsonl",
)
SIDES = {"first": "model_a", "second": "model_b", "tie": "tie", "bad": "tie (bothbad)"}


@dataclass
class Voted:
    """told: by ballot, the conversations and the verdict of each vote that a voter was told is stored.

    refused: how often voters got no answer (503), and how often the disk took no vote (507).
    """

    told: dict[str, tuple[Any, str]] = field(default_factory=dict)
    refused: Counter[int] = field(default_factory=Counter)


def faults(voted: Voted, path: Path) -> dict[str, int]:
    """Return how many votes are lost, doubled or wrong: of other words, another verdict, or another model's words."""
    stored = {vote["id"]: vote for vote in votes_in(path)}
    wrong = 0
    for name, (conversations, verdict) in voted.told.items():
        vote = stored.get(name)
        if vote is None:
            continue
        shown = [vote["conversation_a"], vote["conversation_b"]]
        its_own = all(
            turn["content"].startswith(f"{vote[side]} says") == (turn["role"] == "assistant")
            for side, turns in zip(("model_a", "model_b"), shown, strict=True)
            for turn in turns
        )
        wrong += not (shown == conversations and vote["winner"] == SIDES[verdict] and its_own)
    lines = len(votes_in(path))
    votes_in(path.with_name("rejects.jsonl"))  # whole lines
    return {"lost": len(voted.told.keys() - stored.keys()), "doubled": lines - len(stored), "wrong": wrong}


def under_failures(
    folder: Path, *, votes: int, voters: int, share: float, tell: Callable[[int], None] = lambda votes: None
) -> Voted:
    """Return what voters were told, where this share of the answers of models fails. tell: hears how many there are."""
    voted, ended, draw = Voted(), threading.Event(), random.Random(5)

    async def fails(request: web.Request) -> web.StreamResponse | None:
        return await draw.choice(SIX_WAYS)(request) if draw.random() < share else None

    with ExitStack() as stack:
        servers = [ModelServer(name, lambda messages, name=name: f"{name} says {len(messages)}") for name in NAMES]
        for server in servers:
            stack.enter_context(server)
        flags = [word for server in servers for word in server.flag]
        served = stack.enter_context(serving(folder, *flags, "-o", "votes.jsonl", *WORDS))
        for server in servers:
            server.fails = fails
        with ThreadPoolExecutor(voters) as pool, full_at_times(served, folder, draw):
            people = [pool.submit(_vote, served, voted, votes, seed, ended) for seed in range(voters)]
            while not all(person.done() for person in people):
                time.sleep(0.5)
                tell(len(voted.told))
            for person in people:
                person.result()
        served.stop()
    return voted


@contextmanager
def full_at_times(served: Served, folder: Path, draw: random.Random) -> Iterator[None]:
    """Let the server's files grow no more for moments at random: neither the votes, nor the rejects."""
    ended, process = threading.Event(), served.process.pid
    free = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)

    def fill() -> None:
        while not ended.wait(draw.uniform(0.1, 0.6)):
            sizes = [path.stat().st_size for path in folder.glob("*.jsonl")]
            resource.prlimit(process, resource.RLIMIT_FSIZE, (min(sizes, default=0) + 50, resource.RLIM_INFINITY))
            ended.wait(draw.uniform(0.05, 0.3))
            resource.prlimit(process, resource.RLIMIT_FSIZE, free)

    thread = threading.Thread(target=fill)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        resource.prlimit(process, resource.RLIMIT_FSIZE, free)


def _vote(served: Served, voted: Voted, votes: int, seed: int, ended: threading.Event) -> None:
    """Talk and vote until there are enough votes; now and then, send what is no vote."""
    voter, draw = Voter.of(served), random.Random(seed)
    while len(voted.told) < votes:
        shown = _answered(voter, voted, f"{seed} asks {draw.random()}", None)
        if draw.random() < 0.3:
            shown = _answered(voter, voted, f"{seed} goes on", shown)
        verdict, sent = draw.choice(list(SIDES)), talk(shown)
        while True:
            if draw.random() < 0.1:
                voter.cast(sent["ballot"], conversations=sent["conversations"], content="none")  # to the rejects
            conversations = sent["conversations"]
            status, _ = voter.cast(sent["ballot"], conversations=conversations, content=verdict, language=verdict)
            if status == 200:
                break
            voted.refused[status] += 1
            ended.wait(0.05)
        voted.told[sent["ballot"].partition(".")[0]] = (conversations, verdict)


def _answered(voter: Voter, voted: Voted, text: str, shown: Any) -> Any:
    while True:
        status, given = voter.say(text, shown)
        if status == 200:
            return given
        voted.refused[status] += 1
        time.sleep(0.1)
