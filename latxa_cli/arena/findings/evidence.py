"""A finding: one thing that a reader of a ranking must know, as a record and as a line for people."""

from __future__ import annotations

from dataclasses import dataclass

from latxa_cli.arena.votes import Booleans, Column, Floats, Integers, PairCounts, Votes
from latxa_cli.stream.records import Record

LEVEL = 0.01  # of the tests, over all users or models together
QUANTILE = 2.5758  # of the normal interval that goes with it


@dataclass(frozen=True)
class Evidence:
    """What findings are drawn from.

    counts, place: of `votes`, as `votes.count` gives them for `criterion`. theta: (p,) finite strengths, inverse:
    (p, p) the pseudo-inverse of the Hessian there. prior: tied battles added to every pair, at least `PRIOR`.
    """

    votes: Votes
    criterion: str
    counts: PairCounts
    place: Integers
    theta: Floats
    hessian: Floats
    inverse: Floats
    prior: float

    @property
    def total(self) -> int:
        """How many votes have a verdict."""
        return int(self.counts.cells.sum())

    def column(self, name: str) -> Column | None:
        """Return a column that some vote with a verdict has, or None."""
        column = self.votes.columns.get(name)
        return column if column is not None and (column.given & (self.place >= 0)).any() else None

    def finding(self, name: str, value: float | None, matters: bool, text: str, **more: object) -> Record:
        """Return the finding about this ranking."""
        return finding(self.criterion, name, value, matters, text, **more)


def finding(criterion: str, name: str, value: float | None, matters: bool, text: str, **more: object) -> Record:
    """Return the record; `text` is one line, and may hold names as they came."""
    return {
        "finding": name,
        "criterion": criterion,
        "value": value,
        "matters": bool(matters),
        "text": text,
        **more,
    }


def selection(kept: Booleans) -> slice | Booleans:
    """Return what takes the `kept` of an array: where all are, a slice, which copies nothing."""
    return slice(None) if kept.all() else kept


def percent(share: float) -> str:
    """Return a share as text, with two digits at least where it is small."""
    return f"{100 * share:.1f} %" if share >= 0.01 or not share else f"{100 * share:.2g} %"


def several(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
