"""Which figures the records of a report give, and what is drawn in each.

`latxa report results.jsonl --plot means.pdf --figure tradeoff`
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from math import isfinite
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

from latxa_cli.report.plots.rows import Point, RowPanel, draw_rows
from latxa_cli.report.plots.style import check
from latxa_cli.stream.errors import LatxaError, UsageError
from latxa_cli.stream.kinds import SHARES
from latxa_cli.stream.records import Record

if TYPE_CHECKING:
    from latxa_cli.report.report import Report

Draw = Callable[[str], bytes]  # of a format
NORMAL = 1.96  # standard errors from the middle of a 95 % interval to its ends
FEWEST = 5  # models over which a correlation of tasks says anything
FORMS = {True: ".1f", False: ".3g"}  # of values: whether they are shares, in percent
_VARIANT = re.compile(r"(?:.*[^0-9])?([0-2])_[01]{3}")


def gallery(report: Report) -> dict[str, Draw]:
    """Return what draws each figure that the records give, by its name; the first is drawn unless another is wanted."""
    found = {
        "losses": _losses(report),
        "battles": _battles(report),
        "ratings": _ratings(report),
        "differences": _differences(report.kept["comparison"]),
        "funnel": _funnel(report.kept["manifest"]),
        "correlations": _agreement(report.kept["correlation"]) or _correlations(report),
        "results": _results(report),
        "tradeoff": _tradeoff(report),
        "factors": _factors(report),
    }
    order = ["losses", "battles", "ratings", "differences", "funnel", "results", "tradeoff", "factors", "correlations"]
    return {name: draw for name in order if (draw := found[name])}


def drawn(report: Report, wanted: str | None, path: Path, say: Callable[[str], None]) -> bytes:
    """Return the figure for `path` that is `wanted`, or the first, and say which others there are.

    Raises UsageError where there is none, or not the one that is wanted.
    """
    figures = gallery(report)
    name, draw = chosen(figures, wanted, path)
    if others := [f"`{other}`" for other in figures if other != name and not wanted]:
        say(f"the figure shows {name}; `--figure` takes {', '.join(others)} too")
    return draw(check(path))


def chosen(figures: Mapping[str, Draw], wanted: str | None, path: object) -> tuple[str, Draw]:
    """Return the name and the drawing of the figure that is `wanted`, or of the first; raises UsageError for none."""
    if not figures:
        hint = "`--plot` draws results, ratings, battles, comparisons, metrics of `train` and manifests of `corpus`"
        raise UsageError(f"there is nothing to draw in `{path}`", hint=hint)
    name = wanted or next(iter(figures))
    if name not in figures:
        others = ", ".join(f"`{figure}`" for figure in figures)
        raise UsageError(f"the records do not give the figure `{name}`", hint=f"they give {others}")
    return name, figures[name]


# --- training, battles and ratings


def _losses(report: Report) -> Draw | None:
    from latxa_cli.report.plots.lines import Panel, draw_lines

    curves = report.curves
    titles = {"": "Training loss"} | {name: f"Validation loss, {name}" for name in curves.sets()}
    panels = [Panel(title, curves.of(name), noisy=not name) for name, title in titles.items() if curves.of(name)]
    if not panels:
        return None
    return lambda layout: draw_lines(panels, layout, x="optimiser step", y="nats per token")


def _battles(report: Report) -> Draw | None:
    from latxa_cli.report.plots.heat import draw_heat_maps

    if report.meetings is None or not len(report.meetings.models):
        return None
    meetings = report.meetings.in_order(report.table.models() if report.table.ratings else ())
    return lambda layout: draw_heat_maps(meetings.models, meetings.won, meetings.met, layout)


def _ratings(report: Report) -> Draw | None:
    from latxa_cli.report.plots.intervals import draw_intervals

    if not report.table.ratings:
        return None
    return lambda layout: draw_intervals(report.table.by_board(), layout)


# --- results


def measured(report: Report) -> Iterator[tuple[str, str, Record]]:
    """Yield (row, column, result) of what was evaluated, with the names that the report's table gives them."""
    derived = set(map(id, report.derived))
    columns = report.table.columns()
    for model in report.table.models():
        for column in columns:
            record = column.results.get(model)
            if record is not None and id(record) not in derived:
                yield model, column.task, record


