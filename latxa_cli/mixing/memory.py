"""A mix that fits into memory: lines are read once, stay where they are, and are written in their new order.

Parts are read by threads, since the kernels release Python's lock.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import accumulate

import numpy as np

from latxa_cli.mixing.draw import Decision, PartDecision, Picks
from latxa_cli.mixing.lines import LineTable, ScannedLines, array_of, map_part, prefetch, scan_part, with_addresses
from latxa_cli.mixing.plan import MixPlan, duplicates, rejects
from latxa_cli.mixing.shares import Shares, tally
from latxa_cli.native.layout import ROW
from latxa_cli.stream.cutting import Part, is_usual
from latxa_cli.stream.records import Lines
from latxa_cli.stream.writer import Writer

SMALL = 8 << 20  # bytes of input that plain Python reads in the time that kernels take to load
BASE = 300_000_000  # bytes of Python and its libraries
ROW_BYTES = 120  # of a row, with the arrays of its decision and its sorting
LINE_BYTES = 500  # of a short line, for a first estimate of the number of rows


def fits(parts: Sequence[Part], memory: int) -> bool:
    """Whether the lines and rows of all parts are likely to fit into `memory` (bytes)."""
    size = sum(part.size for part in parts)
    return BASE + size + size // LINE_BYTES * ROW_BYTES <= memory and all(map(is_usual, parts))


class InMemory:
    """A `RowStore` whose rows and lines are in memory."""

    def __init__(
        self, plan: MixPlan, parts: Sequence[Part], found: Sequence[ScannedLines], arrays: Sequence[np.ndarray | None]
    ) -> None:
        self.plan = plan
        self.inputs = [part.source for part in parts]
        self.reads = [scanned.read for scanned in found]
        self._rejected = [scanned.rejected for scanned in found]
        self.other_split = [scanned.other_split for scanned in found]
        self._starts = [0, *accumulate(len(scanned.rows) for scanned in found)]
        made = [array_of(scanned.made) for scanned in found]
        lines = zip(found, arrays, made, strict=True)
        rows = [with_addresses(scanned.rows, array, made_lines) for scanned, array, made_lines in lines]
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
            mask = np.ones(len(self.rows(part)), bool)
            if decision is not None:
                mask[:] = False
                mask[self._part_decision(decision, part).picks().rows] = True
            self._tokens.append(count_tokens(self.table(part), mask, self.plan.tokenizer))

    def tokens(self, part: int) -> np.ndarray | None:
        return self._tokens[part] if self._tokens else None

    def outcomes(self, decision: Decision, shares: Shares, hold_out: Writer | None) -> Iterator[Lines]:
        picks, held_out = [], []
        for part, number in enumerate(self.inputs):
            name, part_decision = self.plan.names[number], self._part_decision(decision, part)
            yield from rejects(self._rejected[part])
            yield from rejects(duplicates(self.table(part), part_decision, name, entries=self.plan.set_aside))
            chosen = part_decision.picks()
            shares.add(name, tally(self.rows(part), part_decision, chosen, self.tokens(part)))
            shares.add(name, {"other split": self.other_split[part]})
            picks.append(chosen._replace(rows=chosen.rows + self._starts[part]))
            out = part_decision.held_out()
            held_out.append(out._replace(rows=out.rows + self._starts[part]))
        if hold_out is not None:
            for chunk in self._all.chunks(in_order(held_out)):
                hold_out.write_lines(chunk.data.tobytes())
        chunks = self._all.chunks(in_order(picks))
        for chunk in prefetch(chunks) if self.plan.workers > 1 else chunks:
            yield Lines(memoryview(chunk.data), len(chunk.ends))  # type: ignore[arg-type]

    def _part_decision(self, decision: Decision, part: int) -> PartDecision:
        return decision.for_part(part, self.rows(part), self.inputs[part])


def in_order(picks: Sequence[Picks]) -> Picks:
    """Return the picks of several parts, sorted by their hashes."""
    if not picks:
        empty = np.empty(0, np.int64)
        return Picks(empty, empty, empty.astype(np.uint64), empty)
    together = Picks(*(np.concatenate(arrays) for arrays in zip(*picks, strict=True)))
    order = np.argsort(together.order, kind="stable")
    return Picks(*(array[order] for array in together))


def read(plan: MixPlan, parts: Sequence[Part]) -> InMemory | None:
    """Read all parts; returns None where they turn out not to fit. Raises RecordError as `scan_part` does."""
    size = sum(part.size for part in parts)
    arrays: list[np.ndarray | None] = [None] * len(parts)

    def scan(number: int) -> ScannedLines:
        part = parts[number]
        if size >= SMALL:
            arrays[number] = map_part(part)
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
