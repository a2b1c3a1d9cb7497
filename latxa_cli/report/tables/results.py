"""Results by model and by what was measured: one row an identity, whatever models are called."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from latxa_cli.report.tables.settings import unanswered, unequal, unlike
from latxa_cli.stream.records import Record, Reject

Measure = tuple[str, str, str]  # the task, the metric, the filter
Row = tuple[str, str, str]  # the name of a model, a hash of its weights, and its path; empty where they are not known


@dataclass
class Results:
    """Results by row and measure, in order of first appearance; those of one measure differ in their settings.

    Models are told apart by their weights, or by their paths, since many checkpoints have the same name.
    """

    by_row: dict[Row, dict[Measure, list[Record]]] = field(default_factory=dict)
    others: dict[int, list[float]] = field(default_factory=dict)  # unlike values of a repeated result, by its `id`

    def add(self, records: Iterable[Record]) -> Iterator[Reject]:
        """Add result records; yield a Reject for a repeated one, and for a value that is not finite.

        Two results are one where their settings are equal; also where their values are, and no setting that both say
        sets them apart.
        """
        for record in records:
            if not math.isfinite(record["value"]):
                yield Reject(record, "no finite value")
                continue
            measure = (record["task"], record["metric"], _filter(record))
            shown = self.by_row.setdefault(_row(record), {}).setdefault(measure, [])
            same = next((result for result in shown if _is_same(result, record)), None)
            if same is None:
                shown.append(record)
            elif same["value"] == record["value"]:
                yield Reject(record, "repeated result", "the first one is shown")
            else:
                self.others.setdefault(id(same), []).append(record["value"])
                yield Reject(record, "repeated result with another value", "the first one is shown, and marked")

    def notes(self, result: Record) -> list[str]:
        """Return what is to be said of one result by itself: other values of it, and items without an answer."""
        others = ", ".join(f"{value:.6g}" for value in self.others.get(id(result), ()))
        again = f"measured again with another value: {result['value']:.6g} is shown, {others} is not" if others else ""
        return [note for note in (again, unanswered(result)) if note]

    def measures(self) -> list[Measure]:
        """Return what was measured, in order of first appearance."""
        return list(dict.fromkeys(measure for measured in self.by_row.values() for measure in measured))

    def names(self) -> dict[Row, str]:
        """Return the name of each row: the model's own, and where two models have it, what tells them apart."""
        rows_of: dict[str, list[Row]] = {}
        for row in self.by_row:
            rows_of.setdefault(row[0], []).append(row)
        names = {row: self._name(row, rows_of[row[0]]) for row in self.by_row}
        taken: set[str] = set()
        for row, name in names.items():  # the end of one model's path may be another one's name
            while name in taken:
                name += " (another model)"
            names[row] = name
            taken.add(name)
        return names

    def _name(self, row: Row, others: Sequence[Row]) -> str:
        if len(others) == 1:
            return row[0]
        paths = {other: _path(self.by_row[other]) for other in others}
        alike = [path for path in paths.values() if path == paths[row]]
        if paths[row] and len(alike) == 1:
            return _shortest_end(paths[row], [path for path in paths.values() if path != paths[row]])
        return f"{row[0]} ({row[1][:8]})" if row[1] else row[0]


def _is_same(first: Record, second: Record) -> bool:
    return not unequal(first, second) or (first["value"] == second["value"] and not unlike(first, second))


def _filter(record: Record) -> str:
    given = record.get("filter") or ""
    return "" if given == "none" else given


def _row(record: Record) -> Row:
    weights = record.get("weights") or ""
    return record["model"], weights, "" if weights else (record.get("path") or "").rstrip("/")


def _path(measured: dict[Measure, list[Record]]) -> str:
    return next(iter(measured.values()))[0].get("path") or ""


def _shortest_end(path: str, others: Sequence[str]) -> str:
    """Return the fewest last parts of a path that no other path ends with."""
    parts = path.rstrip("/").split("/")
    ends = ("/".join(parts[-count:]) for count in range(1, len(parts) + 1))
    return next((end for end in ends if not any(f"/{other.rstrip('/')}".endswith(f"/{end}") for other in others)), path)
