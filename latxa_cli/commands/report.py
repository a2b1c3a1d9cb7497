"""`latxa report`."""

from typing import Annotated

from latxa_cli.options import Files, OutputFile, Run, TableFormat, flag, verb


@verb(makes="whole")
def report(
    run: Run,
    files: Files = None,
    *,
    format: TableFormat = None,
    plot: Annotated[
        OutputFile, flag("Draw losses, ratings or battles here (`.png`, `.svg`, `.pdf`).", metavar="FILE")
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
    from latxa_cli.arena.votes import count
    from latxa_cli.report.curves import run_names
    from latxa_cli.report.meetings import Meetings
    from latxa_cli.report.plots.style import check
    from latxa_cli.report.report import KINDS, Report
    from latxa_cli.stream.table import render

    if plot:
        check(plot)
    figure = run.file(plot)
    shown, tally = Report(), Tally()
    names = run_names(files or ["-"])
    inputs = {file: run.read([file], KINDS) for file in names}
    for file, records in inputs.items():
        run.write(shown.take(records, run=names[file], count=tally.count))
    votes, again = tally.votes()
    run.write(again)
    counts, _ = count(votes)
    run.write(shown.complete(Meetings(counts.models, *counts.matrices())))
    if plot and figure:
        figure.write_lines(shown.draw(plot))
    layout = run.layout(format)
    if layout == "jsonl":
        run.write(shown.table.rows())
        return
    rows, columns = shown.table.figures() if layout == "csv" else shown.table.texts()
    run.print(render(rows, columns, layout), records=len(rows))
