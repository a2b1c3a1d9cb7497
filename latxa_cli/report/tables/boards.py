"""Tables of the records of `arena-score`: one ranking in full or several side by side, and the tables below them.

`latxa arena-score battles.jsonl --format table`
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from latxa_cli.report.tables.ratings import PLAIN, interval_of, ranks_of
from latxa_cli.stream.display import Format, escaped, render
from latxa_cli.stream.records import Record
from latxa_cli.stream.terminal import printable

if TYPE_CHECKING:
    from latxa_cli.stream.run import Run

Group = tuple[tuple[str, str], ...]  # fields and the values that its votes have
Board = tuple[str, Group]  # criterion and group

ONE = ("rank", "ranks", "model", "rating", "lower", "upper", "tier", "battles")
SHORT = {"winner": "", "winner_content": "content", "winner_language": "language"}


def show(run: Run, records: Sequence[Record], layout: Format | None, unit: str, intervals: str) -> None:
    """Write the records of `arena-score` in a format.

    Findings that matter stand below a table. Other formats have no place for them, so that they go to stderr.

    Args:
        run: the run that writes.
        records: ratings, differences, correlations and findings.
        layout: the format; None is a table on a terminal, else JSONL.
        unit: the unit of resampling, for the manifest.
        intervals: what that means, in words.
    """
    layout = run.layout(layout)
    findings = [printable(line) for line in important_findings(records)]
    run.note(resampled=unit, findings=findings)
    if layout == "jsonl":
        run.write(records)
    else:
        below = [intervals, *findings] if records else findings
        run.print(page(records, layout, below), records=sum("rating" in record for record in records))
    if layout in ("csv", "latex", "html") and any("difference" in one or "correlation" in one for one in records):
        run.say("differences and correlations are not part of this format: `--format jsonl` has them")
    if layout not in ("table", "markdown"):
        run.say_all(findings)


def page(records: Sequence[Record], layout: Format, below: Sequence[str]) -> str:
    """Return the records as one text; CSV, LaTeX and HTML hold the ratings alone."""
    ratings = [record for record in records if "rating" in record]
    if layout == "csv":
        return render(*every_column(ratings), layout)
    text = render(*rows(ratings), layout)
    if layout in ("table", "markdown"):
        for title, further, columns in further_tables(records):
            text += f"\n{title}\n\n{render(further, columns, layout)}"
        lines = [escaped(line) if layout == "markdown" else line for line in below]
        text += "\n" * bool(lines) + "".join(f"- {line}\n" for line in lines)
    return text


def rows(ratings: Sequence[Record]) -> tuple[list[Record], list[str]]:
    """Return rows and the names of their columns; an infinite value is ∞, an unknown one is None."""
    labels = _labels(ratings)
    islands = ["island"] if any("island" in record for record in ratings) else []
    if len(labels) < 2:
        paper = bool(ratings) and "interval" in ratings[0]
        columns = ["rank", "model", "rating", "interval", "battles"] if paper else list(ONE)
        return [_row(record) for record in ratings], islands + columns
    kinds = ("rank", "rating", "interval")
    wide: dict[str, Record] = {}
    for record in ratings:
        label, row = labels[_board(record)], _row(record)
        of_model = wide.setdefault(record["model"], {"model": record["model"]})
        of_model.update({_column(kind, label): row[kind] for kind in kinds})
        of_model.setdefault("island", row.get("island"))
    return list(wide.values()), [
        *islands,
        "model",
        *(_column(kind, label) for label in labels.values() for kind in kinds),
    ]


def further_tables(records: Sequence[Record]) -> Iterator[tuple[str, list[Record], list[str]]]:
    """Yield (title, rows, columns) of each table below the ratings: differences, then correlations, where any exist."""
    differences = [record for record in records if "difference" in record and _leaves_out_zero(record)]
    if differences:
        labels = _labels(record for record in records if "rating" in record or "difference" in record)
        rows = [record | {"ranking": labels[_board(record)] or "winner"} for record in differences]
        title = (
            "Differences from the first ranking, or from all votes, whose interval leaves out zero (some do by chance):"
        )
        yield title, rows, ["ranking", "model", "difference", "lower", "upper"]
    correlations = [_rounded(record) for record in records if "correlation" in record]
    if correlations:
        columns = ["criterion", "benchmark", "language", "correlation", "lower", "upper", "p", "models"]
        yield "Rank correlation with results:", correlations, columns


def _leaves_out_zero(record: Record) -> bool:
    bounds = ((record.get("lower"), 1), (record.get("upper"), -1))
    return any(bound is not None and bound * sign > 0 for bound, sign in bounds)


def _rounded(record: Record) -> Record:
    forms = {"correlation": ".3f", "lower": ".3f", "upper": ".3f", "p": ".2g"}
    return record | {name: f"{record[name]:{form}}" for name, form in forms.items() if record.get(name) is not None}


def important_findings(records: Sequence[Record]) -> list[str]:
    """Return a line for each finding that matters; names in it are not made safe for a terminal."""
    several = len({record["criterion"] for record in records if "finding" in record}) > 1
    findings = [record for record in records if record.get("matters")]
    return [(f"{record['criterion']}: " if several else "") + record["text"] for record in findings]


def every_column(ratings: Sequence[Record]) -> tuple[list[Record], list[str]]:
    """Return rows and the names of their columns, which are all fields of the ratings."""
    rows = [
        record | {"group": ", ".join(f"{name}={value}" for name, value in record["group"].items())}
        if "group" in record else record
        for record in ratings
    ]  # fmt: skip
    return rows, list(dict.fromkeys(name for record in ratings for name in record))


def _row(record: Record) -> Record:
    rating = record["rating"]
    infinite = {"above": "∞", "below": "-∞"}.get(record.get("infinite", ""))
    low, high = record.get("lower"), record.get("upper")
    return {
        **record,
        "rating": infinite if rating is None else rating,
        "lower": "-∞" if low is None and rating is not None else low,
        "upper": "∞" if high is None and rating is not None else high,
        "interval": record.get("interval") if rating is None else interval_of(record),
        "ranks": ranks_of(record) if "rank_lower" in record else None,
    }


def _board(record: Record) -> Board:
    group = record.get("group") or {}
    fields = group.items() if isinstance(group, dict) else [("group", group)]
    return record.get("criterion") or PLAIN, tuple((name, str(value)) for name, value in fields)


def _labels(records: Iterable[Record]) -> dict[Board, str]:
    """Return a heading for each board, in order: a group's value, or its field too where values are not enough."""
    boards = list(dict.fromkeys(_board(record) for record in records))
    short = {board: _short(*board) for board in boards}
    shared = Counter(short.values())
    blank = {board for board in boards if any(not str(value).strip() for _, value in board[1])}
    return {
        board: _long(*board) if board[1] and (board in blank or shared[label] > 1) else label
        for board, label in short.items()
    }


def _short(criterion: str, group: Group) -> str:
    values = ", ".join(str(value) for _, value in group)
    return " ".join(part for part in (SHORT.get(criterion, criterion), values) if part)


def _long(criterion: str, group: Group) -> str:
    values = ", ".join(f"{name}={value if str(value).strip() else json.dumps(value)}" for name, value in group)
    return " ".join(part for part in (SHORT.get(criterion, criterion), values) if part)


def _column(kind: str, label: str) -> str:
    return f"{kind} {label}".strip()
