"""Which pair a voter sees next, and in which order.

- A voter sees no prompt again while there are others.
- The pair of models comes first whose votes the organiser wants most, else the one with the fewest votes; and of its
  prompts the one with the fewest.
- The model that was shown first less often is shown first with a probability of 2/3, so that both orders come equally
  often and nobody can tell them in advance (Efron, 1971, "Forcing a sequential experiment to be balanced",
  Biometrika 58).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from random import Random
from typing import TypeVar

from latxa_cli.voting.contest import Contest

BIAS = 2 / 3
Thing = TypeVar("Thing")

Pair = tuple[str, str]  # two models, in the order of their names


@dataclass(frozen=True)
class Showing:
    """What a voter is shown: two models' answers to a prompt, that of `first` on the left, or above."""

    prompt: str
    first: str
    second: str

    @property
    def pair(self) -> Pair:
        return (self.first, self.second) if self.first < self.second else (self.second, self.first)


@dataclass
class Seen:
    """How often each pair, each pair on each prompt, and each order was voted on, and what each voter has seen.

    votes: by voter, how many verdicts; a voter has seen what was skipped, too.
    wanted: pairs that are still to be voted on, a vote each, the most urgent first.
    """

    pairs: Counter[Pair] = field(default_factory=Counter)
    meetings: Counter[tuple[str, Pair]] = field(default_factory=Counter)
    orders: Counter[Pair] = field(default_factory=Counter)  # (first, second)
    by_user: defaultdict[str, Counter[tuple[str, Pair]]] = field(default_factory=lambda: defaultdict(Counter))
    votes: Counter[str] = field(default_factory=Counter)
    wanted: list[Pair] = field(default_factory=list)

    def add(self, user: str, showing: Showing, *, skipped: bool = False, wanted: bool = False) -> None:
        """Count a vote, or what a voter saw and skipped. wanted: the vote is one of those that are wanted."""
        self.by_user[user][showing.prompt, showing.pair] += 1
        if not skipped:
            self.votes[user] += 1
            self._add(showing, 1)
            if wanted and showing.pair in self.wanted:
                self.wanted.remove(showing.pair)

    def forget(self, user: str, showings: Iterable[Showing]) -> None:
        """Forget a voter, and the votes that the voter cast."""
        self.by_user.pop(user, None)
        self.votes.pop(user, None)
        for showing in showings:
            self._add(showing, -1)

    def _add(self, showing: Showing, votes: int) -> None:
        self.pairs[showing.pair] += votes
        self.meetings[showing.prompt, showing.pair] += votes
        self.orders[showing.first, showing.second] += votes


def next_showing(contest: Contest, seen: Seen, user: str, random: Random) -> Showing | None:
    """Return what a voter sees next; None for one who has seen every pair on every prompt."""
    by_user = seen.by_user.get(user, Counter())
    times = Counter(prompt for prompt, _ in by_user)
    open_prompts = [
        prompt for prompt, answers in contest.answers.items() if times[prompt] < len(answers) * (len(answers) - 1) // 2
    ]
    fewest = min((times[prompt] for prompt in open_prompts), default=0)
    prompts = [prompt for prompt in open_prompts if times[prompt] == fewest]
    for pair in _by_need(contest.models, seen, random):
        left = [(prompt, pair) for prompt in prompts if (prompt, pair) not in by_user and _met(contest, prompt, pair)]
        if left:
            prompt, _ = _shuffled_by(left, seen.meetings, random)[0]
            return Showing(prompt, *in_order(pair, seen, random))
    return None


def _met(contest: Contest, prompt: str, pair: Pair) -> bool:
    answers = contest.answers[prompt]
    return pair[0] in answers and pair[1] in answers


def _shuffled_by(things: Iterable[Thing], counts: Counter[Thing], random: Random) -> list[Thing]:
    """Return the things with the lowest counts first, and those with equal counts in random order."""
    return sorted(things, key=lambda thing: (counts[thing], random.random()))


def next_pair(models: Sequence[str], seen: Seen, random: Random) -> Pair:
    """Return the pair of models, in the order of their names, whose votes are needed most."""
    return _by_need(sorted(models), seen, random)[0]


def _by_need(models: Sequence[str], seen: Seen, random: Random) -> list[Pair]:
    """Return all pairs of models: those that are wanted, in their order, then those with the fewest votes."""
    place: dict[Pair, int] = {}
    for number, pair in enumerate(seen.wanted):
        place.setdefault(pair, number)
    fewest_first = _shuffled_by(combinations(models, 2), seen.pairs, random)
    return sorted(fewest_first, key=lambda pair: place.get(pair, len(seen.wanted)))


def in_order(pair: Pair, seen: Seen, random: Random) -> Pair:
    """Return a pair with the model that is shown first."""
    one, other = pair
    ahead = seen.orders[one, other] - seen.orders[other, one]
    chance = 0.5 if ahead == 0 else 1 - BIAS if ahead > 0 else BIAS
    return (one, other) if random.random() < chance else (other, one)
