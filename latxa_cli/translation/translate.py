"""Translating conversations message by message: turns, roles, ids and all other fields stay as they are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from latxa_cli.generation.engine import Completion, Engine, Request
from latxa_cli.generation.flow import Talk, converse
from latxa_cli.stream.records import Outcome, Record, Reject
from latxa_cli.translation.checks import failure
from latxa_cli.translation.prompt import FewShot


@dataclass(frozen=True, slots=True)
class Translation:
    """How to translate: the prompt, the longest translation of a message in tokens, and what the records say of it."""

    few_shot: FewShot
    max_tokens: int
    model: str
    language: str | None = None


def translate_conversations(conversations: Iterable[Record], engine: Engine, how: Translation) -> Iterator[Outcome]:
    """Yield each conversation translated, or a reject that names the first message that failed."""

    def talk(conversation: Record) -> Talk:
        texts = [message["content"] for message in conversation["messages"] if _prose(message)]
        completions = yield [
            Request(how.few_shot.decoding(text, how.max_tokens), text=how.few_shot.prompt(text)) for text in texts
        ]
        waiting = iter(completions)
        return _outcome(conversation, [next(waiting) if _prose(m) else None for m in conversation["messages"]], how)

    return converse(engine, conversations, talk)


def _prose(message: Record) -> bool:
    return bool(message["content"].strip())  # an empty message is its own translation


def _outcome(conversation: Record, completions: list[Completion | None], how: Translation) -> Outcome:
    messages = []
    for number, (message, completion) in enumerate(zip(conversation["messages"], completions, strict=True), 1):
        if completion is None:
            messages.append(message)
            continue
        if reason := failure(message["content"], completion):
            return Reject(conversation, reason, f"message {number}: {completion.text.strip()}")
        messages.append({**message, "content": completion.text.strip()})
    told = {**(conversation.get("metadata") or {}), "translated_by": how.model, "shots": len(how.few_shot.shots)}
    language = {"language": how.language} if how.language else {}
    return {**conversation, "messages": messages, **language, "metadata": told}
