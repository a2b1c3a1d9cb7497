"""The pre-query text: what stands before a user's first word, and a model goes on with an instruction (Magpie)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass
from typing import Any

from latxa_cli.chat.rendering import Message, TemplateError, name_of, render
from latxa_cli.chat.skeleton import PLACEHOLDER, answer_end, common_prefix, cut
from latxa_cli.chat.special import special_tokens


@dataclass(frozen=True, slots=True)
class PreQuery:
    """The text round a user's instruction: `prefix + instruction + suffix` is what the model answers."""

    prefix: str
    suffix: str


def pre_query(
    tokenizer: Any,
    messages: Sequence[Message] = (),
    *,
    system: str | None = None,
    default_system: bool = True,
    thinking: bool | None = None,
) -> PreQuery:
    """Find the text that stands before a user's first word and the text between their last word and the answer.

    Magpie (Xu et al. 2024, arXiv 2406.08464, section 2.1) lets an aligned model continue `prefix` to obtain an
    instruction, then `prefix + instruction + suffix` to obtain its answer.

    Args:
        tokenizer: a transformers tokenizer with a chat template.
        messages: the turns before, without a system message.
        system: the system message to stand before the instruction.
        default_system: keep what the template writes of itself before the first turn (Llama 3.1 and Qwen 2.5 write a
            system block). When false, and no `system` is given, the prefix is the begin-of-text token, where the
            template writes one, and the turns alone.
        thinking: whether the model is to think aloud before its answer, where its template asks (`enable_thinking`).

    Raises:
        LatxaError: no chat template, or one that refuses a system message or changes the user's words.
    """
    user = PLACEHOLDER.format(0, 0)
    turns = [*messages, {"role": "user", "content": user}]
    text = render(tokenizer, turns, add_generation_prompt=True, system=system, thinking=thinking)
    before, after = cut(tokenizer, text, [user]).pieces
    if system is None and not default_system:
        first, suffix = astuple(pre_query(tokenizer, thinking=thinking))
        if not before.startswith(first):
            raise TemplateError(
                f"the chat template of `{name_of(tokenizer)}` writes another beginning where there are more turns",
                hint='leave `--system ""` out',
            )
        before = _begin(tokenizer, first) + _user_header(tokenizer, first, suffix) + before[len(first) :]
    return PreQuery(before, after)


def _user_header(tokenizer: Any, before: str, suffix: str) -> str:
    """Return the header that opens a user turn, without what stands before it in the first turn (`before`).

    `suffix`: what stands behind a user's words.

    Between an answer and the next user turn stands the end of the answer, then the header. The first turn has the same
    header, perhaps without the blank lines that part it from an answer, so the common ending of the two is it.
    """
    end = answer_end(tokenizer)
    header = end.between[len(end.every) :]
    if not end.every:  # what ends earlier answers and users' turns, but no last answer (gpt-oss)
        ending = next((token for token in special_tokens(tokenizer) if suffix.startswith(token)), "")
        header = header.removeprefix(ending)
    length = len(common_prefix(before[::-1], header[::-1]))
    return before[len(before) - length :]


def _begin(tokenizer: Any, before: str) -> str:
    """Return the begin-of-text token where the template writes it, else nothing."""
    bos = tokenizer.bos_token
    return bos if bos and before.startswith(bos) else ""
