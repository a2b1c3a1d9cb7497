"""Who is in the mix, how often, and in which order: all of it by hashes of the records' keys, none of it by position.

Every draw takes the records whose hashes are least. So a smaller draw is part of a larger one, the draws of different
purposes are independent, and nothing depends on how the input was cut into parts. A record that comes twice is kept
where it comes first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np

from latxa_cli.mixing.rows import repeat, spread
from latxa_cli.native.layout import AGAIN, UNNAMED
from latxa_cli.stream.errors import LatxaError

ALL = 2**63  # the bound that all hashes are below
ORDER, HOLD_OUT, SUBSET, EPOCH, TAKE, DIVERSIFY = range(6)  # purposes of a draw
ROW_BYTES = 64  # of memory, while the keys of so many records are compared

_STEP = np.uint64(0x9E3779B97F4A7C15)

# Hashes, and what each of them takes of the budget.
Weighed = tuple[np.ndarray, np.ndarray]


def draw(identity: np.ndarray, purpose: int, epoch: int | np.ndarray = 1) -> np.ndarray:
    """Return the hashes (u64, of 63 bits) by which records with these identities are drawn for a purpose."""
    number = np.asarray(epoch, np.uint64) | np.uint64(purpose << 32)
    step = number * _STEP if number.ndim else np.uint64(int(number) * int(_STEP) % 2**64)
    return spread(identity + step) >> np.uint64(1)


def drawn(identity: np.ndarray, purpose: int, bound: int, epoch: int | np.ndarray = 1) -> np.ndarray:
    """Return which records are drawn for a purpose: those whose hashes are less than a bound from 0 to `ALL`."""
    if bound in (0, ALL):
        return np.full(identity.shape, bool(bound))
    return draw(identity, purpose, epoch) < np.uint64(bound)


def bound_of(weighed: Callable[[], Iterable[Weighed]], budget: int) -> int:
    """Return the bound below which the least hashes fill a budget and do not go beyond it.

    `weighed` gives the hashes and their weights in pieces; it is called twice. Holds as much of them as share the
    highest 16 bits.
    """
    totals = np.zeros(1 << 16)
    for hashes, weights in weighed():
        totals += np.bincount((hashes >> np.uint64(47)).astype(np.int64), weights, 1 << 16)
    filled = np.cumsum(totals)
    last = int(np.searchsorted(filled, budget, "right"))
    if last == len(filled):
        return ALL
    before = filled[last - 1] if last else 0.0
    found = [(h[mask], w[mask]) for h, w in weighed() for mask in [h >> np.uint64(47) == last]]
    hashes, weights = (np.concatenate(arrays) for arrays in zip(*found, strict=True))
    order = np.argsort(hashes, kind="stable")
    beyond = before + np.cumsum(weights[order]) > budget
    return int(hashes[order][np.argmax(beyond)])


# --- the rows of all parts, and what is decided of them --------------------------------------------------------------


class RowTable:
    """The rows of all parts: `inputs[p]` is the number of the input that part p belongs to.

    `load(p)` gives its rows, `tokens(p)` the tokens of each. The ordinal of row r in part p is p << 32 | r.
    """

    def __init__(
        self,
        inputs: Sequence[int],
        load: Callable[[int], np.ndarray],
        tokens: Callable[[int], np.ndarray | None] = lambda _part: None,
    ) -> None:
        self.inputs = inputs
        self.load = load
        self.tokens = tokens

    def of(self, number: int | None = None) -> Iterator[tuple[int, np.ndarray]]:
        """Yield (part, its rows) of the input `number`, or of all."""
        for part, its_input in enumerate(self.inputs):
            if number is None or its_input == number:
                yield part, self.load(part)


@dataclass(frozen=True)
class InputWishes:
    """What is wanted of one input: see the flags of the same names. `weight`: how often each record is seen."""

    name: str
    hold_out: int = 0
    weight: float = 1.0
    take_from: int | None = None
    diversify: int | None = None


@dataclass(frozen=True)
class Bounds:
    """Of one input: which records are held out, which of the others are in the subset, and how many copies there are:
    `whole` of each, and one more of those below `part`."""

    hold_out: int = 0
    subset: int = ALL
    whole: int = 1
    part: int = 0


class Picks(NamedTuple):
    """Copies to write: i64 rows of a part, i64 epochs from 1, u64 hashes that put them in order; i64 which of the
    records with its content each one is, from 1 (for those that had no id)."""

    rows: np.ndarray
    epochs: np.ndarray
    order: np.ndarray
    counts: np.ndarray


@dataclass(frozen=True)
class Decision:
    """All that is decided: which ordinals are duplicates, which ones repeat a content and for which time, which
    ones have the content of one before, which ones clustering leaves out (all u64, ascending), the bounds of each
    input, and that of the whole mix."""

    duplicates: np.ndarray = field(default_factory=lambda: np.empty(0, np.uint64))
    repeats: np.ndarray = field(default_factory=lambda: np.empty(0, np.uint64))
    counts: np.ndarray = field(default_factory=lambda: np.empty(0, np.int64))  # of `repeats`
    copies: np.ndarray = field(default_factory=lambda: np.empty(0, np.uint64))
    similar: np.ndarray = field(default_factory=lambda: np.empty(0, np.uint64))
    bounds: tuple[Bounds, ...] = ()
    take: int = ALL

    def look(self, part: int, rows: np.ndarray, number: int) -> PartDecision:
        """Return what is decided of the rows of a part of the input `number`."""
        bounds = self.bounds[number] if self.bounds else Bounds()
        counts = np.ones(len(rows), np.int64)
        first, last = np.searchsorted(self.repeats, _ends(part))
        counts[_places(self.repeats[first:last])] = self.counts[first:last]
        content = rows["identity"]
        again = (counts > 1) | (rows["flags"] & AGAIN > 0)
        identity = np.where(again, repeat(rows["check"], counts), content)
        distinct = ~_marked(self.duplicates, part, len(rows))
        first = distinct & ~_marked(self.copies, part, len(rows))
        withheld = distinct & drawn(content, HOLD_OUT, bounds.hold_out)
        usable = distinct & ~withheld & ~_marked(self.similar, part, len(rows))
        usable &= drawn(identity, SUBSET, bounds.subset)
        return PartDecision(content, identity, counts, distinct, first, withheld, usable, bounds, self.take)


@dataclass(frozen=True)
class PartDecision:
    """What is decided of the rows of one part: which ones are no duplicates, the first of their content, of a content
    that is held out, to be used. Contents are held out by one hash, `content`, records drawn by another, `identity`: so
    that those that repeat a content are not in the mix when it is held out, and otherwise go each its own way."""

    content: np.ndarray
    identity: np.ndarray
    counts: np.ndarray
    distinct: np.ndarray
    first: np.ndarray
    withheld: np.ndarray
    usable: np.ndarray
    bounds: Bounds
    take: int

    @property
    def held(self) -> np.ndarray:
        """Which records are held out: the first of each content."""
        return self.withheld & self.first

    def picks(self) -> Picks:
        """Return the copies that are in the mix, by row and epoch."""
        copies = np.where(self.usable, self.bounds.whole + drawn(self.identity, EPOCH, self.bounds.part), 0)
        rows = np.repeat(np.arange(len(copies)), copies)
        epochs = np.arange(len(rows)) - np.repeat(np.cumsum(copies) - copies, copies) + 1
        taken = drawn(self.identity[rows], TAKE, self.take, epochs)
        return self._picks(rows[taken], epochs[taken])

    def held_out(self) -> Picks:
        """Return the records that are held out."""
        rows = np.flatnonzero(self.held)
        return self._picks(rows, np.ones(len(rows), np.int64))

    def _picks(self, rows: np.ndarray, epochs: np.ndarray) -> Picks:
        return Picks(rows, epochs, draw(self.identity[rows], ORDER, epochs), self.counts[rows])


def _ends(part: int) -> np.ndarray:
    return np.array([part << 32, (part + 1) << 32], np.uint64)


def _places(ordinals: np.ndarray) -> np.ndarray:
    return (ordinals & np.uint64(2**32 - 1)).astype(np.int64)


def _marked(ordinals: np.ndarray, part: int, count: int) -> np.ndarray:
    """Return which of the `count` rows of a part are among sorted ordinals."""
    marked = np.zeros(count, bool)
    first, last = np.searchsorted(ordinals, _ends(part))
    marked[_places(ordinals[first:last])] = True
    return marked


# --- records that come twice -----------------------------------------------------------------------------------------


def without_duplicates(rows: RowTable, memory: int) -> Decision:
    """Return a decision that says which rows are duplicates, and numbers those without id whose content is repeated.

    The keys are compared in as many rounds as `memory` (bytes) needs.
    """
    total = sum(len(found) for _, found in rows.of())
    rounds = min(1 << 16, total * ROW_BYTES // max(memory, 1) + 1)
    found = [_compared(rows, number, rounds) for number in range(rounds)]
    duplicates, repeats, counts, copies = (np.concatenate(arrays) for arrays in zip(*found, strict=True))
    order = np.argsort(repeats, kind="stable")
    return Decision(np.sort(duplicates), repeats[order], counts[order], np.sort(copies))


def _compared(rows: RowTable, number: int, rounds: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Compare the keys whose highest bits fall into one of several ranges; return ordinals of duplicates, ordinals of
    repeated content, for which time it comes with each of these, and ordinals of what has a content that was there
    before."""
    low, high = (-(-(place << 16) // rounds) for place in (number, number + 1))
    pieces: list[tuple[np.ndarray, ...]] = []
    for part, found in rows.of():
        top = found["identity"] >> np.uint64(48)
        inside = np.flatnonzero((top >= low) & (top < high))
        chosen = found[inside]
        ordinals = inside.astype(np.uint64) | np.uint64(part << 32)
        pieces.append((chosen["identity"], chosen["check"], ordinals, chosen["flags"] & UNNAMED > 0))
    if not pieces:
        return np.empty(0, np.uint64), np.empty(0, np.uint64), np.empty(0, np.int64), np.empty(0, np.uint64)
    identity, check, ordinals, unnamed = (np.concatenate(arrays) for arrays in zip(*pieces, strict=True))
    ordered = np.sort(identity)
    shared = np.flatnonzero(np.isin(identity, ordered[1:][ordered[1:] == ordered[:-1]]))  # nearly always few
    identity, check, ordinals, unnamed = (array[shared] for array in (identity, check, ordinals, unnamed))
    again, counts = _repeats(identity[unnamed], check[unnamed])
    again = np.flatnonzero(unnamed)[again]
    check[again] = repeat(check[again], counts)
    duplicates, _ = _repeats(identity, check)
    copies, _ = _repeats(identity, np.zeros_like(check))
    return ordinals[duplicates], ordinals[again], counts, ordinals[np.setdiff1d(copies, duplicates)]


def _repeats(identity: np.ndarray, check: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the places of keys that were there before, in order of the keys, and for which time each one comes."""
    if not len(identity):
        return np.empty(0, np.int64), np.empty(0, np.int64)
    places = np.lexsort((check, identity))  # stable: equal keys stay in order
    same = (identity[places][1:] == identity[places][:-1]) & (check[places][1:] == check[places][:-1])
    begins = np.flatnonzero(np.concatenate([[True], ~same]))
    times = np.arange(len(places)) - np.repeat(begins, np.diff([*begins, len(places)])) + 1
    return places[times > 1], times[times > 1]


# --- everything that is decided --------------------------------------------------------------------------------------

# (the decision so far, the input's number, how many are wanted) -> ordinals of what is left out.
Diversify = Callable[[Decision, int, int], np.ndarray]


@dataclass(frozen=True)
class Budget:
    """How much the mix may have: records, each copy counted, or tokens."""

    records: int | None = None
    tokens: int | None = None


def decide(
    rows: RowTable, wanted: Sequence[InputWishes], budget: Budget, memory: int, diversify: Diversify | None = None
) -> Decision:
    """Return what becomes of every record.

    Raises LatxaError where more is to be held out of an input than it has.
    """
    decision = without_duplicates(rows, memory)
    bounds = [Bounds() for _ in wanted]

    def now() -> Decision:
        return replace(decision, bounds=tuple(bounds))

    for number, want in enumerate(wanted):
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
    return sum(int(getattr(decision.look(part, found, number), which).sum()) for part, found in rows.of(number))


def _bound(rows: RowTable, decision: Decision, number: int, purpose: int, count: int) -> int:
    """Return the bound below which `count` of the usable records of an input are drawn, or of contents to hold out."""

    def weighed() -> Iterator[Weighed]:
        for part, found in rows.of(number):
            look = decision.look(part, found, number)
            chosen = look.content[look.first] if purpose == HOLD_OUT else look.identity[look.usable]
            hashes = draw(chosen, purpose)
            yield hashes, np.ones(len(hashes))

    return bound_of(weighed, count)


def _budget_bound(rows: RowTable, decision: Decision, budget: Budget) -> int:
    def weighed() -> Iterator[Weighed]:
        for part, found in rows.of():
            look = decision.look(part, found, rows.inputs[part])
            picks = look.picks()
            hashes = draw(look.identity[picks.rows], TAKE, picks.epochs)
            tokens = rows.tokens(part) if budget.tokens is not None else None
            yield hashes, np.ones(len(hashes)) if tokens is None else tokens[picks.rows].astype(float)

    limit = budget.records if budget.tokens is None else budget.tokens
    assert limit is not None
    return bound_of(weighed, limit)
