"""Battles as two matrices, who won against whom and who met whom: an arena before any model of it.

`latxa report battles.jsonl --plot heat.pdf`
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from latxa_cli.arena.votes import A_WON, B_WON, Counts, Floats
from latxa_cli.stream.records import Record


def win_rates(counts: Counts) -> Iterator[Record]:
    """Yield results {model, task, metric, value, n}: the share of its battles that each model won, best first.

    A tie is won by neither, whether both were good or bad.
    """
    won, met = _square(counts)
    wins, battles = won.sum(axis=1), met.sum(axis=1)
    shares = {model: wins[place] / battles[place] for place, model in enumerate(counts.models) if battles[place]}
    for model in sorted(shares, key=lambda model: (-shares[model], model)):
        n = int(battles[counts.models.index(model)])
        yield {"model": model, "task": "win rate", "metric": "win_rate", "value": float(shares[model]), "n": n}


def in_order(counts: Counts, first: Sequence[str] = ()) -> list[str]:
    """Return the models that fought: those of `first` in their order, then the others by their share of wins."""
    fought = dict.fromkeys(result["model"] for result in win_rates(counts))
    return list(dict.fromkeys([*(model for model in first if model in fought), *fought]))


def matrices(counts: Counts, models: Sequence[str]) -> tuple[Floats, Floats]:
    """Return (p, p) how often the row won against the column, and how often the two met, for p `models` in order."""
    place = {model: number for number, model in enumerate(counts.models)}
    order = [place[model] for model in models]
    won, met = _square(counts)
    return won[order][:, order], met[order][:, order]


def _square(counts: Counts) -> tuple[Floats, Floats]:
    battles = counts.cells.sum(axis=1).astype(float)
    won = counts.matrix(counts.cells[:, A_WON].astype(float), counts.cells[:, B_WON].astype(float))
    return won, counts.matrix(battles, battles)
