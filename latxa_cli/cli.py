"""The `latxa` command: its verbs, which are loaded when they are called, and the one point where every run ends.

Exit codes: 0 done (also when the reader closed the pipe), 1 the work failed, 2 wrong usage, 130 interrupted, 143
terminated (SIGTERM).
"""

from __future__ import annotations

import inspect
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from latxa_cli import __version__
from latxa_cli.stream.errors import LatxaError, Terminated, exit_code_of, nearest

# The verbs in the order of the flow, with the first line of their help, so that `latxa --help` loads none of them.
VERBS = {
    "init": "Make a new tokenizer and a new model from scratch.",
    "extend": "Add tokens of a language to the vocabulary of a model.",
    "corpus": "Make a clean, deduplicated corpus of one language from many dumps.",
    "profile": "Derive a quality profile of a language from trusted text.",
    "sample": "Draw instructions and answers from a model (Magpie).",
    "reverse": "Write the instructions that native texts answer.",
    "translate": "Translate conversations, documents or any fields.",
    "audit": "Check translations against their sources.",
    "variants": "Show the 24 variants of a study, and the 18 to train.",
    "mix": "Mix documents and conversations into training data.",
    "prepare": "Tokenise, mark and pack data for training, before any GPU is in use.",
    "train": "Train a model on raw text and chat in one run.",
    "export": "Turn a checkpoint of `latxa train` into a model.",
    "merge": "Add the skill of one model to another by arithmetic on weights.",
    "eval": "Evaluate models on lm-evaluation-harness tasks.",
    "respond": "Answer prompts with a model.",
    "judge": "Compare the responses of models, or score each, by a rubric.",
    "vote": "Let people vote on pairs of responses on a web page.",
    "publish": "Make a data set that may be published from votes of people.",
    "arena-score": "Rate models by their battles (Bradley-Terry).",
    "arena-next": "Propose the battles whose votes would tell most.",
    "preferences": "Make preference pairs from battles with conversations.",
    "compare": "Say whether models are better than a baseline on the same items.",
    "report": "Show results, ratings, battles and losses as tables, or draw them.",
}
# The headings of `latxa --help`.
GROUPS = {
    "Data": ("corpus", "profile", "sample", "reverse", "translate", "audit", "variants", "mix"),
    "Models": ("init", "extend", "prepare", "train", "export", "merge"),
    "Judgement": (
        "eval",
        "respond",
        "judge",
        "vote",
        "publish",
        "arena-score",
        "arena-next",
        "preferences",
        "compare",
        "report",
    ),
}
HELP = {"help_option_names": ["-h", "--help"]}


class Verbs(TyperGroup):
    """The group of verbs: names and short help come from `VERBS`, and a command is loaded when it is asked for."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in VERBS:
            if ctx.resilient_parsing:  # during completion, errors would end up in the user's shell
                return None
            raise _usage(f"there is no verb `{cmd_name}`", nearest(cmd_name, list(VERBS)))
        return load(cmd_name)

    def get_params(self, ctx: Any) -> list[Any]:
        flags = super().get_params(ctx)
        # The default of typer's own flags is None, and to check that typer loads pydantic: 80 ms of `VERB --help`.
        for flag in flags:
            flag.default = flag.default or False
        return flags

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        width = max(map(len, VERBS))  # so that all groups are aligned
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
    """Mark all paragraphs after the first with a `\\b`, which keeps typer from wrapping their lines."""
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
    """Run `latxa` and exit with its code; an error that the user can mend is one line, perhaps with a hint."""
    command = typer.main.get_command(app)
    if "_LATXA_COMPLETE" in os.environ:  # set by the completion scripts of shells, which typer answers
        command.main(prog_name="latxa")
    with _termination_as_interruption():
        code = _run(command)
    sys.exit(code)


@contextmanager
def _termination_as_interruption() -> Iterator[None]:
    """Raise `Terminated` at the first SIGTERM, so that the run saves its work, and ignore further ones meanwhile."""

    def terminate(*_: object) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # torchrun and srun may both send it
        raise Terminated

    if threading.current_thread() is not threading.main_thread():  # Python allows no handlers there
        yield
        return
    before = signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL if before is None else before)


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
    except (KeyboardInterrupt, typer.Abort) as error:
        return _tell("interrupted", "with `-o FILE`, `--resume` continues", exit_code_of(error))
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
