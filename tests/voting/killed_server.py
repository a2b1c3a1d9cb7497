"""Voters who send each vote until they hear that it is stored, while the server is killed and started again."""

from __future__ import annotations

import random
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPException
from pathlib import Path

from poll_server import TIMEOUT, Record, Voter, serving

PAUSE = 0.05  # seconds between two tries


def under_kills(
    folder: Path,
    words: tuple[str, ...],
    *,
    voters: int,
    kills: int,
    votes_between: int,
    tell: Callable[[int, int], None] = lambda kills, votes: None,
    shown: Callable[[Voter], Record] = Voter.ballot,
) -> set[str]:
    """Return the ids of the ballots that voters were told are stored, after so many SIGKILLs.

    votes_between: the votes between two kills, at the least. tell: is told after each kill how many kills and votes
    there were. shown: gets a voter something to vote on; the `ballot`, and what else goes with the vote.
    """
    port, ended = free_port(), threading.Event()
    told: set[str] = set()
    always = ("--resume", "--votes-per-minute", "1000000", "--port", str(port))
    with ThreadPoolExecutor(voters) as pool:
        people = [pool.submit(_vote, port, ended, told, shown) for _ in range(voters)]
        try:
            for number in range(1, kills + 1):
                with serving(folder, *words, *always) as served:
                    before, end = len(told), time.monotonic() + TIMEOUT
                    while len(told) < before + votes_between and time.monotonic() < end:
                        time.sleep(0.001)
                    time.sleep(random.random() * 0.02)  # in the middle of whatever it does
                    served.process.kill()
                tell(number, len(told))
        finally:
            ended.set()
        for person in people:
            person.result()
    with serving(folder, *words, *always) as served:  # cuts off a torn line
        served.stop()
    return told


def _vote(port: int, ended: threading.Event, told: set[str], shown: Callable[[Voter], Record]) -> None:
    voter, vote = Voter("127.0.0.1", port), None
    while not ended.is_set():
        try:
            if not voter.cookie:
                voter.ask("GET", "/")
            vote = vote or shown(voter)
            more = {name: vote[name] for name in ("conversations",) if name in vote}
            if voter.cast(vote["ballot"], **more)[0] == 200:
                told.add(vote["ballot"].partition(".")[0])
                vote = None
        except (OSError, HTTPException):
            ended.wait(PAUSE)


def free_port() -> int:
    """Return a free port that the system gives to nobody who connects: such a one would connect to itself."""
    while True:
        port = random.randrange(20_000, 30_000)
        try:
            socket.create_server(("127.0.0.1", port)).close()
        except OSError:
            continue
        return port
