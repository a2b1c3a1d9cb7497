"""The model that speaks, as far as its tokenizer tells: its special tokens, and whether it thinks aloud."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from latxa_cli.chat.special import special_tokens
from latxa_cli.chat.thinking import can_think, heeds_thinking
from latxa_cli.model import short_name
from latxa_cli.stream.errors import UsageError


@dataclass(frozen=True, slots=True)
class Speaker:
    """What is known of a model that is to write.

    - `name`: as records say it;
    - `markers`: its special tokens, as they are written, which no text of a message may hold;
    - `thinking`: what its template is told, or None, nothing; `can_be_told`: it heeds that;
    - `can_think`: it may think aloud before its answers.
    """

    name: str
    markers: frozenset[str] = frozenset()
    thinking: bool | None = None
    can_be_told: bool = False
    can_think: bool = False


def speaker_of(model: str, tokenizer: Any, thinking: Literal["on", "off"] | None) -> Speaker:
    """Return what is known of `model`; `tokenizer` is None where a server keeps it to itself.

    Raises UsageError where it is to be told whether to think, and cannot be.
    """
    told = None if thinking is None else thinking == "on"
    if tokenizer is None:
        return Speaker(short_name(model), thinking=told)
    can_be_told = bool(tokenizer.chat_template) and heeds_thinking(tokenizer)
    if told is not None and not can_be_told:
        raise UsageError(f"`--thinking`: the chat template of `{model}` cannot be told", hint="leave it out")
    return Speaker(short_name(model), special_tokens(tokenizer), told, can_be_told, can_think(tokenizer))
