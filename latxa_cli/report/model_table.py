"""Results and ratings of many runs as one table: a row a model, a column a task.

`latxa report results.jsonl ratings.jsonl`
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from latxa_cli.report.ratings import place_of, rating_of
from latxa_cli.stream.kinds import SHARES
from latxa_cli.stream.records import Record, Reject

# What may tell two measurements of one task apart, and how a column's name says it.
VARIANTS = {"metric": "{}", "filter": "{}", "num_fewshot": "{}-shot", "language": "{}"}

PLAIN = "winner"  # the board of battles that asked one question only: its columns need no name

Column = tuple[str, ...]  # the task, then its values of VARIANTS


@dataclass
class ModelTable:
    """A row a model: results by model and column, ratings by model and board, both in order of first appearance."""

    results: dict[str, dict[Column, Record]] = field(default_factory=dict)
    ratings: dict[str, dict[str, Record]] = field(default_factory=dict)
    columns: dict[Column, None] = field(default_factory=dict)
    boards: dict[str, None] = field(default_factory=dict)

    def add(self, records: Iterable[Record]) -> Iterator[Reject]:
        """Take in result and rating records; yield what a model has twice, or what is no finite number."""
        for record in records:
            kind = "result" if "task" in record else "rating"
            if not math.isfinite(record["value"] if kind == "result" else record["rating"] or 0):  # null: infinite
                yield Reject(record, "no finite value")
                continue
            if kind == "result":
                column = (record["task"], *(str(record.get(name, "")) for name in VARIANTS))
                self.columns.setdefault(column)
                shown = self.results.setdefault(record["model"], {}).setdefault(column, record)
            else:
                board = _board(record)
                self.boards.setdefault(board)
                shown = self.ratings.setdefault(record["model"], {}).setdefault(board, record)
            if shown is not record:
                yield Reject(record, f"repeated {kind}", "the first one is shown")

    def models(self) -> list[str]:
        """Return all models: the rated ones first, best first by the first board, then the rest as they came."""
        names = list(dict.fromkeys([*self.ratings, *self.results]))
        board = next(iter(self.boards), "")
        place = {name: place_of(boards[board]) for name, boards in self.ratings.items() if board in boards}
        return sorted(names, key=lambda name: (name not in place, place.get(name, (False, 0.0))))

    def by_board(self) -> dict[str, list[Record]]:
        """Return the rating records of each board, the boards in order of first appearance."""
        return {board: [boards[board] for boards in self.ratings.values() if board in boards] for board in self.boards}

    def labels(self) -> dict[Column, str]:
        """Return the columns' names: the task, and of its variants what sets them apart."""
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
        labels = self.labels()
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
                    for column, result in self.results.get(model, {}).items()
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
    """Name the board that a rating stands on: its criterion, group of votes, model of ties, and island of models that
    met."""
    group, island, ties = record.get("group") or {}, record.get("island"), record.get("ties_as")
    groups = [f"{name} {value}" for name, value in group.items()] if isinstance(group, dict) else [str(group)]
    parts = [*groups, f"ties {ties}"] if ties else groups  # on another scale
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
    return " ".join(words)


def _value(value: float, stderr: float | None, metric: str, **_: Any) -> str:
    percent = metric in SHARES
    factor, digits = (100, 1) if percent else (1, 3)
    spread = f" ± {factor * stderr:.{digits}f}" if isinstance(stderr, int | float) and math.isfinite(stderr) else ""
    return f"{factor * value:.{digits}f}{spread}"
