"""Exactly one BOS: a server's own count of a prompt's tokens, against that of the model's tokenizer.

An engine that runs the model itself is given tokens, and needs no proof.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from latxa_cli.evaluation.answering.wording import Manner
from latxa_cli.evaluation.scoring.encoding import SAMPLE, Encoder
from latxa_cli.generation.engine import Completion, Decoding, Request
from latxa_cli.stream.errors import LatxaError

if TYPE_CHECKING:
    from latxa_cli.evaluation.answering.model import EngineModel


def prove_beginning(model: EngineModel, say: Callable[[str], None], *, chat: bool) -> bool:
    """Prove with one short request that a server's prompts begin with BOS as often as the model knows it.

    Returns whether it is proven; `say` is told why it is not.

    Raises:
        LatxaError: the server puts BOS before a prompt once too often, or leaves it out.
    """
    engine, name = model.engine, model.engine.facts()["model"]
    if model.tokenizer is None:
        say(
            f"`{name}`: that prompts begin with BOS once is not proven: the server keeps its tokenizer to itself; "
            "`--engine-option tokenizer=MODEL` names one"
        )
        return False
    text, expected = _expected(model, model.manner, chat=chat)
    message = {"role": "user", "content": SAMPLE}
    request = Request(
        Decoding(1),
        messages=(message,) if chat else None,
        thinking=model.manner.thinking if chat else None,
        text=None if chat else text,
    )
    ((_, completion),) = engine.generate(iter([request]))
    if completion.finish_reason == "failed":
        raise LatxaError(completion.text)
    return _compare(name, completion, expected, len(_encoder(model).beginning), say)


def _expected(model: EngineModel, manner: Manner, *, chat: bool) -> tuple[str, int]:
    """Return a prompt, and how many tokens it has with one BOS where the tokenizer begins texts with it."""
    from latxa_cli.chat.rendering import render

    text = SAMPLE
    if chat:
        message = {"role": "user", "content": SAMPLE}
        text = render(model.tokenizer, [message], add_generation_prompt=True, thinking=manner.thinking)
    return text, len(_encoder(model).texts([text])[0])


def _encoder(model: EngineModel) -> Encoder:
    return Encoder(model.tokenizer, 0)


def _compare(name: str, completion: Completion, expected: int, size: int, say: Callable[[str], None]) -> bool:
    found = completion.prompt_tokens
    if found == expected:
        return True
    if size and found == expected + size:
        raise LatxaError(
            f"the server of `{name}` begins prompts with BOS twice: {found} tokens, and its tokenizer has {expected}",
            hint="does its chat template write BOS, and the server once more? That moves results by points",
        )
    if size and found == expected - size:
        raise LatxaError(
            f"the server of `{name}` begins prompts without BOS: {found} tokens, and its tokenizer has {expected}",
            hint="does its chat template leave BOS out? That moves results by points",
        )
    counted = f"it counts {found} tokens, and the tokenizer {expected}" if found else "it counts no tokens"
    say(f"`{name}`: that the server's prompts begin with BOS once is not proven: {counted}")
    return False
