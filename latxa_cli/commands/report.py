"""`latxa report`."""

from typing import Annotated

import typer

from latxa_cli.options import Files, Run, verb
from latxa_cli.stream.table import Format


@verb(makes="whole")
def report(
    run: Run,
    files: Files = None,
    *,
    format: Annotated[
        Format | None, typer.Option(help="[default: table on a terminal, else jsonl]", show_default=False)
    ] = None,
) -> None:
    """Show results and ratings as one table.

    in:  results {model, task, metric, value, stderr} and ratings {model, rating, lower, upper}, in any order
    out: a table; or rows {model, ratings, results}

    A table and Markdown show value ± standard error, as percentages where the metric is a share (acc, acc_norm,
    exact_match). CSV and JSONL keep the values as they were measured. A task that was measured in several ways
    (metric, filter, number of examples, language) has a column for each. Models come best first where there are
    ratings, else as they came. All results are held in memory.

    examples:
      latxa report results.jsonl
      latxa report results/*.jsonl ratings.jsonl --format markdown -o table.md
      latxa eval out --task xstorycloze_eu | latxa report --format csv
    """
    from latxa_cli.evaluation.tables import Pivot
    from latxa_cli.stream.table import render

    pivot = Pivot()
    run.write(pivot.add(run.read(files, ("result", "rating"))))  # what cannot be shown
    layout = format or ("table" if run.is_terminal else "jsonl")
    if layout == "jsonl":
        run.write(pivot.rows())
        return
    rows, columns = pivot.figures() if layout == "csv" else pivot.texts()
    run.print(render(rows, columns, layout), records=len(rows))
