"""The same items of two models, side by side."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from latxa_cli.comparison.agreement import ITEMS, Side, other_content, otherwise_asked, refused, seeds_of
from latxa_cli.comparison.sheets import Draws, Integers, Numbers, Place, Sheet
from latxa_cli.stream.errors import LatxaError

ITEM = "item"  # `--cluster item`: each item by itself, in a group too


class Unit(NamedTuple):
    """What has a row of its own: a task, or a group of tasks, through one filter, by one metric."""

    task: str
    filter: str
    metric: str
    members: tuple[str, ...]
    language: str | None = None
    by_tasks: bool = False  # the figure of the group is the mean over its tasks, not over their items

    def sheet(self, side: Side, task: str) -> Sheet | None:
        """Return a model's answers to a member; None where there are none."""
        sheet = side.sheets.get(Place(side.model, task, self.filter))
        return sheet if sheet is not None and self.metric in sheet.scores else None


@dataclass(frozen=True)
class Paired:
    """The items that both answered.

    Attributes:
        scores, baseline: (n, s) of each item with each draw of shots, NaN in both where one of them has no answer.
        weights: (n,) of the items in the figure.
        clusters: (n,) which cluster an item is in, from 0; None where each is by itself.
        places: (n, 3) the member, and the rows of a draw in the two sheets.
        seeds: those of the draws, if there are several.
        left_out, unanswered, baseline_unanswered: items that are not among them.
        despite: what differs and was allowed.
    """

    scores: Numbers
    baseline: Numbers
    weights: Numbers
    clusters: Integers | None
    places: Integers
    seeds: tuple[int, ...]
    left_out: int
    unanswered: int
    baseline_unanswered: int
    despite: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.weights)

    @property
    def differences(self) -> Numbers:
        """(n, s), NaN where there is none."""
        return self.scores - self.baseline

    @property
    def is_right_or_wrong(self) -> bool:
        """Whether each item is right or wrong, and was asked once."""
        return self.scores.shape[1] == 1 and bool(
            np.isin(self.scores, (0.0, 1.0)).all() and np.isin(self.baseline, (0.0, 1.0)).all()
        )

    @property
    def is_even(self) -> bool:
        """Whether all items have one weight."""
        return len(self) == 0 or float(np.ptp(self.weights)) == 0

    def mean(self, items: Numbers) -> float:
        """Return the mean of (n,) scores by the weights of items."""
        return float(items.mean() if self.is_even else np.average(items, weights=self.weights))


def over_draws(scores: Numbers) -> Numbers:
    """Return (n,) the means of (n, s) scores, NaN where there is none."""
    if scores.shape[1] == 1:
        return scores[:, 0]
    count = (~np.isnan(scores)).sum(axis=1)
    return np.nansum(scores, axis=1) / np.where(count, count, np.nan)


def pair(unit: Unit, one: Side, other: Side, despite: Collection[str], cluster: str | None) -> Paired:
    """Return the items of a unit that a model (`one`) and the baseline (`other`) both answered.

    Args:
        unit: the task or group.
        one, other: the two.
        despite: which differences are allowed.
        cluster: the field that says which items hang together, or `ITEM`; None for the tasks of a group.

    Raises:
        LatxaError: something differs that is not allowed; the message says what.
    """
    parts: list[_Part] = []
    left_out = 0
    differs: dict[str, None] = {}
    for member, task in enumerate(unit.members):
        sheets = [unit.sheet(side, task) for side in (one, other)]
        if None in sheets:
            left_out += _missing(task, unit, (one, other), sheets, despite)
            continue
        both: Any = tuple(sheets)
        words = list(otherwise_asked(task, (one, other), both, despite))
        rows, alone = _aligned(task, (one, other), both, despite)
        words += other_content(task, (one, other), both, rows, words, despite)
        differs |= dict.fromkeys(words)
        left_out += alone
        parts.append(_Part(member, both, rows, together=seeds_of(both[0]) == seeds_of(both[1])))
    return _joined(unit, parts, left_out, (*differs, ITEMS) if left_out else tuple(differs), cluster)


def _missing(
    task: str, unit: Unit, sides: tuple[Side, Side], sheets: Sequence[Sheet | None], despite: Collection[str]
) -> int:
    """Return how many items of a task one of two models has alone."""
    there = next((sheet for sheet in sheets if sheet is not None), None)
    if there is None:
        return 0
    if ITEMS not in despite:
        lacks = sides[sheets.index(None)]
        through = f" through the filter `{unit.filter}`" if unit.filter not in ("", "none") else ""
        raise refused(f"`{lacks.name}` has no `{unit.metric}` of `{task}`{through}", ITEMS)
    return len(set(there.items))


# --- rows of the same items ------------------------------------------------------------------------------------------


def _aligned(
    task: str, sides: tuple[Side, Side], sheets: tuple[Sheet, Sheet], despite: Collection[str]
) -> tuple[tuple[Integers, Integers], int]:
    """Return (n, s) the rows of each item and draw in the two sheets, -1 where a draw is not there.

    Also how many items one of the two has alone.
    """
    mine, theirs = (_draws(task, side, sheet) for side, sheet in zip(sides, sheets, strict=True))
    shared = [item for item in theirs if item in mine]
    alone = [len(mine) - len(shared), len(theirs) - len(shared)]
    if not shared and any(alone):
        message = f"`{task}`: `{sides[0].name}` and `{sides[1].name}` have no item in common"
        raise LatxaError(message, hint="the `id` of an answer names its item: do they come from the same data?")
    if any(alone) and ITEMS not in despite:
        counts = [f"{count:,} in `{side.name}` alone" for count, side in zip(alone, sides, strict=True) if count]
        raise refused(f"`{task}`: {len(shared):,} items are in both, {' and '.join(counts)}", ITEMS)
    first, second = (
        _matrix(draws, shared, seeds_of(sheet)) for draws, sheet in zip((mine, theirs), sheets, strict=True)
    )
    width = max(first.shape[1], second.shape[1])  # with other seeds, of which there are fewer in one
    return (_padded(first, width), _padded(second, width)), sum(alone)


