"""The plan of a mix, and the protocol of its two stores: in memory (`memory`) and through files (`files`)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter
from typing import Protocol

import numpy as np
import orjson

from latxa_cli.mixing.draw import Budget, Decision, InputOptions, PartDecision
from latxa_cli.mixing.lines import LineTable, original_line
from latxa_cli.mixing.rows import InputReading, RejectedLine, epoch_of
from latxa_cli.mixing.shares import Shares
from latxa_cli.stream.records import Lines, Record
from latxa_cli.stream.rejects import unfit_entry
from latxa_cli.stream.writer import Writer

DUPLICATE = "duplicate"


@dataclass(frozen=True)
class MixPlan:
    """The plan of a mix: how each input is read, and its options.

    - memory (bytes), workers: these change the time that the mix takes, never the mix.
    - tokenizer: the model whose tokenizer counts tokens.
    - set_aside: rejects are written to a file.
    """

    readings: tuple[InputReading, ...]
    input_options: tuple[InputOptions, ...]
    budget: Budget
    memory: int
    workers: int = 1
    tokenizer: str | None = None
    set_aside: bool = False

    @property
    def names(self) -> list[str]:
        return [want.name for want in self.input_options]

    @property
    def epochs(self) -> int:
        """The largest number of copies of any record."""
        return max(math.ceil(want.weight) for want in self.input_options)

    def last_epochs(self, inputs: Iterable[int], found: Iterable[int]) -> tuple[int, ...]:
        """Return the highest epoch of each input, from the input and the highest epoch of each part."""
        last = [1] * len(self.input_options)
        for number, epoch in zip(inputs, found, strict=True):
            last[number] = max(last[number], epoch)
        return tuple(last)


class RowStore(Protocol):
    """The rows of all parts, and the lines that they point into."""

    plan: MixPlan
    inputs: list[int]  # for each part, the number of its input
    reads: list[int]  # for each part, the number of lines that are not blank
    other_split: list[int]  # for each part, the number of records of another split

    def rows(self, part: int) -> np.ndarray:
        """Return the rows of a part."""

    def table(self, part: int) -> LineTable:
        """Return the rows of a part with their lines."""

    def count_tokens(self, decision: Decision | None) -> None:
        """Count the tokens of all rows, or only of those that are in the mix by `decision`."""

    def tokens(self, part: int) -> np.ndarray | None:
        """Return the number of tokens (u32) of each row of a part; None before they are counted."""

    def outcomes(self, decision: Decision, shares: Shares, hold_out: Writer | None) -> Iterator[Lines]:
        """Yield rejects, then the mix; write held-out records to `hold_out`, and add the counts to `shares`."""


def rejects(rejected: Iterable[RejectedLine]) -> Iterator[Lines]:
    """Yield rejected lines in the form that `Run.write` takes, one group per reason."""
    for reason, group in groupby(rejected, key=attrgetter("reason")):
        entries = [aside.entry and aside.entry + b"\n" for aside in group]
        yield Lines(b"".join(entries), len(entries), reason)


def duplicates(table: LineTable, part_decision: PartDecision, name: str, *, entries: bool) -> Iterator[RejectedLine]:
    """Yield the duplicates among the records of a part of the input `name`; with `entries`, each with its entry."""
    for place in np.flatnonzero(~part_decision.distinct).tolist():
        row = table.rows[place]
        yield RejectedLine(DUPLICATE, _entry(orjson.loads(original_line(row)), name) if entries else b"")


def _entry(record: Record, name: str) -> bytes:
    own, epoch = record.get("source"), epoch_of(record)
    detail = f"{name}/{own}" if own else name
    detail += f": {record['id']}" + (f", epoch {epoch}" if epoch > 1 else "")
    return orjson.dumps(unfit_entry(record, DUPLICATE, detail))
