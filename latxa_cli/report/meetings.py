"""Who met and beat whom: an arena as it was counted, before any model of it.

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

    models: p names. won: (p, p) how often the row won against the column. met: (p, p) how often the two met.
    """

    models: Sequence[str]
    won: Matrix
    met: Matrix

    def win_rates(self) -> Iterator[Record]:
        """Yield results {model, task, metric, value, n}: the share of its battles that each model won, best first.

        A tie is won by neither, whether both were good or bad. Models without a battle have no share.
        """
        wins, battles = self.won.sum(axis=1), self.met.sum(axis=1)
        shares = {model: wins[place] / battles[place] for place, model in enumerate(self.models) if battles[place]}
        for model in sorted(shares, key=lambda model: (-shares[model], model)):
            n = int(battles[self.models.index(model)])
            yield {"model": model, "task": "win rate", "metric": "win_rate", "value": float(shares[model]), "n": n}

    def in_order(self, first: Sequence[str] = ()) -> Meetings:
        """Return the meetings of the models that fought: those of `first` in their order, then the others by share."""
        fought = dict.fromkeys(result["model"] for result in self.win_rates())
        models = list(dict.fromkeys([*(model for model in first if model in fought), *fought]))
        order = [self.models.index(model) for model in models]
        return Meetings(models, self.won[order][:, order], self.met[order][:, order])
