"""Results and ratings of many runs in one table: a row a model, a column a task.

`latxa report results.jsonl ratings.jsonl`
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from latxa_cli.report.tables.ratings import place_of, rating_of
from latxa_cli.stream.kinds import SHARES
from latxa_cli.stream.records import Record, Reject

# The fields that set two measurements of one task apart, and their words in the name of a column.
VARIANTS = {"metric": "{}", "filter": "{}", "num_fewshot": "{}-shot", "language": "{}", "chat": "{}"}

PLAIN = "winner"  # the board of battles with one question only: its columns need no name

Column = tuple[str, ...]  # the task, then its values of VARIANTS, then a fingerprint or nothing
Row = tuple[str, str, str]  # the name of a model, a hash of its weights, and its path; empty where they are not known


@dataclass
class ModelTable:
    """Results by model and column, and ratings by model and board, all in order of first appearance.

    Models are told apart by their weights, or by their paths, since many checkpoints have the same name.
    """

    by_row: dict[Row, dict[Column, Record]] = field(default_factory=dict)
    ratings: dict[str, dict[str, Record]] = field(default_factory=dict)
    columns: dict[Column, None] = field(default_factory=dict)
    boards: dict[str, None] = field(default_factory=dict)

    def add(self, records: Iterable[Record]) -> Iterator[Reject]:
        """Add result and rating records; yield a Reject for a repeated one and for a value that is not finite."""
        for record in records:
            kind = "result" if "task" in record else "rating"
            if not math.isfinite(record["value"] if kind == "result" else record["rating"] or 0):  # null: infinite
                yield Reject(record, "no finite value")
                continue
            if kind == "result":
                shown = self._add_result(record)
            else:
                board = _board(record)
                self.boards.setdefault(board)
                shown = self.ratings.setdefault(record["model"], {}).setdefault(board, record)
            if shown is not record:
                yield Reject(record, f"repeated {kind}", "the first one is shown")

    def _add_result(self, record: Record) -> Record:
        """Add a result, and return the one that is shown in its place: itself, or an equal one that came before."""
        column = (record["task"], *(_variant(record, name) for name in VARIANTS), "")
        weights = record.get("weights") or ""
        row = (record["model"], weights, "" if weights else record.get("path") or "")
        shown = self.by_row.setdefault(row, {}).setdefault(column, record)
        if shown.get("fingerprint") != record.get("fingerprint"):  # the same task in another setting
            column = (*column[:-1], str(record.get("fingerprint"))[:8])
            shown = self.by_row[row].setdefault(column, record)
        self.columns.setdefault(column)
        return shown

    @property
    def results(self) -> dict[str, dict[Column, Record]]:
        """The results by the name of the model's row: its own, and where two models have it, what tells them apart."""
        rows_of: dict[str, list[Row]] = {}
        for row in self.by_row:
            rows_of.setdefault(row[0], []).append(row)
        shown: dict[str, dict[Column, Record]] = {}
        for row, results in self.by_row.items():
            shown[self._name(row, rows_of[row[0]])] = results
        return shown

    def _name(self, row: Row, others: Sequence[Row]) -> str:
        if len(others) == 1:
            return row[0]
        paths = {other: next(iter(self.by_row[other].values())).get("path") or "" for other in others}
        alike = [path for path in paths.values() if path == paths[row]]
        if paths[row] and len(alike) == 1:
            return _shortest_end(paths[row], [path for path in paths.values() if path != paths[row]])
        return f"{row[0]} ({row[1][:8]})" if row[1] else row[0]

    def models(self) -> list[str]:
        """Return all models: rated ones first, from the best on the first board, then the rest as they came."""
        names = list(dict.fromkeys([*self.ratings, *self.results]))
        board = next(iter(self.boards), "")
        place = {name: place_of(boards[board]) for name, boards in self.ratings.items() if board in boards}
        return sorted(names, key=lambda name: (name not in place, place.get(name, (False, 0.0))))

    def by_board(self) -> dict[str, list[Record]]:
        """Return the rating records of each board, the boards in order of first appearance."""
        return {board: [boards[board] for boards in self.ratings.values() if board in boards] for board in self.boards}

    def labels(self) -> dict[Column, str]:
        """Return the name of each column: its task, and the fields in which that task's columns differ."""
        tasks: dict[str, list[Column]] = {}
        for column in self.columns:
            tasks.setdefault(column[0], []).append(column)
        labels: dict[Column, str] = {}
        taken = {"model", *(_heading(board) for board in self.boards)}
        for column in self.columns:
            label = _label(column, tasks[column[0]])
            while label in taken:  # a task may be called `model`
                label += " (task)"
            labels[column] = label
            taken.add(label)
        return labels

    def rows(self) -> list[Record]:
        """Return one record a model: {model, ratings {board: …}, results {column: {value, stderr, n, metric}}}."""
        labels, results = self.labels(), self.results
        return [
            {
                "model": model,
                "ratings": {
                    board: {name: rating.get(name) for name in ("rating", "lower", "upper", "rank", "battles")}
                    | {name: rating[name] for name in ("infinite",) if name in rating}
                    for board, rating in self.ratings.get(model, {}).items()
                },
                "results": {
                    labels[column]: {name: result.get(name) for name in ("value", "stderr", "n", "metric")}
                    for column, result in results.get(model, {}).items()
                },
            }
            for model in self.models()
        ]

    def figures(self) -> tuple[list[Record], list[str]]:
        """Return rows and columns with plain numbers as they were measured: value and standard error apart."""
        names = [_heading(board, bound) for board in self.boards for bound in ("rating", "lower", "upper")]
        names += [f"{label}{suffix}" for label in self.labels().values() for suffix in ("", " stderr")]
        rows = []
        for row in self.rows():
            flat = {"model": row["model"]}
            for board, rating in row["ratings"].items():
                flat |= {_heading(board, "rating"): _rating(rating)}
                flat |= {_heading(board, bound): rating[bound] for bound in ("lower", "upper")}
            for label, result in row["results"].items():
                flat |= {label: result["value"], f"{label} stderr": result["stderr"]}
            rows.append(flat)
        return rows, ["model", *names]

    def texts(self) -> tuple[list[Record], list[str]]:
        """Return rows and columns for people: `61.2 ± 0.4`, percentages where the metric is a share."""
        boards = {board: _heading(board) for board in self.boards}
        rows = []
        for row in self.rows():
            shown = {"model": row["model"]}
            shown |= {boards[board]: _rating(rating) for board, rating in row["ratings"].items()}
            shown |= {label: _value(**result) for label, result in row["results"].items()}
            rows.append(shown)
        return rows, ["model", *boards.values(), *self.labels().values()]


