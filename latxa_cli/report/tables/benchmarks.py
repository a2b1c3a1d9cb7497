"""Tables of benchmarks as papers have them: rows by variant, a mean, a rank, and notes on what cannot be compared.

`latxa report results/ --table basque --format latex -o table.tex`

The rule of the paper (arXiv 2506.07597, results of its repository): the mean is over the columns that a row has, of
values that are not rounded; a variant that equals another one has its values; rows are sorted by code.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from latxa_cli.report.tables.layouts import Layout, Task, none_of
from latxa_cli.report.tables.metrics import arrow, higher_is_better, scaled
from latxa_cli.report.tables.results import Measure, Results, Row
from latxa_cli.report.tables.settings import differences, telling
from latxa_cli.report.tables.table import Notes, Rows, Table, lifted
from latxa_cli.stream.display import InLatex
from latxa_cli.stream.kinds import SHARES
from latxa_cli.stream.records import Record
from latxa_cli.variants import equals, grid

CODE = re.compile(r"exp_[0-2]_[01]{3}")
LABEL = re.compile(r"[A-Z]+_[A-Z0-9+,]+( [A-Z]+_[A-Z0-9+,]+)*")  # of a variant, out of parts with an index
APART = ("chat", "format", "num_fewshot")  # settings that give a model rows of its own for each, where it has several


@dataclass(frozen=True)
class Cell:
    """The result of a model in a column, and what is to be said of it."""

    result: Record
    notes: Sequence[str]

    @property
    def value(self) -> float:
        """The value as tables show it: per cent of a share."""
        return scaled(self.result["value"], self.result["metric"])


@dataclass
class BenchmarkRow:
    """A model in a table of benchmarks.

    - name: how the row is called; code: that of its variant, or the empty string; model: as records call it.
    - same_as: the name of the row whose values it repeats, since its variant equals that one's.
    - mean: per cent, over the tasks that it has; None without any. rank: among the rows with all tasks.
    """

    name: str
    code: str
    label: str
    model: str
    cells: dict[str, Cell] = field(default_factory=dict)
    same_as: str = ""
    mean: float | None = None
    rank: int | None = None

    def mean_of(self, tasks: Sequence[Task]) -> float | None:
        """Return the mean over those of `tasks` that the row has."""
        values = [self.cells[task.name].value for task in tasks if task.name in self.cells]
        return sum(values) / len(values) if values else None


class BenchmarkTable:
    """The rows of one layout."""

    def __init__(self, layout: Layout, results: Results) -> None:
        """Find the rows in results; raises LatxaError where these have none of the layout's tasks."""
        self.layout = layout
        self.counted = [task for task in layout.tasks if task.in_mean]
        own = _rows(layout, results)
        if not own:
            raise none_of(layout, list(dict.fromkeys(measure[0] for measure in results.measures())))
        for task in layout.tasks:
            _note(layout, results, [row for row in own if task.name in row.cells], task.name)
        for row in own:
            row.mean = row.mean_of(self.counted)
        whole = [row for row in own if all(task.name in row.cells for task in self.counted)]
        means = [row.mean for row in whole if row.mean is not None]
        for row in whole:
            row.rank = 1 + sum(mean > row.mean for mean in means) if row.mean is not None else None
        self.rows = sorted([*own, *_copies(own)], key=lambda row: (not row.code, row.name))

    @property
    def categories(self) -> dict[str, list[Task]]:
        """The tasks in means by category."""
        named: dict[str, list[Task]] = {}
        for task in self.counted:
            if task.category:
                named.setdefault(task.category, []).append(task)
        return named

    # --- the table in its forms

    def tables(self) -> list[Table]:
        """Return the table, and for people a second one with the means of categories."""
        notes = Notes()
        texts = self._texts(notes)
        tables = [Table(self._records(), self._figures(), texts, [*notes.lines(), *self._about()], self.layout.title)]
        if len(self.categories) > 1:
            columns = ["model", *(f"{name} ↑" for name in self.categories)]
            rows = [dict(zip(columns, [row.name, *map(_digits, self._means(row))], strict=True)) for row in self.rows]
            said = ["each category is the mean over its tasks that a row has, in per cent"]
            tables.append(Table((), ([], []), (rows, columns), said, f"{self.layout.title}, by category"))
        return tables

    def _records(self) -> list[Record]:
        return [
            {
                "table": self.layout.name,
                "model": row.name,
                "row_label": _latex(row.label) or row.name,
                "results": {name: _record(cell) for name, cell in row.cells.items()},
                "mean": row.mean,
                "rank": row.rank,
                "tasks": self._count(row),
                "of_tasks": len(self.counted),
                "categories": dict(zip(self.categories, self._means(row), strict=True)),
                "notes": [self._lacking(row)] if self._lacking(row) else [],
                **({"same_as": row.same_as} if row.same_as else {}),
            }
            for row in self.rows
        ]

    def _figures(self) -> Rows:
        """Return rows as the paper's files have them, in two digits and NaN for what is missing; then what is ours."""
        heads = self._heads()
        categories = [f"mean {name}" for name in self.categories]
        columns = ["model", "row_label", *heads.values(), "mean", "rank", "tasks", *categories, "notes"]
        rows = []
        for row in self.rows:
            of_note: dict[str, list[str]] = {}
            for name, cell in row.cells.items():
                for note in cell.notes:
                    of_note.setdefault(note, []).append(name)
            said = [f"{', '.join(names)}: {note}" for note, names in of_note.items()]
            said += [text for text in (self._lacking(row), _same(row)) if text]
            values = [row.cells[task].value if task in row.cells else None for task in heads]
            line: list[object] = [
                row.name,
                _latex(row.label) or row.name,
                *(_digits(value) or "NaN" for value in values),
            ]
            line += [_digits(row.mean) or "NaN", row.rank, self._count(row)]
            line += [_digits(mean) or "NaN" for mean in self._means(row)]
            rows.append(dict(zip(columns, [*line, "; ".join(said)], strict=True)))
        return rows, columns

    def _texts(self, notes: Notes) -> Rows:
        heads = {task: f"{head}{arrow(self._better(task))}" for task, head in self._heads().items()}
        columns = ["model", "data", *heads.values(), "mean ↑", "rank"]
        rows = []
        for row in self.rows:
            of_row = lifted([cell.notes for cell in row.cells.values()])
            name = notes.marked(row.name, [*of_row, *([_same(row)] if row.same_as else [])])
            line: Record = {"model": name, "data": row.label or None, "rank": row.rank}
            for task, cell in row.cells.items():
                own = [note for note in cell.notes if note not in of_row]
                line[heads[task]] = notes.marked(_digits(cell.value) or "", own)
            if row.mean is not None:
                lacking = self._lacking(row)
                line["mean ↑"] = notes.marked(_digits(row.mean) or "", [lacking] if lacking else [])
            rows.append(line)
        return rows, columns

    def _heads(self) -> dict[str, str]:
        """Return the name of each task's column; a task may be called `mean`."""
        taken = {
            "model",
            "row_label",
            "data",
            "mean",
            "rank",
            "tasks",
            "notes",
            *(f"mean {name}" for name in self.categories),
        }
        return {task.name: task.name + " (task)" * (task.name in taken) for task in self.layout.tasks}

    def _means(self, row: BenchmarkRow) -> list[float | None]:
        return [row.mean_of(tasks) for tasks in self.categories.values()]

    def _count(self, row: BenchmarkRow) -> int:
        return sum(task.name in row.cells for task in self.counted)

    def _lacking(self, row: BenchmarkRow) -> str:
        count, of = self._count(row), len(self.counted)
        return "" if count == of else f"mean over {count} of {of} tasks, which takes no rank"

    def _better(self, task: str) -> bool | None:
        results = [row.cells[task].result for row in self.rows if task in row.cells]
        return higher_is_better(results[0]["metric"], results) if results else None

    def _about(self) -> list[str]:
        """Return what is to be said of all values: metrics and their direction, and that marked values count."""
        metrics: dict[str, list[str]] = {}
        for task, head in self._heads().items():
            used = Counter(row.cells[task].result["metric"] for row in self.rows if task in row.cells)
            if used:
                metrics.setdefault(used.most_common(1)[0][0], []).append(head)
        most = max(metrics, key=lambda metric: len(metrics[metric]))
        others = [f"{', '.join(tasks)}: {metric}" for metric, tasks in metrics.items() if metric != most]
        marked = any(cell.notes for row in self.rows for cell in row.cells.values())
        return [
            "; ".join([f"{most}{' in per cent' * (most in SHARES)}", *others])
            + "; ↑ higher is better, ↓ lower is better",
            *(["marked values take part in means and ranks as they are"] if marked else []),
        ]


