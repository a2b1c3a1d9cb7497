"""Counting battles: a stream of votes becomes a table of pairs, whose size depends on the models and not on the votes.

A battle's criterion field (`winner`, `winner_content` or `winner_language`) says who won; `tie` and `tie (bothbad)` are
both ties. Models and pairs are kept in the order of their names, so that the order of the votes changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from latxa_cli.stream.errors import LatxaError
from latxa_cli.stream.records import WINNERS, Record, Reject

MOST_MODELS = 2000  # a fit holds a matrix of models x models


@dataclass(frozen=True)
class Votes:
    """The votes of p models in P pairs that met.

    models: p names, sorted. first, second: (P,) indices into `models`, first < second.
    counts: (P, 3) votes for first, votes for second, ties.
    """

    models: list[str]
    first: NDArray[np.int64]
    second: NDArray[np.int64]
    counts: NDArray[np.int64]

    def battles(self) -> NDArray[np.int64]:
        """Return (p,) how many battles each model fought."""
        played = self.counts.sum(axis=1)
        size = len(self.models)
        both = np.bincount(self.first, played, size) + np.bincount(self.second, played, size)
        return both.astype(np.int64)


class Tally:
    """Counts votes by (model_a, model_b, verdict) as they come."""

    def __init__(self, criterion: str = "winner") -> None:
        self.criterion = criterion
        self.cells: dict[tuple[str, str, str], int] = {}
        self.models: set[str] = set()

    def count(self, battles: Iterable[Record]) -> Iterator[Reject]:
        """Count `battles`; yield those that cannot be counted.

        Raises LatxaError for more than `MOST_MODELS` models.
        """
        cells, criterion = self.cells, self.criterion
        for battle in battles:
            verdict = battle.get(criterion)
            if type(verdict) is str:
                cell = (battle["model_a"], battle["model_b"], verdict)
                if cell in cells:  # seen before, so known to be sound
                    cells[cell] += 1
                    continue
            reject = self._unfit(battle, verdict)
            if reject:
                yield reject
                continue
            cells[cell] = 1
            self.models.update(cell[:2])
            if len(self.models) > MOST_MODELS:
                raise LatxaError(
                    f"the battles name more than {MOST_MODELS} models",
                    hint="is `model_a` a name of a model everywhere?",
                )

    def _unfit(self, battle: Record, verdict: object) -> Reject | None:
        if verdict is None:
            return Reject(battle, "no verdict", f"no `{self.criterion}`")
        if type(verdict) is not str or verdict not in WINNERS:
            return Reject(battle, "unknown verdict", f"`{self.criterion}` is {str(verdict)[:40]!r}")
        if battle["model_a"] == battle["model_b"]:
            return Reject(battle, "self battle", "`model_a` and `model_b` are the same")
        return None

    def votes(self) -> Votes:
        """Return what was counted, as arrays."""
        models = sorted(self.models)
        index = {model: number for number, model in enumerate(models)}
        pairs: dict[tuple[int, int], list[int]] = {}
        for (model_a, model_b, verdict), count in self.cells.items():
            a, b = index[model_a], index[model_b]
            row = pairs.setdefault((min(a, b), max(a, b)), [0, 0, 0])
            row[_column(verdict, swapped=a > b)] += count
        order = sorted(pairs)
        ends = np.array(order, dtype=np.int64).reshape(-1, 2)
        counts = np.array([pairs[pair] for pair in order], dtype=np.int64).reshape(-1, 3)
        return Votes(models, ends[:, 0], ends[:, 1], counts)


def _column(verdict: str, *, swapped: bool) -> int:
    if verdict == "model_a":
        return 1 if swapped else 0
    if verdict == "model_b":
        return 0 if swapped else 1
    return 2
