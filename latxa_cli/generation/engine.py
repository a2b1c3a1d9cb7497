"""The protocol of text generation, and the choice of an engine.

An engine takes requests and gives completions as they finish, in any order; `flow` makes conversations of them. A
request's random draws depend on its `seed` alone, never on its neighbours in a batch, so that a resumed or sharded run
draws what one run would.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import date
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Literal, NamedTuple, Protocol

from latxa_cli.model import check
from latxa_cli.stream.errors import LatxaError, UsageError, nearest
from latxa_cli.stream.named import named_value, named_values

FinishReason = Literal["stop", "length", "too long", "refused", "filtered", "failed"]
FAILURES = {"filtered": "stopped by the content filter", "failed": "request failed"}  # as reasons of rejects


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

    `schema`: the JSON schema that the text is to obey. Engines that constrain decoding (`Engine.constrains`) see to it;
    for others it is a wish, unless it allows enumerations alone, which engines that run the model themselves see to.

    `tokens`: the prompt as the caller has read it, which an engine that runs the model itself takes as it is.

    `choices`: single letters of which an engine that weighs (`Engine.weighs`) says how likely each is to come next,
    and `choice_tokens` the same as tokens; the decoding then is of one token.
    """

    decoding: Decoding
    seed: int = 0
    prompt: str | None = None
    messages: tuple[dict[str, str], ...] | None = None
    thinking: bool | None = None
    text: str | None = None
    schema: Mapping[str, Any] | None = None
    tokens: tuple[int, ...] | None = None
    choices: tuple[str, ...] = ()
    choice_tokens: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Completion:
    """What came of a request: the text without the token or string that ended it, why it ended, and token counts.

    `finish_reason`:

    - "stop": ended by itself; "length": cut off;
    - "too long": the prompt does not fit the context;
    - "refused": by the chat template; `text` says why;
    - "filtered": a server's content filter ended it;
    - "failed": the engine cannot answer this request, though perhaps others; `text` says why.

    `thought`: what the model thought aloud before it answered `messages`, which `text` does not repeat.
    `likelihoods`: the log-probability of each of the request's `choices`; None where it is not among those that a
    server tells.
    """

    text: str
    finish_reason: FinishReason
    prompt_tokens: int
    completion_tokens: int
    thought: str = ""
    likelihoods: tuple[float | None, ...] = ()

    @property
    def failure(self) -> str:
        """Why this is no text by the model, as the reason of a reject; the empty string where it is one."""
        return FAILURES.get(self.finish_reason, "")


