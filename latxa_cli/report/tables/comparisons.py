"""Tables of comparisons: a row for each task, each language and all tasks, of each model beside the baseline.

`latxa compare answers.jsonl --baseline base --format table`
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from latxa_cli.report.tables.table import Table
from latxa_cli.stream.kinds import SHARES
from latxa_cli.stream.records import Record

METHODS = {
    "sandwich": "score tests, and clustered standard errors",
    "bootstrap": "the bootstrap",
}
# Metrics of comparisons that are shares: those of results, and two that answers have.
POINTS = SHARES | {"accuracy", "correct", "em"}


def comparisons(records: Sequence[Record]) -> Table:
    """Return the table of comparisons, with notes on how to read it; CSV has all fields, other formats a choice."""
    columns = list(dict.fromkeys(name for record in records for name in record))
    return Table(records, (list(records), columns), rows(records), below(records), "Comparisons")


def rows(records: Sequence[Record]) -> tuple[list[Record], list[str]]:
    """Return rows and the names of their columns; shares are percentages, and their differences points."""
    of_tasks = [record for record in records if "task" in record]
    models = [name for name, field in (("model", "model"), ("against", "baseline")) if len(_said(records, field)) > 1]
    ways = [name for name in ("metric", "filter") if len({record.get(name) for record in of_tasks}) > 1]
    figures = ["n", "baseline", "value", "difference", "interval", "p", "verdict", "detectable", "items for 1 point"]
    columns = [*models, "task", *ways, *figures]
    return [_row(record) for record in records], columns


def _row(record: Record) -> Record:
    share = record["metric"] in POINTS
    needed = record.get("items_for_point")
    return {
        **record,
        "task": record.get("task") or _mean(record),
        "n": None if record.get("n") is None else f"{record['n']:,}",
        "against": record["baseline"],
        "baseline": _figure(record["baseline_value"], share),
        "value": _figure(record["value"], share),
        "difference": _figure(record["difference"], share, "+"),
        "interval": _interval(record, share),
        "p": _p(record["p_holm"] if "p_holm" in record else record.get("p")),
        "detectable": _figure(record.get("detectable"), share),
        "items for 1 point": None if needed is None else f"{needed:,}",
    }


def _mean(record: Record) -> str:
    language = f", {record['language']}" if record.get("language") else ""
    return f"mean of {record.get('tasks') or 'tasks'}{language}"


def _figure(value: float | None, share: bool, sign: str = "") -> str | None:
    if value is None:
        return None
    return f"{value * 100:{sign}.1f}" if share else f"{value:{sign}.4g}"


def _interval(record: Record, share: bool) -> str | None:
    if record.get("lower") is None or record.get("upper") is None:
        return None
    return " – ".join(str(_figure(record[end], share, "+")) for end in ("lower", "upper"))


def _p(value: float | None) -> str | None:
    if value is None:
        return None
    return "<0.0001" if value < 0.0001 else f"{value:.4f}" if value < 0.01 else f"{value:.2f}"


def below(records: Sequence[Record]) -> list[str]:
    """Return what a reader must know of the figures, a line each."""
    if not records:
        return []
    baselines = ", ".join(_said(records, "baseline"))
    levels = " or ".join(f"{level:.0%}" for level in _said(records, "confidence"))
    methods = " or ".join(METHODS.get(method, method) for method in _said(records, "interval"))
    lines = [
        f"baseline: {baselines}" + f"; intervals of {levels}" * bool(levels) + f" by {methods}" * bool(methods),
        "verdicts on tasks hold for all tasks of a model together (Holm); those on means each by itself",
        "`no difference shown` does not say that there is none; these items show `detectable` with a power of 80 %",
    ]
    clustered = [record for record in records if record.get("clusters")]
    if names := list(dict.fromkeys(record.get("task") or _mean(record) for record in clustered)):
        lines.append(f"items hang together, by cluster: {', '.join(names)}")
    if despite := list(dict.fromkeys(str(word) for record in records for word in record.get("despite") or ())):
        lines.append(f"the two were not asked alike: {', '.join(despite)}")
    return lines


def _said(records: Iterable[Record], name: str) -> list[Any]:
    return list(dict.fromkeys(record[name] for record in records if record.get(name) is not None))
