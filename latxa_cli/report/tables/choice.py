"""The tables that `--table` names, out of results."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from latxa_cli.report.tables.benchmarks import BenchmarkTable
from latxa_cli.report.tables.factors import Made, effects, made_of, trade_off
from latxa_cli.report.tables.layouts import TABLES, layouts, none_of
from latxa_cli.report.tables.results import Results
from latxa_cli.report.tables.table import Table
from latxa_cli.stream.errors import UsageError
from latxa_cli.stream.tables import names_in

# Tables that are computed from the others that are named, or from all that come with latxa.
COMPUTED: Mapping[str, Callable[[Sequence[BenchmarkTable], Mapping[str, Made]], Table]] = {
    "factors": effects,
    "tradeoff": trade_off,
}


def chosen(names: Sequence[str], results: Results, factors: Path | None = None) -> list[Table]:
    """Return the tables called `names`, in order; raises LatxaError where one does not exist or has no rows."""
    computed = [name for name in names if name in COMPUTED]
    if factors is not None and not computed:
        raise UsageError("`--factors` has no effect without `--table factors` or `--table tradeoff`")
    named = [BenchmarkTable(layout, results) for layout in layouts([name for name in names if name not in COMPUTED])]
    tables = [table for one in named for table in one.tables()]
    if computed:
        basis = named or _shipped(results)
        every_row = {row.name: row for one in basis for row in one.rows}
        made = made_of(every_row.values(), factors)
        tables += [COMPUTED[name](basis, made) for name in dict.fromkeys(computed)]
    return tables


def _shipped(results: Results) -> list[BenchmarkTable]:
    """Return those of the tables that come with latxa which have any of their tasks in the results."""
    all_layouts = layouts(names_in(TABLES))
    measured = {measure[0] for measure in results.measures()}
    found = [layout for layout in all_layouts if measured & {task.name for task in layout.tasks}]
    if not found:
        raise none_of(all_layouts[0], sorted(measured))
    return [BenchmarkTable(layout, results) for layout in found]
