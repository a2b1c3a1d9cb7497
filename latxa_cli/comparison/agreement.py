"""What two sheets must agree in, so that their items can be compared one by one; or one line that says what differs.

What may differ, if the user says so (`--despite`): items, prompts, shots, chat and format. Other right answers or other
choices are other items.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from latxa_cli.comparison.sheets import Identity, Integers, Place, Sheet
from latxa_cli.stream.errors import LatxaError

ITEMS, PROMPTS, SHOTS, CHAT, FORMAT = "items", "prompts", "shots", "chat", "format"
DELIMITER = "target_delimiter"
# What answers say of the way they were asked: the word of `--despite` that allows another, and how it is told.
ASKED = {
    "num_fewshot": (SHOTS, "{} examples"), "chat": (CHAT, "its chat template {}"), "format": (FORMAT, "the format {}"),
    DELIMITER: (FORMAT, "the delimiter {}"),
}  # fmt: skip


class Side(NamedTuple):
    """One of the two: the model, its name for people, and all sheets."""

    model: Identity
    name: str
    sheets: Mapping[Place, Sheet]


def refused(message: str, word: str) -> LatxaError:
    """Return the error for what differs, which a word of `--despite` would allow."""
    return LatxaError(message, hint=f"`--despite {word}` compares them all the same")


def otherwise_asked(
    task: str, sides: tuple[Side, Side], sheets: tuple[Sheet, Sheet], despite: Collection[str]
) -> Iterator[str]:
    """Yield the words of what differs in the way of asking and is allowed.

    Raises:
        LatxaError: what differs is not allowed.
    """
    for name, (word, form) in ASKED.items():
        values = [sheet.fact(name) for sheet in sheets]
        # What is not said may be the same; but `eval` says nothing of the usual delimiter alone.
        unsaid = None in values and (name != DELIMITER or sheets[0].content_form != sheets[1].content_form)
        if values[0] == values[1] or unsaid:
            continue
        if word not in despite:
            first, second = (form.format(_spoken(value)) for value in values)
            message = f"`{task}`: `{sides[0].name}` was asked with {first}, `{sides[1].name}` with {second}"
            raise refused(message, word)
        yield word
    seeds = [seeds_of(sheet) for sheet in sheets]
    if seeds[0] != seeds[1]:
        if SHOTS not in despite:
            first, second = (", ".join("none" if seed is None else str(seed) for seed in some) for some in seeds)
            message = f"`{task}`: the shot seeds of `{sides[0].name}` are {first}, those of `{sides[1].name}` {second}"
            raise refused(message, SHOTS)
        yield SHOTS


def _spoken(value: Any) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return "of the task" if value is None else f"`{value}`" if isinstance(value, str) else str(value)


def seeds_of(sheet: Sheet) -> list[int | None]:
    """Return the seeds of a sheet's draws of shots, in order; [None] where there is one draw."""
    return sorted(set(sheet.seeds), key=lambda seed: (seed is not None, seed or 0))


def other_content(
    task: str, sides: tuple[Side, Side], sheets: tuple[Sheet, Sheet], rows: tuple[Integers, Integers],
    differs: Sequence[str], despite: Collection[str],
) -> Iterator[str]:  # fmt: skip
    """Yield the word for other prompts, where they are allowed.

    Args:
        rows: of the same items, and the same draws, in the two sheets.
        differs: what is known to differ, with which prompts do too.

    Raises:
        LatxaError: an item has other right answers, other choices, or another prompt that is not allowed.
    """
    mine, theirs = sheets
    there = (rows[0] >= 0) & (rows[1] >= 0)
    places = rows[0][there], rows[1][there]
    content = "other choices" if mine.content_form == "choices" else "other content"
    same_form = mine.content_form == theirs.content_form
    found = [("another right answer", mine.targets, theirs.targets)]
    found += [(content, mine.contents, theirs.contents)] if same_form else []
    for what, first, second in found:
        if odd := _unlike(first, second, places):
            message = _said(task, what, odd, theirs.items[places[1][odd[0]]], sides)
            raise LatxaError(message, hint="are both from the same version of the task?")
    if mine.prompt_form != theirs.prompt_form or differs:
        return
    if odd := _unlike(mine.prompts, theirs.prompts, places):
        if PROMPTS not in despite:
            raise refused(_said(task, "another prompt", odd, theirs.items[places[1][odd[0]]], sides), PROMPTS)
        yield PROMPTS


def _unlike(first: Sequence[int], second: Sequence[int], rows: tuple[Integers, Integers]) -> list[int]:
    """Return the places of hashes that differ; 0 is none."""
    left, right = np.asarray(first)[rows[0]], np.asarray(second)[rows[1]]
    return np.flatnonzero((left != right) & (left != 0) & (right != 0)).tolist()


def _said(task: str, what: str, odd: Sequence[int], item: str, sides: tuple[Side, Side]) -> str:
    many = f"{len(odd):,} items have" if len(odd) > 1 else "an item has"
    return f"`{task}`: {many} {what} for `{sides[0].name}` than for `{sides[1].name}` (`{item}`)"
