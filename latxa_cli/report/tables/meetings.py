"""The battles of an arena, counted by pair of models, before any rating is fitted.

`latxa report battles.jsonl --plot heat.pdf`
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from latxa_cli.stream.records import Record

Matrix = NDArray[np.float64]


@dataclass(frozen=True)
class Meetings:
    """The battles of p models, counted.

    Attributes:
        models: p names.
        won: (p, p), the battles that the row won against the column.
        met: (p, p), the battles between the two.
    """

    models: Sequence[str]
    won: Matrix
    met: Matrix

    def win_rates(self) -> Iterator[Record]:
        """Yield results {model, task, metric, value, n}: the share of its battles that each model won, best first.

        A tie is half a win for each, whether both were good or bad. Models without a battle are left out.
        """
        ties, battles = self.met - self.won - self.won.T, self.met.sum(axis=1)
        wins = (self.won + ties / 2).sum(axis=1)
        shares = {model: wins[place] / battles[place] for place, model in enumerate(self.models) if battles[place]}
        for model in sorted(shares, key=lambda model: (-shares[model], model)):
            n = int(battles[self.models.index(model)])
            yield {"model": model, "task": "win rate", "metric": "win_rate", "value": float(shares[model]), "n": n}

    def in_order(self, first: Sequence[str] = ()) -> Meetings:
        """Return the meetings of models with battles: those of `first` in their order, then the others, best first."""
        by_share = dict.fromkeys(result["model"] for result in self.win_rates())
        models = list(dict.fromkeys([*(model for model in first if model in by_share), *by_share]))
        order = [self.models.index(model) for model in models]
        return Meetings(models, self.won[order][:, order], self.met[order][:, order])
