"""The protocol of text generation, and the choice of an engine.

An engine takes requests and gives completions as they finish, in any order; `flow` makes conversations of them. A
request's random draws depend on its `seed` alone, never on its neighbours in a batch, so that a resumed or sharded run
draws what one run would.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Literal, Protocol

from latxa_cli.model import check
from latxa_cli.stream.errors import LatxaError, UsageError, nearest

FinishReason = Literal["stop", "length", "too long", "refused"]


@dataclass(frozen=True, slots=True)
class Decoding:
    """How to continue a text: `temperature` 0 takes the likeliest token; `stop` strings end it and are cut off."""

    max_tokens: int = 512
    temperature: float = 0.0
    top_p: float = 1.0
    stop: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, float]:
        """Return what a manifest says of it; where a text ends is not the user's to say."""
        return {"max_tokens": self.max_tokens, "temperature": self.temperature, "top_p": self.top_p}


@dataclass(frozen=True, slots=True)
class Request:
    """What to continue, one of three.

    `prompt`: what a chat template wrote, read as it is: its special tokens are those tokens, and none is added.
    `messages`: a conversation for the chat template, which is told whether the model is to think aloud (`thinking`).
    `text`: plain text. A model that begins its texts with a token gets it, as in training; what merely spells a special
    token is read as its letters.
    """

    decoding: Decoding
    seed: int = 0
    prompt: str | None = None
    messages: tuple[dict[str, str], ...] | None = None
    thinking: bool | None = None
    text: str | None = None


@dataclass(frozen=True, slots=True)
class Completion:
    """What came of a request: the text without the token or string that ended it, why it ended, and token counts.

    `finish_reason`: "stop" (ended by itself), "length" (cut off), "too long" (the prompt does not fit the context),
    "refused" (by the chat template; `text` says why). `thought`: what the model thought aloud before it answered
    `messages`, which `text` does not repeat.
    """

    text: str
    finish_reason: FinishReason
    prompt_tokens: int
    completion_tokens: int
    thought: str = ""


class Engine(Protocol):
    """What every adapter offers. `tokenizer` is a transformers tokenizer, or None where a server keeps it to itself."""

    tokenizer: Any
    window: int  # requests that keep the engine busy

    @property
    def prompt_tokens(self) -> int:
        """Tokens of the prompts of all that was completed so far."""
        ...

    @property
    def completion_tokens(self) -> int:
        """Tokens that were written so far."""
        ...

    def generate(self, requests: Iterable[Request | None]) -> Iterator[tuple[int, Completion]]:
        """Yield (position of the request, completion) as they finish; requests are pulled as the engine needs them.

        None among the requests says that there is none before another completion: the engine then gives one before it
        pulls again. Positions do not count it.
        """
        ...

    def facts(self) -> dict[str, Any]:
        """Return model, revision, engine, version, dtype, and whether results are `batch_invariant`, for manifests.

        An engine is batch invariant when a text never depends on the others in its batch, not even in the last digits
        of the numbers that decide between two tokens.
        """
        ...


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """What the user may say about the engine. None: what the engine does best; `engine_option`: `KEY=VALUE` each.

    `max_cost`: the most to spend, in the currency of the engine's `price`; `verbose`: show what the engine says.
    """

    engine: str = "auto"
    batch_size: int | None = None
    device: str | None = None
    gpu_memory: float | None = None
    base_url: str | None = None
    max_cost: float | None = None
    engine_option: tuple[str, ...] | list[str] | None = None
    trust_remote_code: bool = False
    verbose: bool = False
    api_key: str | None = field(default=None, repr=False)


# name → (module with `load(model, options)`, library that it needs, extra that brings the library)
ENGINES = {
    "transformers": ("latxa_cli.generation.transformers", "transformers", ""),
    "vllm": ("latxa_cli.generation.vllm", "vllm", "vllm"),
    "openai": ("latxa_cli.generation.openai", "aiohttp", ""),
}


def open_engine(model: str, options: EngineOptions) -> Engine:
    """Load `model` into the engine that `options` names, or (`auto`) into the best one that this machine has.

    Raises UsageError for an unknown engine or a flag that is another engine's, LatxaError for one that is not installed
    or a model that cannot be loaded.
    """
    name = _chosen(options)
    if name not in ENGINES:
        raise UsageError(f"there is no engine `{name}`", hint=nearest(name, ["auto", *ENGINES]))
    module, library, extra = ENGINES[name]
    if find_spec(library) is None:
        package = f"latxa-cli[{extra}]" if extra else "latxa-cli"
        raise LatxaError(f"the engine `{name}` is not installed", hint=f"pip install '{package}'")
    if name != "openai":  # there the model is the server's
        for flag, given in (("--base-url", options.base_url), ("--max-cost", options.max_cost)):
            if given is not None:
                raise UsageError(
                    f"`{flag}` goes with `--engine openai`", hint="`--base-url URL` and no other `--engine`"
                )
        check(model)  # before the library is imported, which takes seconds
    engine: Engine = import_module(module).load(model, options)
    return engine


def _chosen(options: EngineOptions) -> str:
    if options.engine != "auto":
        return options.engine
    if options.base_url is not None:
        return "openai"
    if options.device == "cpu" or find_spec("vllm") is None:
        return "transformers"
    import torch

    # A count, not `is_available`: vLLM forks this process, in which CUDA must not have been touched.
    return "vllm" if torch.cuda.device_count() else "transformers"


def engine_options(given: Sequence[str] | None, known: Mapping[str, Callable[[str], Any]]) -> dict[str, Any]:
    """Return the values of `KEY=VALUE` options by key, each made by the key's type in `known`.

    A type is `str`, `int`, `float`, `bool` (`true` or `false`), or a function of the text that raises ValueError, whose
    message ends the sentence "`VALUE` is not …".

    Raises UsageError for what is not `KEY=VALUE`, a key that is not known or given twice, a value of the wrong type.
    """
    values: dict[str, Any] = {}
    for option in given or ():
        key, equals, text = option.partition("=")
        if not equals:  # it may be a secret: not shown
            raise UsageError("an `--engine-option` is not `KEY=VALUE`", hint="known: " + ", ".join(sorted(known)))
        if key not in known:
            raise UsageError(f"the engine has no option `{key}`", hint=nearest(key, sorted(known)))
        if key in values:
            raise UsageError(f"`--engine-option {key}` is given twice", hint="leave one of them out")
        kind = known[key]
        try:
            values[key] = _truth(text) if kind is bool else kind(text)
        except ValueError as error:
            what = {int: "a whole number", float: "a number"}.get(kind, str(error))  # type: ignore[call-overload]
            raise UsageError(f"`--engine-option {key}`: `{text}` is not {what}") from None
    return values


def _truth(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise ValueError("`true` or `false`")
    return text.lower() == "true"


def gathered(requests: Iterable[Request | None], size: int) -> Iterator[list[tuple[int, Request]]]:
    """Yield the requests with their positions in lists of `size`, or fewer where others come only after these."""
    iterator = iter(requests)
    place, more = 0, True
    while more:
        batch: list[tuple[int, Request]] = []
        more = False
        for request in iterator:
            if request is not None:
                batch.append((place, request))
                place += 1
            if request is None or len(batch) == size:
                more = True
                break
        if batch:
            yield batch
