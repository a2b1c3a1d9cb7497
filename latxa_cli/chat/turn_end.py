"""The tokens that end a turn, at which a model that answers is stopped."""

from __future__ import annotations

from typing import Any

from latxa_cli.chat.pre_query import pre_query
from latxa_cli.chat.skeleton import answer_end
from latxa_cli.chat.special import special_ids
from latxa_cli.stream.errors import LatxaError


def end_of_turn_ids(tokenizer: Any, generation_config: Any = None) -> list[int]:
    """Return the ids of the tokens that end a turn, without repeats.

    They are those that end an answer, then the first special token that the template writes after a user's content.
    """
    ends = end_of_answer_ids(tokenizer, getattr(generation_config, "eos_token_id", None))
    return list(dict.fromkeys([*ends, *_after_users(tokenizer)]))


def end_of_answer_ids(tokenizer: Any, configured: Any = None) -> list[int]:
    """Return the ids of the tokens that end an answer, without repeats.

    They are the `configured` ids (one, several or None) and the tokenizer's end of text, then those that training
    learns behind answers (see `loss_mask`):

    - the special tokens that the template writes behind every answer;
    - where it writes none there, the first behind a last answer, and the first between an answer and the next question
      (`<|user|>` of GLM 4), unless that ends all messages, thoughts among them (`<|end|>` of gpt-oss).

    Raises:
        LatxaError: the template does not write a question and an answer as they stand, or `configured` is no id.
    """
    named = list(configured) if isinstance(configured, (list, tuple)) else [configured]
    if not all(token is None or isinstance(token, int) for token in named):
        raise LatxaError(f"`eos_token_id` is {configured!r}, which is no id of a token")
    found = [*named, tokenizer.eos_token_id]
    if tokenizer.chat_template:
        end = answer_end(tokenizer)
        every, last, between = (_special(tokenizer, text) for text in end)
        if last and between[:1] == _after_users(tokenizer):
            between = []
        found += every or [*last[:1], *between[:1]]
    return list(dict.fromkeys(token for token in found if token is not None))


def _after_users(tokenizer: Any) -> list[int]:
    """Return the first special token that the template writes after a user's content, if there is one."""
    return _special(tokenizer, pre_query(tokenizer).suffix)[:1] if tokenizer.chat_template else []


def _special(tokenizer: Any, text: str) -> list[int]:
    special = set(special_ids(tokenizer))
    return [token for token in tokenizer(text, add_special_tokens=False)["input_ids"] if token in special]
