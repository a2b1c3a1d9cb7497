"""`latxa report`."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from latxa_cli.options import Files, Run, verb
from latxa_cli.stream.errors import UsageError
from latxa_cli.stream.table import Format


@verb(makes="whole")
def report(
    run: Run,
    files: Files = None,
    *,
    format: Annotated[
        Format | None, typer.Option(help="[default: table on a terminal, else jsonl]", show_default=False)
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Draw the losses here (`.png`, `.svg`, `.pdf`).", show_default=False),
    ] = None,
) -> None:
    """Show results, ratings and training losses as one table, or draw them.

    in:  results {model, task, metric, value, stderr}, ratings {model, rating, lower, upper} and metrics of training
         {step, loss, validation}, in any order
    out: a table; or rows {model, ratings, results}; with --plot a figure too

    A table and Markdown show value ± standard error, as percentages where the metric is a share (acc, acc_norm,
    exact_match). CSV and JSONL keep the values as they were measured. A task that was measured in several ways
    (metric, filter, number of examples, language) has a column for each. Models come best first where there are
    ratings, else as they came. All results are held in memory.

    The folder that holds a file of metrics names the run. Its row shows the last training loss and the best loss on
    each validation set; the figure shows all of them over the steps, the mean over a 40th of the run drawn thick.

    examples:
      latxa report results.jsonl
      latxa report results/*.jsonl ratings.jsonl --format markdown -o table.md
      latxa eval out --task xstorycloze_eu | latxa report --format csv
      latxa report run1/metrics.jsonl run2/metrics.jsonl --plot loss.svg
    """
    from latxa_cli.evaluation.tables import Pivot
    from latxa_cli.stream.table import render
    from latxa_cli.training.curves import Curves, run_names

    figure = _figure(run, plot)
    pivot, curves = Pivot(), Curves()
    names = run_names(files or ["-"])
    inputs = {file: run.read([file], ("result", "rating", "metrics")) for file in names}
    for file, records in inputs.items():
        run.write(_rejects(records, pivot, curves, names[file]))
    run.write(pivot.add(curves.results()))
    if figure:
        figure(curves)
    layout = format or ("table" if run.is_terminal else "jsonl")
    if layout == "jsonl":
        run.write(pivot.rows())
        return
    rows, columns = pivot.figures() if layout == "csv" else pivot.texts()
    run.print(render(rows, columns, layout), records=len(rows))


def _rejects(records: Iterable[Any], pivot: Any, curves: Any, name: str) -> Iterator[Any]:
    """Take in the records of one file, and yield what cannot be shown."""
    for record in records:
        taken = pivot.add([record]) if "task" in record or "rating" in record else curves.add(name, [record])
        yield from taken


def _figure(run: Run, path: Path | None) -> Any:
    """Return the function that draws curves into `path`, if it is given; what hinders that is told before the work."""
    if path is None:
        return None
    from latxa_cli import plots

    layout = plots.check(path)
    out: Any = run.extra("--plot", path)

    def draw(curves: Any) -> None:
        if not curves.runs:
            raise UsageError(f"there is nothing to draw in `{path}`", hint="`--plot` draws `metrics.jsonl` of `train`")
        titles = {"": "Training loss"} | {name: f"Validation loss, {name}" for name in curves.sets()}
        panels = [
            plots.Panel(title, curves.of(name), noisy=not name) for name, title in titles.items() if curves.of(name)
        ]
        out.write_lines(plots.draw_lines(panels, layout, x="optimiser step", y="nats per token"))

    return draw
