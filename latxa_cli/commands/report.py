"""`latxa report`."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from latxa_cli.options import Files, OutputFile, Run, verb
from latxa_cli.stream.errors import UsageError
from latxa_cli.stream.table import Format

# What may stand in the files. `arena-score` says more than ratings, which has no place in the table.
KINDS = ("result", "rating", "metrics", "battle", "difference", "finding", "correlation")
AT_ONCE = 10_000  # battles that are counted together


@verb(makes="whole")
def report(
    run: Run,
    files: Files = None,
    *,
    format: Annotated[
        Format | None, typer.Option(help="[default: table on a terminal, else jsonl]", show_default=False)
    ] = None,
    plot: Annotated[
        OutputFile,
        typer.Option(
            metavar="FILE", help="Draw losses, ratings or battles here (`.png`, `.svg`, `.pdf`).", show_default=False
        ),
    ] = None,
) -> None:
    """Show results, ratings, battles and losses as one table, or draw them.

    in:  results {model, task, metric, value, stderr}, ratings {model, rating, lower, upper}, battles {model_a, model_b,
         winner} and metrics of training {step, loss, validation}, in any order
    out: a table; or rows {model, ratings, results}; with --plot a figure too

    Tables for people show value ± standard error, as percentages where the metric is a share (acc, acc_norm,
    exact_match, win_rate). CSV and JSONL keep the values as they were measured. A task that was measured in several
    ways (metric, filter, number of examples, language) has a column for each, and so has each board of ratings
    (criterion, group). Models come best first where there are ratings, else as they came. All results are held in
    memory; battles are counted.

    The figure shows one of these: of metrics, the losses over the steps, their mean over a 40th of the run drawn thick;
    of battles, the share that each model won against each other one and how often they met, in the order of the first
    ratings if there are any; of ratings without battles, their intervals. Losses are not drawn beside the other two.

    The folder that holds a file of metrics names the run. Its row shows the last training loss and the best loss on
    each validation set. For battles a row shows the share that the model won (ties are won by neither).

    examples:
      latxa report results.jsonl
      latxa report results/*.jsonl ratings.jsonl --format markdown -o table.md
      latxa eval out --task xstorycloze_eu | latxa report --format csv
      latxa report run1/metrics.jsonl run2/metrics.jsonl --plot loss.svg
      latxa report ratings.jsonl --plot ratings.pdf --format latex -o table.tex
      latxa report battles.jsonl ratings.jsonl --plot battles.pdf
    """
    from latxa_cli.arena.battles import Tally
    from latxa_cli.arena.matrices import win_rates
    from latxa_cli.arena.votes import count
    from latxa_cli.evaluation.tables import Pivot
    from latxa_cli.stream.table import render
    from latxa_cli.training.curves import Curves, run_names

    figure = _figure(run, plot)
    pivot, tally, curves = Pivot(), Tally(), Curves()
    names = run_names(files or ["-"])
    inputs = {file: run.read([file], KINDS) for file in names}
    for file, records in inputs.items():
        run.write(_rejects(records, pivot, tally, curves, names[file]))
    votes, again = tally.votes()
    run.write(again)
    counts, _ = count(votes)
    run.write(pivot.add([*curves.results(), *win_rates(counts)]))
    if figure:
        figure(pivot, counts, curves)
    layout = format or ("table" if run.is_terminal else "jsonl")
    if layout == "jsonl":
        run.write(pivot.rows())
        return
    rows, columns = pivot.figures() if layout == "csv" else pivot.texts()
    run.print(render(rows, columns, layout), records=len(rows))


def _rejects(records: Iterable[Any], pivot: Any, tally: Any, curves: Any, name: str) -> Iterator[Any]:
    """Take in the records of one file, and yield what cannot be shown."""
    battles = []
    for record in records:
        if "rating" in record or "task" in record:
            yield from pivot.add([record])
        elif "step" in record:
            yield from curves.add(name, [record])
        elif "model_a" in record:
            battles.append(record)
        if len(battles) >= AT_ONCE:
            yield from tally.count(battles)
            battles.clear()
    yield from tally.count(battles)


def _figure(run: Run, path: Path | None) -> Any:
    """Return the function that draws into `path`, if it is given; what hinders that is told before the work."""
    if path is None:
        return None
    from latxa_cli.plots.look import check

    layout = check(path)
    out: Any = run.file(path)

    def draw(pivot: Any, counts: Any, curves: Any) -> None:
        if curves.runs and (pivot.ratings or counts.models):
            other = "battles" if counts.models else "ratings"
            raise UsageError(f"`{path}` cannot show training losses and {other} at once", hint="draw one of them")
        if not (curves.runs or pivot.ratings or counts.models):
            hint = "`--plot` draws `metrics.jsonl` of `train`, battles, and ratings of `arena-score`"
            raise UsageError(f"there is nothing to draw in `{path}`", hint=hint)
        out.write_lines(_drawn(pivot, counts, curves, layout))

    return draw


def _drawn(pivot: Any, counts: Any, curves: Any, layout: str) -> bytes:
    if curves.runs:
        from latxa_cli.plots.lines import Panel, draw_lines

        titles = {"": "Training loss"} | {name: f"Validation loss, {name}" for name in curves.sets()}
        panels = [Panel(title, curves.of(name), noisy=not name) for name, title in titles.items() if curves.of(name)]
        return draw_lines(panels, layout, x="optimiser step", y="nats per token")
    if counts.models:
        from latxa_cli.arena.matrices import in_order, matrices
        from latxa_cli.plots.heat import draw_heat_maps

        models = in_order(counts, pivot.models() if pivot.ratings else ())
        won, met = matrices(counts, models)
        return draw_heat_maps(models, won, met, layout)
    from latxa_cli.plots.intervals import draw_intervals

    return draw_intervals(pivot.by_board(), layout)