class Engine(Protocol):
    """What every adapter offers. `tokenizer` is a transformers tokenizer, or None where a server keeps it to itself."""

    tokenizer: Any
    window: int  # requests that keep the engine busy
    context: int | None  # the most tokens of a prompt and its completion together, where that is known
    constrains: bool  # whether it can keep a text to any JSON schema
    weighs: bool  # whether it can say how likely each of a request's `choices` is

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

    `max_cost`: the most to spend, in the currency of the engine's `price`; `verbose`: show what the engine says; `say`:
    tells people what they wait for; `day`: what chat templates take for today.
    """

    engine: str = "auto"
    batch_size: int | None = None
    device: str | None = None
    gpu_memory: float | None = None
    base_url: str | None = None
    max_cost: float | None = None
    engine_option: tuple[str, ...] | list[str] | None = field(default=None, repr=False)  # perhaps with a secret
    trust_remote_code: bool = False
    verbose: bool = False
    day: date | None = None
    api_key: str | None = field(default=None, repr=False)
    say: Callable[[str], None] = field(default=lambda text: None, repr=False)

    def on(self, day: date) -> EngineOptions:
        """Return the options of an engine whose chat templates take `day` for today."""
        return replace(self, day=day)


class Adapter(NamedTuple):
    """An engine: its module with `load(model, options)`, the library that it needs, the extra that brings the library,
    and the fields of `EngineOptions` that have an effect with it."""

    module: str
    library: str
    extra: str
    takes: frozenset[str]


ENGINES = {
    "transformers": Adapter(
        "latxa_cli.generation.transformers", "transformers", "",
        frozenset(("batch_size", "device", "trust_remote_code")),
    ),
    "vllm": Adapter(
        "latxa_cli.generation.vllm", "vllm", "vllm",
        frozenset(("batch_size", "device", "gpu_memory", "engine_option", "trust_remote_code")),
    ),
    "openai": Adapter(
        "latxa_cli.generation.openai", "aiohttp", "",
        frozenset(("batch_size", "base_url", "max_cost", "engine_option", "trust_remote_code")),
    ),
}  # fmt: skip
OF_ENGINES = frozenset[str]().union(*(adapter.takes for adapter in ENGINES.values()))


def open_engine(model: str, options: EngineOptions) -> Engine:
    """Load `model` into the engine that `options` names, or (`auto`) into the best one that this machine has.

    Raises UsageError for an unknown engine or a flag that is another engine's, LatxaError for one that is not installed
    or a model that cannot be loaded.
    """
    name = settled(options).engine
    adapter = ENGINES[name]
    if find_spec(adapter.library) is None:
        package = f"latxa-cli[{adapter.extra}]" if adapter.extra else "latxa-cli"
        raise LatxaError(f"the engine `{name}` is not installed", hint=f"pip install '{package}'")
    if name != "openai":  # there the model is the server's
        check(model)  # before the library is imported, which takes seconds
    engine: Engine = import_module(adapter.module).load(model, options)
    return engine


def settled(options: EngineOptions, best: str | None = None) -> EngineOptions:
    """Return the options with the name of an engine in place of `auto`, checked against the other flags.

    `best`: what `auto` is where no server is named, for verbs that know better than `open_engine`.

    Raises UsageError as `open_engine` does.
    """
    automatic = options.engine == "auto" and options.base_url is None
    name = best if best and automatic else _chosen(options)
    if name not in ENGINES:
        raise UsageError(f"there is no engine `{name}`", hint=nearest(name, ["auto", *ENGINES]))
    _check_flags(name, options)
    return replace(options, engine=name)


def _check_flags(name: str, options: EngineOptions) -> None:
    """Raise UsageError for a flag that has no effect with the engine of this name, or that it cannot do without."""
    for option in fields(EngineOptions):
        given = getattr(options, option.name) not in (None, False, [], ())
        if given and option.name in OF_ENGINES - ENGINES[name].takes:
            flag = f"--{option.name.replace('_', '-')}"
            others = " and ".join(f"`{other}`" for other, adapter in ENGINES.items() if option.name in adapter.takes)
            raise UsageError(f"`{flag}` has no effect with the engine `{name}`", hint=f"it is for {others}")
    if name == "openai" and options.base_url is None:
        raise UsageError("`--engine openai` needs `--base-url`", hint="such as `--base-url http://localhost:8000/v1`")


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
    message says what the text is not.

    Raises UsageError for what is not `KEY=VALUE`, a key that is not known or given twice, a value of the wrong type.
    """
    flag, form = "--engine-option", "KEY=VALUE"
    if any("=" not in option for option in given or ()):  # it may be a secret: not shown
        raise UsageError(f"an `{flag}` is not `{form}`", hint="known: " + ", ".join(sorted(known)))
    texts = named_values(flag, given or (), form, lambda text: text)
    for key in texts:
        if key not in known:
            raise UsageError(f"the engine has no option `{key}`", hint=nearest(key, sorted(known)))
    return {key: named_value(flag, f"{key}={text}", form, _reader(known[key]))[1] for key, text in texts.items()}


def _reader(kind: Callable[[str], Any]) -> Callable[[str], Any]:
    """Return what makes a value of a text, and says what the text is not."""
    whats: dict[Any, str] = {int: "a whole number", float: "a number"}

    def read(text: str) -> Any:
        try:
            return _truth(text) if kind is bool else kind(text)
        except ValueError as error:
            raise ValueError(f"not {whats.get(kind) or error}") from None

    return read


def _truth(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise ValueError("`true` or `false`")
    return text.lower() == "true"


def windows(
    requests: Iterable[Request | None], size: int, first: int | None = None
) -> Iterator[list[tuple[int, Request]]]:
    """Yield the requests with their positions in lists of `size`, or fewer where others come only after these.

    first: the size of the first two lists, each one after them being twice as long: what waits for the first records,
    as the next command in a pipe, has them soon. Two, because records are often a question and an answer.
    """
    iterator, room, made = iter(requests), first or size, 0
    place, more = 0, True
    while more:
        batch: list[tuple[int, Request]] = []
        more = False
        for request in iterator:
            if request is not None:
                batch.append((place, request))
                place += 1
            if request is None or len(batch) >= room:
                more = True
                break
        if batch:
            yield batch
            made += 1
            room = min(room * (1 if made < 2 else 2), size)