def _padded(rows: Integers, width: int) -> Integers:
    return np.pad(rows, ((0, 0), (0, width - rows.shape[1])), constant_values=-1)


def _draws(task: str, side: Side, sheet: Sheet) -> dict[str, Draws]:
    """Return the rows of each item; raises LatxaError for an item that is there twice."""
    if (repeated := sheet.repeated) is not None:
        first, second = repeated
        files = dict.fromkeys((sheet.file_of(first), sheet.file_of(second)))
        hint = "are these two models? Then name them: `NAME=FILE`" if len(files) > 1 else ""
        where = " and ".join(files)
        raise LatxaError(
            f"{where}: `{side.name}` answers the item `{sheet.items[second]}` of `{task}` twice", hint=hint
        )
    return sheet.draws


def _matrix(draws: dict[str, Draws], items: Sequence[str], seeds: Sequence[int | None]) -> Integers:
    if len(seeds) == 1:
        return np.fromiter((draws[item][seeds[0]] for item in items), np.int64, len(items)).reshape(-1, 1)
    return np.array([[draws[item].get(seed, -1) for seed in seeds] for item in items], np.int64).reshape(-1, len(seeds))


# --- one table of all members ----------------------------------------------------------------------------------------


class _Part(NamedTuple):
    """A member of a unit: its place there, the sheets of both, the rows, and whether draws are of the same shots."""

    member: int
    sheets: tuple[Sheet, Sheet]
    rows: tuple[Integers, Integers]
    together: bool

    def scores(self, metric: str) -> tuple[Numbers, Numbers]:
        """Return (n, s) the scores of both; the means over draws where their shots are others."""
        mine, theirs = (_scores(sheet, rows, metric) for sheet, rows in zip(self.sheets, self.rows, strict=True))
        return (mine, theirs) if self.together else (over_draws(mine)[:, None], over_draws(theirs)[:, None])


def _scores(sheet: Sheet, rows: Integers, metric: str) -> Numbers:
    return np.where(rows < 0, np.nan, np.asarray(sheet.scores[metric])[rows])


def _joined(unit: Unit, parts: Sequence[_Part], left_out: int, despite: tuple[str, ...], cluster: str | None) -> Paired:
    scores, baseline, places, weights, keys = [], [], [], [], []
    unanswered, their_unanswered = 0, 0
    seeds: tuple[Any, ...] = ()
    for part in parts:
        mine, theirs = part.scores(unit.metric)
        seeds = seeds or (tuple(seeds_of(part.sheets[1])) if mine.shape[1] > 1 else ())
        unanswered += int(np.isnan(mine).all(axis=1).sum())
        their_unanswered += int(np.isnan(theirs).all(axis=1).sum())
        nothing = np.isnan(mine) | np.isnan(theirs)
        both = ~nothing.all(axis=1)
        scores.append(np.where(nothing, np.nan, mine)[both])
        baseline.append(np.where(nothing, np.nan, theirs)[both])
        rows = [rows.max(axis=1)[both] for rows in part.rows]
        places.append(np.stack([np.full(len(rows[0]), part.member), *rows], axis=1))
        weights.append(_weights(part.sheets[1], rows[1], unit))
        keys += _keys(part, rows[1], len(parts), cluster)
    return Paired(
        _stacked(scores), _stacked(baseline), np.concatenate(weights or [np.empty(0)]), _codes(keys),
        np.concatenate(places or [np.empty((0, 3), np.int64)]), seeds, left_out, unanswered, their_unanswered, despite,
    )  # fmt: skip


def _stacked(parts: Sequence[Numbers]) -> Numbers:
    """Return the scores of all members; one that was asked fewer times has none for the further draws."""
    width = max((part.shape[1] for part in parts), default=1)
    wide = [np.pad(part, ((0, 0), (0, width - part.shape[1])), constant_values=np.nan) for part in parts]
    return np.concatenate(wide or [np.empty((0, 1))])


def _weights(sheet: Sheet, rows: Integers, unit: Unit) -> Numbers:
    """Return the weights of items in the figure: their bytes where the metric is per byte, else the same for all."""
    if unit.metric == "bits_per_byte" and len(sheet.sizes) == len(sheet.items) and min(sheet.sizes) > 0:
        return np.asarray(sheet.sizes)[rows]
    return np.full(len(rows), 1 / max(1, len(rows)) if unit.by_tasks else 1.0)


def _keys(part: _Part, rows: Integers, members: int, cluster: str | None) -> list[Any]:
    """Return what each item is clustered by: the task of a group, what it shares with others, or nothing (None)."""
    if cluster == ITEM:
        return [None] * len(rows)
    if members > 1 and cluster is None:
        return [part.member] * len(rows)
    own = part.sheets[1].clusters
    return [None if own[row] is None else (part.member, own[row]) for row in rows.tolist()]


def _codes(keys: Sequence[Any]) -> Integers | None:
    """Return (n,) the clusters by number; an item that shares nothing is one for itself."""
    if all(key is None for key in keys):
        return None
    numbers: dict[Any, int] = {}
    own = (place if key is None else (key,) for place, key in enumerate(keys))
    return np.array([numbers.setdefault(key, len(numbers)) for key in own])
