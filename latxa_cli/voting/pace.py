"""When both answers to a message are shown: at a time that tells nothing about either of them.

They are shown together, after 1, 2, 4, 8 … seconds: the first of these that the last turns of the same pair all kept.
So the time depends on the pair, and not on who is where: where it followed the slower answer, somebody who knows which
model is slow could tell it by the length of the answer that took long.
"""

from __future__ import annotations

from collections import defaultdict, deque
from math import ceil, log2
from random import Random

from latxa_cli.voting.choice import Pair

SHORTEST = 1.0  # seconds
TURNS_KEPT = 20
JITTER = 0.1  # of the time


class Pace:
    """The times of a poll. random: draws what is added, so that nothing finer can be timed either."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._times: defaultdict[Pair, deque[float]] = defaultdict(lambda: deque(maxlen=TURNS_KEPT))

    def rest(self, pair: Pair, taken: float) -> float:
        """Return the seconds until the answers are shown, which took so many, and remember these."""
        times = self._times[pair]
        times.append(taken)
        longest = max(SHORTEST, *times)
        shown = SHORTEST * 2 ** ceil(log2(longest / SHORTEST))
        return shown * (1 + JITTER * self._random.random()) - taken
