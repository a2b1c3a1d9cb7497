"""Tables of what other verbs have found between models, which stand beside that of the models.

`latxa report results.jsonl comparison.jsonl --format table`
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from latxa_cli.report.tables.boards import further_tables
from latxa_cli.report.tables.comparisons import comparisons
from latxa_cli.report.tables.judges import judges
from latxa_cli.report.tables.table import Table
from latxa_cli.stream.records import Record


def beside(kept: Mapping[str, Sequence[Record]]) -> Iterator[Table]:
    """Yield a table for each kind of records among comparisons, findings about judges, differences and correlations."""
    if kept["comparison"]:
        yield comparisons(kept["comparison"])
    if kept["finding"]:
        yield judges(kept["finding"])
    for kind in ("difference", "correlation"):
        records = kept[kind]
        columns = list(dict.fromkeys(name for record in records for name in record if type(record[name]) is not dict))
        for title, rows, words in further_tables(records):
            yield Table(records, (list(records), columns), (rows, words), (), title.rstrip(":"))
