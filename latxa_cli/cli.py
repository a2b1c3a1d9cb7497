"""The `latxa` command: its verbs, loaded when they are called, and the one point where every run ends.

Exit codes: 0 done (also when the reader closed the pipe), 1 the work failed, 2 wrong usage, 130 interrupted.
"""

from __future__ import annotations

import inspect
import os
import sys
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from latxa_cli import __version__
from latxa_cli.stream.errors import LatxaError, nearest

# The verbs in the order of the flow, each with the first line of its help: `latxa --help` loads none of them.
VERBS = {
    "init": "Make a new tokenizer and a new model from scratch.",
    "extend": "Add tokens of a language to the vocabulary of a model.",
    "corpus": "Make a clean, deduplicated corpus of one language out of many dumps.",
    "profile": "Derive a quality profile of a language from trusted text.",
    "sample": "Draw instructions and answers from a model (Magpie).",
    "reverse": "Write the instructions that native texts answer.",
    "translate": "Translate conversations with a few examples and a base model.",
    "variants": "Show the 24 variants of a study, and which 18 to train.",
    "mix": "Mix documents and conversations into training data.",
    "prepare": "Tokenise, mark and pack data for training, before any GPU is taken.",
    "train": "Train a model on raw text and chat in one run.",
    "export": "Turn a checkpoint of `latxa train` into a model.",
    "merge": "Add to a model what another has learnt, by arithmetic on weights.",
    "eval": "Evaluate models on lm-evaluation-harness tasks.",
    "respond": "Answer prompts with a model.",
    "judge": "Compare the responses of two or more models.",
    "arena-score": "Rate models by their battles (Bradley-Terry).",
    "arena-next": "Propose the battles whose votes would tell most.",
    "preferences": "Make preference pairs of battles that hold conversations.",
    "report": "Show results, ratings, battles and losses as one table, or draw them.",
}
# How `latxa --help` shows them.
GROUPS = {
    "Data": ("corpus", "profile", "sample", "reverse", "translate", "variants", "mix"),
    "Models": ("init", "extend", "prepare", "train", "export", "merge"),
    "Judgement": ("eval", "respond", "judge", "arena-score", "arena-next", "preferences", "report"),
}
HELP = {"help_option_names": ["-h", "--help"]}


class Verbs(TyperGroup):
    """The group of verbs: names and short help from the table above, the rest from `commands/` when asked for."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in VERBS:
            if ctx.resilient_parsing:  # completing: a shell must not be told of errors
                return None
            raise _usage(f"there is no verb `{cmd_name}`", nearest(cmd_name, list(VERBS)))
        return load(cmd_name)

    def get_params(self, ctx: Any) -> list[Any]:
        flags = super().get_params(ctx)
        for flag in flags:  # typer's own default to None, and checking None loads pydantic: 80 ms for `VERB --help`
            flag.default = flag.default or False
        return flags

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        width = max(map(len, VERBS))  # the same in all groups
        for heading, verbs in GROUPS.items():
            with formatter.section(heading):
                formatter.write_dl([(verb.ljust(width), VERBS[verb]) for verb in verbs])


def load(name: str) -> Any:
    """Return the command of the verb `name`, built from its module in `commands/`."""
    module = import_module(f"latxa_cli.commands.{name.replace('-', '_')}")
    single = typer.Typer(add_completion=False, rich_markup_mode=None, context_settings=HELP)
    function = getattr(module, name.replace("-", "_"), None) or getattr(module, name + "_")
    single.command(name, help=_as_written(function.__doc__))(function)
    return typer.main.get_command(single)


def _as_written(text: str) -> str:
    """Mark every paragraph but the first, so that the parser does not wrap its lines."""
    first, *others = inspect.cleandoc(text).split("\n\n")
    return "\n\n".join([first, *("\b\n" + paragraph for paragraph in others)])


app = typer.Typer(cls=Verbs, rich_markup_mode=None, pretty_exceptions_enable=False, context_settings=HELP)


def _show_version(asked: bool) -> None:
    if asked:
        typer.echo(f"latxa {__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=False)
def latxa(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Adapt instruction-following language models to low-resource languages.

    Each verb reads JSONL records, does one thing, and writes JSONL records.
    """


def _usage(message: str, hint: str) -> LatxaError:
    from latxa_cli.stream.errors import UsageError

    return UsageError(message, hint=hint)


def main() -> None:
    """Run `latxa` and leave with its exit code; every error of the user's is one line, perhaps with a hint."""
    command = typer.main.get_command(app)
    if "_LATXA_COMPLETE" in os.environ:  # typer's own door for the shells' completion scripts
        command.main(prog_name="latxa")
    sys.exit(_run(command))


def _run(command: Any) -> int:
    try:
        for word in sys.argv:
            if not word.isprintable() and any("\udc80" <= character <= "\udcff" for character in word):
                raise _usage(f"`{word!a}` is not UTF-8", "rename the file")
        with command.make_context("latxa", sys.argv[1:] or ["--help"]) as context:
            command.invoke(context)
        sys.stdout.flush()
    except LatxaError as error:
        return _tell(error.message, error.hint, error.exit_code)
    except typer.Exit as error:
        return error.exit_code
    except (KeyboardInterrupt, typer.Abort):
        return _tell("interrupted", "with `-o FILE`, `--resume` continues", 130)
    except MemoryError:
        return _tell(
            "there is not enough memory", "a smaller `--memory` or fewer `--workers` need less, if the verb has them", 1
        )
    except BrokenPipeError:
        from latxa_cli.stream.writer import close_stdout_quietly

        close_stdout_quietly()
    except typer.TyperException as error:  # wrong usage, as the parser found it
        verb = getattr(getattr(error, "ctx", None), "info_name", "latxa")
        hint = f"`latxa {verb} --help` shows what it takes" if verb != "latxa" else "`latxa --help` lists the verbs"
        message = " ".join(error.format_message().split())
        return _tell(message[:1].lower() + message[1:].rstrip("."), hint, error.exit_code)
    return 0


def _tell(message: str, hint: str, code: int) -> int:
    from latxa_cli.stream.terminal import tell_error

    tell_error(message, hint)
    return code


if __name__ == "__main__":
    main()
