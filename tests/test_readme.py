"""The README and the command say the same: its table of verbs is made from the help, and its commands parse.

`python tests/test_readme.py` writes the table anew.
"""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from latxa_cli import cli

README = Path(__file__).resolve().parents[1] / "README.md"
PLACE = re.compile(r"(<!-- verbs: .*?-->\n).*?(<!-- end -->)", re.DOTALL)


def table() -> str:
    rows = [f"| `{verb}` | {text} |" for verb, text in cli.VERBS.items()]
    return "\n".join(["| verb | what it does |", "|---|---|", *rows]) + "\n"


def commands() -> list[str]:
    """Every `latxa …` command of the README's shell blocks, those of a pipe one by one."""
    blocks = re.findall(r"```sh\n(.*?)```", README.read_text(), re.DOTALL)
    lines = "".join(blocks).replace("\\\n", " ").splitlines()
    return [part.strip() for line in lines for part in line.split("|") if part.strip().startswith("latxa ")]


def test_table_of_verbs_is_current() -> None:
    text = README.read_text()
    assert PLACE.sub(lambda place: place[1] + table() + place[2], text) == text, "run `python tests/test_readme.py`"


@pytest.mark.parametrize("line", commands())
def test_commands_parse(line: str) -> None:
    words = shlex.split(line.split(">")[0].replace("$SLURM_ARRAY_TASK_ID", "3"))
    cli.load(words[1]).make_context(words[1], words[2:])


if __name__ == "__main__":
    README.write_text(PLACE.sub(lambda place: place[1] + table() + place[2], README.read_text()))
