"""Answers to prompts, for evaluation and for arenas: one response record for each prompt, good or bad.

No answer is filtered: a model that stays silent or never ends must lose its battles, not skip them. Rejected are only
prompts that the model cannot be given (too long, refused by its chat template or its server, or spelling its special
tokens), and answers that a server's content filter ended.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from latxa_cli.generation.engine import Completion, Decoding, Engine, Request
from latxa_cli.generation.flow import Exchange, converse
from latxa_cli.generation.speaker import Speaker
from latxa_cli.stream.records import Outcome, Record, Reject, keyed_hash


def respond(
    prompts: Iterable[Record],
    engine: Engine,
    decoding: Decoding,
    speaker: Speaker,
    *,
    seed: int,
) -> Iterator[Outcome]:
    """Yield a response by the speaker for each prompt record; other fields of the prompt (`reference`, …) stay."""

    def exchange(prompt: Record) -> Exchange:
        if marker := _spelt(prompt, speaker.markers):  # the model would take it for the end of a turn or the like
            return Reject(prompt, "special token in the prompt", marker)
        seed_of_prompt = keyed_hash(seed, "respond", prompt["id"])
        (completion,) = yield [
            Request(decoding, seed_of_prompt, messages=tuple(_turns(prompt)), thinking=speaker.thinking)
        ]
        return _outcome(prompt, completion, seed, speaker.name)

    return converse(engine, prompts, exchange)


def _spelt(prompt: Record, markers: frozenset[str]) -> str:
    """Return the first special token that a message spells, or the empty string."""
    contents = [message["content"] for message in _turns(prompt)]
    return next((marker for marker in sorted(markers) if any(marker in content for content in contents)), "")


def _turns(prompt: Record) -> list[Record]:
    messages: list[Record] = prompt.get("messages") or [{"role": "user", "content": prompt["prompt"]}]
    return messages


def _outcome(prompt: Record, completion: Completion, seed: int, model: str) -> Outcome:
    if completion.finish_reason == "too long":
        return Reject(
            prompt,
            "prompt longer than the context",
            f"{completion.prompt_tokens} tokens" if completion.prompt_tokens else "",
        )
    if completion.finish_reason == "refused":
        return Reject(prompt, "refused by the chat template", completion.text)
    if completion.failure:
        return Reject(prompt, completion.failure, completion.text)
    rest = {
        name: value for name, value in prompt.items() if name not in ("id", "messages", "prompt", "model", "metadata")
    }
    answer = {"role": "assistant", "content": completion.text.strip()}
    told = {
        "method": "respond",
        "seed": seed,
        "finish_reason": completion.finish_reason,
        "tokens": completion.completion_tokens,
        **({"thinking": completion.thought} if completion.thought else {}),
    }
    return {
        "id": prompt["id"],
        "messages": [*_turns(prompt), answer],
        "model": model,
        **rest,
        "metadata": {**(prompt.get("metadata") or {}), **told},
    }
