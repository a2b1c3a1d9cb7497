"""What `arena-score` says, as rows of tables for people: one ranking in full, several side by side, what stands below.

`latxa arena-score battles.jsonl --format table`
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from latxa_cli.stream.formats import Format
from latxa_cli.stream.records import Record
from latxa_cli.stream.table import escaped, render
from latxa_cli.stream.terminal import printable

if TYPE_CHECKING:
    from latxa_cli.stream.run import Run

ONE = ("rank", "ranks", "model", "rating", "lower", "upper", "tier", "battles")
SHORT = {"winner": "", "winner_content": "content", "winner_language": "language"}


def show(run: Run, records: Sequence[Record], layout: Format | None, unit: str) -> None:
    """Write what `arena-score` says in the layout (default: a table on a terminal, else JSONL); `unit`: of resampling.

    What matters stands below a table, and is said where a format has no place for it.
    """
    layout = run.layout(layout)
    matters = [printable(line) for line in what_matters(records)]
    run.note(resampled=unit, findings=matters)
    if layout == "jsonl":
        run.write(records)
    else:
        run.print(page(records, layout, matters), records=sum("rating" in record for record in records))
    if layout in ("csv", "latex", "html") and any("difference" in one or "correlation" in one for one in records):
        run.say("differences and correlations are not part of this format: `--format jsonl` has them")
    if layout not in ("table", "markdown"):
        run.say_all(matters)


def page(records: Sequence[Record], layout: Format, below: Sequence[str]) -> str:
    """Return what `arena-score` says as one text; what programs read is ratings alone, without the lines `below`."""
    ratings = [record for record in records if "rating" in record]
    if layout == "csv":
        return render(*every_column(ratings), layout)
    text = render(*rows(ratings), layout)
    if layout in ("table", "markdown"):
        for title, lines, columns in beside(records):
            text += f"\n{title}\n\n{render(lines, columns, layout)}"
        words = [escaped(line) if layout == "markdown" else line for line in below]
        text += "\n" * bool(words) + "".join(f"- {line}\n" for line in words)
    return text


def rows(ratings: Sequence[Record]) -> tuple[list[Record], list[str]]:
    """Return rows and the names of their columns. Infinite values are ∞, and what is not known is None."""
    labels = list(dict.fromkeys(_label(record) for record in ratings))
    islands = ["island"] if any("island" in record for record in ratings) else []
    if len(labels) < 2:
        paper = bool(ratings) and "interval" in ratings[0]
        columns = ["rank", "model", "rating", "interval", "battles"] if paper else list(ONE)
        return [_row(record) for record in ratings], islands + columns
    kinds = ("rank", "rating", "interval")
    wide: dict[str, Record] = {}
    for record in ratings:
        label, row = _label(record), _row(record)
        of_model = wide.setdefault(record["model"], {"model": record["model"]})
        of_model.update({_column(kind, label): row[kind] for kind in kinds})
        of_model.setdefault("island", row.get("island"))
    return list(wide.values()), [*islands, "model", *(_column(kind, label) for label in labels for kind in kinds)]


def beside(records: Sequence[Record]) -> Iterator[tuple[str, list[Record], list[str]]]:
    """Yield (title, rows, columns) of the tables that stand below the ratings, as far as there are such records."""
    sure = [record for record in records if "difference" in record and _is_sure(record)]
    if sure:
        rows = [record | {"ranking": _label(record) or "winner"} for record in sure]
        title = (
            "Differences from the first ranking, or from all votes, whose interval leaves out zero (some do by chance):"
        )
        yield title, rows, ["ranking", "model", "difference", "lower", "upper"]
    found = [_in_words(record) for record in records if "correlation" in record]
    if found:
        columns = ["criterion", "benchmark", "language", "correlation", "lower", "upper", "p", "models"]
        yield "Rank correlation with results:", found, columns


def _is_sure(record: Record) -> bool:
    return any(bound is not None and bound * sign > 0 for bound, sign in ((record["lower"], 1), (record["upper"], -1)))


def _in_words(record: Record) -> Record:
    forms = {"correlation": ".3f", "lower": ".3f", "upper": ".3f", "p": ".2g"}
    return record | {name: f"{record[name]:{form}}" for name, form in forms.items() if record[name] is not None}


def what_matters(records: Sequence[Record]) -> list[str]:
    """Return the findings that matter as lines, which may hold names as they came."""
    several = len({record["criterion"] for record in records if "finding" in record}) > 1
    found = [record for record in records if record.get("matters")]
    return [(f"{record['criterion']}: " if several else "") + record["text"] for record in found]


def every_column(ratings: Sequence[Record]) -> tuple[list[Record], list[str]]:
    """Return rows and the names of their columns: all fields of ratings, for spreadsheets."""
    rows = [
        record | {"group": ", ".join(f"{name}={value}" for name, value in record["group"].items())}
        if "group" in record else record
        for record in ratings
    ]  # fmt: skip
    return rows, list(dict.fromkeys(name for record in ratings for name in record))


def _row(record: Record) -> Record:
    rating = record["rating"]
    infinite = {"above": "∞", "below": "-∞"}.get(record.get("infinite", ""))
    low, high = record["lower"], record["upper"]
    bounds = f"{_bound(low, '-∞')} – {_bound(high, '∞')}" if rating is not None else None
    ranks = None
    if "rank_lower" in record:
        best, worst = record["rank_lower"], record["rank_upper"]
        ranks = str(best) if best == worst else f"{best}–{worst}"
    return {
        **record,
        "rating": infinite if rating is None else rating,
        "lower": "-∞" if low is None and rating is not None else low,
        "upper": "∞" if high is None and rating is not None else high,
        "interval": record.get("interval", bounds),
        "ranks": ranks,
    }


def _bound(value: float | None, infinite: str) -> str:
    return infinite if value is None else f"{value:.0f}"


def _label(record: Record) -> str:
    group = ", ".join(f"{value}" for value in record.get("group", {}).values())
    criterion = SHORT.get(record["criterion"], record["criterion"])
    return " ".join(part for part in (criterion, group) if part)


def _column(kind: str, label: str) -> str:
    return f"{kind} {label}".strip()
