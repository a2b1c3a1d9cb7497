"""What is asked of the records of one input: a score that is high enough, and the language to answer in.

Scores come from the records that `judge` writes, or stand in the records themselves. Asking for the language is how
X-Instruction (arXiv 2405.19744) makes an English instruction with an answer in another language one of both.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from xxhash import xxh3_64_intdigest

from latxa_cli.stream.errors import LatxaError, RecordError, nearest
from latxa_cli.stream.files import load_array, save_array
from latxa_cli.stream.inputs import Input
from latxa_cli.stream.records import Record, Reject

SCORE = np.dtype([("key", "<u8"), ("score", "<f8")])


@dataclass(frozen=True)
class Admission:
    """What records must be like, and how they are changed; called with a record that has an id.

    `minimum`: the least score, the mean of a record's scores or, of several, that named `criterion`; `scores`: a file
    that `save_scores` made (None: they are in `metadata.scores`). `language`: its name is asked for at the end of the
    last user turn.
    """

    minimum: float | None = None
    criterion: str | None = None
    scores: str | None = None
    language: str | None = None

    def __call__(self, record: Record) -> Record | Reject:
        """Return the record, changed where it must be, or why it does not fit."""
        if self.minimum is not None:
            score = self._score(record)
            if score is None:
                return Reject(record, "no score")
            if score < self.minimum:
                return Reject(record, "low score", f"{score:g} is less than {self.minimum:g}")
        return answered_in(record, self.language) if self.language else record

    def _score(self, record: Record) -> float | None:
        if self.scores is None:
            given = (record.get("metadata") or {}).get("scores")
            return mean_score(given, self.criterion) if type(given) is dict else None
        table, key = _load(self.scores, Path(self.scores).stat().st_mtime_ns), xxh3_64_intdigest(record["id"].encode())
        place = int(np.searchsorted(table["key"], np.uint64(key)))
        found = place < len(table) and int(table["key"][place]) == key
        return float(table["score"][place]) if found else None


def answered_in(record: Record, language: str) -> Record | Reject:
    """Return a conversation that ends its last user turn with `Answer in LANGUAGE.`, and says so in its metadata.

    White space at the end of that turn goes. A turn that ends so already, and a record whose `metadata.answer_in` is
    the language, are not asked again.
    """
    messages = record.get("messages", [])
    last = next((place for place in range(len(messages) - 1, -1, -1) if messages[place]["role"] == "user"), None)
    if last is None:
        return Reject(record, "no user turn")
    metadata = record.get("metadata") or {}
    if metadata.get("answer_in") == language:
        return record
    wish, content = f"Answer in {language}.", messages[last]["content"].rstrip()
    asked = {**messages[last], "content": content if content.endswith(wish) else f"{content} {wish}".lstrip()}
    changed = [*messages[:last], asked, *messages[last + 1 :]]
    return record | {"messages": changed, "metadata": metadata | {"answer_in": language}}


def mean_score(scores: dict[str, Any], criterion: str | None) -> float | None:
    """Return the score that `criterion` names, or the mean of all that are numbers; None where there is none."""
    chosen = scores.values() if criterion is None else [scores.get(criterion)]
    numbers = [value for value in chosen if isinstance(value, int | float) and not isinstance(value, bool)]
    return sum(numbers) / len(numbers) if numbers else None


def save_scores(source: Input, criterion: str | None, path: Path) -> None:
    """Save the score of every id in a file of score records, the mean where it has several; 16 bytes each.

    Raises RecordError for a record that is none, LatxaError when the file cannot be read or no record has `criterion`.
    """
    names: set[str] = set()
    found: dict[int, list[float]] = defaultdict(list)
    for number, entry in source.entries():
        if isinstance(entry, bytes) and not entry.strip():
            continue
        where = f"{source.label}:{number}"
        try:
            record = orjson.loads(entry) if isinstance(entry, bytes) else entry
        except orjson.JSONDecodeError as error:
            raise RecordError(where, f"not JSON ({error.msg} at column {error.colno})") from None
        name = record.get("id") if type(record) is dict else None
        if type(name) is not str or type(record.get("scores")) is not dict:
            raise RecordError(where, "no record of scores: `id` and `scores` {name: number} are needed")
        names.update(record["scores"])
        score = mean_score(record["scores"], criterion)
        if score is not None:
            found[xxh3_64_intdigest(name.encode())].append(score)
    if criterion is not None and names and not found:
        raise no_score(criterion, names)
    table = np.array([(key, sum(scores) / len(scores)) for key, scores in sorted(found.items())], SCORE)
    save_array(path, table)


def no_score(criterion: str, names: Iterable[str]) -> LatxaError:
    """Return the error that no record has a score of this name; `names`: those that there are."""
    return LatxaError(f"`--criterion {criterion}`: no record has this score", hint=nearest(criterion, sorted(names)))


@lru_cache(maxsize=4)
def _load(path: str, _changed: int) -> np.ndarray:
    table: np.ndarray = load_array(Path(path), mapped=True)
    return table
