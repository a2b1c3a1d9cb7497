"""One report: the records of all its files, for one table and one figure.

`latxa report results.jsonl ratings.jsonl battles.jsonl run/metrics.jsonl --plot figure.pdf`
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from latxa_cli.report.pages.answers import Answers
from latxa_cli.report.plots.curves import Curves
from latxa_cli.report.tables.beside import beside
from latxa_cli.report.tables.choice import chosen
from latxa_cli.report.tables.meetings import Meetings
from latxa_cli.report.tables.model_table import ModelTable
from latxa_cli.report.tables.scores import Scores
from latxa_cli.report.tables.table import Table
from latxa_cli.stream.checks import kind_of
from latxa_cli.stream.records import Record, Reject
from latxa_cli.stream.terminal import printable

# The kinds of records that a file may hold, in the order in which they are looked for. Findings of `arena-score`, and
# `change` from `compare`, are passed over.
KINDS = (
    "manifest", "comparison", "change", "result", "score", "answer", "rating", "metrics", "battle", "difference",
    "finding", "correlation",
)  # fmt: skip
KEPT = ("comparison", "difference", "correlation", "finding", "manifest")
BATCH = 10_000  # battles counted together, so that memory stays bounded

# Counts battles, and yields those that cannot be counted.
Count = Callable[[list[Record]], Iterable[Reject]]


@dataclass
class Report:
    """Results and ratings by model, and losses by run; `meetings` is set when all battles are counted.

    - measured: the task and metric of each result that is no baseline.
    - left_out: the number of baseline results of other tasks and metrics.
    - own: the results that are neither baselines nor derived.
    - derived: the results that `table` holds of losses and battles.
    - answers: what a page shows of them; None where none is made.
    - passed_over: the number of answers that nothing shows.
    - files: the number of files; files_of: those with results of a model that no result identifies, by its name.
    - scores: those of single responses, by rubric.
    - kept: the records of other kinds that tables, figures and pages show, by kind.
    """

    table: ModelTable = field(default_factory=ModelTable)
    curves: Curves = field(default_factory=Curves)
    meetings: Meetings | None = None
    measured: set[tuple[str, str]] = field(default_factory=set)
    left_out: int = 0
    derived: list[Record] = field(default_factory=list)
    own: list[Record] = field(default_factory=list)
    answers: Answers | None = None
    passed_over: int = 0
    files: int = 0
    files_of: dict[str, set[int]] = field(default_factory=dict)
    scores: Scores = field(default_factory=Scores)
    kept: dict[str, list[Record]] = field(default_factory=lambda: {kind: [] for kind in KEPT})

    def take(self, records: Iterable[Record], *, run: str, count: Count) -> Iterator[Reject]:
        """Add the records of one file, and yield a Reject for each that cannot be shown.

        Args:
            records: of any of `KINDS`.
            run: the name of the training run for metrics in the file.
            count: counts battles.
        """
        battles: list[Record] = []
        self.files += 1
        for record in records:
            kind = kind_of(record, KINDS)
            if kind == "result":
                self.measured.add((record["task"], record["metric"]))
                self.own.append(record)
                if not record.get("weights") and not record.get("path"):
                    self.files_of.setdefault(record["model"], set()).add(self.files)
            if kind in ("result", "rating"):
                yield from self.table.add([record])
            elif kind == "metrics":
                yield from self.curves.add(run, [record])
            elif kind == "battle":
                battles.append(record)
            elif kind == "answer" and self.answers is not None:
                yield from self.answers.add(record)
            elif kind == "answer":
                self.passed_over += 1
            elif kind == "score":
                yield from self.scores.add(record)
            elif kind in self.kept and (kind != "finding" or "judge" in record):
                self.kept[kind].append(record)
            if len(battles) >= BATCH:
                yield from count(battles)
                battles.clear()
        yield from count(battles)

    def beside(self, results: Iterable[Record], *, every: bool = False) -> Iterator[Reject]:
        """Add baselines: results of what is measured, `every` one, or all where nothing is; yield Rejects as `take`."""
        wanted = set() if every else self.measured.copy()
        for result in results:
            if wanted and (result["task"], result["metric"]) not in wanted:
                self.left_out += 1
                continue
            yield from self.table.add([result])

    def said(self) -> Iterator[str]:
        """Yield sentences on what the records hold and nothing shows."""
        if self.left_out:
            yield f"`--baselines`: results of other tasks and metrics left out: {self.left_out:,}"
        if self.passed_over:
            yield f"answers, which `--html` shows: {self.passed_over:,}"
        for model, files in self.files_of.items():
            if len(files) > 1:
                yield f"`{printable(model)}`: one row of {len(files)} files, of which none says `path` or `weights`"

    def complete(self, meetings: Meetings) -> Iterator[Reject]:
        """Add the counted battles, and put losses and win rates into the table."""
        self.meetings = meetings
        self.derived = [*self.curves.results(), *meetings.win_rates()]
        yield from self.table.named.add(self.derived)

    def tables(self, names: Sequence[str] = (), factors: Path | None = None) -> list[Table]:
        """Return the tables called `names`; without a name, that of all models and one of each other kind of records.

        Args:
            names: those of layouts, `.toml` files, or of tables that are computed.
            factors: what models are made of, where no code of a variant says so.

        Raises:
            LatxaError: there is no such table, or nothing that it shows.
        """
        if names and not self.table.models():
            return [Table((), ([], []), ([], [])) for _ in names]  # nothing came in
        if names or factors:
            return chosen(names, self.table.results, factors)
        tables = [*self.scores.tables(), *beside(self.kept)]
        return [self.table.table(), *tables] if self.table.models() or not tables else tables
