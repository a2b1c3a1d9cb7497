"""What `arena-next` saves: simulated arenas get new votes on the pairs that it proposes, on random pairs, and on those
with the fewest votes; then how many pairs of models stand in the wrong order.

`python tests/bench/pairing.py [ARENAS]`

Goal: in each kind of arena as few wrong pairs as 1.2 times as many votes on random pairs give; 1.5 times on average.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from statistics import mean

import numpy as np
from timing import table, verdict

from latxa_cli.arena.fits.bradley_terry import Wins, covariance, fit, vote_spread
from latxa_cli.arena.pairing import next_battles
from latxa_cli.arena.votes import A_WON, B_WON, TIE, PairCounts, Votes, count

BUDGET, PROPOSED = 1000, 200  # votes to come, and how many of them are chosen at once
MULTIPLES = (1.0, 1.5, 2.0, 3.0, 4.0)  # of the budget, for random pairs
LEAST, MEAN = 1.2, 1.5
TIED = 0.2  # the share of even battles that are tied

Pairs = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Kind:
    """Arenas of 20 models: the spread of their strengths, votes until now, and who got them."""

    spread: float
    votes: int
    zipf: float = 0.0  # shares of the models go as rank ** -zipf
    newcomers: int = 0


KINDS = {
    "strengths 174 apart": Kind(1.0, 1000),
    "strengths 87 apart": Kind(0.5, 3000),
    "unevenly voted": Kind(0.7, 2000, zipf=1.0),
    "four newcomers": Kind(0.7, 3000, newcomers=4),
    "no votes yet": Kind(0.7, 0),
}


class Arena:
    """Models with known strengths, and the votes that they got."""

    def __init__(self, kind: Kind, seed: int, size: int = 20) -> None:
        self.random = np.random.default_rng(seed)
        self.theta = self.random.normal(0, kind.spread, size)
        self.names = [f"m{number:02}" for number in range(size)]
        self.a = self.b = self.verdict = np.empty(0, dtype=np.int64)
        share = np.arange(1.0, size + 1) ** -kind.zipf * (np.arange(size) < size - kind.newcomers)
        if kind.votes:
            self.vote(*self.replicates(kind.votes, share))

    def drawn(self, amount: int, share: np.ndarray | None = None) -> Pairs:
        """Draw pairs at random."""
        share = np.ones(len(self.names)) if share is None else share
        pairs = np.outer(share, share)
        np.fill_diagonal(pairs, 0)
        drawn = self.random.choice(pairs.size, amount, p=(pairs / pairs.sum()).reshape(-1))
        return np.divmod(drawn, len(self.names))

    def vote(self, a: np.ndarray, b: np.ndarray) -> None:
        chance = 1 / (1 + np.exp(self.theta[b] - self.theta[a]))
        tie = TIED * 4 * chance * (1 - chance)  # half a win for a tie keeps the mean at `chance`
        drawn = self.random.random(len(a))
        verdict = np.where(drawn < chance - tie / 2, A_WON, np.where(drawn < chance + tie / 2, TIE, B_WON))
        self.a, self.b = np.concatenate((self.a, a)), np.concatenate((self.b, b))
        self.verdict = np.concatenate((self.verdict, verdict))

    def counts(self) -> PairCounts:
        return count(Votes(self.names, self.a, self.b, {"winner": self.verdict}))[0]

    def wrong(self) -> tuple[float, float]:
        """Return how many pairs stand in the wrong order, and how many neighbours are not separated at 90 %."""
        counts = self.counts()
        theta = fit(counts, Wins.of(counts.cells[None], prior=0.1))[0]
        order = np.argsort(-self.theta)
        wrong = np.triu(theta[order][:, None] < theta[order][None, :]).sum()
        known = covariance(counts, theta, vote_spread(counts, theta))
        order = np.argsort(-theta)
        above, below = order[:-1], order[1:]
        error = np.sqrt(np.maximum(0, known[above, above] + known[below, below] - 2 * known[above, below]))
        return float(wrong), float((theta[above] - theta[below] < 1.645 * error).sum())


def proposed(arena: Arena, amount: int) -> Pairs:
    records = next_battles(arena.counts(), amount)
    place = {name: number for number, name in enumerate(arena.names)}
    a, b = (np.array([place[record[side]] for record in records]) for side in ("model_a", "model_b"))
    return a, b


def fewest(arena: Arena, amount: int) -> Pairs:
    first, second = np.triu_indices(len(arena.names), 1)
    counts = arena.counts()
    met = counts.matrix(counts.cells.sum(axis=1), counts.cells.sum(axis=1))[first, second]
    met = met + arena.random.random(len(met))  # equal ones at random
    chosen = []
    for _ in range(amount):
        chosen.append(met.argmin())
        met[chosen[-1]] += 1
    return first[chosen], second[chosen]


def result(kind: Kind, seed: int, choose: Callable[[Arena, int], Pairs], budget: int) -> tuple[float, float]:
    """Return what `Arena.wrong` says of an arena after `budget` more votes."""
    arena = Arena(kind, seed)
    arena.random = np.random.default_rng((seed, 1))
    for _ in range(budget // PROPOSED):
        arena.vote(*choose(arena, PROPOSED))
    return arena.wrong()


def means(kind: Kind, choose: Callable[[Arena, int], Pairs], arenas: int, budget: int = BUDGET) -> tuple[float, float]:
    """Return the mean number of wrong pairs, and of neighbours that are separated."""
    found = [result(kind, seed, choose, budget) for seed in range(arenas)]
    return mean(wrong for wrong, _ in found), 19 - mean(undecided for _, undecided in found)


def main(arenas: int) -> None:
    rows = [
        ("wrong pairs (neighbours apart)", "random", "fewest votes", "random x 2", "`arena-next`", "worth in votes")
    ]
    worths = []
    for name, kind in KINDS.items():
        random = {multiple: means(kind, Arena.drawn, arenas, int(BUDGET * multiple)) for multiple in MULTIPLES}
        shown = [random[1.0], means(kind, fewest, arenas), random[2.0], means(kind, proposed, arenas)]
        falling = [-random[multiple][0] for multiple in MULTIPLES]
        worths.append(float(np.interp(-shown[-1][0], falling, MULTIPLES)))
        rows.append((name, *(f"{wrong:.2f} ({apart:.1f})" for wrong, apart in shown), f"{worths[-1]:.2f}"))
    table(rows)
    least, average = min(worths), mean(worths)
    verdict(
        f"votes on proposed pairs are worth {average:.2f} x as many on random ones, {least:.2f} x at least "
        f"(goal {MEAN} and {LEAST})",
        average >= MEAN and least >= LEAST,
    )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 200)
