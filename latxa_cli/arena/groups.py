"""Groups of models: what a factor (a backbone, a corpus, a kind of instructions) does to a ranking.

Every model is renamed to its group, and the groups are rated as if they were models. Battles between two models of one
group say nothing and are left out, and so are those of models in no group; both are counted. Groups come from a table
(`model<TAB>group`) or from the models' names by a mask.

Pooled ratings mix the factor with all else in which the groups differ: compare groups whose models match in the rest.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from latxa_cli.arena.votes import Votes
from latxa_cli.stream.errors import LatxaError, RecordError, UsageError
from latxa_cli.stream.inputs import Input, check_exists
from latxa_cli.stream.records import Record

if TYPE_CHECKING:
    from latxa_cli.stream.run import Run

HEADER = ["model", "group"]
MARK = "\ufeff"  # what some editors put in front of UTF-8


def in_groups(run: Run, votes: Votes, table: Path | None, mask: str | None) -> Votes:
    """Return the votes between the groups that a table of models names, and a mask those that the table does not.

    What is left out is said. Raises LatxaError where no vote remains.
    """
    if (table is None and mask is None) or not len(votes):
        return votes
    group_of = _read_table(run, table) if table else {}
    if mask is not None:
        group_of |= by_mask([model for model in votes.models if model not in group_of], mask)
    between, left_out = grouped(votes, group_of)
    run.note(left_out=left_out)
    reasons = [f"{number:,} battles of {reason}" for reason, number in left_out.items()]
    run.say("left out: " + (", ".join(reasons) or "none"))
    if not len(between):
        raise LatxaError("no battle is between models of two groups")
    return between


def _read_table(run: Run, path: Path) -> dict[str, str]:
    check_exists(str(path))
    source = Input(str(path))
    if source.is_table:
        raise UsageError(f"`--groups {path}` is no text", hint="a line a model: `model<TAB>group`")
    group_of = from_table((entry for _, entry in source.entries() if isinstance(entry, bytes)), str(path))
    run.reads([source.describe()])
    return group_of


def from_table(lines: Iterable[bytes], label: str) -> dict[str, str]:
    """Return the group of each model in a table with the columns `model` and `group`, separated by tabs.

    lines: with or without their ends; blank ones are skipped. label: the table's name in messages. Raises RecordError
    for what is not such a table, for a model without a name or a group, and for a model named twice.
    """
    group_of: dict[str, str] = {}
    rows = _rows(lines, label)
    where, header = next(rows, (f"{label}:1", []))
    if header != HEADER:
        raise RecordError(where, "the table does not begin with `model<TAB>group`", hint="the first line names columns")
    for where, fields in rows:
        if len(fields) != len(HEADER) or not all(fields):
            raise RecordError(where, "the line is not a model and its group, separated by a tab")
        model, group = fields
        if model in group_of:
            raise RecordError(where, f"the model `{model}` is named twice")
        group_of[model] = group
    return group_of


def _rows(lines: Iterable[bytes], label: str) -> Iterator[tuple[str, list[str]]]:
    for number, line in enumerate(lines, 1):
        where = f"{label}:{number}"
        try:
            text = line.decode()
        except UnicodeDecodeError as error:
            raise RecordError(where, "the line is not UTF-8") from error
        fields = [field.strip() for field in (text.removeprefix(MARK) if number == 1 else text).split("\t")]
        if any(fields):
            yield where, fields


def by_mask(models: Iterable[str], mask: str) -> dict[str, str]:
    """Return the group of each model whose name fits the mask: the characters at its `?`.

    `?` stands for a character that names the group, `*` for any one character, all else for itself: of the grid of
    variants `exp_B_CTE`, `exp_*_?**` groups by C, and `exp_*_1??` by T and E those with C. Raises UsageError for a mask
    without `?`, and for one that fits no model.
    """
    if "?" not in mask:
        raise UsageError(
            f"the mask `{mask}` names no group",
            hint="`?` stands for a character that names the group, `*` for any other: `exp_*_?**`",
        )
    pattern = re.compile("".join({"?": "(.)", "*": "."}.get(char, re.escape(char)) for char in mask), re.DOTALL)
    matches = {model: pattern.fullmatch(model) for model in models}
    group_of = {model: "".join(match.groups()) for model, match in matches.items() if match}
    if not group_of:
        some = ", ".join(f"`{model}`" for model in sorted(matches)[:3])
        hint = f"a mask fits whole names, a character for each; the models are {some} …" if some else ""
        raise UsageError(f"the mask `{mask}` fits none of the {len(matches):,} models", hint=hint)
    return group_of


def grouped(votes: Votes, group_of: Mapping[str, str]) -> tuple[Votes, dict[str, int]]:
    """Return the votes between groups, whose names take the place of the models', and how many were left out by reason.

    Reasons: "no group" (one of the models has none), "same group". All groups stay that one of the models belongs to,
    also those without a vote; names in `group_of` that are no models are ignored.
    """
    groups = sorted({group_of[model] for model in votes.models if model in group_of})
    number = {group: place for place, group in enumerate(groups)}
    none = -1
    codes = np.array([number.get(group_of.get(model, ""), none) for model in votes.models], dtype=np.int32)
    a, b = codes[votes.a], codes[votes.b]
    without, same = (a == none) | (b == none), (a == b) & (a != none)
    kept = ~without & ~same
    left_out = {"no group": int(without.sum()), "same group": int(same.sum())}
    between = replace(votes.where(kept), models=groups, a=a[kept], b=b[kept])
    return between, {reason: times for reason, times in left_out.items() if times}


def with_copies(ratings: Iterable[Record], equals: Mapping[str, str]) -> Iterator[Record]:
    """Yield the records, and after each model's rating that of every model that equals it, marked `copy_of`.

    equals: the name of a model that no battle has -> the model that it equals, such as `variants.EQUALS`. A copy is
    rated as its original is, with the same rank, and counts nowhere: ranks and battles stay what they are. A model
    that has a rating of its own is no copy; records without a `rating` pass.
    """
    ratings = list(ratings)
    rated = {record["model"] for record in ratings if "rating" in record}
    copied = {copy: model for copy, model in sorted(equals.items()) if copy not in rated}
    for record in ratings:
        yield record
        if "rating" in record:
            for copy, model in copied.items():
                if model == record["model"]:
                    yield {**record, "model": copy, "copy_of": model}
