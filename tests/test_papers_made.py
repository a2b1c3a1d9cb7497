"""What of the papers is made from code: README's table of verbs, `recipes/verbs.md` and `recipes/records.md`.

`python tests/test_papers_made.py` makes them anew.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import papers
import pytest

from latxa_cli import cli, options
from latxa_cli.stream import kinds

PLACE = re.compile(r"(<!-- verbs: .*?-->\n).*?(<!-- end -->)", re.DOTALL)
WIDTH = 100  # of the help in `verbs.md`
OF_EVERY_VERB = {*options._DESTINATION, "help"} - {"output"}  # the output is a file or a directory
OF_ENGINES = set(options._ENGINE)


def readme() -> str:
    rows = ["| verb | what it does |", "|---|---|"]
    for group, verbs in cli.GROUPS.items():
        rows += [f"| **{group}** | |", *(f"| `{verb}` | {cli.VERBS[verb]} |" for verb in verbs)]
    table = "\n".join(rows) + "\n"
    return PLACE.sub(lambda place: place[1] + table + place[2], papers.README.read_text(encoding="utf-8"))


# --- verbs.md --------------------------------------------------------------------------------------------------------


def verbs() -> str:
    parts = [
        "# Verbs and flags\n\nMade from the help of the commands (`python tests/test_papers_made.py`).",
        "## Flags of every verb\n\nWith `-o`, a verb writes a file or makes a directory.\n",
        _flags("corpus", OF_EVERY_VERB | {"output"}),
        "## Flags of verbs that generate text\n\n"
        f"{_listed(_generating())} take these flags of engines: see [instructions.md](instructions.md).\n",
        _flags("translate", OF_ENGINES),
    ]
    for group, names in cli.GROUPS.items():
        parts.append(f"## {group}")
        parts += [part for verb in names for part in (f"### `latxa {verb}`\n", _help(verb))]
    return "\n\n".join(part.rstrip("\n") for part in parts) + "\n"


def _listed(names: Iterable[str]) -> str:
    *first, last = [f"`{name}`" for name in names]
    return f"{', '.join(first)} and {last}" if first else last


def _generating() -> list[str]:
    return [verb for verb in cli.VERBS if _parameters(verb) >= OF_ENGINES]


def _parameters(verb: str) -> set[str]:
    return {parameter.name for parameter in cli.load(verb).params}


def _context(verb: str) -> Any:
    return cli.load(verb).make_context(f"latxa {verb}", [], resilient_parsing=True, terminal_width=WIDTH)


def _flags(verb: str, names: set[str]) -> str:
    with _context(verb) as context:
        return _block(_listing(context, [one for one in context.command.get_params(context) if one.name in names]))


def _help(verb: str) -> str:
    """Return the help of a verb without the flags that are told of once for many verbs."""
    with _context(verb) as context:
        generates = {one.name for one in context.command.params} >= OF_ENGINES
        common = OF_EVERY_VERB | {"output"} | (OF_ENGINES if generates else set())
        formatter = context.make_formatter()
        context.command.format_usage(context, formatter)
        context.command.format_help_text(context, formatter)
        own = [one for one in context.command.get_params(context) if one.name not in common]
        arguments = [one for one in own if one.param_type_name == "argument"]
        flags = [one for one in own if one.param_type_name != "argument"]
        text = formatter.getvalue()
        for title, parameters in (("Arguments", arguments), ("Options", flags)):
            if parameters:
                text += f"\n{title}:\n{_listing(context, parameters)}"
    return _block(text)


def _listing(context: Any, parameters: list[Any]) -> str:
    formatter = context.make_formatter()
    records = [record for one in parameters if (record := one.get_help_record(context))]
    with formatter.indentation():
        formatter.write_dl(records)
    return formatter.getvalue()


def _block(text: str) -> str:
    return f"```\n{text.rstrip()}\n```"


# --- records.md ------------------------------------------------------------------------------------------------------

INTRODUCTION = """\
# Records

Made from the declarations in `latxa_cli/stream/kinds.py` (`python tests/test_papers_made.py`).

Verbs exchange JSON Lines: one JSON object a line, in UTF-8.

- **Bold** fields are required. The others are optional, and may be null.
- Fields that a kind does not name pass through unchanged.
- `id` is a string; a whole number becomes one. A record without `id` gets one: the first 16 hex digits of the SHA-256
  of its content, with `-2`, `-3` … if the content is repeated. Kinds without an id of their own say so.
- Every verb keeps ids. In a mix, `source`, `id` and content together identify a record.
- Input may have conversations in other spellings. Output has the fields below.
  - `conversations` with `from` and `value` (ShareGPT), `conversation` (WildChat)
  - `instruction`, `input`, `output` (Alpaca); `instruction`, `context`, `response` (Dolly)
  - `prompt` and `completion` or `response`; `query`, `response`; `inputs`, `targets` (Aya)
  - `system` and `history` beside them become turns.
  - Content in parts of text is joined. Calls of tools (`function_call`) and their results (`observation`, …) become
    `tool_calls` and turns of the role `tool`.
- A malformed record ends the run at its line. With `--rejects FILE` it is written there as
  `{"reason": "malformed", "detail", "where", "line"}`, and the run continues. A record that is judged unfit is written
  there as `{"reason", "detail", "record"}`.
"""


def records() -> str:
    return "\n".join([INTRODUCTION, *(_kind(name, kind) for name, kind in kinds.KINDS.items())])


def _kind(name: str, kind: kinds.Kind) -> str:
    rows = ["| field | type | meaning |", "|---|---|---|"]
    rows += [f"| **`{field.name}`** | {field.type.name} | {field.says} |" for field in kind.required]
    rows += [f"| `{field.name}` | {field.type.name} | {field.says} |" for field in kind.optional]
    unnamed = "" if kind.is_named else " It has no id of its own."
    rule = f"\n{kind.rule_says}\n" if kind.rule_says else ""
    return f"## {name}\n\n{kind.title}{unnamed}\n\n" + "\n".join(rows) + "\n" + rule


# --- the tests, and making the files anew ----------------------------------------------------------------------------

MADE = {papers.README: readme, papers.VERBS: verbs, papers.RECORDS: records}


@pytest.mark.parametrize("paper", MADE, ids=lambda paper: paper.name)
def test_what_is_made_from_code_is_current(paper: Any) -> None:
    assert paper.read_text(encoding="utf-8") == MADE[paper](), "run `python tests/test_papers_made.py`"


@pytest.mark.parametrize("verb", cli.VERBS)
def test_every_flag_stands_in_the_list(verb: str) -> None:
    text = papers.VERBS.read_text(encoding="utf-8")
    flags = [name for one in cli.load(verb).params for name in one.opts if name.startswith("--")]
    assert flags and [flag for flag in flags if flag not in text] == []


if __name__ == "__main__":
    for paper, make in MADE.items():
        paper.write_text(make(), encoding="utf-8")
