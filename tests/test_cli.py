"""The command as a whole: its table of verbs, the examples in its help, and what start-up loads."""

from __future__ import annotations

import inspect
import re
import shlex
import subprocess
import sys
from importlib import import_module
from typing import Any

import pytest
import typer

from latxa_cli import cli

# Libraries that no help and no usage error may wait for.
HEAVY = {
    "torch", "transformers", "tokenizers", "safetensors", "datasets", "lm_eval", "deepspeed", "vllm", "ray", "numpy",
    "pyarrow", "pandas", "scipy", "py3langid", "sacrebleu", "huggingface_hub", "matplotlib", "rich", "orjson", "xxhash",
    "zstandard",
}  # fmt: skip


def body(verb: str) -> Any:
    name = verb.replace("-", "_")
    module = import_module(f"latxa_cli.commands.{name}")
    return getattr(module, name, None) or getattr(module, name + "_")


def docstring(verb: str) -> str:
    return inspect.cleandoc(body(verb).__doc__)


def examples(verb: str) -> list[str]:
    """Return the example lines in the verb's help."""
    _, _, block = docstring(verb).partition("examples:\n")
    return [line.strip() for line in block.split("\n") if line.strip()]


def test_every_verb_stands_in_one_group_of_the_help() -> None:
    grouped = [verb for verbs in cli.GROUPS.values() for verb in verbs]
    assert sorted(grouped) == sorted(cli.VERBS)


@pytest.mark.parametrize("verb", cli.VERBS)
def test_the_short_help_is_the_first_line_of_the_long_one(verb: str) -> None:
    assert docstring(verb).split("\n")[0] == cli.VERBS[verb]


@pytest.mark.parametrize("verb", cli.VERBS)
def test_help_keeps_examples_as_written(verb: str) -> None:
    command = cli.load(verb)
    with command.make_context(verb, [], resilient_parsing=True) as context:
        text = command.get_help(context)
    for example in examples(verb):
        assert example in text
    assert all(len(line) <= 120 for line in text.split("\n"))


EXAMPLES = [(verb, example) for verb in cli.VERBS for example in examples(verb)]


@pytest.mark.parametrize(("verb", "example"), EXAMPLES, ids=[example for _, example in EXAMPLES])
def test_examples_in_help_parse(verb: str, example: str) -> None:
    ours = 0
    for part in re.split(r"\s\|\s", example):
        words = shlex.split(part.partition(" > ")[0])
        if "latxa" not in words:
            continue
        words = words[words.index("latxa") :]  # behind what starts several processes
        assert words[1] in cli.VERBS
        command = cli.load(words[1])
        command.make_context(words[1], words[2:]).close()  # raises for flags and values that the verb does not take
        ours += words[1] == verb
    assert ours, "an example shows its own verb"


def test_a_wrong_example_would_not_parse() -> None:
    with pytest.raises(typer.TyperException):
        cli.load("mix").make_context("mix", ["a=b", "--no-such-flag"])


def loaded_by(*words: str) -> set[str]:
    """Return the top-level modules that `latxa WORDS` loads, as `-X importtime` tells them."""
    program = "import sys; sys.argv[0] = 'latxa'; from latxa_cli.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", program, *words],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    lines = [line for line in done.stderr.splitlines() if line.startswith("import time:")]
    return {line.rpartition("|")[2].strip().partition(".")[0] for line in lines}


@pytest.mark.parametrize(
    "words", [["--help"], ["--version"], *([verb, "--help"] for verb in cli.VERBS), ["corpus"]], ids=" ".join
)
def test_help_loads_no_heavy_library(words: list[str]) -> None:
    loaded = loaded_by(*words)
    assert "typer" in loaded, "the test sees what is loaded"
    assert sorted(loaded & HEAVY) == []
