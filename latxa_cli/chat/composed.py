"""Where turns lie in the text of a conversation that has more than roles and contents: thoughts, calls, tools.

Whether the template uses a field is found by rendering with it and without it. A thought, a call or a list of tools
that changes nothing is an error. Other fields that change nothing are told by their names.

An assistant's turn with a thought or a call begins where the prompt for an answer ends, and ends where the template
ends answers: the model has to write all of that. The results of tools are never trained.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from latxa_cli.chat.counted import counts
from latxa_cli.chat.given import (
    CALLS,
    SPOKEN,
    THOUGHTS,
    IgnoredError,
    UnreadError,
    given_of,
    readable,
    texts_of,
    with_nulls,
)
from latxa_cli.chat.rendering import Message, TemplateError, render_fields
from latxa_cli.chat.skeleton import PLACEHOLDER, Template, common_prefix, cut
from latxa_cli.chat.special import special_tokens
from latxa_cli.chat.turns import Located, Turn, forms_of, rewritten
from latxa_cli.stream.records import Record


class _Part(NamedTuple):
    """A text of a message, for which a placeholder stands."""

    message: int
    field: str
    mark: str


class _Span(NamedTuple):
    """Where a part lies in the text."""

    part: _Part
    start: int
    end: int


def locate_composed(template: Template, messages: Sequence[Message], record: Record) -> Located:
    """Render a conversation with all fields of its messages and its record, and find its turns.

    Raises:
        IgnoredError: the template leaves out a field that the conversation needs.
        TemplateError: it refuses the conversation, or its turns cannot be found again.
    """
    given, turns = given_of(record), [readable(message) for message in messages]
    for text in texts_of([turns, list(given.values())]):
        if token := next((token for token in special_tokens(template.tokenizer) if token in text), ""):
            raise spelt(token)
    located = _Composed(template, turns, given).located([counts(message) for message in messages])
    nulls = {f"what is null in `{name}`" for name in with_nulls(messages, record)}
    return located._replace(unread=located.unread | nulls)


def spelt(token: str) -> TemplateError:
    """Return the error for a text that spells a special token."""
    return TemplateError(
        f"the text of a message holds the special token `{token}`",
        hint="the model would take it for the end of a turn or the like: leave the conversation out",
        reason="special token in the text",
    )


class _Composed:
    """A conversation, its skeleton with a placeholder for each content and thought, and what the template uses."""

    def __init__(self, template: Template, turns: list[Message], given: dict[str, Any]) -> None:
        self.template, self.given = template, given
        self.turns, self.shape, self.parts, self.skeleton = self._named(turns)
        self.unread = self._unread()

    def located(self, counted: Sequence[bool]) -> Located:
        text = self._render(self.turns)
        spans = self._spans(text)
        found = [
            turn for place, counts in enumerate(counted) if (turn := self._turn(text, spans, place, counts)) is not None
        ]
        return Located(text, sorted(found, key=lambda turn: turn.start), frozenset(self.unread))

    def _render(self, turns: Sequence[Message], *, answers: bool = False) -> str:
        return render_fields(self.template.tokenizer, turns, self.given, add_generation_prompt=answers)

    # --- what the template uses

    def _named(self, turns: list[Message]) -> tuple[list[Message], list[Message], list[_Part], str]:
        """Return the turns with thoughts under a name that the template knows, and their skeleton."""
        own = next((name for turn in turns for name in _thoughts(turn)), "")
        names = [own, *(name for name in THOUGHTS if name != own)] if own else [""]
        for name in names:
            named = [_with_thought(turn, name) for turn in turns]
            shape, parts = _shape(named, name)
            skeleton = self._render(shape)
            written = [part for part in parts if part.mark in skeleton]
            if not own or any(part.field == name for part in written):
                return named, shape, written, skeleton
        raise IgnoredError(f"`{own}` of messages")

    def _unread(self) -> set[str]:
        """Return the fields that change nothing, in words."""
        unread = set()
        for place, turn in enumerate(self.turns):
            fields = {part.field for part in self.parts if part.message == place}
            if "content" not in fields and _is_marked(turn):
                raise IgnoredError(f"`content` beside `{CALLS}`" if CALLS in turn else f"what a `{turn['role']}` says")
            for number, _ in enumerate(turn.get(CALLS, ())):
                if self._altered(place, number) == self.skeleton:
                    raise IgnoredError(f"`{CALLS}` of messages")
            if any(name not in fields for name in _thoughts(turn)):
                unread.add("an earlier answer, whose thought the template leaves out,")
        for name in {name for turn in self.turns for name in turn} - {"role", "content", CALLS, *THOUGHTS}:
            if self._same_without(name):
                if name in SPOKEN:
                    raise IgnoredError(f"`{name}` of messages")
                unread.add(f"`{name}` of messages")
        for name in self.given:
            told = {other: value for other, value in self.given.items() if other != name}
            if _rendered(self.template.tokenizer, self.shape, told) == self.skeleton:
                raise IgnoredError(f"`{name}` of records")
        return unread

    def _same_without(self, name: str) -> bool:
        without = [{field: value for field, value in turn.items() if field != name} for turn in self.shape]
        return _rendered(self.template.tokenizer, without, self.given) == self.skeleton

    def _altered(self, place: int, number: int) -> str | None:
        """Return the skeleton with other arguments of one call; None where the template refuses these."""
        other = PLACEHOLDER.format("call", "call")
        calls = list(self.shape[place][CALLS])
        calls[number] = {**calls[number], "function": {**calls[number]["function"], "arguments": {other: other}}}
        turns = [*self.shape[:place], {**self.shape[place], CALLS: calls}, *self.shape[place + 1 :]]
        return _rendered(self.template.tokenizer, turns, self.given)

    # --- where turns lie

    def _spans(self, text: str) -> list[_Span]:
        """Return where the parts lie, in the order of the text, which must be the skeleton with them in it."""
        tokenizer = self.template.tokenizer
        skeleton = cut(tokenizer, self.skeleton, [part.mark for part in self.parts])
        position = len(skeleton.pieces[0])
        if not text.startswith(skeleton.pieces[0]):
            raise rewritten(tokenizer)
        spans = []
        for number, following in zip(skeleton.order, skeleton.pieces[1:], strict=True):
            part = self.parts[number]
            turn = self.turns[part.message]
            forms = _forms(turn[part.field], turn["role"])
            words = next((form for form in forms if text.startswith(form + following, position)), None)
            if words is None:
                raise rewritten(tokenizer)
            spans.append(_Span(part, position, position + len(words)))
            position += len(words) + len(following)
        if position != len(text):
            raise rewritten(tokenizer)
        return spans

    def _turn(self, text: str, spans: Sequence[_Span], place: int, counts: bool) -> Turn | None:
        turn, own = self.turns[place], [span for span in spans if span.part.message == place]
        thoughts = list(_thoughts(turn))
        if CALLS not in turn and not thoughts:
            return Turn(turn["role"], own[0].start, own[0].end, counts and turn["role"] != "tool")
        left = next((span for span in reversed(spans) if span.part.message == place - 1), None)
        if left is None:
            raise rewritten(self.template.tokenizer)
        _, _, tail = self._render(self.shape[:place], answers=True).rpartition(left.part.mark)
        start = left.end + len(common_prefix(text[left.end :], tail))
        last = own[-1] if own else left
        end = self._end_of_calls(text, spans, place, last) if CALLS in turn else last.end
        whole = all(any(span.part.field == name for span in own) for name in thoughts)
        return Turn(turn["role"], start, end, counts and whole, composed=True)

    def _end_of_calls(self, text: str, spans: Sequence[_Span], place: int, last: _Span) -> int:
        """Return where the calls of a message end: behind what changes with them, and before the end of an answer."""
        right = next((span for span in spans if span.start >= last.end and span.part.message > place), None)
        limit = right.start if right else len(text)
        altered = self._altered(place, len(self.turns[place][CALLS]) - 1)
        if altered is None:
            raise rewritten(self.template.tokenizer)
        others = altered.partition(last.part.mark)[2]
        others = others.partition(right.part.mark)[0] if right else others
        behind = common_prefix(text[last.end : limit][::-1], others[::-1])[::-1]
        ending = self.template.ending.every
        return limit - len(behind) + (max(0, behind.find(ending)) if ending else 0)


def _thoughts(turn: Message) -> Iterator[str]:
    """Yield the names of the thoughts of a turn."""
    return (name for name in THOUGHTS if type(turn.get(name)) is str)


def _with_thought(turn: Message, name: str) -> Message:
    """Return a turn whose thought has this name alone; raises UnreadError where it has two thoughts."""
    thoughts = {turn[own] for own in _thoughts(turn)}
    if not thoughts:
        return turn
    if len(thoughts) > 1:
        raise UnreadError("a message has two different thoughts: " + ", ".join(f"`{own}`" for own in _thoughts(turn)))
    return {field: value for field, value in turn.items() if field not in THOUGHTS} | {name: thoughts.pop()}


def _shape(turns: Sequence[Message], thought: str) -> tuple[list[Message], list[_Part]]:
    """Return the turns with placeholders, and these."""
    parts, shape = [], []
    for place, turn in enumerate(turns):
        fields = [thought] if thought in turn else []
        if _is_marked(turn):
            fields.append("content")
        own = [_Part(place, field, PLACEHOLDER.format(f"{place}{field[0]}", place)) for field in fields]
        parts += own
        shape.append({**turn, **{part.field: part.mark for part in own}})
    return shape, parts


def _is_marked(turn: Message) -> bool:
    """Whether a placeholder stands for the content; a call without words beside it has none, as templates look."""
    return CALLS not in turn or bool(turn["content"].strip())


def _forms(text: str, role: str) -> Iterable[str]:
    """Return a text as a template may write it; results of tools also as JSON (Llama 3.1)."""
    yield from forms_of(text)
    if role == "tool":
        yield json.dumps(text, ensure_ascii=False)[1:-1]


def _rendered(tokenizer: Any, turns: Sequence[Message], given: dict[str, Any]) -> str | None:
    """Return the text of the turns; None where the template refuses them."""
    try:
        return render_fields(tokenizer, turns, given)
    except TemplateError:
        return None
