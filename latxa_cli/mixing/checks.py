"""Checks of a mix before it is written: messages about empty or small inputs, and an error for an empty mix."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING

import orjson

from latxa_cli.mixing.admission import no_score
from latxa_cli.mixing.draw import ALL, Decision, PartDecision
from latxa_cli.mixing.plan import RowStore
from latxa_cli.mixing.rows import UNSAID
from latxa_cli.stream.cutting import Part, lines_of
from latxa_cli.stream.errors import LatxaError
from latxa_cli.stream.records import Record

if TYPE_CHECKING:
    from latxa_cli.mixing.options import MixOptions

SAMPLE_LINES = 1000  # lines of each part that are read to tell the user what is there

Say = Callable[[str], None]


def check(store: RowStore, decision: Decision, options: MixOptions, parts: Sequence[Part], say: Say) -> None:
    """Tell which inputs are empty, and which have fewer records than were asked for.

    Raises LatxaError where no record has the score `criterion`, and where options left nothing in the mix. Where all
    records were rejected there is no error here, since the counts of rejects say so.
    """
    for number, name in enumerate(store.plan.names):
        if not sum(read for read, its_input in zip(store.reads, store.inputs, strict=True) if its_input == number):
            say(f"`{name}` is empty")
    if options.scores is None:
        if options.criterion is not None:
            _check_criterion(store, options.criterion, parts)
        _say_no_scores(store, parts, say)
    if not any(len(part_decision.picks().rows) for _, part_decision in _part_decisions(store, decision)):
        _check_why(store, decision, options.split, parts)
    _say_what_is_short(store, decision, options, say)


def _part_decisions(
    store: RowStore, decision: Decision, number: int | None = None
) -> Iterator[tuple[int, PartDecision]]:
    for part, its_input in enumerate(store.inputs):
        if number is None or its_input == number:
            yield part, decision.for_part(part, store.rows(part), its_input)


def _say_no_scores(store: RowStore, parts: Sequence[Part], say: Say) -> None:
    """Tell of inputs with a lowest score that it leaves nothing of, since their records have no scores."""
    for reading in store.plan.readings:
        mine = [part for part in parts if part.source == reading.number]
        if reading.admission is None or reading.admission.minimum is None:
            continue
        found = [_scores_of(record) for record in _some(mine)]
        if found and not any(found) and not any(len(store.rows(part.number)) for part in mine):
            say(
                f"`--minimum`: the records of `{reading.name}` have no `metadata.scores`; "
                "`--scores` takes a file of them"
            )


def _scores_of(record: Record) -> object:
    return (record.get("metadata") or {}).get("scores")


def _check_criterion(store: RowStore, criterion: str, parts: Sequence[Part]) -> None:
    scored = {
        reading.number for reading in store.plan.readings if reading.admission and reading.admission.minimum is not None
    }
    mine = [part for part in parts if part.source in scored]
    if any(len(store.rows(part.number)) for part in mine):
        return
    scores = map(_scores_of, _some(mine))
    names = {name for found in scores if type(found) is dict for name in found}
    if names and criterion not in names:
        raise no_score(criterion, names)


def _check_why(store: RowStore, decision: Decision, split: str, parts: Sequence[Part]) -> None:
    """Raise LatxaError with the reason for which most records are not in an empty mix, if there were any records."""
    counts = Counter(split=sum(store.other_split))
    for _, part_decision in _part_decisions(store, decision):
        counts["held"] += int(part_decision.withheld.sum())
        counts["drawn"] += int((part_decision.distinct & ~part_decision.withheld).sum())
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


def _say_what_is_short(store: RowStore, decision: Decision, options: MixOptions, say: Say) -> None:
    """Tell where there is less than `--take`, `--take-tokens` or `--take-from` ask for."""
    for number, want in enumerate(store.plan.input_options):
        if want.take_from is not None and decision.bounds[number].subset == ALL:
            count = sum(
                int(part_decision.usable.sum()) for _, part_decision in _part_decisions(store, decision, number)
            )
            if count < want.take_from:
                say(f"`--take-from {want.name}={want.take_from}`: there are {count:,} records, and all are taken")
    if (size := options.take_tokens or options.take) is None or decision.take != ALL:
        return
    count = 0
    for part, part_decision in _part_decisions(store, decision):
        rows, tokens = part_decision.picks().rows, store.tokens(part) if options.take_tokens else None
        count += len(rows) if tokens is None else int(tokens[rows].sum())
    if count < size:
        flag, unit = ("--take-tokens", "tokens") if options.take_tokens else ("--take", "records")
        say(f"`{flag} {size}`: there are {count:,} {unit}, and all are taken")


def _some(parts: Sequence[Part]) -> Iterator[Record]:
    """Yield the first records of each part, unchecked."""
    for part in parts:
        for _, _, line in islice(lines_of(part), SAMPLE_LINES):
            try:
                record = orjson.loads(line)
            except orjson.JSONDecodeError:
                continue
            if type(record) is dict and type(record.get("metadata")) in (dict, type(None)):
                yield record
