"""Magpie: an instruct model, given only what its template writes before a user's first word, writes the instruction.

Then it answers it. The method is Magpie's; *Instructing Large Language Models for Low-Resource Languages*
(arXiv 2506.07597) draws its English instructions in this way. The text before the user's first word is derived from
the model's own chat template.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from latxa_cli.chat import PreQuery
from latxa_cli.generation.engine import Completion, Decoding, Engine, Request
from latxa_cli.generation.flow import Talk, converse
from latxa_cli.stream.records import Outcome, Record, Reject, keyed_hash


@dataclass(frozen=True, slots=True)
class Magpie:
    """What to draw: the texts round the instruction, how to decode both turns, and what the records say of it."""

    query: PreQuery
    instruction: Decoding
    answer: Decoding
    seed: int
    model: str
    markers: frozenset[str]  # the special tokens, as they are written
    system: str | None = None


def draw(draws: Iterable[int], engine: Engine, magpie: Magpie) -> Iterator[Outcome]:
    """Yield one conversation, or reject, for each number of `draws`; it depends on the seed and that number alone."""

    def talk(number: int) -> Talk:
        query = magpie.query
        (instruction,) = yield [Request(magpie.instruction, _seed(magpie, number, "instruction"), query.prefix)]
        if _unfit(instruction, magpie):
            return _outcome(number, instruction, None, magpie)
        prompt = query.prefix + instruction.text.strip() + query.suffix
        (answer,) = yield [Request(magpie.answer, _seed(magpie, number, "answer"), prompt)]
        return _outcome(number, instruction, answer, magpie)

    return converse(engine, draws, talk)


def _seed(magpie: Magpie, number: int, turn: str) -> int:
    return keyed_hash(magpie.seed, "magpie", number, turn)


def _unfit(completion: Completion, magpie: Magpie) -> str:
    """Return what is wrong with a text, or the empty string."""
    if completion.finish_reason == "length":
        return "unfinished"
    if any(marker in completion.text for marker in magpie.markers):
        return "special token in the"
    return "" if completion.text.strip() else "empty"


def _outcome(number: int, instruction: Completion, answer: Completion | None, magpie: Magpie) -> Outcome:
    messages: list[dict[str, Any]] = [{"role": "user", "content": instruction.text.strip()}]
    if magpie.system is not None:
        messages.insert(0, {"role": "system", "content": magpie.system})
    record: Record = {
        "id": f"magpie-{magpie.model}-{magpie.seed}-{number}",
        "messages": messages,
        "metadata": {"method": "magpie", "model": magpie.model, "seed": magpie.seed, "draw": number},
    }
    if answer is None:
        return Reject(record, f"{_unfit(instruction, magpie)} instruction")
    messages.append({"role": "assistant", "content": answer.text.strip()})
    record["metadata"] |= {
        "finish_reason": answer.finish_reason,
        "instruction_tokens": instruction.completion_tokens,
        "answer_tokens": answer.completion_tokens,
    }
    if answer.finish_reason == "too long":
        return Reject(record, "instruction longer than the context")
    if unfit := _unfit(answer, magpie):
        return Reject(record, f"{unfit} answer")
    return record
