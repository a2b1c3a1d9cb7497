"""What is said of flags that have no effect without others, or beside them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
import typer
from typer.testing import CliRunner

from latxa_cli.options import MOST, Shard, excludes, flag, needs, verb
from latxa_cli.stream.errors import UsageError


@verb(
    conditions=(
        needs("threshold", "scores", "judge", hint="`--scores FILE` has them"),
        excludes("mask", "table"),
        excludes(("ties", "drop"), "prior"),
        needs("loud", ("ties", "drop")),
    )
)
def example(
    run: Any,
    *,
    threshold: Annotated[float, flag("A threshold.")] = 0.5,
    scores: Annotated[str | None, flag("Scores.")] = None,
    judge: Annotated[str | None, flag("A judge.")] = None,
    mask: Annotated[list[str] | None, flag("A mask.")] = None,
    table: Annotated[str | None, flag("A table.", "--groups", "-g")] = None,
    ties: Annotated[Literal["half", "drop"], flag("Ties.")] = "half",
    prior: Annotated[float, flag("A prior.")] = 0.0,
    loud: Annotated[bool, flag("Loud.", "--loud")] = False,
    most_words: Annotated[int, flag("A number.", min=1)] = 1,
    shard: Shard = None,
) -> None:
    """Do nothing."""
    raise LookupError("the verb was called")


def outcome(*words: str) -> str:
    """Return the message that the command line ends in, or `called`."""
    app = typer.Typer()
    app.command()(example)
    error = CliRunner().invoke(app, list(words)).exception
    assert isinstance(error, LookupError | UsageError), error
    return "called" if isinstance(error, LookupError) else error.message


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "called"),
        (["--threshold", "0.5"], "`--threshold` needs `--scores` or `--judge`"),  # also where it is the default
        (["--threshold", "0.5", "--judge", "j"], "called"),
        (["--threshold", "0.5", "--scores", "s"], "called"),
        (["--mask", "m", "-g", "t"], "`--mask` and `--groups` do not go together"),
        (["--groups", "t", "--mask", "m"], "`--mask` and `--groups` do not go together"),
        (["--mask", "m"], "called"),
        (["--ties", "drop", "--prior", "1"], "`--ties drop` and `--prior` do not go together"),
        (["--ties", "half", "--prior", "1"], "called"),
        (["--prior", "0"], "called"),
        (["--loud"], "`--loud` needs `--ties drop`"),
        (["--loud", "--ties", "drop"], "called"),
        (["--resume"], "`--resume` needs `-o`"),
    ],
)
def test_flags_without_effect_are_told_before_the_verb_is_called(
    words: list[str], message: str, tmp_path: Path
) -> None:
    output = [] if "--resume" in words else ["-o", str(tmp_path / "out.jsonl")]
    assert outcome(*words, *output) == message


def test_the_hint_says_what_to_do() -> None:
    app = typer.Typer()
    app.command()(example)
    error = CliRunner().invoke(app, ["--threshold", "1"]).exception
    assert isinstance(error, UsageError)
    assert error.hint == "`--scores FILE` has them"


@pytest.mark.parametrize(
    ("words", "flag_name"),
    [(["--most-words", str(MOST + 1)], "--most-words"), (["--shard", f"0/{MOST + 1}"], "--shard")],
)
def test_numbers_that_no_manifest_holds_are_wrong_usage(words: list[str], flag_name: str, tmp_path: Path) -> None:
    assert outcome(*words) == f"`{flag_name}` is more than 9,223,372,036,854,775,807"
    fitting = [word.replace(str(MOST + 1), str(MOST)) for word in words]
    assert outcome(*fitting, "-o", str(tmp_path / "out.jsonl")) == "called"
