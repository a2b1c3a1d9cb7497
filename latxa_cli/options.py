"""Flags that several verbs share, each declared once, and the `verb` decorator that turns a function into a command."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

if TYPE_CHECKING:
    from latxa_cli.stream.run import Run
else:
    Run = Any  # a verb's first parameter; help need not wait for the module

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
Seed = Annotated[int, typer.Option(help="Seed of every random draw.")]
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
BatchSize = Annotated[int, typer.Option(min=1, help="Sequences that the engine works on at once.")]
EngineName = Annotated[
    str, typer.Option("--engine", metavar="ENGINE", help="`transformers`, or `auto`: the best that is there.")
]
TopP = Annotated[
    float, typer.Option(min=0.0, max=1.0, help="Sample among the likeliest tokens of this total probability.")
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

# Parameters that change how a verb works but not what it makes: `--resume` may go on with others.
HOW = frozenset(("batch_size", "device", "threads", "dry_run", "engine", "workers", "executor", "memory", "work"))

_DESTINATION: dict[str, tuple[Any, Any]] = {
    "output": (Output, None),
    "rejects": (Rejects, None),
    "manifest": (Manifest, None),
    "resume": (Resume, False),
    "quiet": (Quiet, False),
    "verbose": (Verbose, False),
}


def verb(function: Callable[..., None] | None = None, *, makes: Any = "records") -> Any:
    """Make a command of `function(run, ...)`: add the flags that every verb has, open the run, and complete it.

    `makes`: see `stream.run.Run`; a verb that makes a directory requires `-o DIR`. When `--resume` finds the output
    complete, the function is not called, so that its heavy libraries are not loaded.
    """
    if function is None:
        return functools.partial(verb, makes=makes)
    body, name = function, function.__name__.rstrip("_").replace("_", "-")

    @functools.wraps(body)
    def command(**given: Any) -> None:
        from latxa_cli.stream.run import Destination, Run

        destination = Destination(**{flag: given.pop(flag) for flag in _DESTINATION})
        settings = {flag: value for flag, value in given.items() if flag not in HOW}
        run = Run(name, destination, settings, makes=makes)
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
    added = [
        inspect.Parameter(flag, inspect.Parameter.KEYWORD_ONLY, annotation=hint, default=default)
        for flag, (hint, default) in kinds.items()
    ]
    own = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in own]
    parameters = own + added
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    del command.__wrapped__  # type: ignore[attr-defined]  # typer must see this signature, not the body's
    return command
