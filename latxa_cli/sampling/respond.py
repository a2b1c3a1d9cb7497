"""Answers to prompts, for evaluation and for arenas: one response record for each prompt, good or bad.

Nothing is filtered: a model that stays silent or never ends must lose its battles, not skip them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from latxa_cli.generation.engine import Completion, Decoding, Engine, Request, in_order, windows
from latxa_cli.stream.records import Outcome, Record, Reject, keyed_hash


def respond(
    prompts: Iterable[Record], engine: Engine, decoding: Decoding, *, seed: int, model: str
) -> Iterator[Outcome]:
    """Yield a response by `model` for each prompt record; other fields of the prompt (`reference`, …) stay."""
    for window in windows(prompts, engine.window):
        requests = [
            Request(decoding, keyed_hash(seed, "respond", prompt["id"]), messages=tuple(_turns(prompt)))
            for prompt in window
        ]
        for prompt, completion in zip(window, in_order(engine.generate(requests)), strict=True):
            yield _outcome(prompt, completion, seed, model)


def _turns(prompt: Record) -> list[Record]:
    messages: list[Record] = prompt.get("messages") or [{"role": "user", "content": prompt["prompt"]}]
    return messages


def _outcome(prompt: Record, completion: Completion, seed: int, model: str) -> Outcome:
    if completion.finish_reason == "too long":
        return Reject(prompt, "prompt longer than the context", f"{completion.prompt_tokens} tokens")
    rest = {
        name: value for name, value in prompt.items() if name not in ("id", "messages", "prompt", "model", "metadata")
    }
    answer = {"role": "assistant", "content": completion.text.strip()}
    told = {
        "method": "respond",
        "seed": seed,
        "finish_reason": completion.finish_reason,
        "tokens": completion.completion_tokens,
    }
    return {
        "id": prompt["id"],
        "messages": [*_turns(prompt), answer],
        "model": model,
        **rest,
        "metadata": {**(prompt.get("metadata") or {}), **told},
    }
