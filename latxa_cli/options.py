"""Flags: the one way to declare them, those that several verbs share, and `verb`, which makes a command of a function.

A flag is `Annotated[TYPE, flag("What it does.", metavar="N")]`. What has no effect without another flag, or beside it,
is said to `verb` as `needs` and `excludes`, and told before any work.
"""

from __future__ import annotations

import functools
import inspect
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from latxa_cli.stream.errors import UsageError
from latxa_cli.stream.formats import Format

if TYPE_CHECKING:
    from latxa_cli.generation.engine import EngineOptions
    from latxa_cli.stream.run import Makes, Run
else:
    Run = EngineOptions = Makes = Any  # what a verb is given; help need not wait for the modules


def flag(text: str, *names: str, metavar: str | None = None, **limits: Any) -> Any:
    """Declare a flag by its help; `names`: where they are not the parameter's; `limits`: `min`, `max`, `parser`.

    A default is shown behind the text. One that depends on something stands in the text: `[default: …]`.
    """
    return typer.Option(*names, help=text, metavar=metavar, **limits)


def argument(text: str, metavar: str) -> Any:
    """Declare what stands on the command line without a name."""
    return typer.Argument(help=text, metavar=metavar)


WRITTEN = "written by the run"
# The type of a flag that names a further output: guarded, opened and completed like the main one (`Run.file`).
OutputFile = Annotated[Path | None, WRITTEN]

# --- what every verb has: the fields of `stream.outputs.Destination`

Output = Annotated[Path | None, flag("Write here instead of to stdout.", "-o", "--output", metavar="FILE")]
OutputDirectory = Annotated[Path, flag("The directory to make.", "-o", "--output", metavar="DIR")]
Rejects = Annotated[
    Path | None, flag("Set malformed and rejected records aside here, each with its reason.", metavar="FILE")
]
Manifest = Annotated[Path | None, flag("Where to write the manifest. [default: beside the output]", metavar="FILE")]
Resume = Annotated[bool, flag("Continue an interrupted run; do nothing if it is complete.", "--resume")]
Quiet = Annotated[bool, flag("Say nothing but errors.", "--quiet", "-q")]
Verbose = Annotated[bool, flag("Say more.", "--verbose", "-v")]

# --- what several verbs have

Files = Annotated[list[str] | None, argument("JSONL (`.gz`, `.zst`), Parquet, `hf:NAME`, or `-`: stdin.", "FILE")]
Seed = Annotated[int, flag("Seed of every random draw.", min=0, max=2**63 - 1)]
Model = Annotated[str, flag("A model directory, or a name on the hub.", "--model", "-m", metavar="MODEL")]
Language = Annotated[str, flag("The language, as a BCP-47 code (`eu`, `cy`).", "--language", "-l", metavar="CODE")]
DryRun = Annotated[bool, flag("Say what would be done and what it would cost; do nothing.", "--dry-run")]
Take = Annotated[int | None, flag("Draw N records; fewer are a part of more.", metavar="N", min=1)]


def _size(text: str) -> int:
    from latxa_cli.stream.sizes import parse_size

    try:
        return parse_size(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


# typer takes flags with a parser for `Any`
Memory = Annotated[Any, flag("Memory to use, over all processes (`2GB`, `800MB`).", metavar="SIZE", parser=_size)]
Workers = Annotated[int | None, flag("Processes. [default: one a core]", metavar="N", min=1)]
ExecutorName = Annotated[
    Literal["local", "ray"],
    flag("`local`: this machine; `ray`: the running Ray cluster (shared file system).", "--executor"),
]
WorkFolder = Annotated[
    Path | None, flag("For intermediate files. [default: beside the output]", "--work", metavar="DIR")
]
ChatLoss = Annotated[
    list[str] | None,
    flag(
        "What is learnt of conversations, or of those of one source: `assistant` turns, or `all`; repeat it. "
        "[default: assistant]",
        metavar="[SOURCE=]LOSS",
    ),
]
ChatTemplate = Annotated[Path | None, flag("A chat template (Jinja) in place of the model's own.", metavar="FILE")]
BatchSize = Annotated[int | None, flag("Sequences at once. [default: what the engine does best]", min=1)]
Device = Annotated[str | None, flag("`cpu`, `cuda`, `cuda:1`. [default: a GPU if there is one]")]
TrustRemoteCode = Annotated[bool, flag("Run code that comes with the model.", "--trust-remote-code")]


def _shard(text: str) -> tuple[int, int]:
    index, slash, count = text.partition("/")
    if slash and index.isdecimal() and count.isdecimal() and int(index) < int(count):
        return int(index), int(count)
    raise typer.BadParameter(f"`{text}` is not `I/N` with 0 <= I < N")


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"`{text}` is not a day such as 2026-03-19") from None


