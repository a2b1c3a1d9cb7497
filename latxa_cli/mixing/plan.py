"""What a mix is to be, and what both ways of making it stand on: in memory (`memory`) and by files (`files`)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter
from typing import Protocol

import numpy as np
import orjson

from latxa_cli.mixing.draw import Budget, Decision, InputWishes, PartDecision
from latxa_cli.mixing.lines import LineTable, as_it_came
from latxa_cli.mixing.rows import InputReading, SetAside, epoch_of
from latxa_cli.mixing.shares import Shares
from latxa_cli.stream.records import Lines, Record
from latxa_cli.stream.rejects import unfit_entry
from latxa_cli.stream.writer import Writer

DUPLICATE = "duplicate id"


@dataclass(frozen=True)
class MixPlan:
    """How each input is read and what is wanted of it. `memory` (bytes) and `workers` change how it is made, not what.

    `tokenizer`: the model by whose tokenizer tokens are counted. `set_aside`: rejects are written.
    """

    readings: tuple[InputReading, ...]
    wanted: tuple[InputWishes, ...]
    budget: Budget
    memory: int
    workers: int = 1
    tokenizer: str | None = None
    set_aside: bool = False

    @property
    def names(self) -> list[str]:
        return [want.name for want in self.wanted]

    @property
    def epochs(self) -> int:
        """The most copies that any record has."""
        return max(math.ceil(want.weight) for want in self.wanted)

    def last_epochs(self, inputs: Iterable[int], found: Iterable[int]) -> tuple[int, ...]:
        """Return the highest epoch of each input, given the number of each part's input, and what was found in it."""
        last = [1] * len(self.wanted)
        for number, epoch in zip(inputs, found, strict=True):
            last[number] = max(last[number], epoch)
        return tuple(last)


class RowStore(Protocol):
    """The rows of all parts and the lines that they point into; part p is of the input `inputs[p]`."""

    plan: MixPlan
    inputs: list[int]
    reads: list[int]  # of each part, the lines that are not blank
    other_split: list[int]  # of each part, the records of another split

    def rows(self, part: int) -> np.ndarray:
        """Return the rows of a part."""

    def table(self, part: int) -> LineTable:
        """Return the rows of a part with their lines."""

    def count_tokens(self, decision: Decision | None) -> None:
        """Count the tokens of all rows, or of those that a decision takes."""

    def tokens(self, part: int) -> np.ndarray | None:
        """Return the tokens (u32) of each row of a part; None before they are counted."""

    def outcomes(self, decision: Decision, shares: Shares, held: Writer | None) -> Iterator[Lines]:
        """Yield rejects, then the mix; what is held out goes to `held`, what is counted to `shares`."""


def rejects(asides: Iterable[SetAside]) -> Iterator[Lines]:
    """Yield what is left out, as `Run.write` takes it."""
    for reason, group in groupby(asides, key=attrgetter("reason")):
        entries = [aside.entry and aside.entry + b"\n" for aside in group]
        yield Lines(b"".join(entries), len(entries), reason)


def duplicates(table: LineTable, look: PartDecision, name: str, *, entries: bool) -> Iterator[SetAside]:
    """Yield the records of a part that came before, of the input `name`; `entries`: with what `--rejects` gets."""
    for place in np.flatnonzero(~look.distinct).tolist():
        row = table.rows[place]
        yield SetAside(DUPLICATE, _entry(orjson.loads(as_it_came(row)), name) if entries else b"")


def _entry(record: Record, name: str) -> bytes:
    own, epoch = record.get("source"), epoch_of(record)
    detail = f"{name}/{own}" if own else name
    detail += f": {record['id']}" + (f", epoch {epoch}" if epoch > 1 else "")
    return orjson.dumps(unfit_entry(record, DUPLICATE, detail))
