"""Flags: the one way to declare them, the flags that verbs share, and `verb`, which makes a command of a function.

A flag is `Annotated[TYPE, flag("What it does.", metavar="N")]`. `verb` takes conditions (`needs`, `excludes`) for flags
that have no effect without another flag, or beside it. It checks them before any work.
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

from latxa_cli.stream.display import Format
from latxa_cli.stream.errors import UsageError

if TYPE_CHECKING:
    from latxa_cli.generation.engine import EngineOptions
    from latxa_cli.stream.run import Makes, Run
else:
    Run = EngineOptions = Makes = Any  # help must not wait for these modules


def flag(text: str, *names: str, metavar: str | None = None, **limits: Any) -> Any:
    """Declare a flag.

    Args:
        text: its help. Typer adds a fixed default; one that depends on something stands in the text: `[default: …]`.
        names: its names, if they are not the parameter's.
        metavar: the word for its value; by default `N` for a whole number with a limit, and `X` for another number.
        limits: `min`, `max`, `parser`.
    """
    if metavar is None and "min" in limits:
        metavar = "N" if isinstance(limits["min"], int) else "X"
    return typer.Option(*names, help=text, metavar=metavar, **limits)


def argument(text: str, metavar: str) -> Any:
    """Declare an argument without a name."""
    return typer.Argument(help=text, metavar=metavar)


MOST = 2**63 - 1  # the largest whole number that manifests and checkpoints hold
WRITTEN = "written by the run"
# The type of a flag that names a further output: guarded, opened and completed like the main one (`Run.file`).
OutputFile = Annotated[Path | None, WRITTEN]

# --- flags of every verb: the fields of `stream.outputs.Destination`

Output = Annotated[Path | None, flag("Write here instead of to stdout.", "-o", "--output", metavar="FILE")]
OutputDirectory = Annotated[Path, flag("The directory to make.", "-o", "--output", metavar="DIR")]
OutputAppended = Annotated[Path, flag("Add to this file, record by record.", "-o", "--output", metavar="FILE")]
Rejects = Annotated[Path | None, flag("Write malformed and rejected records here, with reasons.", metavar="FILE")]
Manifest = Annotated[Path | None, flag("Write the manifest here. [default: beside the output]", metavar="FILE")]
Resume = Annotated[bool, flag("Continue an interrupted run; do nothing if it is complete.", "--resume")]
Quiet = Annotated[bool, flag("Show errors only.", "--quiet", "-q")]
Verbose = Annotated[bool, flag("Show more.", "--verbose", "-v")]

# --- flags of several verbs

Files = Annotated[list[str] | None, argument("JSONL (`.gz`, `.zst`), Parquet, `hf:NAME`, or `-` for stdin.", "FILE")]
Seed = Annotated[int, flag("Seed of every random draw.", min=0, max=MOST)]
Model = Annotated[str, flag("A model directory, or a name on the hub.", "--model", "-m", metavar="MODEL")]
Language = Annotated[str, flag("The language, as a BCP-47 code (`eu`, `cy`).", "--language", "-l", metavar="CODE")]
DryRun = Annotated[bool, flag("Show the work and its cost, and do nothing.", "--dry-run")]
Take = Annotated[int | None, flag("Draw N records; a smaller draw is part of a larger one.", metavar="N", min=1)]


def _size(text: str) -> int:
    from latxa_cli.stream.sizes import parse_size

    try:
        return parse_size(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


# `Any`, since Typer knows no type of a flag with a parser of its own.
Memory = Annotated[Any, flag("Memory of all processes together (`2GB`, `800MB`).", metavar="SIZE", parser=_size)]
Workers = Annotated[int | None, flag("Processes. [default: one per core]", metavar="N", min=1)]
ExecutorName = Annotated[
    Literal["local", "ray"],
    flag("`local` (this machine) or `ray` (the running Ray cluster, with a shared file system).", "--executor"),
]
WorkFolder = Annotated[
    Path | None, flag("The folder of intermediate files. [default: beside the output]", "--work", metavar="DIR")
]
ChatLoss = Annotated[
    list[str] | None,
    flag(
        "The turns of conversations that the loss counts, of all sources or of one: `assistant` or `all`; repeat it. "
        "[default: assistant]",
        metavar="[SOURCE=]LOSS",
    ),
]
ChatTemplate = Annotated[Path | None, flag("A chat template (Jinja) in place of the model's own.", metavar="FILE")]
FoldSystem = Annotated[
    bool | None, flag("Make system turns part of the user's, for templates that have none.", "--fold-system")
]
BatchSize = Annotated[int | None, flag("Sequences at once. [default: the engine's best]", min=1)]
Device = Annotated[str | None, flag("`cpu`, `cuda` or `cuda:1`. [default: a GPU if there is one]", metavar="DEVICE")]
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


Shard = Annotated[Any, flag("Take every N-th record from record I (from 0).", metavar="I/N", parser=_shard)]

# --- flags of the verbs that read votes

Criterion = StrEnum("Criterion", ["winner", "winner_content", "winner_language"])  # Typer takes no list of a Literal
OneCriterion = Annotated[Criterion, flag("The field with the winner.", "--criterion")]
Criteria = Annotated[
    list[Criterion] | None, flag("The field with the winner; repeat it. [default: winner]", "--criterion")
]
Collapse = Annotated[bool, flag("Merge the answers to three questions into `winner`.", "--collapse")]
Since = Annotated[Any, flag("Leave out battles before this day (`timestamp`).", metavar="DATE", parser=_day)]
TemplateDate = Annotated[
    Any, flag("The day that chat templates take for today. [default: today]", "--date", metavar="DATE", parser=_day)
]
Today = Annotated[Any, flag("The day that is taken for today. [default: today]", "--date", metavar="DATE", parser=_day)]
Until = Annotated[Any, flag("Leave out battles from this day on.", metavar="DATE", parser=_day)]
Exclude = Annotated[
    list[str] | None, flag("Leave out these battles (`user=u7`, `suspicion=fast`); repeat it.", metavar="FIELD=VALUE")
]
VoteColumns = Annotated[
    list[str] | None, flag("Read a field of battles from this column; repeat it.", "--column", metavar="FIELD=COLUMN")
]
VoteLabels = Annotated[
    list[str] | None, flag("What a verdict is called (`tie=Both good`); repeat it.", "--label", metavar="VERDICT=LABEL")
]
VoteResponses = Annotated[
    list[str] | None, flag("Responses that battles are about, by prompt; repeat it.", "--responses", metavar="FILE")
]
MostPerUser = Annotated[int | None, flag("Leave out a user's votes beyond the first N.", metavar="N", min=1)]
TableFormat = Annotated[Format | None, flag("[default: table on a terminal, else jsonl]", "--format")]

# --- flags of the verbs that draw texts from a model

Temperature = Annotated[float, flag("Sampling temperature; 0 takes the likeliest token.", min=0.0, max=100.0)]
TopP = Annotated[float, flag("Sample from the likeliest tokens of this total probability.", min=0.0, max=1.0)]
MaxTokens = Annotated[int, flag("The most tokens of a text.", min=1, max=1 << 31)]
Thinking = Annotated[Literal["on", "off"] | None, flag("Whether a reasoning model thinks first.")]
InstructionLanguage = Annotated[
    str | None, flag("Keep instructions in this language only (`eu`).", "--language", "-l", metavar="CODE")
]
Skip = Annotated[list[str] | None, flag("Leave this filter out; repeat it.", metavar="FILTER")]
Tag = Annotated[
    list[str] | None,
    flag(
        "Let the model rate each instruction: `quality`, `difficulty`, `category`, a `.toml` file or a folder; "
        "repeat it.",
        metavar="NAME|FILE",
    ),
]
Embedder = Annotated[
    str | None, flag("Reject repeated meanings too, by this sentence-embedding model.", metavar="MODEL")
]
Similarity = Annotated[
    float | None,
    flag("Cosine from which a meaning is repeated. [default: 0.975]", min=0.0, max=1.0),
]

# --- flags of every verb that generates text: the fields of `generation.engine.EngineOptions`

EngineName = Annotated[
    str, flag("`transformers`, `vllm`, `openai` (a server), or `auto`, the best available.", metavar="ENGINE")
]
BaseUrl = Annotated[str | None, flag("An OpenAI-compatible server (`http://host/v1`).", metavar="URL")]
MaxCost = Annotated[
    float | None,
    flag(
        "The most that a run may spend (openai); needs `--engine-option price=PROMPT/COMPLETION`.",
        metavar="AMOUNT", min=0.0,
    ),
]  # fmt: skip
GpuMemory = Annotated[float | None, flag("Share of a GPU's memory (vllm).", metavar="SHARE", min=0.01, max=1.0)]
EngineOption = Annotated[list[str] | None, flag("An option of the engine; repeat it.", metavar="KEY=VALUE")]

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

NEEDED = {"directory": OutputDirectory, "appended": OutputAppended}  # outputs that must be named, by what is made

# Parameters that change the work of a verb but not its result: `--resume` may have others. Code that comes with a model
# can change the result.
WAYS_OF_WORKING = frozenset((
    "threads", "dry_run", "track", "workers", "executor", "memory", "work", "backend", "checkpoint_every", "keep",
    *_ENGINE,
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

# The name of a parameter, which holds if the user gave it; or (name, value), which holds if it has this value, even by
# default.
Given = str | tuple[str, object]


@dataclass(frozen=True)
class Condition:
    """A rule for the flags of a verb: `given` needs one of `others`, or with `excludes` forbids all of them."""

    given: Given
    others: Sequence[Given]
    excludes: bool
    hint: str = ""


def needs(given: Given, *others: Given, hint: str = "") -> Condition:
    """Return the condition that `given` has no effect unless one of `others` is given too."""
    return Condition(given, others, excludes=False, hint=hint)


def excludes(given: Given, *others: Given, hint: str = "") -> Condition:
    """Return the condition that `given` does not go together with any of `others`."""
    return Condition(given, others, excludes=True, hint=hint)


def _check_conditions(context: typer.Context, conditions: Iterable[Condition], values: dict[str, Any]) -> None:
    """Raise UsageError where a condition does not hold among the flags that a command was called with."""
    names = {parameter.name: (parameter.opts or [""])[0] for parameter in context.command.params}
    undone = {parameter.name: parameter.secondary_opts for parameter in context.command.params}

    def holds(given: Given) -> bool:
        if isinstance(given, str):
            source = context.get_parameter_source(given)
            return source is not None and source.name != "DEFAULT" and values[given] not in (None, [])
        return bool(values[given[0]] == given[1])

    def shown(given: Given) -> str:
        if isinstance(given, str):
            return f"`{names[given]}`"
        return f"`{undone[given[0]][0]}`" if given[1] is False else f"`{names[given[0]]} {given[1]}`"

    for condition in conditions:
        if not holds(condition.given):
            continue
        first, others = shown(condition.given), [other for other in condition.others if holds(other)]
        if condition.excludes and others:
            raise UsageError(f"{first} and {shown(others[0])} do not go together", hint=condition.hint)
        if not condition.excludes and not others:
            raise UsageError(f"{first} needs {' or '.join(map(shown, condition.others))}", hint=condition.hint)


def _check_sizes(values: dict[str, Any]) -> None:
    """Raise UsageError for a whole number beyond `MOST`."""
    for name, value in values.items():
        numbers = value if isinstance(value, list | tuple) else [value]
        if any(isinstance(number, int) and number > MOST for number in numbers):
            raise UsageError(f"`--{name.replace('_', '-')}` is more than {MOST:,}")


_OF_EVERY_VERB = (needs("resume", "output", hint="what went to stdout cannot be continued"),)


def verb(
    function: Callable[..., None] | None = None,
    *,
    makes: Makes = "records",
    generates: bool = False,
    distributed: bool = False,
    growing: Sequence[str] = (),
    conditions: Sequence[Condition] = (),
) -> Any:
    """Make a command of `function(run, ...)`: add the flags of every verb, open the run, call the function, complete.

    If `--resume` finds the output complete, the function is not called, so that its heavy libraries are not loaded.

    Args:
        function: the body of the command; None for a decorator with arguments.
        makes: see `stream.run.Run`; a verb that makes a directory, or adds to a file, requires `-o`.
        generates: whether to add the flags of the engines, and pass them to the function as `engine`.
        growing: the flags with another value of which `--resume` goes on with a complete run.
        distributed: whether several processes may run the verb together; then only the first one writes and talks.
        conditions: the rules among its flags.
    """
    if function is None:
        return functools.partial(
            verb, makes=makes, generates=generates, distributed=distributed, growing=growing, conditions=conditions
        )
    body, name = function, function.__name__.rstrip("_").replace("_", "-")

    @functools.wraps(body)
    def command(**values: Any) -> None:
        from latxa_cli.stream.outputs import Destination
        from latxa_cli.stream.run import Run

        _check_conditions(values.pop("context"), (*_OF_EVERY_VERB, *conditions), values)
        _check_sizes(values)
        written = {f"--{flag.replace('_', '-')}": values[flag] for flag in further if values[flag] is not None}
        destination = Destination(**{flag: values.pop(flag) for flag in _DESTINATION}, further=written)
        settings = {flag: value for flag, value in values.items() if flag not in WAYS_OF_WORKING}
        follows = distributed and _is_beside_the_first()
        if follows:
            destination = Destination(destination.output, resume=destination.resume, quiet=True)
        run = Run(name, destination, settings, makes=makes, follows=follows)
        if generates:
            from latxa_cli.generation.engine import EngineOptions

            flags = {flag: values.pop(flag) for flag in _ENGINE}
            key = os.environ.get("OPENAI_API_KEY")
            values["engine"] = EngineOptions(**flags, verbose=destination.verbose, api_key=key, say=run.say)
        if run.is_complete(growing):
            return
        if values.get("dry_run"):
            run.outputs.try_out()
        with run.terminal if values.get("dry_run") else run:
            body(run, **values)

    own = list(inspect.signature(body, eval_str=True).parameters.values())[1:]
    further = [parameter.name for parameter in own if WRITTEN in getattr(parameter.annotation, "__metadata__", ())]
    kinds = _DESTINATION | ({"output": (NEEDED[makes], inspect.Parameter.empty)} if makes in NEEDED else {})
    own = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in own]
    if generates:
        place = [parameter.name for parameter in own].index("engine")
        own[place : place + 1] = _flags(_ENGINE)
    context = inspect.Parameter("context", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context)
    parameters = [context, *own, *_flags(kinds)]
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    del command.__wrapped__  # type: ignore[attr-defined]  # Typer must see this signature, not the body's
    return command


def _is_beside_the_first() -> bool:
    from latxa_cli.launch import find

    return find().rank > 0


def _flags(hints: dict[str, tuple[Any, Any]]) -> list[inspect.Parameter]:
    return [
        inspect.Parameter(flag, inspect.Parameter.KEYWORD_ONLY, annotation=hint, default=default)
        for flag, (hint, default) in hints.items()
    ]
