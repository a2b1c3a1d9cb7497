"""What may be claimed of models beside a baseline: a record for each task, each language, and all tasks.

`latxa compare answers.jsonl --baseline base`
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import Literal

import numpy as np

from latxa_cli.comparison import estimates, resampling
from latxa_cli.comparison.agreement import Side
from latxa_cli.comparison.estimates import Estimate, estimate
from latxa_cli.comparison.identities import find, names_of
from latxa_cli.comparison.pairing import ITEM, Paired, Unit, over_draws, pair
from latxa_cli.comparison.resampling import Rounds, resampled
from latxa_cli.comparison.sheets import CORRECT, RIGHT_OR_WRONG, Identity, Sheets
from latxa_cli.comparison.significance import holm, mcnemar, sign_flips
from latxa_cli.stream.errors import LatxaError, UsageError, nearest

Interval = Literal["sandwich", "bootstrap"]
Say = Callable[[str], None]

ACCURACY = "accuracy"  # the metric of a mean over tasks whose metrics have other names, and all say right or wrong
FEW_CLUSTERS = 5  # tasks of a group, of which little is known
FEW_TO_DRAW = 15  # clusters, below which redrawn ones give too narrow intervals


@dataclass(frozen=True)
class Request:
    """What is asked of answers; `despite` and `cluster` are as in `pairing.pair`.

    - models, filters: empty for all.
    - confidence: of the intervals; 1 - confidence is the level of the tests.
    - languages: of tasks whose answers do not say it.
    """

    baseline: str
    models: tuple[str, ...] = ()
    filters: tuple[str, ...] = ()
    despite: frozenset[str] = frozenset()
    cluster: str | None = None
    confidence: float = 0.95
    interval: Interval = "sandwich"
    rounds: int = 2000
    seed: int = 0
    languages: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Row:
    """A model beside the baseline on one unit, or in the mean over several (`unit` None).

    `p`, `test` and `mcnemar_p` are as in the record; `paired` is None for a mean.
    """

    one: Side
    other: Side
    unit: Unit | None
    paired: Paired | None
    estimate: Estimate
    rounds: Rounds | None
    p: float
    test: str
    values: tuple[float, float]
    metric: str
    right_or_wrong: bool
    p_holm: float = np.nan
    mcnemar_p: float = np.nan
    over: tuple[Row, ...] = field(default=(), repr=False)
    language: str | None = None


def compare(sheets: Sheets, request: Request, say: Say) -> Iterator[Row]:
    """Yield the rows of each model in turn: of its tasks, then of languages, then of all tasks.

    Raises:
        UsageError: a model, metric or filter is asked for that is not there.
        LatxaError: there is nothing to compare, or what is compared is not the same.
    """
    say = _once(say)
    if request.cluster not in (None, ITEM) and sheets.sheets and not sheets.clustered:
        hint = "`--cluster item` takes each item by itself"
        raise UsageError(f"`--cluster {request.cluster}`: no answer has this field", hint=hint)
    names = names_of(place.model for place in sheets.sheets)
    if not names:
        return
    baseline = Side(find(request.baseline, names, "--baseline"), request.baseline, sheets.sheets)
    baseline = baseline._replace(name=names[baseline.model])
    models = [find(name, names, "--model") for name in dict.fromkeys(request.models)] or list(names)
    models = [model for model in dict.fromkeys(models) if model != baseline.model]
    if not models:
        raise UsageError(f"there are no answers of a model beside `{baseline.name}`", hint=_own(names))
    units = list(units_of(sheets, {baseline.model, *models}, request))
    _check_metrics(sheets, units)
    chosen = _one_row_a_task(units, request.filters, say)
    for model in models:
        one = Side(model, names[model], sheets.sheets)
        rows = [row for unit in units for row in _row(unit, one, baseline, request, say)]
        if not rows:
            raise LatxaError(f"`{one.name}` and `{baseline.name}` have no answers to the same task")
        adjusted = holm([row.p for row in rows])
        rows = [replace(row, p_holm=p) for row, p in zip(rows, adjusted, strict=True)]
        yield from rows
        yield from _means([row for row in rows if row.unit in chosen], request)


def _once(say: Say) -> Say:
    """Return what says each sentence once, though it is true of every model."""
    said: set[str] = set()

    def tell(sentence: str) -> None:
        if sentence not in said:
            said.add(sentence)
            say(sentence)

    return tell


def _near(word: str, known: list[str]) -> str:
    return nearest(word, known) if known else ""


def _own(names: dict[Identity, str]) -> str:
    return "" if len(names) > 1 else "name the files of both; `NAME=FILE` tells models of one name apart"


# --- what has a row ---------------------------------------------------------------------------------------------------


def units_of(sheets: Sheets, models: set[Identity], request: Request) -> Iterator[Unit]:
    """Yield the tasks, and the groups of tasks that have one figure, in the order in which they come up."""
    filters = request.filters
    groups: dict[str, str] = {}
    facts: dict[str, dict[str, object]] = {}
    found: dict[tuple[str, str, str], dict[str, None]] = {}
    mine = [(place, sheet) for place, sheet in sheets.sheets.items() if place.model in models]
    for place, sheet in mine:
        if group := sheet.fact("group"):
            groups.setdefault(place.task, group)
    own = {place.task for place, _ in mine} - set(groups)
    groups = {task: group for task, group in groups.items() if group not in own}
    for place, sheet in mine:
        name = groups.get(place.task, place.task)
        for fact in ("language", "group_mean"):
            facts.setdefault(name, {}).setdefault(fact, sheet.fact(fact))
            if fact == "language" and facts[name][fact] != sheet.fact(fact):
                facts[name][fact] = None
        for metric in sheet.scores:
            found.setdefault((name, place.filter, metric), {})[place.task] = None
    of_task: dict[str, set[str]] = {}
    for name, filter_, _ in found:
        of_task.setdefault(name, set()).add(filter_)
    known = sorted(set().union(*of_task.values())) if of_task else []
    if odd := next((name for name in filters if name not in known), None):
        raise UsageError(f"`--filter {odd}`: no answers went through this filter", hint=_near(odd, known))
    for (name, filter_, metric), members in found.items():
        if filters and of_task[name] & set(filters) and filter_ not in filters:
            continue
        language = facts[name]["language"] or request.languages.get(name)
        yield Unit(
            name, filter_, metric, tuple(members), language if isinstance(language, str) else None,
            by_tasks=len(members) > 1 and facts[name]["group_mean"] == "tasks",
        )  # fmt: skip


def _check_metrics(sheets: Sheets, units: Sequence[Unit]) -> None:
    having = {unit.metric for unit in units}
    if odd := next((name for name in sheets.metrics if name not in having), None):
        raise UsageError(f"`--metric {odd}`: no answer has this metric", hint=_near(odd, sorted(sheets.known)))
    if not units:
        raise LatxaError("no answer has a score", hint="`--metric` names one" if sheets.known else "")


def _one_row_a_task(units: Sequence[Unit], filters: Sequence[str], say: Say) -> set[Unit]:
    """Return one unit of each task and metric, for means in which each task has one weight."""
    chosen: set[Unit] = set()
    for _, some in groupby(sorted(units, key=lambda unit: (unit.task, unit.metric)), lambda unit: unit[0:3:2]):
        several = sorted(some, key=lambda unit: filters.index(unit.filter) if unit.filter in filters else 0)
        chosen.add(several[0])
        if len(several) > 1:
            others = " or ".join(f"`--filter {unit.filter}`" for unit in several[1:])
            say(f"`{several[0].task}`: means take the filter `{several[0].filter}`; {others} takes another")
    return chosen


# --- rows -------------------------------------------------------------------------------------------------------------


def _row(unit: Unit, one: Side, other: Side, request: Request, say: Say) -> Iterator[Row]:
    """Yield the row of a unit, unless neither has answers to it, or none that both have."""
    if all(unit.sheet(side, task) is None for side in (one, other) for task in unit.members):
        return
    paired = pair(unit, one, other, request.despite, request.cluster)
    _tell(unit, one, other, paired, request, say)
    if not len(paired):
        return
    found = estimate(paired)
    rounds = resampled(paired, found, request.rounds, request.seed) if request.interval == "bootstrap" else None
    p, name, exact = tested(paired, found, request.seed)
    values = [paired.mean(over_draws(scores)) for scores in (paired.scores, paired.baseline)]
    sheet = next(sheet for task in unit.members if (sheet := unit.sheet(other, task)))
    yield Row(
        one, other, unit, paired, found, rounds, p, name, (values[0], values[1]),
        sheet.called if unit.metric == CORRECT else unit.metric,
        unit.metric in (*RIGHT_OR_WRONG, CORRECT), mcnemar_p=exact, language=unit.language,
    )  # fmt: skip


def _tell(unit: Unit, one: Side, other: Side, paired: Paired, request: Request, say: Say) -> None:
    what = f"`{unit.task}`, `{one.name}` and `{other.name}`"
    if paired.left_out:
        say(f"{what}: {paired.left_out:,} items that one of them was not asked are left out")
    if missing := paired.unanswered + paired.baseline_unanswered:
        say(f"{what}: {missing:,} items without an answer of one of them are left out")
    if not len(paired):
        say(f"{what}: there is no item that both answered")
    count = 0 if paired.clusters is None else len(np.unique(paired.clusters))
    if 1 < count < FEW_CLUSTERS and len(unit.members) > 1 and request.cluster is None:
        say(f"`{unit.task}`: {count} tasks make a wide interval; `--cluster item` takes the tasks as they are")
    if count == 1:
        say(f"`{unit.task}`: all items are one cluster, which tells nothing of the error")
    elif 0 < count < FEW_TO_DRAW and request.interval == "bootstrap":
        say(f"`{unit.task}`: {count} clusters are few to draw from; `--interval sandwich` holds its confidence")


def tested(paired: Paired, found: Estimate, seed: int) -> tuple[float, str, float]:
    """Return p, the test, and the p of McNemar's, which is known where items are right or wrong."""
    exact = np.nan
    if paired.is_right_or_wrong:
        differences = paired.differences[:, 0]
        exact = mcnemar(int((differences > 0).sum()), int((differences < 0).sum()))
        if paired.clusters is None and paired.is_even:
            return exact, "mcnemar", exact
    if paired.clusters is None and paired.differences.shape[1] == 1:
        return sign_flips(paired.differences[:, 0] * paired.weights, seed), "permutation", exact
    return found.p, "t", exact