def _results(report: Report) -> Draw | None:
    models: dict[str, None] = {}
    columns: dict[str, dict[str, Record]] = {}
    for model, column, record in measured(report):
        models.setdefault(model)
        columns.setdefault(column, {})[model] = record
    if not columns:
        return None
    panels = []
    for column, by_model in columns.items():
        unit = next(iter(by_model.values()))["metric"]
        points = {model: _point(by_model[model]) if model in by_model else None for model in models}
        panels.append(RowPanel(column, points, f"{unit}, %" if unit in SHARES else unit, FORMS[unit in SHARES]))
    return lambda layout: draw_rows(panels, layout, mark="dots", note="lines: 1.96 standard errors to each side")


def _point(result: Record) -> Point:
    factor, spread = 100 if result["metric"] in SHARES else 1, result.get("stderr")
    value = factor * result["value"]
    if spread is None or not isfinite(spread):
        return Point(value)
    return Point(value, value - NORMAL * factor * spread, value + NORMAL * factor * spread)


def _tradeoff(report: Report) -> Draw | None:
    """Return the figure of means by language, of each model and of its baseline over the tasks that both have."""
    shares: dict[str, dict[tuple[str, str], float]] = {}  # of a model, by language and column
    for model, column, record in measured(report):
        if record["metric"] in SHARES and record.get("language"):
            shares.setdefault(model, {})[record["language"], column] = 100 * record["value"]
    baselines = baselines_of(list(shares))
    languages = dict.fromkeys(language for values in shares.values() for language, _ in values)
    panels = []
    for language in languages:
        points: dict[str, Point | None] = {}
        counts: set[int] = set()
        for model, baseline in baselines.items():
            both = [key for key in shares[model] if key in shares[baseline] and key[0] == language]
            means = [fmean(shares[name][key] for key in both) for name in (model, baseline)] if both else []
            points[model] = Point(means[0], baseline=means[1]) if both else None
            counts.add(len(both))
        counts -= {0}
        if counts:
            tasks = f"mean of {counts.pop():,}" if len(counts) == 1 else "mean"
            panels.append(RowPanel(f"{language}, {tasks}", points, "%", "+.1f"))
    if not panels:
        return None
    several = ", or a variant's own backbone" if len(set(baselines.values())) > 1 else ""
    note = f"hollow: {{}}{several}; diamond: the model; over tasks that both have"
    return lambda layout: draw_rows(panels, layout, mark="ways", note=note, noted=next(iter(shares)))


def _factors(report: Report) -> Draw | None:
    """Return the figure of what each factor of the grid of variants does, one panel a table of benchmarks."""
    try:
        (table,) = report.tables(["factors"])
    except LatxaError:  # no model is a variant, or no task is one of these tables
        return None
    boards: dict[str, dict[str, Point]] = {}
    for record in table.records:
        if record["change"] is not None:
            name = f"{record['factor']}: {record['level']}, not {record['from']}"
            boards.setdefault(record["table"], {})[name] = Point(record["change"], record["lower"], record["upper"])
    if not boards:
        return None
    panels = [_panel(title, points, boards, "points", "+.1f") for title, points in boards.items()]
    note = "mean over pairs of variants that differ in this alone; lines: 90 % intervals, where pairs are enough"
    return lambda layout: draw_rows(panels, layout, mark="bars", note=note)


def baselines_of(models: Sequence[str]) -> dict[str, str]:
    """Return the baseline of each model but the baselines: the backbone of a variant, else the first model.

    A name that ends like `2_101` is a variant's, and one that ends like `2_000` is that of its backbone.
    """
    variants = {model: found[1] for model in models if (found := _VARIANT.fullmatch(model))}
    backbones = {digit: model for model, digit in variants.items() if model.endswith("_000")}
    pairs = {model: backbones.get(variants.get(model, ""), models[0]) for model in models}
    return {model: baseline for model, baseline in pairs.items() if model not in pairs.values()}


def _correlations(report: Report) -> Draw | None:
    """Return the figure of Spearman's correlations between tasks, each over the models that have both."""
    import numpy as np

    columns: dict[str, dict[str, float]] = {}
    for model, column, record in measured(report):
        columns.setdefault(column, {})[model] = record["value"]
    names = [column for column, values in columns.items() if len(values) >= FEWEST]
    if len(names) < 2:
        return None
    values = np.full((len(names), len(names)), np.nan)
    for row, first in enumerate(names):
        for place, second in enumerate(names[:row]):
            values[row, place] = values[place, row] = _spearman(columns[first], columns[second])
    if np.isnan(values).all():
        return None
    models = len({model for column in columns.values() for model in column})
    note = f"over {models} models; hatched: not known" if np.isnan(values).sum() > len(names) else f"{models} models"

    def draw(layout: str) -> bytes:
        from latxa_cli.report.plots.heat import draw_correlations

        return draw_correlations(names, values, layout, note=note)

    return draw


