"""A table of what `judge --against` found: judges beside people.

`latxa judge a.jsonl b.jsonl --rubric pairwise -j MODEL --against votes.jsonl --findings found.jsonl -o battles.jsonl`
`latxa report found.jsonl`
"""

from __future__ import annotations

from collections.abc import Sequence

from latxa_cli.report.tables.table import Rows, Table
from latxa_cli.stream.records import Record

TITLE = "Judges beside people"
NOTE = "intervals are of 90 %, by prompt; `error` is in points of the rating"


def judges(findings: Sequence[Record]) -> Table:
    """Return the table of findings about judges; programs get them as they are."""
    columns = list(dict.fromkeys(name for record in findings for name in record if name != "text"))
    return Table(findings, (list(findings), columns), _texts(findings), [NOTE], TITLE)


def _texts(findings: Sequence[Record]) -> Rows:
    rows = [
        {
            "judge": record.get("judge"),
            "finding": str(record["finding"]).removeprefix("judge "),
            "of": _about(record),
            "value": _figure(record.get("value")),
            "interval": _interval(record),
            "error": _figure(record.get("error"), ".0f"),
            "n": None if record.get("n") is None else f"{record['n']:,}",
        }
        for record in findings
    ]
    optional = [name for name in ("of", "error") if any(row[name] is not None for row in rows)]
    return rows, [name for name in rows[0] if name not in ("of", "error") or name in optional] if rows else []


def _about(record: Record) -> str | None:
    """Return what a finding is about, beside the judge: two models, or so many votes."""
    if record.get("model") is not None and record.get("against") is not None:
        return f"{record['model']} against {record['against']}"
    return None if record.get("votes") is None else f"{record['votes']:,} votes"


def _figure(value: float | None, form: str = ".3f") -> str | None:
    return None if value is None else f"{value:{form}}"


def _interval(record: Record) -> str | None:
    ends = record.get("lower"), record.get("upper")
    if ends == (None, None):
        return None
    return " – ".join("∞" if end is None else f"{end:.3f}" for end in ends)
