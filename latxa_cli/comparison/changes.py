"""The items that a model and the baseline did not do equally well, for people to look at.

`latxa compare answers.jsonl --baseline base --changed changed.jsonl`
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from latxa_cli.comparison.compare import Row
from latxa_cli.comparison.pairing import over_draws
from latxa_cli.comparison.records import LOWER_IS_BETTER
from latxa_cli.stream.records import Record


def changes(row: Row) -> Iterator[Record]:
    """Yield a record for each item of a row whose score differs; none for a mean over tasks."""
    if row.unit is None or row.paired is None:
        return
    mine, theirs = over_draws(row.paired.scores), over_draws(row.paired.baseline)
    better_when = -1 if row.metric in LOWER_IS_BETTER else 1
    for place in np.flatnonzero(mine != theirs).tolist():
        member, my_row, their_row = row.paired.places[place].tolist()
        task = row.unit.members[member]
        sheet, other = row.unit.sheet(row.one, task), row.unit.sheet(row.other, task)
        assert sheet is not None and other is not None
        kept, other_kept = sheet.kept[my_row], other.kept[their_row]
        record = {
            "id": other.items[their_row],
            "task": task,
            "model": row.one.name,
            "baseline": row.other.name,
            "direction": "better" if (mine[place] - theirs[place]) * better_when > 0 else "worse",
            "answer": kept.answer,
            "baseline_answer": other_kept.answer,
            "target": other_kept.target,
            "metric": row.metric,
            "value": float(mine[place]),
            "baseline_value": float(theirs[place]),
            "filter": row.unit.filter or None,
            "prompt": other_kept.prompt,
            "choices": other_kept.choices,
            "language": row.language,
        }
        nullable = ("answer", "baseline_answer", "target")
        yield {name: value for name, value in record.items() if value is not None or name in nullable}
