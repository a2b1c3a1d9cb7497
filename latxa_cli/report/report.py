"""One report: the records of all its files, for one table and one figure.

`latxa report results.jsonl ratings.jsonl battles.jsonl run/metrics.jsonl --plot figure.pdf`
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from latxa_cli.report.plots.curves import Curves
from latxa_cli.report.plots.style import check
from latxa_cli.report.tables.meetings import Meetings
from latxa_cli.report.tables.model_table import ModelTable
from latxa_cli.stream.errors import UsageError
from latxa_cli.stream.records import Record, Reject

# The kinds of records that a file may hold. The last three come from `arena-score` and are passed over.
KINDS = ("result", "rating", "metrics", "battle", "difference", "finding", "correlation")
BATCH = 10_000  # battles counted together, so that memory stays bounded

# Counts battles, and yields those that cannot be counted.
Count = Callable[[list[Record]], Iterable[Reject]]


@dataclass
class Report:
    """Results and ratings by model, and losses by run; `meetings` is set when all battles are counted.

    - measured: the task and metric of each result that is no baseline.
    - left_out: the number of baseline results of other tasks and metrics.
    """

    table: ModelTable = field(default_factory=ModelTable)
    curves: Curves = field(default_factory=Curves)
    meetings: Meetings | None = None
    measured: set[tuple[str, str]] = field(default_factory=set)
    left_out: int = 0

    def take(self, records: Iterable[Record], *, run: str, count: Count) -> Iterator[Reject]:
        """Add the records of one file, and yield a Reject for each that cannot be shown.

        Args:
            records: of any of `KINDS`.
            run: the name of the training run for metrics in the file.
            count: counts battles.
        """
        battles: list[Record] = []
        for record in records:
            if "rating" in record or "task" in record:
                if "task" in record:
                    self.measured.add((record["task"], record["metric"]))
                yield from self.table.add([record])
            elif "step" in record:
                yield from self.curves.add(run, [record])
            elif "model_a" in record:
                battles.append(record)
            if len(battles) >= BATCH:
                yield from count(battles)
                battles.clear()
        yield from count(battles)

    def beside(self, results: Iterable[Record]) -> Iterator[Reject]:
        """Add baselines: results of what is measured, or all results where nothing is; yield Rejects as `take` does."""
        wanted = self.measured.copy()
        for result in results:
            if wanted and (result["task"], result["metric"]) not in wanted:
                self.left_out += 1
                continue
            yield from self.table.add([result])

    def complete(self, meetings: Meetings) -> Iterator[Reject]:
        """Add the counted battles, and put losses and win rates into the table."""
        self.meetings = meetings
        yield from self.table.add([*self.curves.results(), *meetings.win_rates()])

    def draw(self, path: Path) -> bytes:
        """Return the figure for `path`: of losses, else of battles, else of ratings.

        Raises:
            UsageError: there is nothing to draw, or losses beside battles or ratings.
        """
        layout = check(path)
        meetings = self.meetings if self.meetings is not None and len(self.meetings.models) > 0 else None
        if self.curves.runs and (self.table.ratings or meetings):
            other = "battles" if meetings else "ratings"
            raise UsageError(f"`{path}` cannot show training losses and {other} at once", hint="draw one of them")
        if self.curves.runs:
            return _losses(self.curves, layout)
        if meetings:
            return _battles(meetings.in_order(self.table.models() if self.table.ratings else ()), layout)
        if self.table.ratings:
            from latxa_cli.report.plots.intervals import draw_intervals

            return draw_intervals(self.table.by_board(), layout)
        hint = "`--plot` draws `metrics.jsonl` of `train`, battles, and ratings of `arena-score`"
        raise UsageError(f"there is nothing to draw in `{path}`", hint=hint)


def _losses(curves: Curves, layout: str) -> bytes:
    from latxa_cli.report.plots.lines import Panel, draw_lines

    titles = {"": "Training loss"} | {name: f"Validation loss, {name}" for name in curves.sets()}
    panels = [Panel(title, curves.of(name), noisy=not name) for name, title in titles.items() if curves.of(name)]
    return draw_lines(panels, layout, x="optimiser step", y="nats per token")


def _battles(meetings: Meetings, layout: str) -> bytes:
    from latxa_cli.report.plots.heat import draw_heat_maps

    return draw_heat_maps(meetings.models, meetings.won, meetings.met, layout)
