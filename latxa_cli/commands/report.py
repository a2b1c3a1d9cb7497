"""`latxa report`."""

from pathlib import Path
from typing import Annotated, Literal

from latxa_cli.options import Files, OutputFile, Run, excludes, flag, needs, verb

Figure = Literal[
    "losses", "battles", "ratings", "differences", "funnel", "results", "tradeoff", "factors", "correlations"
]
Format = Literal["table", "jsonl", "csv", "markdown", "latex", "html", "eee", "eval-results"]
CONDITIONS = (
    needs("figure", "plot"), needs("organization", ("format", "eee")),
    *(excludes(made, ("format", "eee"), ("format", "eval-results")) for made in ("plot", "html", "methods")),
)  # fmt: skip


@verb(makes="whole", conditions=CONDITIONS)
def report(
    run: Run,
    files: Files = None,
    *,
    table: Annotated[list[str] | None, flag("Show this table of benchmarks; repeat it.", metavar="TABLE")] = None,
    factors: Annotated[Path | None, flag("What each `model` is made of, with tabs.", metavar="FILE.tsv")] = None,
    format: Annotated[Format | None, flag("[default: table on a terminal, else jsonl]", "--format")] = None,
    organization: Annotated[str | None, flag("Who evaluated, for `--format eee`.", metavar="NAME")] = None,
    baselines: Annotated[
        list[str] | None, flag("Show these results too, of the same tasks; repeat it.", metavar="FILE")
    ] = None,
    plot: Annotated[OutputFile, flag("Draw a figure here (`.png`, `.svg`, `.pdf`).", metavar="FILE")] = None,
    methods: Annotated[OutputFile, flag("Write the methods here (`.txt`, `.md`, `.tex`).", metavar="FILE")] = None,
    html: Annotated[OutputFile, flag("Write a page with tables, figures and items here.", metavar="FILE")] = None,
    figure: Annotated[Figure | None, flag("What the figure shows. [default: the first that the records give]")] = None,
) -> None:
    """Show results, ratings, battles and losses as tables, or draw them.

    in:  results {model, task, metric, value, stderr}, ratings {model, rating, lower, upper}, battles {model_a, model_b,
         winner}, scores {model, rubric, scores}, metrics of training {step, loss, validation}, comparisons and findings
         about judges, in any order; results files of lm-evaluation-harness, and folders of them
    out: tables, or rows {model, ratings, results}; with --plot a figure too

    A row is a model; with ratings, the best comes first. A column is a task and its metric, ↑ if higher is better, or a
    board of ratings (criterion, group). A model that was asked a task in two ways has a column for each. Values that
    were asked in another way than most of their column (shots, template, items …) have a mark, and a note below. Tables
    for people show value ± standard error, and percentages of shares (acc, acc_norm, exact_match, win_rate). CSV and
    JSONL keep the measured values.

    --table shows benchmarks as a paper has them:
      basque, english, spanish  those of arXiv 2506.07597: rows by variant, mean, rank
      FILE.toml                 those that your file names
      factors                   what corpus, instructions and backbone do to the means of the tables named, or of all
      tradeoff                  how far each model is from its own backbone in each language

    --baselines puts other models beside yours: files, or `published`, 20 of the 24 models of arXiv 2506.07597.
    --format eee writes results as Every Eval Ever (schema 0.3), which is read as well; --format eval-results writes a
    file of `.eval_results/` in a model's repository on the hub, of one model.

    A run of training has a row with its last training loss and its best loss on each validation set. Its name is that
    of the folder of its metrics. For battles, a row shows the share that the model won; a tie is half a win.
    Scores of `judge` have a table a rubric, {model, category, dimension, value, lower, upper, n}: means with intervals
    of 90 % by prompt, the category being the `task`, and the mean of the dimensions, if all are whole numbers.

    The figure shows the first of these that the records give, or what --figure names: losses of training; win rates in
    battles; ratings with intervals; differences, of `compare`; the funnel of a `corpus` manifest; results with 1.96
    standard errors to each side; tradeoff, means by language beside those of the backbone (`2_000` of `2_101`), else of
    the first model; factors of variants; correlations of results with ratings, else of tasks.

    The page is one file, which opens without the internet: tables, all figures, and the items of `eval --answers` that
    two models were asked alike, with their answers. --methods puts manifests, results and comparisons into words.

    memory: all results; of answers, each paragraph of their prompts once; battles are only counted

    examples:
      latxa report results.jsonl
      latxa report results.jsonl --baselines published --table basque --format latex -o table.tex
      latxa report --baselines published --table factors --table tradeoff --format table
      latxa report results.jsonl --format eee --organization "HiTZ Center" -o evaluations.jsonl
      latxa report mix.jsonl.manifest.json exp_2_111/manifest.json results.jsonl --methods methods.tex
      latxa report results.jsonl answers.jsonl --html report.html -o table.jsonl
    """
    from itertools import chain

    from latxa_cli.arena.battles import Tally
    from latxa_cli.arena.votes import count
    from latxa_cli.report.pages.answers import Answers
    from latxa_cli.report.pages.methods import methods_of, writer_for
    from latxa_cli.report.pages.report_page import page_of
    from latxa_cli.report.plots.curves import run_names
    from latxa_cli.report.plots.gallery import drawn
    from latxa_cli.report.plots.style import check
    from latxa_cli.report.reading.exports import export
    from latxa_cli.report.reading.files import ResultInput, baseline_files, expand
    from latxa_cli.report.report import KINDS, Report
    from latxa_cli.report.tables.meetings import Meetings
    from latxa_cli.report.tables.table import write

    for path, checked in ((plot, check), (methods, writer_for)):
        if path:
            checked(path)
    drawing, page, prose = run.file(plot), run.file(html), run.file(methods)
    shown, tally = Report(answers=Answers() if html else None), Tally()
    run.intake.open = ResultInput
    names = run_names(expand(files or ([] if baselines else ["-"]), run.say))
    inputs = {file: run.read([file], KINDS) for file in names}
    beside = [run.read([file], "result") for file in expand(baseline_files(baselines or ()), run.say)]
    if format == "eee" or format == "eval-results":
        export(run, chain(*inputs.values(), *beside), format, organization)
        return
    for file, records in inputs.items():
        run.write(shown.take(records, run=names[file], count=tally.count))
    for records in beside:
        run.write(shown.beside(records, every=bool(table)))
    run.say_all(shown.said())
    votes, again = tally.votes()
    run.write(again)
    counts, _ = count(votes)
    run.write(shown.complete(Meetings(counts.models, *counts.matrices())))
    tables = shown.tables(table or (), factors)
    if plot and drawing:
        drawing.write_lines(drawn(shown, figure, plot, run.say))
    if page:
        page.write_text(page_of(shown, tables))
        run.counts.written += shown.answers.count if shown.answers else 0
    if methods and prose:
        prose.write_text(methods_of(shown, methods))
    write(run, tables, run.layout(format))
