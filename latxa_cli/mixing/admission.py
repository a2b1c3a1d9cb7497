"""The admission of an input's records: by a minimal score, and with a request for the language to answer in.

Scores come from the records that `judge` writes, or from the records' own metadata. The request is that of
X-Instruction (arXiv 2405.19744), which pairs English instructions with answers in another language.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

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
    """The conditions for a record, and the change that is made to it; call it with a record that has an id.

    - minimum: the lowest score. The score is the mean of a record's scores, or the one named `criterion`.
    - scores: a file that `save_scores` made; None where scores are in `metadata.scores`.
    - language: the name of the language that the last user turn asks for.
    """

    minimum: float | None = None
    criterion: str | None = None
    scores: str | None = None
    language: str | None = None

    def __call__(self, record: Record) -> Record | Reject:
        """Return the record, perhaps changed, or the reject with the reason."""
        if self.minimum is not None:
            score = self._score(record)
            if score is None:
                return Reject(record, "no score")
            if score < self.minimum:
                return Reject(record, "low score", f"{score:g} is less than {self.minimum:g}")
        return ask_for_language(record, self.language) if self.language else record

    def _score(self, record: Record) -> float | None:
        if self.scores is None:
            scores = (record.get("metadata") or {}).get("scores")
            return mean_score(scores, self.criterion) if type(scores) is dict else None
        table, key = _load(self.scores, Path(self.scores).stat().st_mtime_ns), xxh3_64_intdigest(record["id"].encode())
        place = int(np.searchsorted(table["key"], np.uint64(key)))
        found = place < len(table) and int(table["key"][place]) == key
        return float(table["score"][place]) if found else None


def ask_for_language(record: Record, language: str) -> Record | Reject:
    """Return a conversation with `Answer in LANGUAGE.` at the end of its last user turn, noted in its metadata.

    White space at the end of that turn is removed. Nothing is added where the turn ends so already, or where
    `metadata.answer_in` is the language.
    """
    messages = record.get("messages", [])
    last = next((place for place in range(len(messages) - 1, -1, -1) if messages[place]["role"] == "user"), None)
    if last is None:
        return Reject(record, "no user turn")
    metadata = record.get("metadata") or {}
    if metadata.get("answer_in") == language:
        return record
    request, content = f"Answer in {language}.", messages[last]["content"].rstrip()
    turn = {**messages[last], "content": content if content.endswith(request) else f"{content} {request}".lstrip()}
    messages = [*messages[:last], turn, *messages[last + 1 :]]
    return record | {"messages": messages, "metadata": metadata | {"answer_in": language}}


def mean_score(scores: dict[str, object], criterion: str | None) -> float | None:
    """Return the score that `criterion` names, or the mean of all that are numbers; None where there is none."""
    values = scores.values() if criterion is None else [scores.get(criterion)]
    numbers = [value for value in values if isinstance(value, int | float) and not isinstance(value, bool)]
    return sum(numbers) / len(numbers) if numbers else None


def save_scores(source: Input, criterion: str | None, path: Path) -> None:
    """Save the score of every id in a file of score records, in 16 bytes each; an id with several gets their mean.

    Raises RecordError for a record without `id` and `scores`, LatxaError where the file cannot be read or no record has
    the score `criterion`.
    """
    names: set[str] = set()
    found: dict[int, list[float]] = defaultdict(list)
    for number, entry in source.entries():
        if isinstance(entry, bytes) and not entry.strip():
            continue
        place = f"{source.label}:{number}"
        try:
            record = orjson.loads(entry) if isinstance(entry, bytes) else entry
        except orjson.JSONDecodeError as error:
            raise RecordError(place, f"not JSON ({error.msg} at column {error.colno})") from None
        name = record.get("id") if type(record) is dict else None
        if type(name) is not str or type(record.get("scores")) is not dict:
            raise RecordError(place, "no record of scores: `id` and `scores` {name: number} are needed")
        names.update(record["scores"])
        score = mean_score(record["scores"], criterion)
        if score is not None:
            found[xxh3_64_intdigest(name.encode())].append(score)
    if criterion is not None and names and not found:
        raise no_score(criterion, names)
    table = np.array([(key, sum(scores) / len(scores)) for key, scores in sorted(found.items())], SCORE)
    save_array(path, table)


def no_score(criterion: str, names: Iterable[str]) -> LatxaError:
    """Return the error for a score that no record has; `names` are the scores that there are."""
    return LatxaError(f"`--criterion {criterion}`: no record has this score", hint=nearest(criterion, sorted(names)))


@lru_cache(maxsize=4)
def _load(path: str, _changed: int) -> np.ndarray:
    return load_array(Path(path), mapped=True)
