"""Flags that several verbs share, each declared once, and the `verb` decorator that turns a function into a command."""

from __future__ import annotations

import functools
import inspect
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

if TYPE_CHECKING:
    from latxa_cli.generation.engine import EngineOptions
    from latxa_cli.stream.run import Run
else:
    Run = EngineOptions = Any  # what a verb is given; help need not wait for the modules

# --- what every verb has: the fields of `stream.run.Destination`

Output = Annotated[
    Path | None,
    typer.Option("--output", "-o", metavar="FILE", help="Write here instead of to stdout.", show_default=False),
]
OutputDirectory = Annotated[Path, typer.Option("--output", "-o", metavar="DIR", help="The directory to make.")]
Rejects = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE", help="Set malformed and rejected records aside here, each with its reason.", show_default=False
    ),
]
Manifest = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Where to write the manifest. [default: beside the output]", show_default=False),
]
Resume = Annotated[bool, typer.Option("--resume", help="Continue an interrupted run; do nothing if it is complete.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but errors.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Say more.")]

# --- what several verbs have

Files = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="FILE", help="JSONL (`.gz`, `.zst`), Parquet, `hf:NAME`, or `-`: stdin.", show_default=False
    ),
]
Seed = Annotated[int, typer.Option(min=0, max=2**63 - 1, help="Seed of every random draw.")]
Model = Annotated[str, typer.Option("--model", "-m", metavar="MODEL", help="A model directory, or a name on the hub.")]
Language = Annotated[
    str, typer.Option("--language", "-l", metavar="CODE", help="The language, as a BCP-47 code (`eu`, `cy`).")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done and what it would cost; do nothing.")]
Take = Annotated[
    int | None, typer.Option(min=1, metavar="N", help="Draw N records; fewer are a part of more.", show_default=False)
]


def _size(text: str) -> int:
    from latxa_cli.stream.sizes import parse_size

    try:
        return parse_size(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


Memory = Annotated[
    Any, typer.Option(parser=_size, metavar="SIZE", help="Memory to use, over all processes (`2GB`, `800MB`).")
]
Workers = Annotated[
    int | None, typer.Option(min=1, metavar="N", help="Processes. [default: one a core]", show_default=False)
]
ExecutorName = Annotated[
    Literal["local", "ray"],
    typer.Option("--executor", help="`local`: this machine; `ray`: the running Ray cluster (shared file system)."),
]
WorkFolder = Annotated[
    Path | None,
    typer.Option(
        "--work", metavar="DIR", help="For intermediate files. [default: beside the output]", show_default=False
    ),
]
ChatLoss = Annotated[
    list[str] | None,
    typer.Option(
        metavar="[SOURCE=]LOSS",
        help="What is learnt of conversations, or of those of one source: `assistant` turns, or `all`; repeat it. "
        "[default: assistant]",
        show_default=False,
    ),
]
ChatTemplate = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="A chat template (Jinja) in place of the model's own.", show_default=False),
]
TopP = Annotated[
    float, typer.Option(min=0.0, max=1.0, help="Sample among the likeliest tokens of this total probability.")
]
BatchSize = Annotated[
    int | None,
    typer.Option(min=1, help="Sequences at once. [default: what the engine does best]", show_default=False),
]
Device = Annotated[
    str | None, typer.Option(help="`cpu`, `cuda`, `cuda:1`. [default: a GPU if there is one]", show_default=False)
]
TrustRemoteCode = Annotated[bool, typer.Option("--trust-remote-code", help="Run code that comes with the model.")]


def _shard(text: str) -> tuple[int, int]:
    index, slash, count = text.partition("/")
    if slash and index.isdecimal() and count.isdecimal() and int(index) < int(count):
        return int(index), int(count)
    raise typer.BadParameter(f"`{text}` is not `I/N` with 0 <= I < N")


Shard = Annotated[
    Any,
    typer.Option(
        parser=_shard, metavar="I/N", help="Do every N-th record, from the I-th (from 0).", show_default=False
    ),
]

# --- what every verb has that generates text: the fields of `generation.engine.EngineOptions`

EngineName = Annotated[
    str,
    typer.Option(metavar="ENGINE", help="`transformers`, `vllm`, `openai` (a server), or `auto`: the best there is."),
]
BaseUrl = Annotated[
    str | None,
    typer.Option(metavar="URL", help="An OpenAI-compatible server (`http://host:8000/v1`).", show_default=False),
]
MaxCost = Annotated[
    float | None,
    typer.Option(
        min=0.0,
        metavar="AMOUNT",
        help="The most that a run may spend (openai); needs `--engine-option price=PROMPT/COMPLETION`.",
        show_default=False,
    ),
]
GpuMemory = Annotated[
    float | None,
    typer.Option(min=0.01, max=1.0, metavar="SHARE", help="How much of a GPU to take (vllm).", show_default=False),
]
EngineOption = Annotated[
    list[str] | None,
    typer.Option(metavar="KEY=VALUE", help="An option of the engine's own; repeat it.", show_default=False),
]

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
HOW = frozenset((
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


def verb(
    function: Callable[..., None] | None = None,
    *,
    makes: Any = "records",
    generates: bool = False,
    distributed: bool = False,
) -> Any:
    """Make a command of `function(run, ...)`: add the flags that every verb has, open the run, and complete it.

    `makes`: see `stream.run.Run`; a verb that makes a directory requires `-o DIR`. `generates`: add the flags of the
    engines, and give the function the `EngineOptions` that they make as `engine`. `distributed`: several processes may
    run the verb together, of which the first one alone owns the output and talks. When `--resume` finds the output
    complete, the function is not called, so that its heavy libraries are not loaded.
    """
    if function is None:
        return functools.partial(verb, makes=makes, generates=generates, distributed=distributed)
    body, name = function, function.__name__.rstrip("_").replace("_", "-")

    @functools.wraps(body)
    def command(**given: Any) -> None:
        from latxa_cli.stream.run import Destination, Run

        destination = Destination(**{flag: given.pop(flag) for flag in _DESTINATION})
        settings = {flag: value for flag, value in given.items() if flag not in HOW}
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
    kinds = (
        {**_DESTINATION, "output": (OutputDirectory, inspect.Parameter.empty)} if makes == "directory" else _DESTINATION
    )
    own = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in own]
    if generates:
        place = [parameter.name for parameter in own].index("engine")
        own[place : place + 1] = _flags(_ENGINE)
    parameters = own + _flags(kinds)
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