# --- finding rows ----------------------------------------------------------------------------------------------------


def _rows(layout: Layout, results: Results) -> list[BenchmarkRow]:
    """Return the rows that have any task of the layout, in the order of the results."""
    names, rows = results.names(), []
    for row, measured in results.by_row.items():
        for words, part in _in_rows_of_their_own(layout, measured):
            cells = {task.name: Cell(result, ()) for task in layout.tasks if (result := _score(task, part)) is not None}
            if cells:
                called, code = _called(layout, row, next(iter(cells.values())).result)
                label = grid()[f"exp_{code}"].name if code else layout.labels.get(called)
                model = f"{names[row]}, {words}" if words else names[row]
                rows.append(BenchmarkRow(called, code, _label(label or ""), model, cells))
    shared = Counter(row.name for row in rows)
    for found in rows:
        if shared[found.name] > 1:
            found.name = f"{found.name} ({found.model})" if found.code else found.model
    return rows


def _called(layout: Layout, row: Row, result: Record) -> tuple[str, str]:
    """Return what a model is called in a table, and the code of its variant, which is the same, or the empty string."""
    name = layout.names.get(row[0]) or result.get("variant") or row[0]
    return (name[4:], name[4:]) if CODE.fullmatch(name) else (name, "")


def _in_rows_of_their_own(
    layout: Layout, measured: dict[Measure, list[Record]]
) -> Iterator[tuple[str, dict[Measure, list[Record]]]]:
    """Yield the results of a model in parts, with words for each: one part, if it was asked in one way."""
    wanted = {task.name for task in layout.tasks}
    mine = {measure: results for measure, results in measured.items() if measure[0] in wanted}
    settings = [setting for setting in telling(mine.values()) if setting.name in APART]
    parts: dict[tuple[object, ...], dict[Measure, list[Record]]] = {}
    for measure, results in mine.items():
        for result in results:
            values = tuple(setting.of(result) for setting in settings)
            parts.setdefault(values, {}).setdefault(measure, []).append(result)
    for values, part in parts.items():
        words = [setting.label(value) for setting, value in zip(settings, values, strict=True) if value is not None]
        yield ", ".join(words), part


