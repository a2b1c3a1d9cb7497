"""Translating records: turns, documents or any fields; ids, roles, shape and all other fields stay as they are.

- An answer is asked for once its instruction is translated, which it then has in view.
- A text beyond the budget is translated in segments, each with the one before it in view.
- Fields of one record are translated in one request if they fit, so that they agree.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from latxa_cli.generation.engine import Engine
from latxa_cli.generation.flow import Exchange, Steps, converse, side_by_side
from latxa_cli.stream.records import Outcome, Record, Reject
from latxa_cli.translation.drafts import Drafter, Spent
from latxa_cli.translation.fields import MESSAGES, TEXT, Part, UnfitError, filled, parts_of
from latxa_cli.translation.layouts import Pair
from latxa_cli.translation.pieces import has_words, piece_of, piece_together, with_space_of
from latxa_cli.translation.repeats import Repeats
from latxa_cli.translation.segments import Budget, segments

Unit = Literal["turn", "conversation"]  # what one request translates of a conversation


@dataclass(frozen=True, slots=True)
class Translation:
    """How to translate records.

    - drafter: how one request's worth is translated.
    - budget: the longest text of a request.
    - model: its name, as records say it.
    - fields, keep_system: what of a record is translated (see `fields`).
    - unit: what of a conversation one request translates.
    - comments: whether comments in code are translated too.
    """

    drafter: Drafter
    budget: Budget
    model: str
    fields: tuple[str, ...] = (MESSAGES,)
    unit: Unit = "turn"
    keep_system: bool = False
    comments: bool = False


def translate(
    records: Iterable[Record], engine: Engine, translation: Translation, repeats: Repeats | None = None
) -> Iterator[Outcome]:
    """Yield each record translated, or a reject that names the text that failed; `repeats`: what was made before."""
    sources: deque[Record] = deque()

    def noted() -> Iterator[Record]:
        for record in records:
            sources.append(record)
            yield record

    def exchange(record: Record) -> Exchange:
        spent = Spent()
        try:
            parts = parts_of(record, translation.fields, keep_system=translation.keep_system)
            texts = yield from _Texts(record["id"], translation, spent).translated(parts)
        except UnfitError as unfit:
            return Reject(record, unfit.reason, unfit.detail)
        target = translation.drafter.prompt.target.code
        told = {**(record.get("metadata") or {}), **_told(translation, spent)}
        return {**filled(record, parts, texts), "language": target, "metadata": told}

    for outcome in converse(engine, noted(), exchange):
        source = sources.popleft()
        yield repeats.filtered(source, outcome) if repeats else outcome


def _told(translation: Translation, spent: Spent) -> dict[str, Any]:
    """Return what a record's metadata says of its translation."""
    drafter = translation.drafter
    told: dict[str, Any] = {
        "translated_by": translation.model,
        "translated_from": drafter.prompt.source.code,
        "shots": drafter.shots.count,
        "tokens": spent.tokens,
    }
    if spent.tries > 1:
        told["tries"] = spent.tries
    if drafter.candidates > 1:
        told["candidates"] = drafter.candidates
    if TEXT in translation.fields:
        told["synthetic"] = True  # no corpus of native text
    return told


class _Texts:
    """The texts of one record."""

    def __init__(self, key: str, translation: Translation, spent: Spent) -> None:
        self.key, self.how, self.spent = key, translation, spent

    def translated(self, parts: Sequence[Part]) -> Steps[list[str]]:
        """Return the translations of all parts, those without words as they are."""
        wordy = [part for part in parts if has_words(part.text, comments=self.how.comments)]
        turns = [part for part in wordy if part.path[0] == MESSAGES]
        others = [part for part in wordy if part.path[0] != MESSAGES]
        found: dict[tuple[str | int, ...], str] = {}
        for part, texts in zip(
            (turns, others), (yield from side_by_side([self._turns(turns), self._fields(others)])), strict=True
        ):
            found.update((one.path, text) for one, text in zip(part, texts, strict=True))
        return [found.get(part.path, part.text) for part in parts]

    def _turns(self, parts: Sequence[Part]) -> Steps[list[str]]:
        if self.how.unit == "conversation" and len(parts) > 1:
            return (yield from self._together(parts, "the conversation"))
        asking = [part for part in parts if part.role != "assistant"]
        found = dict(zip(asking, (yield from side_by_side([self._text(part) for part in asking])), strict=True))
        answering = [part for part in parts if part.role == "assistant"]
        steps = [self._text(part, _instruction_of(part, found)) for part in answering]
        found.update(zip(answering, (yield from side_by_side(steps)), strict=True))
        return [found[part] for part in parts]

    def _fields(self, parts: Sequence[Part]) -> Steps[list[str]]:
        drafter, budget = self.how.drafter, self.how.budget
        fit = sum(budget.measure(part.text) for part in parts) <= budget.most
        if len(parts) > 1 and fit and drafter.prompt.layout.can_structure:
            return (yield from self._together(parts, "the fields"))
        return (yield from side_by_side([self._text(part) for part in parts]))

    def _together(self, parts: Sequence[Part], name: str) -> Steps[list[str]]:
        piece = piece_together(parts, name, comments=self.how.comments)
        return (yield from self.how.drafter.translate(piece, self.key, (), self.spent))

    def _text(self, part: Part, context: tuple[Pair, ...] = ()) -> Steps[str]:
        """Return the translation of one text, segment by segment if it is long."""
        made = []
        cut = segments(part.text.strip(), self.how.budget)
        for number, (text, gap) in enumerate(cut, 1):
            name = part.name if len(cut) == 1 else f"{part.name}, part {number}"
            segment = replace(part, text=text, name=name)
            if has_words(text, comments=self.how.comments):
                piece = piece_of(segment, comments=self.how.comments)
                (translated,) = yield from self.how.drafter.translate(piece, self.key, context, self.spent)
                context = ((text.strip(), translated.strip()),)
            else:
                translated = text
            made += [translated, gap]
        return with_space_of("".join(made), part.text)


def _instruction_of(answer: Part, translated: dict[Part, str]) -> tuple[Pair, ...]:
    """Return the last turn of the user before an answer, and its translation."""
    before = [part for part in translated if part.role == "user" and int(part.path[1]) < int(answer.path[1])]
    if not before:
        return ()
    last = max(before, key=lambda part: int(part.path[1]))
    return ((last.text.strip(), translated[last].strip()),)
