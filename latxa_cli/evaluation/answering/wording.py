"""The harness's requests as requests to an engine: conversations, ends of answers, and room for thoughts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from latxa_cli.generation.engine import Completion, Decoding
from latxa_cli.stream.errors import LatxaError

HARNESS_TOKENS = 256  # of an answer, where the task says nothing
THOUGHTS = 4096  # tokens that a model may think aloud beyond its answer's
# How tasks call the most tokens of an answer; and settings that have no effect on greedy decoding.
LIMITS = ("max_gen_toks", "max_new_tokens", "max_tokens", "max_completion_tokens")
IGNORED = frozenset(("do_sample", "temperature", "top_p", "top_k", "min_p", "until", "typical_p", *LIMITS))

Message = dict[str, str]


class ChatText(str):
    """A conversation on its way through the harness, which takes it for a text: for people, with the `messages`."""

    messages: tuple[Message, ...]

    def __new__(cls, text: str, messages: Sequence[Message]) -> ChatText:
        self = super().__new__(cls, text)
        self.messages = tuple(messages)
        return self

    def __str__(self) -> str:
        return self  # `str` of a text that is one already keeps the messages

    @classmethod
    def plain(cls, messages: Sequence[Message]) -> ChatText:
        """Return the conversation in words of our own, where a server keeps its template to itself."""
        return cls("\n\n".join(f"{turn['role']}: {turn['content']}" for turn in messages), messages)


@dataclass(frozen=True)
class Manner:
    """How a run has models answer.

    - thinking: whether they are told to think aloud; None for what they do of their own accord.
    - max_tokens: the most tokens of an answer, its thoughts included; None for the task's number, and room for thoughts
      where the model thinks or may.
    """

    thinking: bool | None = None
    max_tokens: int | None = None

    def facts(self) -> dict[str, str | int]:
        """Return what a result says of it, where it was said."""
        told: dict[str, str | int] = {} if self.thinking is None else {"thinking": "on" if self.thinking else "off"}
        return told | ({} if self.max_tokens is None else {"max_tokens": self.max_tokens})


class Wording(NamedTuple):
    """How a text is written, and the strings by which it ends where the engine is not to know them."""

    decoding: Decoding
    ends: tuple[str, ...]


def wording(settings: Mapping[str, Any], task: str, manner: Manner, *, thinks: bool, exact: bool) -> Wording:
    """Return how to write an answer.

    Args:
        settings: the `generation_kwargs` of the task.
        task: its name.
        manner: as of the run.
        thinks: whether the model thinks aloud, or may: then a string that ends an answer must not end a thought.
        exact: the task's number of tokens is part of its recipe, and no room is given beyond.

    Raises:
        LatxaError: the task decodes in a way that engines do not have.
    """
    odd = sorted(
        name for name, value in settings.items() if name not in IGNORED and value not in (None, False, 1, 1.0, 0)
    )
    if odd:
        raise LatxaError(
            f"the task `{task}` sets `{odd[0]}`, which engines do not have", hint="`--engine transformers` does it"
        )
    given = settings.get("until") or ()
    until = tuple(end for end in ([given] if isinstance(given, str) else given) if end)
    own = next((int(settings[name]) for name in LIMITS if settings.get(name) is not None), HARNESS_TOKENS)
    most = manner.max_tokens or (own + THOUGHTS if thinks and not exact else own)
    draws = bool(settings.get("do_sample", float(settings.get("temperature") or 0.0) > 0.0))
    temperature = float(settings.get("temperature") or 1.0) if draws else 0.0
    top_p = float(settings.get("top_p") or 1.0) if draws else 1.0
    stop = () if thinks else until
    return Wording(Decoding(most, temperature, top_p, stop), until if thinks else ())


def ended(completion: Completion, ends: Sequence[str]) -> Completion:
    """Return a completion whose text goes on to the first of `ends` at most."""
    places = [place for end in ends if (place := completion.text.find(end)) >= 0]
    if not places:
        return completion
    reason = "stop" if completion.finish_reason == "length" else completion.finish_reason
    return replace(completion, text=completion.text[: min(places)], finish_reason=reason)  # type: ignore[arg-type]
