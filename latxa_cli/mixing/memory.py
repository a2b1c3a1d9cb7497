"""A mix that fits the memory: the lines are read once, stay where they are, and are written in their new order.

Parts are shared out to threads, since the kernels run without Python's lock.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import accumulate

import numpy as np

from latxa_cli.mixing.draw import Decision, PartDecision, Picks
from latxa_cli.mixing.lines import LineTable, ScannedLines, ahead, array_of, look_at, placed, scan_part
from latxa_cli.mixing.plan import MixPlan, duplicates, rejects
from latxa_cli.mixing.shares import Shares, tally
from latxa_cli.native.layout import ROW
from latxa_cli.stream.parts import Part, is_usual
from latxa_cli.stream.records import Lines
from latxa_cli.stream.writer import Writer

SMALL = 8 << 20  # bytes of input for which kernels are not worth their loading
BASE = 300_000_000  # bytes of Python and its libraries
ROW_BYTES = 120  # of one row, and of what is decided and sorted for it
LINE_BYTES = 500  # of a short line, for a first guess of how many rows there are


def fits(parts: Sequence[Part], memory: int) -> bool:
    """Whether the lines of all parts are likely to fit."""
    size = sum(part.size for part in parts)
    return BASE + size + size // LINE_BYTES * ROW_BYTES <= memory and all(map(is_usual, parts))


class InMemory:
    """The rows of all parts, one after the other, and their lines. See `latxa_cli.mixing.plan.Store`."""

    def __init__(
        self, plan: MixPlan, parts: Sequence[Part], found: Sequence[ScannedLines], arrays: Sequence[np.ndarray | None]
    ) -> None:
        self.plan = plan
        self.inputs = [part.source for part in parts]
        self.reads = [scanned.read for scanned in found]
        self._asides = [scanned.asides for scanned in found]
        self.other_split = [scanned.other_split for scanned in found]
        self._starts = [0, *accumulate(len(scanned.rows) for scanned in found)]
        made = [array_of(scanned.made) for scanned in found]
        lines = zip(found, arrays, made, strict=True)
        rows = [placed(scanned.rows, array, made_lines) for scanned, array, made_lines in lines]
        self._all = LineTable(
            np.concatenate([np.empty(0, ROW), *rows]),
            [*made, *(array for array in arrays if array is not None)],
            plan.names,
            plan.last_epochs(self.inputs, [scanned.last_epoch for scanned in found]),
            plan.epochs,
            by_kernel=any(array is not None for array in arrays),
        )
        self._tokens: list[np.ndarray] | None = None

    def rows(self, part: int) -> np.ndarray:
        return self._all.rows[self._starts[part] : self._starts[part + 1]]

    def table(self, part: int) -> LineTable:
        return replace(self._all, rows=self.rows(part))

    def count_tokens(self, decision: Decision | None) -> None:
        from latxa_cli.mixing.tokens import count_tokens

        assert self.plan.tokenizer is not None
        self._tokens = []
        for part in range(len(self.inputs)):
            wanted = np.ones(len(self.rows(part)), bool)
            if decision is not None:
                wanted[:] = False
                wanted[self._look(decision, part).picks().rows] = True
            self._tokens.append(count_tokens(self.table(part), wanted, self.plan.tokenizer))

    def tokens(self, part: int) -> np.ndarray | None:
        return self._tokens[part] if self._tokens else None

    def outcomes(self, decision: Decision, shares: Shares, held: Writer | None) -> Iterator[Lines]:
        picks, held_out = [], []
        for part, number in enumerate(self.inputs):
            name, look = self.plan.names[number], self._look(decision, part)
            yield from rejects(self._asides[part])
            yield from rejects(duplicates(self.table(part), look, name, entries=self.plan.set_aside))
            chosen = look.picks()
            shares.add(name, tally(self.rows(part), look, chosen, self.tokens(part)))
            shares.add(name, {"other split": self.other_split[part]})
            picks.append(chosen._replace(rows=chosen.rows + self._starts[part]))
            out = look.held_out()
            held_out.append(out._replace(rows=out.rows + self._starts[part]))
        if held is not None:
            for chunk in self._all.written(in_order(held_out)):
                held.write_lines(chunk.data.tobytes())
        chunks = self._all.written(in_order(picks))
        for chunk in ahead(chunks) if self.plan.workers > 1 else chunks:
            yield Lines(memoryview(chunk.data), len(chunk.ends))  # type: ignore[arg-type]

    def _look(self, decision: Decision, part: int) -> PartDecision:
        return decision.look(part, self.rows(part), self.inputs[part])


def in_order(picks: Sequence[Picks]) -> Picks:
    """Return the picks of several parts in the order of their hashes."""
    if not picks:
        nothing = np.empty(0, np.int64)
        return Picks(nothing, nothing, nothing.astype(np.uint64), nothing)
    together = Picks(*(np.concatenate(arrays) for arrays in zip(*picks, strict=True)))
    order = np.argsort(together.order, kind="stable")
    return Picks(*(array[order] for array in together))


def read(plan: MixPlan, parts: Sequence[Part]) -> InMemory | None:
    """Read all parts; None where they turn out not to fit. Raises RecordError as `scan_part` does."""
    size = sum(part.size for part in parts)
    arrays: list[np.ndarray | None] = [None] * len(parts)

    def scan(number: int) -> ScannedLines:
        part = parts[number]
        if size >= SMALL:
            arrays[number] = look_at(part)
        return scan_part(part, plan.readings[part.source], arrays[number])

    needed, found = BASE + size, []
    with ThreadPoolExecutor(plan.workers) as pool:
        running = [pool.submit(scan, number) for number in range(len(parts))]
        try:
            for future in running:
                found.append(future.result())
                needed += len(found[-1].made) + len(found[-1].rows) * ROW_BYTES
                if needed > plan.memory and size >= SMALL:
                    return None
        finally:
            for future in running:
                future.cancel()
    return InMemory(plan, parts, found, arrays)
