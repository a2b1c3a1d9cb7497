"""`latxa compare`."""

from enum import StrEnum
from typing import Annotated, Literal

from latxa_cli.options import OutputFile, Run, Seed, TableFormat, argument, excludes, flag, verb

Despite = StrEnum("Despite", ["items", "prompts", "shots", "chat", "format"])  # typer takes no list of a Literal
CONDITIONS = (excludes("rounds", ("interval", "sandwich"), hint="the sandwich draws nothing"),)


@verb(makes="whole", conditions=CONDITIONS)
def compare(
    run: Run,
    answers: Annotated[
        list[str] | None, argument("Answers, samples of lm-evaluation-harness, or folders of these.", "[NAME=]ANSWERS")
    ] = None,
    *,
    baseline: Annotated[str, flag("The model that the others are compared with.", metavar="NAME")],
    model: Annotated[list[str] | None, flag("Compare this model alone; repeat it.", metavar="NAME")] = None,
    metric: Annotated[
        list[str] | None, flag("Compare this metric; repeat it. [default: right or wrong]", metavar="NAME")
    ] = None,
    filter: Annotated[
        list[str] | None, flag("Where a task has several filters, take this one; repeat it.", metavar="NAME")
    ] = None,
    despite: Annotated[list[Despite] | None, flag("Compare although this differs; repeat it.")] = None,
    cluster: Annotated[
        str | None,
        flag("Items with the same value here hang together; `item`: none do. [default: by the tasks of a group]",
             metavar="FIELD"),
    ] = None,
    confidence: Annotated[float, flag("Confidence of the intervals and of the tests.", min=0.5, max=0.999)] = 0.95,
    interval: Annotated[Literal["sandwich", "bootstrap"], flag("The method of the intervals.")] = "sandwich",
    rounds: Annotated[int, flag("Bootstrap rounds.", min=100, max=100_000)] = 2000,
    changed: Annotated[
        OutputFile, flag("Write the items here that the two did not do equally well.", metavar="FILE")
    ] = None,
    seed: Seed = 0,
    format: TableFormat = None,
) -> None:  # fmt: skip
    """Say whether models are better than a baseline on the same items.

    in:  answers of `eval --answers` {id, task, model, correct or value}; or what lm-evaluation-harness logs,
         samples_TASK_TIME.jsonl in a folder of its model
    out: comparisons {model, baseline, task, n, value, baseline_value, difference, lower, upper, p, p_holm, verdict …}

    Items are compared one by one, which tells far smaller differences apart than two accuracies do. A row is a task, or
    a group of tasks that has one figure; then come means over the tasks of each language, and over all, in which each
    task has one weight.

    A verdict holds for all tasks of a model together (Holm). Without one, nothing is shown: neither that models differ
    nor that they do not. `detectable` is the difference that these items show with a power of 80 %, `items_for_point`
    the number of items that would show one point.

    What is not the same is refused: items that one model was not asked, other prompts, shots, chat template or format,
    unless --despite names it; other right answers or choices always. Items without an answer of both are left out and
    counted. Of several draws of shots, the means are compared, and the interval holds what they vary by.

      sandwich    a score test for right or wrong; clustered standard errors (CR2), by the tasks of a group
      bootstrap   redrawn items or clusters; too narrow with fewer than some 15 uneven clusters

    memory: 100 bytes an answer; with --changed, prompts and answers

    examples:
      latxa compare answers.jsonl --baseline base
      latxa compare base.jsonl ours.jsonl --baseline base --changed changed.jsonl -o comparison.jsonl
      latxa compare old=run1/answers.jsonl new=run2/answers.jsonl --baseline old --format markdown
      latxa compare harness_results --baseline Llama-3.1-8B --interval bootstrap
    """
    from latxa_cli.comparison.changes import changes
    from latxa_cli.comparison.compare import Request, compare
    from latxa_cli.comparison.inputs import parts_of
    from latxa_cli.comparison.records import records_of
    from latxa_cli.comparison.sheets import Sheets
    from latxa_cli.report.reading.shipped import benchmarks
    from latxa_cli.report.tables.comparisons import comparisons
    from latxa_cli.report.tables.table import write

    request = Request(
        baseline, tuple(model or ()), tuple(filter or ()), frozenset(map(str, despite or ())), cluster,
        confidence, interval, rounds, seed, {task: str(known["language"]) for task, known in benchmarks().items()},
    )  # fmt: skip
    items = run.file(changed)
    parts, remarks = parts_of(answers)
    run.say_all(remarks)
    sheets = Sheets(metric or (), "cluster" if cluster in (None, "item") else cluster, keeps=bool(changed))
    for part, records in [(part, run.read([part.file], part.kind)) for part in parts]:
        sheets.read(part, records)
    rows = list(compare(sheets, request, run.say))
    if items:
        for row in rows:
            for change in changes(row):
                items.write(change)
    write(run, [comparisons(list(records_of(rows, request)))], run.layout(format))
