"""Results and ratings of many runs in one table: a row a model, a column a task.

`latxa report results.jsonl ratings.jsonl`
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from latxa_cli.report.tables.metrics import arrow, higher_is_better, shown
from latxa_cli.report.tables.ratings import board_of, heading, interval_of, place_of, ranks_of, rating_of
from latxa_cli.report.tables.results import Measure, Results
from latxa_cli.report.tables.settings import Value, differences, telling
from latxa_cli.report.tables.table import Notes, Rows, Table, lifted
from latxa_cli.stream.records import Record, Reject

# What a row says of a rating in words and in figures, where any rating of its board has it.
WORDS = {"rating": "rating ↑", "interval": "interval", "ranks": "ranks", "tier": "tier"}
FIGURES = ("rating", "lower", "upper", "rank", "rank_lower", "rank_upper", "tier", "battles")
WIN_RATE = "win_rate"


@dataclass(frozen=True)
class Column:
    """One measure in one setting: a result of each model that has one, and how each differs from most of them.

    - task: in words, with what tells the column from others of its task; head: with metric and direction too.
    """

    task: str
    head: str
    better: bool | None
    results: dict[str, Record]
    notes: dict[str, list[str]]


@dataclass
class ModelTable:
    """Results by model and measure, and ratings by model and board, all in order of first appearance.

    What is known of a name alone, which are ratings and `named` results (losses, win rates), stands in the row of the
    model that has this name, if one model has it, and else in a row of its own.
    """

    results: Results = field(default_factory=Results)
    named: Results = field(default_factory=Results)
    ratings: dict[str, dict[str, Record]] = field(default_factory=dict)
    boards: dict[str, None] = field(default_factory=dict)

    def add(self, records: Iterable[Record]) -> Iterator[Reject]:
        """Add result and rating records; yield a Reject for a repeated one and for a value that is not finite."""
        for record in records:
            if "rating" not in record:
                yield from self.results.add([record])
            elif not math.isfinite(record["rating"] or 0):  # null: infinite
                yield Reject(record, "no finite value")
            else:
                board = board_of(record)
                self.boards.setdefault(board)
                if self.ratings.setdefault(record["model"], {}).setdefault(board, record) is not record:
                    yield Reject(record, "repeated rating", "the first one is shown")

    def models(self) -> list[str]:
        """Return the names of all rows: rated ones first, from the best on the first board, then by win rate."""
        measured = self._measured()
        names = list(dict.fromkeys([*self.ratings, *measured]))
        board = next(iter(self.boards), "")
        place = {name: place_of(boards[board]) for name, boards in self.ratings.items() if board in boards}
        won = {
            name: results[0]["value"]
            for name, of in measured.items() for key, results in of.items() if key[1] == WIN_RATE
        }  # fmt: skip

        def key(name: str) -> tuple[bool, tuple[bool, float], bool, float]:
            return name not in place, place.get(name, (False, 0.0)), name not in won, -won.get(name, 0.0)

        return sorted(names, key=key)

    def _measured(self) -> dict[str, dict[Measure, list[Record]]]:
        """Return the results by the names of rows."""
        names = self.results.names()
        found = {names[row]: dict(measured) for row, measured in self.results.by_row.items()}
        for row, measured in self.named.by_row.items():
            of_row = found.setdefault(row[0], {})
            for measure, results in measured.items():
                of_row[measure] = [*of_row.get(measure, ()), *results]
        return found

    def by_board(self) -> dict[str, list[Record]]:
        """Return the rating records of each board, the boards in order of first appearance."""
        return {board: [boards[board] for boards in self.ratings.values() if board in boards] for board in self.boards}

    def columns(self) -> list[Column]:
        """Return the columns of results: the measures in order, each once for every setting that a model was asked in.

        Models that were asked in another setting than the others share a column, where none was asked in both.
        """
        measured = self._measured()
        measures = list(dict.fromkeys([*self.results.measures(), *self.named.measures()]))
        taken = {"model", *(heading(board, part) for board in self.boards for part in (*WORDS.values(), *FIGURES))}
        columns = []
        for measure in measures:
            of_models = {name: of[measure] for name, of in measured.items() if measure in of}
            settings = telling(of_models.values())
            parts: dict[tuple[Value, ...], dict[str, Record]] = {}
            for model, results in of_models.items():
                for result in results:
                    parts.setdefault(tuple(setting.of(result) for setting in settings), {})[model] = result
            same_task = [other for other in measures if other[0] == measure[0]]
            for values, results_of in parts.items():
                said = [
                    setting.label(value) for setting, value in zip(settings, values, strict=True) if value is not None
                ]
                columns.append(self._column(measure, same_task, said, results_of, taken))
        return columns

    def _column(
        self, measure: Measure, same_task: Sequence[Measure], said: Sequence[str], results: dict[str, Record],
        taken: set[str],
    ) -> Column:  # fmt: skip
        """Return one column, and add its names to those `taken`."""
        task, metric, filter_ = measure
        better = higher_is_better(metric, results.values())
        words = [task]
        if filter_ and len({other[2] for other in same_task if other[1] == metric}) > 1:
            words.append(filter_)
        words += said
        named = words if _says(task, metric) else [task, metric, *words[1:]]
        several = len({other[1] for other in same_task}) > 1
        label, head = " ".join(named if several else words), " ".join(named)
        while label in taken or head in taken:  # a task may be called `model`
            label, head = f"{label} (task)", f"{head} (task)"
        taken |= {label, head}
        head += arrow(better)
        # Models meet in battles as often as it happens, so that their numbers say nothing against a comparison.
        unlike = [{}] * len(results) if metric == WIN_RATE else differences(list(results.values()))
        notes = [
            [*differs.values(), *self.results.notes(result)]
            for differs, result in zip(unlike, results.values(), strict=True)
        ]
        return Column(label, head, better, results, dict(zip(results, notes, strict=True)))

    # --- the table in its forms

    def table(self) -> Table:
        """Return the table of all models."""
        columns, models = self.columns(), self.models()
        notes = Notes()
        texts = self._texts(columns, models, notes)
        return Table(self._records(columns, models), self._figures(columns, models), texts, notes.lines(), "Results")

    def _records(self, columns: Sequence[Column], models: Sequence[str]) -> list[Record]:
        """Return one record a model: {model, ratings {board: …}, results {column: {value, stderr, n, metric}}}."""
        return [
            {
                "model": model,
                "ratings": {
                    board: {name: rating.get(name) for name in ("rating", "lower", "upper", "rank", "battles")}
                    | {
                        name: rating[name]
                        for name in ("infinite", "rank_lower", "rank_upper", "tier", "interval")
                        if name in rating
                    }
                    for board, rating in self.ratings.get(model, {}).items()
                },
                "results": {column.task: _measured(column, model) for column in columns if model in column.results},
            }
            for model in models
        ]

    def _figures(self, columns: Sequence[Column], models: Sequence[str]) -> Rows:
        """Return rows and columns with plain numbers as they were measured: value and standard error apart."""
        parts = {board: _said(records, FIGURES) for board, records in self.by_board().items()}
        names = ["model", *(heading(board, part) for board, said in parts.items() for part in said)]
        names += [f"{column.task}{suffix}" for column in columns for suffix in ("", " stderr")]
        rows = []
        for model in models:
            flat: Record = {"model": model}
            for board, rating in self.ratings.get(model, {}).items():
                flat |= {heading(board, part): rating.get(part) for part in parts[board]}
                flat[heading(board)] = _finite(rating)
            said: list[str] = []
            for column in columns:
                if (result := column.results.get(model)) is not None:
                    flat |= {column.task: result["value"], f"{column.task} stderr": result.get("stderr")}
                    said += [f"{column.task}: {note}" for note in column.notes[model]]
            rows.append(flat | ({"notes": "; ".join(said)} if said else {}))
        return rows, names + ["notes"] * any("notes" in row for row in rows)

    def _texts(self, columns: Sequence[Column], models: Sequence[str], notes: Notes) -> Rows:
        """Return rows and columns for people: `61.2 ± 0.4`, per cent where the metric is a share, marks of notes."""
        parts = {
            board: [part for part in WORDS if any(_word(record, part) is not None for record in records)] or ["rating"]
            for board, records in self.by_board().items()
        }
        names = ["model", *(heading(board, WORDS[part]) for board, said in parts.items() for part in said)]
        rows = []
        for model in models:
            of_row = lifted([column.notes[model] for column in columns if model in column.results])
            row: Record = {"model": notes.marked(model, of_row)}
            for board, rating in self.ratings.get(model, {}).items():
                row |= {heading(board, WORDS[part]): _word(rating, part) for part in parts[board]}
            for column in columns:
                if (result := column.results.get(model)) is not None:
                    own = [note for note in column.notes[model] if note not in of_row]
                    text = shown(result["value"], result.get("stderr"), result["metric"])
                    row[column.head] = notes.marked(text, own)
            rows.append(row)
        return rows, [*names, *(column.head for column in columns)]


def _measured(column: Column, model: str) -> Record:
    result = column.results[model]
    measured = {name: result.get(name) for name in ("value", "stderr", "n", "metric")}
    measured |= {} if column.better is None else {"higher_is_better": column.better}
    return measured | ({"notes": column.notes[model]} if column.notes[model] else {})


def _says(task: str, metric: str) -> bool:
    """Whether the name of a task says its metric, such as `win rate` and `last training loss`."""
    return metric.replace("_", " ") in task.replace("_", " ").lower()


def _said(records: Sequence[Record], names: Sequence[str]) -> list[str]:
    return [name for name in names if name in ("rating", "lower", "upper") or any(name in record for record in records)]


def _finite(rating: Record) -> float | None:
    value = rating_of(rating)
    return None if math.isnan(value) else value


def _word(rating: Record, part: str) -> object:
    words = {"rating": _finite(rating), "interval": interval_of(rating), "ranks": ranks_of(rating)}
    return words.get(part, rating.get(part))
