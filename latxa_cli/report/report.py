"""One report: what stands in its files, of whatever kind, gathered to be shown as one table and one figure.

`latxa report results.jsonl ratings.jsonl battles.jsonl run/metrics.jsonl --plot figure.pdf`
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from latxa_cli.report.curves import Curves
from latxa_cli.report.meetings import Meetings
from latxa_cli.report.model_table import ModelTable
from latxa_cli.report.plots.style import check
from latxa_cli.stream.errors import UsageError
from latxa_cli.stream.records import Record, Reject

# What may stand in the files. `arena-score` says more than ratings, which has no place in the table.
KINDS = ("result", "rating", "metrics", "battle", "difference", "finding", "correlation")
AT_ONCE = 10_000  # battles that are counted together

# Takes battles in, and yields those that cannot be counted.
Count = Callable[[list[Record]], Iterable[Reject]]


@dataclass
class Report:
    """Results and ratings by model, losses by run; who met whom is given when all battles are counted."""

    table: ModelTable = field(default_factory=ModelTable)
    curves: Curves = field(default_factory=Curves)
    meetings: Meetings | None = None

    def take(self, records: Iterable[Record], *, run: str, count: Count) -> Iterator[Reject]:
        """Take in the records of one file, and yield what cannot be shown.

        run: the training run that metrics in the file are of. count: what counts battles.
        """
        battles: list[Record] = []
        for record in records:
            if "rating" in record or "task" in record:
                yield from self.table.add([record])
            elif "step" in record:
                yield from self.curves.add(run, [record])
            elif "model_a" in record:
                battles.append(record)
            if len(battles) >= AT_ONCE:
                yield from count(battles)
                battles.clear()
        yield from count(battles)

    def complete(self, meetings: Meetings) -> Iterator[Reject]:
        """Take in the counted battles, and add to the table what curves and battles say of each model."""
        self.meetings = meetings
        yield from self.table.add([*self.curves.results(), *meetings.win_rates()])

    def draw(self, path: Path) -> bytes:
        """Return the figure to be written to `path`: of losses, else of battles, else of ratings.

        Raises UsageError where there is none of them, and where losses and one of the others are there.
        """
        layout = check(path)
        fought = self.meetings is not None and len(self.meetings.models) > 0
        if self.curves.runs and (self.table.ratings or fought):
            other = "battles" if fought else "ratings"
            raise UsageError(f"`{path}` cannot show training losses and {other} at once", hint="draw one of them")
        if self.curves.runs:
            return _losses(self.curves, layout)
        if fought and self.meetings is not None:
            return _battles(self.meetings.in_order(self.table.models() if self.table.ratings else ()), layout)
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
