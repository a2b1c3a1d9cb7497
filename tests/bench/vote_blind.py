"""Whether a client of a live poll can tell which side is the slow model, by all that it can time or see but the words.

    python tests/bench/vote_blind.py [BALLOTS [VOTERS]]

Two models write answers of the same lengths; one takes ten times as long for a character. A logistic regression is
trained on half of the ballots to say on which side the slow one is, from the seconds until the answers come, their
lengths, products of these, the sizes of heads and bodies and the order of fields, and is tried on the other half. The
same is done with the seconds as they would be if answers were shown as soon as both are there: that it must tell. Every
byte that was sent before a vote is searched for names and addresses of models. A shorter form is
`python tests/bench/vote_blind.py 60 20`, whose verdict says little.
"""

from __future__ import annotations

import math
import random
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import minimize
from scipy.stats import binomtest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "voting"))
from model_servers import ModelServer
from poll_server import MODELS, Served, Voter, serving, talk, votes_in
from timing import verdict

SECONDS_A_CHARACTER = 0.0005  # of the fast model
SLOWER = 10
LENGTHS = (100, 1200)  # characters
SYLLABLES = ("ba", "du", "ki", "lo", "ne", "tza", "ur")


@dataclass
class Told:
    """What a client knows of a ballot. lengths: characters of the answers, on the left and on the right."""

    seconds: float
    lengths: tuple[int, int]
    sizes: tuple[float, ...]


def written(_messages: Any) -> str:
    text, length = "", random.randint(*LENGTHS)
    while len(text) < length:
        text += random.choice(SYLLABLES) + (" " if random.random() < 0.4 else "")
    return text


def vote(served: Served, count: int) -> tuple[dict[str, Told], bytes]:
    """Cast so many votes, and return what was told of each ballot, and all that was sent."""
    voter, told = Voter.of(served), {}
    for number in range(count):
        before, started = len(voter.got), time.monotonic()
        status, shown = voter.say(f"Kaixo {number}!")
        seconds = time.monotonic() - started
        assert status == 200, shown
        answers = [answer[-1] for answer in shown["answers"]]
        order = [float(list(answer) == ["role", "content"]) for answer in answers]
        first, second = (len(answer["content"]) for answer in answers)
        sent = talk(shown)
        name = sent["ballot"].partition(".")[0]
        bare = len(voter.got) - before - first - second  # heads, and a body without the answers
        told[name] = Told(seconds, (first, second), (bare, *order))
        assert voter.cast(sent["ballot"], conversations=sent["conversations"])[0] == 200
    return told, voter.got


def features(told: Told, seconds: float) -> list[float]:
    first, second = told.lengths
    gap = math.log(first / second)
    return [
        seconds, first, second, gap, seconds * gap, seconds * (first - second), seconds / first - seconds / second,
        math.log(seconds / first), math.log(seconds / second), float(first > second) * seconds, *told.sizes,
    ]  # fmt: skip


def accuracy(rows: np.ndarray, labels: np.ndarray) -> tuple[int, int]:
    """Return how many of the other half a logistic regression tells right, and how many there are."""
    half = len(rows) // 2
    spread = rows[:half].std(axis=0)
    scaled = (rows - rows[:half].mean(axis=0)) / np.where(spread > 0, spread, 1)
    scaled = np.c_[scaled, np.ones(len(rows))]
    signs = np.where(labels, 1.0, -1.0)

    def loss(weights: np.ndarray) -> float:
        margins = scaled[:half] @ weights * signs[:half]
        return float(np.logaddexp(0, -margins).sum() + 0.5 * weights @ weights)

    weights = minimize(loss, np.zeros(scaled.shape[1]), method="L-BFGS-B").x
    right = (scaled[half:] @ weights > 0) == labels[half:]
    return int(right.sum()), len(right)


def main(ballots: int = 600, voters: int = 40) -> None:
    fast, slow = MODELS[:2]
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        servers = [
            ModelServer(fast, written, seconds=SECONDS_A_CHARACTER),
            ModelServer(slow, written, seconds=SLOWER * SECONDS_A_CHARACTER),
        ]
        for server in servers:
            stack.enter_context(server)
        flags = [word for server in servers for word in server.flag]
        limits = ("--messages-per-minute", "100000", "--votes-per-minute", "100000")
        served = stack.enter_context(serving(folder, *flags, "-o", "votes.jsonl", *limits))
        with ThreadPoolExecutor(voters) as pool:
            results = list(pool.map(lambda _: vote(served, ballots // voters), range(voters)))
        served.stop()
        votes = votes_in(folder / "votes.jsonl")
    told = {ballot: one for of_voter, _ in results for ballot, one in of_voter.items()}
    votes = [one for one in votes if one["id"] in told]
    random.shuffle(votes)
    labels = np.array([one["model_a"] == slow for one in votes])
    real = np.array([features(told[one["id"]], told[one["id"]].seconds) for one in votes])
    taken = [max(one["metadata"]["answer_seconds"][side][0] for side in ("model_a", "model_b")) for one in votes]
    at_once = np.array([features(told[one["id"]], max(s, 0.01)) for one, s in zip(votes, taken, strict=True)])
    right, of = accuracy(real, labels)
    control, _ = accuracy(at_once, labels)
    chance = binomtest(right, of).pvalue
    secrets = [*MODELS[:2], *(server.url.split("/")[2] for server in servers)]
    leaks = sum(sent.count(secret.encode()) for _, sent in results for secret in secrets)
    seconds = np.median([one.seconds for one in told.values()])
    print(f"{len(votes):,} ballots; slow model first on {labels.mean():.1%}; median {seconds:.1f} s to the answers")
    print(f"told right {right / of:.1%} of {of} (p {chance:.2f}); shown at once it would be {control / of:.1%}")
    print(f"{sum(len(sent) for _, sent in results):,} bytes sent, {leaks} names or addresses in them")
    reached = leaks == 0 and chance > 0.01 and control / of > 0.8
    verdict("sides are told at chance, and no name is sent", reached)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