def _spearman(first: Mapping[str, float], second: Mapping[str, float]) -> float:
    """Return the correlation of ranks over the models of both; nan where they are too few or all alike."""
    from scipy.stats import spearmanr

    both = [model for model in first if model in second]
    pairs: list[Any] = [[values[model] for model in both] for values in (first, second)]
    if len(both) < FEWEST or any(len(set(values)) == 1 for values in pairs):
        return float("nan")
    return float(spearmanr(*pairs).statistic)


def _agreement(correlations: Sequence[Record]) -> Draw | None:
    """Return the figure of correlations between ratings and results, with their intervals."""
    boards: dict[str, dict[str, Point]] = {}
    for record in correlations:
        if record.get("correlation") is not None:
            name = " ".join(filter(None, (record["benchmark"], record.get("language"))))
            point = Point(record["correlation"], record.get("lower"), record.get("upper"))
            boards.setdefault(record.get("criterion") or "winner", {})[name] = point
    if not boards:
        return None
    panels = [_panel(title, points, boards, "rank correlation", "+.2f") for title, points in boards.items()]
    return lambda layout: draw_rows(panels, layout, mark="dots", note="of results with ratings; lines: intervals")


# --- comparisons and corpora


def _differences(comparisons: Sequence[Record]) -> Draw | None:
    pairs: dict[tuple[str, str], dict[str, Point]] = {}
    for record in comparisons:
        factor = 100 if record["metric"] in SHARES else 1
        ends = [record.get(name) for name in ("lower", "upper")]
        low, high = (None if end is None else factor * end for end in ends)
        stands = record.get("verdict") != "no difference shown"
        rows = pairs.setdefault((record["model"], record["baseline"]), {})
        rows[_compared(record)] = Point(factor * record["difference"], low, high, stands=stands)
    if not pairs:
        return None
    titles = {pair: f"{pair[0]} − {pair[1]}" for pair in pairs}
    unit = "points" if all(record["metric"] in SHARES for record in comparisons) else "difference"
    panels = [_panel(titles[pair], points, pairs, unit, "+.1f") for pair, points in pairs.items()]
    note = "lines: intervals; hollow: no difference shown"
    return lambda layout: draw_rows(panels, layout, mark="dots", note=note)


def _compared(record: Record) -> str:
    """Return the name of a comparison's row."""
    parts = [record.get("task") or f"mean of {record.get('tasks', '?')} tasks", record.get("language") or ""]
    if record["metric"] not in SHARES:
        parts.append(record["metric"])
    return " ".join(filter(None, [*parts, (record.get("filter") or "none").replace("none", "")]))


def _panel(title: str, points: Mapping[str, Point], boards: Mapping[Any, Any], unit: str, form: str) -> RowPanel:
    """Return a panel with the rows of all boards, in order of first appearance."""
    rows = dict.fromkeys(name for board in boards.values() for name in board)
    return RowPanel(title, {name: points.get(name) for name in rows}, unit, form, zero=True)


def _funnel(manifests: Sequence[Record]) -> Draw | None:
    panels = []
    for manifest in manifests:
        left = _left(manifest.get("funnel"))
        lost = (manifest.get("counts") or {}).get("rejected")
        if not left:
            continue
        points = {name: Point(count) for name, count in left.items()}
        panels.append(RowPanel("Documents left after each step", points, "documents", ",.0f"))
        if isinstance(lost, dict) and lost:
            counts = {name: Point(count) for name, count in lost.items() if isinstance(count, int)}
            ordered = dict(sorted(counts.items(), key=lambda entry: (-entry[1].value, entry[0])))
            panels.append(RowPanel("Documents left out, by reason", ordered, "documents", ",.0f"))
    if not panels:
        return None
    return lambda layout: draw_rows(panels, layout, mark="bars")


def _left(funnel: object) -> dict[str, int]:
    """Return the documents of all sources after each step of a `corpus` run; empty for anything else."""
    left: dict[str, int] = {}
    for steps in funnel.values() if isinstance(funnel, dict) else ():
        for step, figures in steps.items() if isinstance(steps, dict) else ():
            count = figures.get("documents") if isinstance(figures, dict) else None
            if isinstance(count, int):
                left[step] = left.get(step, 0) + count
    return left
