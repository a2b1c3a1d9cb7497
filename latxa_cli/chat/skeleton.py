"""What a chat template writes round the contents of messages: found by rendering placeholders."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any, NamedTuple

from latxa_cli.chat.rendering import TemplateError, name_of, render
from latxa_cli.chat.special import special_tokens

# Letters and digits only, so that no template trims, escapes or splits it.
PLACEHOLDER = "Zq{}placeholder{}qZ"


class Skeleton(NamedTuple):
    """What a template writes round contents: the texts before, between and after them (one more than contents), and
    the numbers of the messages in the order in which their contents stand (some templates move the system message)."""

    pieces: list[str]
    order: list[int]


def skeleton_of(tokenizer: Any, roles: tuple[str, ...]) -> Skeleton | None:
    """Return what the template writes round the contents of messages with these roles; None where it refuses them."""
    contents = [PLACEHOLDER.format(number, number) for number in range(len(roles))]
    messages = [{"role": role, "content": content} for role, content in zip(roles, contents, strict=True)]
    try:
        return cut(tokenizer, render(tokenizer, messages), contents)
    except TemplateError:
        return None


def cut(tokenizer: Any, text: str, contents: Sequence[str]) -> Skeleton:
    """Cut `text` at the contents, each of which must be there once."""
    if any(text.count(content) != 1 for content in contents):
        raise TemplateError(
            f"the chat template of `{name_of(tokenizer)}` changes, repeats or leaves out the words of a turn",
            hint="use a template that writes contents as they are",
        )
    order = sorted(range(len(contents)), key=lambda number: text.index(contents[number]))
    pieces = []
    for number in order:
        piece, _, text = text.partition(contents[number])
        pieces.append(piece)
    return Skeleton([*pieces, text], order)


def common_prefix(first: str, second: str) -> str:
    length = 0
    for left, right in zip(first, second, strict=False):
        if left != right:
            break
        length += 1
    return first[:length]


def dialogue(tokenizer: Any, count: int) -> list[str]:
    """Return the texts round the contents of `count` turns, user first."""
    roles = tuple("user" if turn % 2 == 0 else "assistant" for turn in range(count))
    skeleton = skeleton_of(tokenizer, roles)
    if skeleton is None:  # to raise what is wrong
        render(tokenizer, [{"role": role, "content": PLACEHOLDER.format(0, 0)} for role in roles])
    if skeleton is None or skeleton.order != list(range(count)):
        raise TemplateError(
            f"the chat template of `{name_of(tokenizer)}` does not write a dialogue of {count} turns as it stands",
            hint="a template must take a user turn, an answer and another user turn",
        )
    return skeleton.pieces


class AnswerEnd(NamedTuple):
    """What a template writes behind the content of an answer.

    Attributes:
        every: the end of every answer, be it the last or not.
        last: all that stands behind an answer that is the last.
        between: all that stands between an answer and the user's next words.
    """

    every: str
    last: str
    between: str


def answer_end(tokenizer: Any) -> AnswerEnd:
    """Return what the template writes behind answers.

    A template that takes no second question ends every answer as the last.

    Raises:
        LatxaError: there is no chat template, or it does not write a question and an answer as they stand.
    """
    last = dialogue(tokenizer, 2)[-1]
    try:
        between = dialogue(tokenizer, 3)[2]
    except TemplateError:
        return AnswerEnd(last, last, last)
    end = len(common_prefix(between, last))
    for token in special_tokens(tokenizer):  # two that begin alike may follow: `<|user|>`, `<|endoftext|>`
        start = between.rfind(token, 0, end + len(token) - 1)
        if start >= 0 and start < end < start + len(token):
            end = start
    return AnswerEnd(between[:end], last, between)


class Template:
    """What is found once of the chat template of a tokenizer, for many conversations."""

    def __init__(self, tokenizer: Any) -> None:
        self.tokenizer = tokenizer
        self._skeletons: dict[tuple[str, ...], Skeleton | None] = {}

    def skeleton(self, roles: tuple[str, ...]) -> Skeleton | None:
        """Return the skeleton of conversations with these roles, see `skeleton_of`."""
        if roles not in self._skeletons:
            self._skeletons[roles] = skeleton_of(self.tokenizer, roles)
        return self._skeletons[roles]

    @cached_property
    def ending(self) -> AnswerEnd:
        """What the template writes behind answers: nothing where it refuses a dialogue without a system message."""
        try:
            return answer_end(self.tokenizer)
        except TemplateError:
            return AnswerEnd("", "", "")
