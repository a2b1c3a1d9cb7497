"""Battles as two matrices, who won against whom and who met whom: an arena before any model of it.

`latxa report battles.jsonl --plot heat.pdf`
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from latxa_cli.arena.votes import Floats
from latxa_cli.stream.records import WINNERS, Record, Reject

Pair = tuple[str, str]


@dataclass
class Meetings:
    """Counts of (winner, loser) and, for every battle, of (model_a, model_b): memory grows with the pairs alone."""

    won: Counter[Pair] = field(default_factory=Counter)
    met: Counter[Pair] = field(default_factory=Counter)

    def add(self, battles: Iterable[Record]) -> Iterator[Reject]:
        """Count `battles` by their `winner`; yield those that cannot be counted."""
        for battle in battles:
            a, b, winner = battle["model_a"], battle["model_b"], battle.get("winner")
            if type(winner) is not str or winner not in WINNERS:
                yield Reject(battle, "no verdict" if winner is None else "unknown verdict", "see `winner`")
            elif a == b:
                yield Reject(battle, "self battle", "`model_a` and `model_b` are the same")
            else:
                self.met[a, b] += 1
                if winner in ("model_a", "model_b"):
                    self.won[(a, b) if winner == "model_a" else (b, a)] += 1

    def results(self) -> Iterator[Record]:
        """Yield results {model, task, metric, value, n}: the share of its battles that each model won, best first."""
        for model, (share, battles) in sorted(self._shares().items(), key=lambda entry: (-entry[1][0], entry[0])):
            yield {"model": model, "task": "win rate", "metric": "win_rate", "value": share, "n": battles}

    def ordered(self, first: Sequence[str] = ()) -> list[str]:
        """Return the models that fought: those of `first` in their order, then the others by their share of wins."""
        fought = dict.fromkeys(result["model"] for result in self.results())
        return list(dict.fromkeys([*(model for model in first if model in fought), *fought]))

    def matrices(self, models: Sequence[str]) -> tuple[Floats, Floats]:
        """Return (p, p) how often the row won against the column, and how often the two met."""
        place = {model: number for number, model in enumerate(models)}
        won, met = np.zeros((2, len(models), len(models)))
        for (winner, loser), count in self.won.items():
            won[place[winner], place[loser]] += count
        for (a, b), count in self.met.items():
            met[place[a], place[b]] += count
            met[place[b], place[a]] += count
        return won, met

    def _shares(self) -> dict[str, tuple[float, int]]:
        """Return by model the share of its battles that it won (ties are won by neither), and their number."""
        battles: Counter[str] = Counter()
        wins: Counter[str] = Counter()
        for (a, b), count in self.met.items():
            battles.update({a: count, b: count})
        for (winner, _), count in self.won.items():
            wins[winner] += count
        return {model: (wins[model] / count, count) for model, count in battles.items()}
