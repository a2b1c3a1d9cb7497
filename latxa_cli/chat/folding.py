"""System turns as part of the user's, for templates that have no system role (Gemma, the first Mistral)."""

from __future__ import annotations

from collections.abc import Sequence

from latxa_cli.chat.rendering import Message

BETWEEN = "\n\n"


def folded(messages: Sequence[Message]) -> list[Message]:
    """Return a conversation in which each system turn stands at the beginning of the next user turn.

    Before an answer without a user turn of its own it is added to the user turn before, or is one itself. What no
    answer follows is left out.
    """
    turns: list[Message] = []
    waiting: list[str] = []
    for message in messages:
        if message["role"] == "system":
            waiting.append(message["content"])
            continue
        if waiting and message["role"] == "user":
            message = {**message, "content": BETWEEN.join([*waiting, message["content"]])}
        elif waiting and turns and turns[-1]["role"] == "user":
            turns[-1] = {**turns[-1], "content": BETWEEN.join([turns[-1]["content"], *waiting])}
        elif waiting:
            turns.append({"role": "user", "content": BETWEEN.join(waiting)})
        waiting = []
        turns.append(message)
    return turns