Shard = Annotated[Any, flag("Do every N-th record, from the I-th (from 0).", metavar="I/N", parser=_shard)]

# --- what the verbs have that read votes

Criterion = StrEnum("Criterion", ["winner", "winner_content", "winner_language"])  # typer takes no list of a Literal
OneCriterion = Annotated[Criterion, flag("The field that says who won.", "--criterion")]
Criteria = Annotated[
    list[Criterion] | None, flag("The field that says who won; repeat it. [default: winner]", "--criterion")
]
Collapse = Annotated[bool, flag("Make `winner` of answers to three questions.", "--collapse")]
Since = Annotated[Any, flag("Leave out battles before a day (`timestamp`).", metavar="DATE", parser=_day)]
Until = Annotated[Any, flag("Leave out battles from a day on.", metavar="DATE", parser=_day)]
Exclude = Annotated[
    list[str] | None, flag("Leave battles out (`user=u7`, `model=m`); repeat it.", metavar="FIELD=VALUE")
]
MostPerUser = Annotated[int | None, flag("Leave out what a user votes beyond N.", metavar="N", min=1)]
TableFormat = Annotated[Format | None, flag("[default: table on a terminal, else jsonl]", "--format")]

# --- what several verbs have that draw texts from a model

Temperature = Annotated[float, flag("How freely to draw; 0: always the likeliest token.", min=0.0, max=100.0)]
TopP = Annotated[float, flag("Draw among the likeliest tokens of this total probability.", min=0.0, max=1.0)]
MaxTokens = Annotated[int, flag("Longest text that is written.", min=1, max=1 << 31)]
Thinking = Annotated[Literal["on", "off"] | None, flag("Whether a model that can is to think aloud before its answer.")]
InstructionLanguage = Annotated[
    str | None, flag("Keep instructions in this language only (`eu`).", "--language", "-l", metavar="CODE")
]
Skip = Annotated[list[str] | None, flag("Leave this filter out; repeat it.", metavar="FILTER")]
Tag = Annotated[
    list[str] | None,
    flag(
        "What the model is to say of each instruction: `quality`, `difficulty`, `category`, or a `.toml` file or "
        "folder; repeat it.",
        metavar="NAME|FILE",
    ),
]
Embedder = Annotated[str | None, flag("Reject what means the same to this model of sentences, too.", metavar="MODEL")]
Similarity = Annotated[
    float | None,
    flag("Cosine from which two instructions mean the same. [default: 0.975]", min=0.0, max=1.0),
]

# --- what every verb has that generates text: the fields of `generation.engine.EngineOptions`

EngineName = Annotated[
    str, flag("`transformers`, `vllm`, `openai` (a server), or `auto`: the best there is.", metavar="ENGINE")
]
BaseUrl = Annotated[str | None, flag("An OpenAI-compatible server (`http://host:8000/v1`).", metavar="URL")]
MaxCost = Annotated[
    float | None,
    flag(
        "The most that a run may spend (openai); needs `--engine-option price=PROMPT/COMPLETION`.",
        metavar="AMOUNT", min=0.0,
    ),
]  # fmt: skip
GpuMemory = Annotated[float | None, flag("How much of a GPU to take (vllm).", metavar="SHARE", min=0.01, max=1.0)]
EngineOption = Annotated[list[str] | None, flag("An option of the engine's own; repeat it.", metavar="KEY=VALUE")]

_ENGINE: dict[str, tuple[Any, Any]] = {
    "engine": (EngineName, "auto"),
    "batch_size": (BatchSize, None),
    "device": (Device, None),
    "gpu_memory": (GpuMemory, None),
    "base_url": (BaseUrl, None),
    "max_cost": (MaxCost, None),
    "engine_option": (EngineOption, None),
    "trust_remote_code": (TrustRemoteCode, False),
}

# Parameters that change how a verb works but not what it makes: `--resume` may go on with others.
WAYS_OF_WORKING = frozenset((
    "threads", "dry_run", "track", "workers", "executor", "memory", "work", "backend", "checkpoint_every", *_ENGINE,
)) - {"trust_remote_code"}  # fmt: skip

_DESTINATION: dict[str, tuple[Any, Any]] = {
    "output": (Output, None),
    "rejects": (Rejects, None),
    "manifest": (Manifest, None),
    "resume": (Resume, False),
    "quiet": (Quiet, False),
    "verbose": (Verbose, False),
}

# --- flags that have no effect without or beside others

# A parameter that was given on the command line, or (parameter, value): one that has this value, given or by default.
Given = str | tuple[str, object]


@dataclass(frozen=True)
class Condition:
    """What must hold among the flags of a verb: `given` needs one of `others`, or (`excludes`) bears none of them."""

    given: Given
    others: Sequence[Given]
    excludes: bool
    hint: str = ""


