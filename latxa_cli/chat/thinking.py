"""What a model thinks aloud before it answers: whether it can, whether it can be told, and where it ends."""

from __future__ import annotations

from typing import Any

from latxa_cli.chat.rendering import render
from latxa_cli.chat.skeleton import PLACEHOLDER

START_OF_THINKING, END_OF_THINKING = "<think>", "</think>"  # Qwen 3, DeepSeek R1 and others


def can_think(tokenizer: Any) -> bool:
    """Whether a model may think aloud before it answers: vocabulary and template have the token that ends a thought."""
    known = {token.content for token in tokenizer.added_tokens_decoder.values()}
    return END_OF_THINKING in known and END_OF_THINKING in str(tokenizer.chat_template)


def heeds_thinking(tokenizer: Any) -> bool:
    """Whether the template writes another text when it is told that the model is to think aloud than when not."""
    user = [{"role": "user", "content": PLACEHOLDER.format(0, 0)}]
    on, off = (render(tokenizer, user, add_generation_prompt=True, thinking=thinking) for thinking in (True, False))
    return on != off


def split_thought(text: str, before: str = "") -> tuple[str, str]:
    """Return what a model thought aloud, and its answer: none where the thought never ended.

    `text`: what it wrote; `before`: what its template wrote before that, which may have begun the thought.
    """
    thought, end, answer = text.partition(END_OF_THINKING)
    if not end and not before.rstrip().endswith(START_OF_THINKING) and not text.lstrip().startswith(START_OF_THINKING):
        return "", text
    return thought.strip().removeprefix(START_OF_THINKING).strip(), answer