def _board(record: Record) -> str:
    """Name a rating's board: its criterion, group of votes, model of ties and island (models that met each other)."""
    group, island, ties = record.get("group") or {}, record.get("island"), record.get("ties_as")
    groups = [f"{name} {value}" for name, value in group.items()] if isinstance(group, dict) else [str(group)]
    # Another model of ties gives another scale, and islands have none in common: neither may share a column.
    parts = [*groups, f"ties {ties}"] if ties else groups
    parts = [*parts, f"island {island}"] if island else parts
    criterion = record.get("criterion") or PLAIN
    return " ".join([criterion, *parts] if criterion != PLAIN or not parts else parts)


def _rating(record: Record) -> float | None:
    value = rating_of(record)
    return None if math.isnan(value) else value


def _heading(board: str, bound: str = "rating") -> str:
    return bound if board == PLAIN else f"{board} {bound}"


def _label(column: Column, variants: list[Column]) -> str:
    words = [column[0]]
    for place, wording in enumerate(VARIANTS.values(), 1):
        if len({variant[place] for variant in variants}) > 1 and column[place]:
            words.append(wording.format(column[place]))
    return " ".join([*words, f"[{column[-1]}]"] if column[-1] else words)


def _variant(record: Record, name: str) -> str:
    value = record.get(name)
    if name == "chat" and value is not None:
        return "chat" if value else "plain"
    return "" if value is None else str(value)


def _shortest_end(path: str, others: Sequence[str]) -> str:
    """Return the fewest last parts of a path that no other path ends with."""
    parts = path.rstrip("/").split("/")
    ends = ("/".join(parts[-count:]) for count in range(1, len(parts) + 1))
    return next((end for end in ends if not any(f"/{other.rstrip('/')}".endswith(f"/{end}") for other in others)), path)


def _value(value: float, stderr: float | None, metric: str, **_: object) -> str:
    percent = metric in SHARES
    factor, digits = (100, 1) if percent else (1, 3)
    spread = f" ± {factor * stderr:.{digits}f}" if isinstance(stderr, int | float) and math.isfinite(stderr) else ""
    return f"{factor * value:.{digits}f}{spread}"