def _means(rows: Sequence[Row], request: Request) -> Iterator[Row]:
    """Yield, for each metric, the mean over the tasks of each language, where there are several, and over all."""
    for metric in dict.fromkeys(row.unit.metric for row in rows if row.unit):
        some = [row for row in rows if row.unit and row.unit.metric == metric]
        spoken = [row.language for row in some]
        for language in dict.fromkeys(spoken):
            if language is not None and 1 < spoken.count(language) < len(some):
                yield _mean([row for row in some if row.language == language], request, language)
        if len(some) > 1:
            yield _mean(some, request, spoken[0] if len(set(spoken)) == 1 else None)


def _mean(rows: Sequence[Row], request: Request, language: str | None) -> Row:
    metrics = {row.metric for row in rows}
    found = estimates.mean_of([row.estimate for row in rows])
    rounds = None
    if request.interval == "bootstrap":
        rounds = resampling.mean_of([row.rounds for row in rows if row.rounds is not None])
    values = np.mean([row.values for row in rows], axis=0).tolist()
    return Row(
        rows[0].one, rows[0].other, None, None, found, rounds,
        found.p, "t", (values[0], values[1]),
        metrics.pop() if len(metrics) == 1 else ACCURACY, all(row.right_or_wrong for row in rows),
        over=tuple(rows), language=language,
    )  # fmt: skip