def needs(given: Given, *others: Given, hint: str = "") -> Condition:
    """Say that `given` has no effect unless one of `others` is given too."""
    return Condition(given, others, excludes=False, hint=hint)


def excludes(given: Given, *others: Given, hint: str = "") -> Condition:
    """Say that `given` does not go together with any of `others`."""
    return Condition(given, others, excludes=True, hint=hint)


def _check_conditions(context: typer.Context, conditions: Iterable[Condition], values: dict[str, Any]) -> None:
    """Raise UsageError where a condition does not hold among the flags that a command was called with."""
    names = {parameter.name: (parameter.opts or [""])[0] for parameter in context.command.params}

    def holds(what: Given) -> bool:
        if isinstance(what, str):
            source = context.get_parameter_source(what)
            return source is not None and source.name != "DEFAULT" and values[what] not in (None, [])
        return bool(values[what[0]] == what[1])

    def shown(what: Given) -> str:
        return f"`{names[what]}`" if isinstance(what, str) else f"`{names[what[0]]} {what[1]}`"

    for condition in conditions:
        if not holds(condition.given):
            continue
        first, others = shown(condition.given), [other for other in condition.others if holds(other)]
        if condition.excludes and others:
            raise UsageError(f"{first} and {shown(others[0])} do not go together", hint=condition.hint)
        if not condition.excludes and not others:
            raise UsageError(f"{first} needs {' or '.join(map(shown, condition.others))}", hint=condition.hint)


_OF_EVERY_VERB = (needs("resume", "output", hint="what went to stdout cannot be continued"),)


def verb(
    function: Callable[..., None] | None = None,
    *,
    makes: Makes = "records",
    generates: bool = False,
    distributed: bool = False,
    conditions: Sequence[Condition] = (),
) -> Any:
    """Make a command of `function(run, ...)`: add the flags that every verb has, open the run, and complete it.

    `makes`: see `stream.run.Run`; a verb that makes a directory requires `-o DIR`. `generates`: add the flags of the
    engines, and give the function the `EngineOptions` that they make as `engine`. `distributed`: several processes may
    run the verb together, of which the first one alone owns the output and talks. `conditions`: what must hold among
    the flags. When `--resume` finds the output complete, the function is not called, so that its heavy libraries are
    not loaded.
    """
    if function is None:
        return functools.partial(verb, makes=makes, generates=generates, distributed=distributed, conditions=conditions)
    body, name = function, function.__name__.rstrip("_").replace("_", "-")

    @functools.wraps(body)
    def command(**given: Any) -> None:
        from latxa_cli.stream.outputs import Destination
        from latxa_cli.stream.run import Run

        _check_conditions(given.pop("context"), (*_OF_EVERY_VERB, *conditions), given)
        written = {f"--{flag.replace('_', '-')}": given[flag] for flag in further if given[flag] is not None}
        destination = Destination(**{flag: given.pop(flag) for flag in _DESTINATION}, further=written)
        settings = {flag: value for flag, value in given.items() if flag not in WAYS_OF_WORKING}
        follows = distributed and _is_beside_the_first()
        if follows:
            destination = Destination(destination.output, resume=destination.resume, quiet=True)
        run = Run(name, destination, settings, makes=makes, follows=follows)
        if generates:
            from latxa_cli.generation.engine import EngineOptions

            flags = {flag: given.pop(flag) for flag in _ENGINE}
            key = os.environ.get("OPENAI_API_KEY")
            given["engine"] = EngineOptions(**flags, verbose=destination.verbose, api_key=key)
        if given.get("dry_run"):
            with run.terminal:
                body(run, **given)
        elif not run.is_complete():
            with run:
                body(run, **given)

    own = list(inspect.signature(body, eval_str=True).parameters.values())[1:]
    further = [parameter.name for parameter in own if WRITTEN in getattr(parameter.annotation, "__metadata__", ())]
    kinds = (
        {**_DESTINATION, "output": (OutputDirectory, inspect.Parameter.empty)} if makes == "directory" else _DESTINATION
    )
    own = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in own]
    if generates:
        place = [parameter.name for parameter in own].index("engine")
        own[place : place + 1] = _flags(_ENGINE)
    context = inspect.Parameter("context", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context)
    parameters = [context, *own, *_flags(kinds)]
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    del command.__wrapped__  # type: ignore[attr-defined]  # typer must see this signature, not the body's
    return command


def _is_beside_the_first() -> bool:
    from latxa_cli.launch import find

    return find().rank > 0


def _flags(hints: dict[str, tuple[Any, Any]]) -> list[inspect.Parameter]:
    return [
        inspect.Parameter(flag, inspect.Parameter.KEYWORD_ONLY, annotation=hint, default=default)
        for flag, (hint, default) in hints.items()
    ]
