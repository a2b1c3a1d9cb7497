"""Decides which records are in the mix, how often, and in which order, by hashes of their keys and never by position.

Every draw takes the records with the smallest hashes. So a smaller draw is part of a larger one, draws for different
purposes are independent, and nothing depends on how the input was cut into parts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np

from latxa_cli.mixing.duplicates import (
    Duplicates,
    RowTable,
    ends_of,
    find_duplicates,
    marked,
    none,
    places_of,
    told_apart,
)
from latxa_cli.mixing.rows import repeat, spread
from latxa_cli.native.layout import AGAIN
from latxa_cli.stream.errors import LatxaError

ALL = 2**63  # a bound above all hashes
ORDER, HOLD_OUT, SUBSET, EPOCH, TAKE, DIVERSIFY = range(6)  # purposes of a draw

_STEP = np.uint64(0x9E3779B97F4A7C15)

# Hashes, and the share of the budget that each takes.
WeightedHashes = tuple[np.ndarray, np.ndarray]


def draw_hashes(identity: np.ndarray, purpose: int, epoch: int | np.ndarray = 1) -> np.ndarray:
    """Return the hashes (u64, below 2^63) by which records with these identities are drawn for a purpose."""
    number = np.asarray(epoch, np.uint64) | np.uint64(purpose << 32)
    step = number * _STEP if number.ndim else np.uint64(int(number) * int(_STEP) % 2**64)
    return spread(identity + step) >> np.uint64(1)


def is_drawn(identity: np.ndarray, purpose: int, bound: int, epoch: int | np.ndarray = 1) -> np.ndarray:
    """Return the mask of the records that are drawn for a purpose: their hashes are below `bound`, from 0 to `ALL`."""
    if bound in (0, ALL):
        return np.full(identity.shape, bool(bound))
    return draw_hashes(identity, purpose, epoch) < np.uint64(bound)


def bound_of(pieces_of_hashes: Callable[[], Iterable[WeightedHashes]], budget: int) -> int:
    """Return the largest bound such that the hashes below it do not exceed a budget.

    pieces_of_hashes: yields hashes with their weights, piece by piece; it is called twice. Only hashes with the same
    highest 16 bits are in memory at once.
    """
    totals = np.zeros(1 << 16)
    for hashes, weights in pieces_of_hashes():
        totals += np.bincount((hashes >> np.uint64(47)).astype(np.int64), weights, 1 << 16)
    filled = np.cumsum(totals)
    last = int(np.searchsorted(filled, budget, "right"))
    if last == len(filled):
        return ALL
    before = filled[last - 1] if last else 0.0
    bin_pieces = [(h[mask], w[mask]) for h, w in pieces_of_hashes() for mask in [h >> np.uint64(47) == last]]
    hashes, weights = (np.concatenate(arrays) for arrays in zip(*bin_pieces, strict=True))
    order = np.argsort(hashes, kind="stable")
    beyond = before + np.cumsum(weights[order]) > budget
    return int(hashes[order][np.argmax(beyond)])


# --- the rows of all parts, and the decision about them --------------------------------------------------------------


@dataclass(frozen=True)
class InputOptions:
    """The options of one input, which are the flags of the same names; `weight` is the number of copies per record."""

    name: str
    hold_out: int = 0
    weight: float = 1.0
    take_from: int | None = None
    diversify: int | None = None


@dataclass(frozen=True)
class Bounds:
    """The bounds of one input: records are drawn for a purpose where their hash for that purpose is below the bound."""

    hold_out: int = 0
    subset: int = ALL
    whole: int = 1  # copies of every record
    part: int = 0  # the bound for one more copy


class Picks(NamedTuple):
    """Copies of records to write."""

    rows: np.ndarray  # i64, rows of a part
    epochs: np.ndarray  # i64, the number of each copy, from 1
    order: np.ndarray  # u64, the hashes that sort the mix
    counts: np.ndarray  # i64, for records without id: the number among records of the same content, from 1


@dataclass(frozen=True)
class Decision(Duplicates):
    """The decision about all records: which come twice, and by ordinals (u64, ascending) and bounds, which are drawn.

    - similar: records that clustering leaves out.
    - bounds: those of each input; take: the bound of the whole mix.
    """

    similar: np.ndarray = field(default_factory=none)
    bounds: tuple[Bounds, ...] = ()
    take: int = ALL

    def for_part(self, part: int, rows: np.ndarray, number: int) -> PartDecision:
        """Return the decision about the rows of a part, which belongs to the input `number`."""
        bounds = self.bounds[number] if self.bounds else Bounds()
        counts = np.ones(len(rows), np.int64)
        first, last = np.searchsorted(self.repeats, ends_of(part))
        counts[places_of(self.repeats[first:last])] = self.counts[first:last]
        content, check = rows["identity"].copy(), rows["check"].copy()
        first, last = np.searchsorted(self.namesakes, ends_of(part))
        places, contents = places_of(self.namesakes[first:last]), self.contents[first:last]
        content[places], check[places] = told_apart(content[places], contents), told_apart(check[places], contents)
        again = (counts > 1) | (rows["flags"] & AGAIN > 0)
        identity = np.where(again, repeat(check, counts), content)
        distinct = ~marked(self.duplicates, part, len(rows))
        first = distinct & ~marked(self.copies, part, len(rows))
        withheld = distinct & is_drawn(content, HOLD_OUT, bounds.hold_out)
        usable = distinct & ~withheld & ~marked(self.similar, part, len(rows))
        usable &= is_drawn(identity, SUBSET, bounds.subset)
        return PartDecision(content, identity, counts, distinct, first, withheld, usable, bounds, self.take)


@dataclass(frozen=True)
class PartDecision:
    """The decision about the rows of one part.

    Records are held out by the hash of their content, and drawn for all other purposes by that of their identity. So
    when a content is held out, no record that repeats it is in the mix; otherwise repetitions are drawn independently.
    """

    content: np.ndarray  # u64
    identity: np.ndarray  # u64
    counts: np.ndarray  # i64, the number of each record among those of its content
    distinct: np.ndarray  # mask: not a duplicate
    first: np.ndarray  # mask: the first record of its content
    withheld: np.ndarray  # mask: its content is held out
    usable: np.ndarray  # mask: may be in the mix
    bounds: Bounds
    take: int

    @property
    def held(self) -> np.ndarray:
        """The mask of the records that are held out: the first of each content that is withheld."""
        return self.withheld & self.first

    def picks(self) -> Picks:
        """Return the copies in the mix, sorted by row and epoch."""
        copies = np.where(self.usable, self.bounds.whole + is_drawn(self.identity, EPOCH, self.bounds.part), 0)
        rows = np.repeat(np.arange(len(copies)), copies)
        epochs = np.arange(len(rows)) - np.repeat(np.cumsum(copies) - copies, copies) + 1
        mask = is_drawn(self.identity[rows], TAKE, self.take, epochs)
        return self._picks(rows[mask], epochs[mask])

    def held_out(self) -> Picks:
        """Return the records that are held out."""
        rows = np.flatnonzero(self.held)
        return self._picks(rows, np.ones(len(rows), np.int64))

    def _picks(self, rows: np.ndarray, epochs: np.ndarray) -> Picks:
        return Picks(rows, epochs, draw_hashes(self.identity[rows], ORDER, epochs), self.counts[rows])


# --- the whole decision ----------------------------------------------------------------------------------------------

# (decision so far, number of the input, records to choose) -> ordinals of the records that are left out
Diversify = Callable[[Decision, int, int], np.ndarray]


@dataclass(frozen=True)
class Budget:
    """The size of the mix at most, in records (copies count) or in tokens."""

    records: int | None = None
    tokens: int | None = None


def decide(
    rows: RowTable,
    input_options: Sequence[InputOptions],
    budget: Budget,
    memory: int,
    diversify: Diversify | None = None,
) -> Decision:
    """Return the decision about every record.

    Raises LatxaError where more records are to be held out of an input than it has.
    """
    decision = Decision(**vars(find_duplicates(rows, memory)))
    bounds = [Bounds() for _ in input_options]

    def now() -> Decision:
        """Return the decision so far, which the next draws depend on."""
        return replace(decision, bounds=tuple(bounds))

    for number, want in enumerate(input_options):
        if want.hold_out:
            count = _count(rows, now(), number, "first")
            if count < want.hold_out:
                raise LatxaError(f"`{want.name}` has {count:,} records, of which {want.hold_out:,} are to be held out")
            bounds[number] = Bounds(_bound(rows, now(), number, HOLD_OUT, want.hold_out))
        if want.diversify is not None and diversify is not None:
            similar = diversify(now(), number, want.diversify)
            decision = replace(decision, similar=np.sort(np.concatenate([decision.similar, similar])))
        if want.take_from is not None:
            subset = _bound(rows, now(), number, SUBSET, want.take_from)
            bounds[number] = replace(bounds[number], subset=subset)
        if want.weight != 1:
            whole = int(want.weight)
            more = round(_count(rows, now(), number) * (want.weight - whole))
            part = _bound(rows, now(), number, EPOCH, more)
            bounds[number] = replace(bounds[number], whole=whole, part=part)
    decision = now()
    if budget.records is not None or budget.tokens is not None:
        return replace(decision, take=_budget_bound(rows, decision, budget))
    return decision


def _count(rows: RowTable, decision: Decision, number: int, which: str = "usable") -> int:
    return sum(int(getattr(decision.for_part(part, found, number), which).sum()) for part, found in rows.of(number))


def _bound(rows: RowTable, decision: Decision, number: int, purpose: int, count: int) -> int:
    """Return the bound below which `count` usable records of an input are drawn, or for HOLD_OUT, contents."""

    def pieces_of_hashes() -> Iterator[WeightedHashes]:
        for part, found in rows.of(number):
            part_decision = decision.for_part(part, found, number)
            chosen = (
                part_decision.content[part_decision.first]
                if purpose == HOLD_OUT
                else part_decision.identity[part_decision.usable]
            )
            hashes = draw_hashes(chosen, purpose)
            yield hashes, np.ones(len(hashes))

    return bound_of(pieces_of_hashes, count)


def _budget_bound(rows: RowTable, decision: Decision, budget: Budget) -> int:
    def pieces_of_hashes() -> Iterator[WeightedHashes]:
        for part, found in rows.of():
            part_decision = decision.for_part(part, found, rows.inputs[part])
            picks = part_decision.picks()
            hashes = draw_hashes(part_decision.identity[picks.rows], TAKE, picks.epochs)
            tokens = rows.tokens(part) if budget.tokens is not None else None
            yield hashes, np.ones(len(hashes)) if tokens is None else tokens[picks.rows].astype(float)

    limit = budget.records if budget.tokens is None else budget.tokens
    assert limit is not None
    return bound_of(pieces_of_hashes, limit)
