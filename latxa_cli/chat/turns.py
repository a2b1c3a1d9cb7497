"""Where the contents of messages lie in the text that a chat template wrote."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from latxa_cli.chat.counted import counts
from latxa_cli.chat.rendering import Message, TemplateError, name_of, render
from latxa_cli.chat.skeleton import PLACEHOLDER, Skeleton, Template, cut


class Turn(NamedTuple):
    """Where a message's content lies in the rendered text, in characters: from `start` up to `end`.

    counts: whether the loss may count it.
    composed: whether there is more than the content, with tokens of the template in between.
    """

    role: str
    start: int
    end: int
    counts: bool = True
    composed: bool = False


class Located(NamedTuple):
    """A rendered conversation: its text, its turns in their order there, and the fields that the template left out."""

    text: str
    turns: list[Turn]
    unread: frozenset[str] = frozenset()


def locate(template: Template, messages: Sequence[Message]) -> Located:
    """Render a conversation whose messages have roles and contents alone, and find every content in the text.

    First by the skeleton: the same roles rendered with placeholders give the template's own text between contents,
    and the whole must be exactly that text with the contents in between. A template that looks at the contents fails
    this; then by prefixes: the conversation rendered up to and past each turn must be prefixes of the whole.
    """
    tokenizer = template.tokenizer
    text = render(tokenizer, messages)
    skeleton = template.skeleton(tuple(message["role"] for message in messages))
    turns = _fit(text, messages, skeleton) or _by_prefixes(tokenizer, text, messages)
    if not turns:
        raise rewritten(tokenizer)
    return Located(text, turns)


def rewritten(tokenizer: Any) -> TemplateError:
    """Return the error for a conversation whose turns cannot be found again."""
    return TemplateError(
        f"the chat template of `{name_of(tokenizer)}` rewrites the conversation, its turns cannot be found again",
        hint="leave the conversation out, or use a template that writes contents as they are",
    )


def _fit(text: str, messages: Sequence[Message], skeleton: Skeleton | None) -> list[Turn]:
    """Lay the contents into the skeleton; an empty list when that does not give `text` to the last character."""
    if skeleton is None or not text.startswith(skeleton.pieces[0]):
        return []
    turns, position = [], len(skeleton.pieces[0])
    for number, following in zip(skeleton.order, skeleton.pieces[1:], strict=True):
        message = messages[number]
        forms = forms_of(message["content"])
        content = next((form for form in forms if text.startswith(form + following, position)), None)
        if content is None:
            return []
        turns.append(Turn(message["role"], position, position + len(content), counts(message)))
        position += len(content) + len(following)
    return turns if position == len(text) else []


def forms_of(content: str) -> Iterable[str]:
    """Return a content as a template may write it: as it is, or trimmed of blanks or of line breaks alone."""
    return dict.fromkeys(form for kind in (None, "\n") for form in (
        content, content.strip(kind), content.lstrip(kind), content.rstrip(kind)
    ))  # fmt: skip


def _by_prefixes(tokenizer: Any, text: str, messages: Sequence[Message]) -> list[Turn]:
    """Find user and assistant contents between renderings of the turns before; an empty list where that fails.

    A content ends where the end of its turn begins, which is what the template writes behind a placeholder: that is
    not searched for, since contents may stand in it (`end` in `<|im_end|>`).
    """
    turns: list[Turn] = []
    for index, message in enumerate(messages):
        if message["role"] == "system":
            continue
        answer = message["role"] == "assistant"
        start = turns[-1].end if turns else 0
        if answer:
            before = render(tokenizer, messages[:index], add_generation_prompt=True)
            if not text.startswith(before):
                return []
            start = len(before)
        after = render(tokenizer, messages[: index + 1])
        if not message["content"].strip() or not text.startswith(after):
            return []
        following = _following(tokenizer, messages[:index], message["role"])
        if following is None or not after.endswith(following):
            return []
        end = len(after) - len(following)
        content = next((form for form in forms_of(message["content"]) if after.endswith(form, start, end)), None)
        if content is None:
            return []
        turns.append(Turn(message["role"], end - len(content), end, counts(message)))
    return turns


def _following(tokenizer: Any, before: Sequence[Message], role: str) -> str | None:
    """Return what the template writes behind the content of a last turn; None where it does not keep the content."""
    placeholder = PLACEHOLDER.format(0, 0)
    text = render(tokenizer, [*before, {"role": role, "content": placeholder}])
    try:
        return cut(tokenizer, text, [placeholder]).pieces[1]
    except TemplateError:
        return None