def _score(task: Task, measured: dict[Measure, list[Record]]) -> Record | None:
    """Return the result to show of a task: of the first score that the model has, the first result."""
    found = (measured.get((task.name, *score)) for score in task.scores)
    return next((results[0] for results in found if results), None)


def _note(layout: Layout, results: Results, rows: Sequence[BenchmarkRow], task: str) -> None:
    """Note at the cells of a column what sets them apart from most others of it."""
    shown = [row.cells[task].result for row in rows]
    usual = Counter(map(_measure, shown)).most_common(1)
    for row, result, differs in zip(rows, shown, differences(shown), strict=True):
        notes = [
            f"{text}: {layout.remarks[name]}" if name in layout.remarks else text for name, text in differs.items()
        ]
        if _measure(result) != usual[0][0]:
            notes.insert(0, f"{_measure(result)}, others {usual[0][0]}")
        row.cells[task] = Cell(result, [*notes, *results.notes(result)])


def _measure(result: Record) -> str:
    name = result.get("filter") or "none"
    return result["metric"] + (f" ({name})" if name != "none" else "")


def _copies(rows: Sequence[BenchmarkRow]) -> Iterator[BenchmarkRow]:
    """Yield a row for each variant that equals one of `rows` and has none of its own."""
    taken = {row.code for row in rows} | {row.name for row in rows}
    for code, other in equals().items():
        own = code[4:]
        for row in rows:
            if row.code == other[4:] and own not in taken:
                name = own + row.name.removeprefix(row.code)
                yield replace(row, name=name, code=own, label=_label(grid()[code].name), same_as=row.name)


def _same(row: BenchmarkRow) -> str:
    return f"the same model as {row.same_as}" if row.same_as else ""


# --- texts -----------------------------------------------------------------------------------------------------------


def _label(text: str) -> str:
    """Return a label such as `BAS_EN C_EU`, which LaTeX has with indices below the line, as in the paper's files."""
    if not LABEL.fullmatch(text):
        return text
    parts = (part.partition("_") for part in text.split(" "))
    return InLatex(text, r"\,".join(main + rf"\textsubscript{{\,{below}}}" for main, _, below in parts))


def _latex(label: str) -> str:
    return label.latex if isinstance(label, InLatex) else label


def _record(cell: Cell) -> Record:
    shown = {name: cell.result.get(name) for name in ("value", "stderr", "n", "metric", "filter")}
    return shown | ({"notes": list(cell.notes)} if cell.notes else {})


def _digits(value: float | None) -> str | None:
    return None if value is None else f"{value:.2f}"
