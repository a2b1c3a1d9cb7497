"""Results written in a format of another tool.

`latxa report results.jsonl --format eee` and `latxa report results.jsonl --format eval-results`
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Literal

from latxa_cli.report.reading.eval_results import as_yaml, entries
from latxa_cli.report.reading.every_eval import evaluations
from latxa_cli.report.report import KINDS
from latxa_cli.stream.checks import kind_of
from latxa_cli.stream.records import JsonObject, Record, Reject
from latxa_cli.stream.run import Run

# What tells two results apart.
IDENTITY = (
    "model", "path", "weights", "task", "metric", "filter", "num_fewshot", "chat", "format", "target_delimiter",
    "fingerprint",
)  # fmt: skip


def export(
    run: Run, records: Iterable[Record], format: Literal["eee", "eval-results"], organization: str | None
) -> None:
    """Write the results among `records` as evaluations of Every Eval Ever, or as entries for a model's page.

    organization: who evaluated; None where that is not known.
    """
    results: dict[tuple[str, ...], Record] = {}
    run.write(_gathered(records, results))
    if format == "eee":
        run.write(evaluations(results.values(), run.day(None), organization))
        return
    made: list[JsonObject] = []
    for entry in entries(results.values()):
        if isinstance(entry, Reject):
            run.write([entry])
        else:
            made.append(entry)
    run.print(as_yaml(made), records=len(made))


def _gathered(records: Iterable[Record], results: dict[tuple[str, ...], Record]) -> Iterator[Reject]:
    """Put each result into `results` once; yield a Reject for a repeated one and for a value that is not finite."""
    for record in records:
        if kind_of(record, KINDS) != "result":
            continue
        if not math.isfinite(record["value"]):
            yield Reject(record, "no finite value")
        elif results.setdefault(tuple(repr(record.get(name)) for name in IDENTITY), record) is not record:
            yield Reject(record, "repeated result", "the first one is written")
