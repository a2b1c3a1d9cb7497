"""What the user is told before a mix is written: of inputs that are empty or small, and of a mix of nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Protocol

import orjson

from latxa_cli.mixing.admission import no_score
from latxa_cli.mixing.draw import ALL, Decision, PartDecision
from latxa_cli.mixing.plan import RowStore
from latxa_cli.mixing.rows import UNSAID
from latxa_cli.stream.errors import LatxaError
from latxa_cli.stream.parts import Part, lines_of
from latxa_cli.stream.records import Record

LOOKED_AT = 1000  # lines of a part, to say what is in it

Say = Callable[[str], None]


class MixWishes(Protocol):
    """Of the mix as a whole, what was asked for by the flags of these names."""

    @property
    def split(self) -> str: ...
    @property
    def take(self) -> int | None: ...
    @property
    def take_tokens(self) -> int | None: ...
    @property
    def scores(self) -> str | None: ...
    @property
    def criterion(self) -> str | None: ...


class DecidedMix(Protocol):
    """A mix that is decided on."""

    store: RowStore
    decision: Decision


def check(made: DecidedMix, options: MixWishes, parts: Sequence[Part], say: Say) -> None:
    """Say which inputs are empty and which have less than is to be taken.

    Raises LatxaError where records were read and none is in the mix for what was asked of it, and where the score that
    it goes by is in no record. Where all records are unsound or poor, the counts of rejects say so.
    """
    store, decision = made.store, made.decision
    for number, name in enumerate(store.plan.names):
        if not sum(read for read, its_input in zip(store.reads, store.inputs, strict=True) if its_input == number):
            say(f"`{name}` is empty")
    if options.criterion is not None and options.scores is None:
        _check_criterion(store, options.criterion, parts)
    if not any(len(look.picks().rows) for _, look in _looks(store, decision)):
        _check_why(store, decision, options.split, parts)
    _say_what_is_short(store, decision, options, say)


def _looks(store: RowStore, decision: Decision, number: int | None = None) -> Iterator[tuple[int, PartDecision]]:
    for part, its_input in enumerate(store.inputs):
        if number is None or its_input == number:
            yield part, decision.look(part, store.rows(part), its_input)


def _check_criterion(store: RowStore, criterion: str, parts: Sequence[Part]) -> None:
    scored = {reading.number for reading in store.plan.readings if reading.fit and reading.fit.minimum is not None}
    mine = [part for part in parts if part.source in scored]
    if any(len(store.rows(part.number)) for part in mine):
        return
    scores = [(record.get("metadata") or {}).get("scores") for record in _some(mine)]
    names = {name for found in scores if type(found) is dict for name in found}
    if names and criterion not in names:
        raise no_score(criterion, names)


def _check_why(store: RowStore, decision: Decision, split: str, parts: Sequence[Part]) -> None:
    """Raise LatxaError that names the reason for which most records are not in a mix of nothing, if there are any."""
    counts = Counter(split=sum(store.other_split))
    for _, look in _looks(store, decision):
        counts["held"] += int(look.withheld.sum())
        counts["drawn"] += int((look.distinct & ~look.withheld).sum())
    (reason, count), *_ = counts.most_common(1)
    if not count:
        return
    hint = f"{count:,} records are held out: hold out fewer"
    if reason == "drawn":
        hint = f"{count:,} records are not drawn: take more, or give a higher weight"
    elif reason == "split":
        splits = sorted({str((record.get("metadata") or {}).get("split") or UNSAID) for record in _some(parts)})
        hint = f"{count:,} records are not of the split `{split}`; there are " + ", ".join(f"`{s}`" for s in splits[:9])
    raise LatxaError("nothing is in the mix", hint=hint)


def _say_what_is_short(store: RowStore, decision: Decision, options: MixWishes, say: Say) -> None:
    """Say of what there is less than `--take`, `--take-tokens` and `--take-from` ask for."""
    for number, want in enumerate(store.plan.wanted):
        if want.take_from is not None and decision.bounds[number].subset == ALL:
            count = sum(int(look.usable.sum()) for _, look in _looks(store, decision, number))
            if count < want.take_from:
                say(f"`--take-from {want.name}={want.take_from}`: there are {count:,} records, and all are taken")
    if (wanted := options.take_tokens or options.take) is None or decision.take != ALL:
        return
    count = 0
    for part, look in _looks(store, decision):
        rows, tokens = look.picks().rows, store.tokens(part) if options.take_tokens else None
        count += len(rows) if tokens is None else int(tokens[rows].sum())
    if count < wanted:
        flag, unit = ("--take-tokens", "tokens") if options.take_tokens else ("--take", "records")
        say(f"`{flag} {wanted}`: there are {count:,} {unit}, and all are taken")


def _some(parts: Sequence[Part]) -> Iterator[Record]:
    """Yield the first records of each part, as they came."""
    for part in parts:
        for _, _, line in islice(lines_of(part), LOOKED_AT):
            try:
                record = orjson.loads(line)
            except orjson.JSONDecodeError:
                continue
            if type(record) is dict and type(record.get("metadata")) in (dict, type(None)):
                yield record
