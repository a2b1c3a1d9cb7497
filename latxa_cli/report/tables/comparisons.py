"""Tables of comparisons: a row for each task, each language and all tasks, of each model beside the baseline.

`latxa compare answers.jsonl --baseline base --format table`
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from latxa_cli.stream.display import Format, escaped, render
from latxa_cli.stream.kinds import SHARES
from latxa_cli.stream.records import Record
from latxa_cli.stream.terminal import printable

if TYPE_CHECKING:
    from latxa_cli.stream.run import Run

METHODS = {
    "sandwich": "clustered standard errors and t",
    "bootstrap": "the studentised bootstrap",
}
# Metrics of comparisons that are shares: those of results, and two that answers have.
POINTS = SHARES | {"accuracy", "correct", "em"}


def show(run: Run, records: Sequence[Record], layout: Format | None) -> None:
    """Write comparisons in a format; tables for reading end in lines that say how to read them."""
    layout = run.layout(layout)
    if layout == "jsonl":
        run.write(records)
        return
    run.print(page(records, layout), records=len(records))


def page(records: Sequence[Record], layout: Format) -> str:
    """Return comparisons as one text; CSV has all fields, the other formats a choice of them."""
    if layout == "csv":
        return render(records, list(dict.fromkeys(name for record in records for name in record)), layout)
    text = render(*rows(records), layout)
    if layout in ("table", "markdown") and records:
        lines = [printable(line) for line in below(records)]
        text += "\n" + "".join(f"- {escaped(line) if layout == 'markdown' else line}\n" for line in lines)
    return text


def rows(records: Sequence[Record]) -> tuple[list[Record], list[str]]:
    """Return rows and the names of their columns; shares are percentages, and their differences points."""
    of_tasks = [record for record in records if "task" in record]
    several = {name: len({record.get(name) for record in of_tasks}) > 1 for name in ("model", "filter", "metric")}
    columns = [
        *(["model"] if several["model"] else []), "task", *(name for name in ("metric", "filter") if several[name]),
        "n", "baseline", "value", "difference", "interval", "p", "verdict", "detectable", "items for 1 point",
    ]  # fmt: skip
    return [_row(record) for record in records], columns


def _row(record: Record) -> Record:
    share = record["metric"] in POINTS
    needed = record.get("items_for_point")
    return {
        **record,
        "task": record.get("task") or _mean(record),
        "n": f"{record['n']:,}",
        "baseline": _figure(record["baseline_value"], share),
        "value": _figure(record["value"], share),
        "difference": _figure(record["difference"], share, "+"),
        "interval": _interval(record, share),
        "p": _p(record["p_holm"] if "p_holm" in record else record["p"]),
        "detectable": _figure(record.get("detectable"), share),
        "items for 1 point": None if needed is None else f"{needed:,}",
    }


def _mean(record: Record) -> str:
    language = f", {record['language']}" if record.get("language") else ""
    return f"mean of {record['tasks']}{language}"


def _figure(value: float | None, share: bool, sign: str = "") -> str | None:
    if value is None:
        return None
    return f"{value * 100:{sign}.1f}" if share else f"{value:{sign}.4g}"


def _interval(record: Record, share: bool) -> str | None:
    if record["lower"] is None or record["upper"] is None:
        return None
    return " – ".join(str(_figure(record[end], share, "+")) for end in ("lower", "upper"))


def _p(value: float) -> str:
    return "<0.0001" if value < 0.0001 else f"{value:.4f}" if value < 0.01 else f"{value:.2f}"


def below(records: Sequence[Record]) -> list[str]:
    """Return what a reader must know of the figures, a line each."""
    first = records[0]
    lines = [
        f"baseline: {first['baseline']}; intervals of {first['confidence']:.0%} by {METHODS[first['interval']]}",
        "verdicts on tasks hold for all tasks of a model together (Holm); those on means each by itself",
        "`no difference shown` does not say that there is none; these items show `detectable` with a power of 80 %",
    ]
    if clustered := [record for record in records if record.get("clusters")]:
        names = ", ".join(dict.fromkeys(record["task"] for record in clustered))
        lines.append(f"items hang together, by cluster: {names}")
    if despite := list(dict.fromkeys(word for record in records for word in record.get("despite") or ())):
        lines.append(f"the two were not asked alike: {', '.join(despite)}")
    return lines
