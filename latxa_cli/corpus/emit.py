"""Writing the corpus: the kept documents of each part, copied unchanged from the files of `examine` wherever possible.

Documents that lost paragraphs, or that others were dropped for (`metadata.cluster_size`), are written anew.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import orjson

from latxa_cli.corpus.assessment import AssessmentSettings
from latxa_cli.corpus.duplicates import load_decisions, reason_of
from latxa_cli.corpus.examine import SPLITS
from latxa_cli.corpus.funnel import Losses
from latxa_cli.corpus.paragraphs import load_trims, trim
from latxa_cli.stages import load_array
from latxa_cli.stream.reader import Identifier
from latxa_cli.stream.records import JsonObject, Lines, Record
from latxa_cli.text.words import segment

REPEATED = "repeated paragraphs"
CHUNK = 256 << 10  # bytes that are copied at once, few enough for the processor's cache
_AS_IT_IS, _REWRITTEN, _DROPPED = 0, 1, 2


@dataclass(eq=False)  # hashed by identity, which the caches of its methods need
class Emitter:
    """Writes the parts in order.

    - infos: what `examine` returned for each part.
    - losses: for each part, the losses of its source, to which its counts are added.
    - review: gets the lines for `--review`.
    """

    folder: Path
    infos: list[JsonObject]
    losses: list[Losses]
    settings: AssessmentSettings
    review: list[bytes] = field(default_factory=list)

    def __post_init__(self) -> None:
        # Without the step `exact` contents may repeat, and ids made from the content then need a number.
        self.identifier = None if self.settings.does("exact") else Identifier()

    def outcomes(self) -> Iterator[Lines]:
        """Yield the lines of the corpus and the entries for `--rejects`, part after part."""
        for number in range(len(self.infos)):
            yield from _Part(self, number).outcomes()

    def file(self, number: int, name: str) -> Path:
        return self.folder / "examine" / f"{number:05}.{name}"

    @lru_cache(maxsize=64)  # noqa: B019  (there is one emitter a run)
    def rows(self, number: int) -> np.ndarray:
        return load_array(self.file(number, "rows.npy"))

    @lru_cache(maxsize=100_000)  # noqa: B019
    def id_of(self, keeper: int) -> str:
        """Return the id of a kept document; `keeper` is part << 32 | place among the part's rows."""
        number, index = keeper >> 32, keeper & 0xFFFFFFFF
        row = self.rows(number)[index]
        with Path(self.infos[number]["data"]).open("rb") as data:
            line = os.pread(data.fileno(), int(row["length"]), int(row["offset"]))
        return str(orjson.loads(line)["id"])


class _Part:
    """The lines of one part, whose documents are numbered by their index among its rows."""

    def __init__(self, emitter: Emitter, number: int) -> None:
        self.emitter, self.number, self.settings = emitter, number, emitter.settings
        self.info, self.losses = emitter.infos[number], emitter.losses[number]
        self.rows = emitter.rows(number)
        decisions = load_decisions(emitter.folder, number)
        self.dropped = decisions.dropped
        self.copies = {int(index): int(count) for index, count in decisions.kept_for}
        self.trims = {int(index): (int(first), int(last)) for index, first, last in load_trims(emitter.folder, number)}
        self.entries: list[tuple[int, str, bytes]] = []  # (row, reason, entry for `--rejects`)
        self.reasons: Counter[str] = Counter()

    def outcomes(self) -> Iterator[Lines]:
        self._count_examined()
        status = self._status()
        with Path(self.info["data"]).open("rb", buffering=0) as self.data:
            yield from self._kept(status)
            self._drop()
        self._count(status)
        self._add_aside()
        yield from self._rejects()

    def _status(self) -> np.ndarray:
        status = np.full(len(self.rows), _AS_IT_IS, np.uint8)
        for changed in (self.copies, self.trims):
            status[list(changed)] = _REWRITTEN
        if self.emitter.identifier is not None:
            status[~self.rows["named"]] = _REWRITTEN
        status[[index for index, (first, last) in self.trims.items() if first == last]] = _DROPPED
        status[self.dropped["index"]] = _DROPPED
        return status

    def _line(self, index: int) -> bytes:
        row = self.rows[index]
        return os.pread(self.data.fileno(), int(row["length"]), int(row["offset"]))

    # --- kept documents

    def _kept(self, status: np.ndarray) -> Iterator[Lines]:
        ends = self.rows["offset"] + self.rows["length"] + np.uint64(1)
        for first, last in _stretches(status, self.rows["offset"], ends):
            if status[first] == _AS_IT_IS:
                start = int(self.rows["offset"][first])
                data = os.pread(self.data.fileno(), int(ends[last]) - start, start)
                # The last line of a file may lack its line break.
                yield Lines(data if data.endswith(b"\n") else data + b"\n", last - first + 1)
            else:
                lines = [self._rewrite(index, self._line(index)) for index in range(first, last + 1)]
                yield Lines(b"".join(lines), len(lines))

    def _rewrite(self, index: int, line: bytes) -> bytes:
        copies, trimmed = self.copies.get(index, 0), self.trims.get(index)
        idless = self.emitter.identifier is not None and not self.rows[index]["named"]
        # The usual case of `--only exact`, without parsing; `\\u` could spell `metadata` in another way.
        if not trimmed and not idless and b'"metadata"' not in line and b"\\u" not in line:
            return line.rstrip()[:-1] + b',"metadata":{"cluster_size":%d}}\n' % (copies + 1)
        record: Record = orjson.loads(line)
        if idless and self.emitter.identifier is not None:
            record["id"] = self.emitter.identifier.unique(record["id"])
        if copies:
            metadata = record.get("metadata") or {}
            before = metadata.get("cluster_size", 1)  # of an earlier run
            record["metadata"] = metadata | {"cluster_size": copies + (before if type(before) is int else 1)}
        if trimmed:
            text = trim(record["text"], *trimmed)
            words = segment(text).length
            lost_bytes = len(record["text"].encode()) - len(text.encode())
            self.losses.lose("paragraphs", [0, int(self.rows[index]["words"]) - words, lost_bytes])
            record["text"] = text
        return orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE)

    # --- dropped documents

    def _drop(self) -> None:
        """Count the dropped documents, and make their entries if `--rejects` asks for them."""
        for code in np.unique(self.dropped["reason"]).tolist():
            self._lose(*reason_of(code), self.dropped["index"][self.dropped["reason"] == code])
        emptied = [index for index, (first, last) in self.trims.items() if first == last]
        self._lose("paragraphs", REPEATED, np.array(emptied, np.int64))
        if not self.settings.rejects:
            return
        for index, code, similarity, keeper in self.dropped.tolist():
            of, similarity = self.emitter.id_of(keeper), round(similarity, 4)
            entry = {"reason": reason_of(code)[1], "detail": f"of {of}, similarity {similarity}"}
            self._enter(index, entry | {"duplicate_of": of, "similarity": similarity}, self._line(index))
        for index in emptied:
            entry = {"reason": REPEATED, "detail": "all but a few words stand in earlier documents"}
            self._enter(index, entry, self._line(index))

    def _lose(self, step: str, reason: str, indices: np.ndarray) -> None:
        if len(indices):
            rows = self.rows[indices]
            self.losses.lose(step, [len(rows), int(rows["words"].sum()), int(rows["bytes"].sum())])
            self.reasons[reason] += len(rows)

    def _enter(self, index: int, entry: Record, line: bytes) -> None:
        entry["record"] = orjson.loads(line)
        self.entries.append((int(self.rows[index]["row"]), entry["reason"], orjson.dumps(entry)))

    # --- the counts and rejects of `examine`

    def _count_examined(self) -> None:
        """Add the counts of `examine` to the losses."""
        self.losses.read = [have + more for have, more in zip(self.losses.read, self.info["read"], strict=True)]
        for step, counts in self.info["lost"].items():
            self.losses.lose(step, counts)
        self.reasons.update(self.info["reasons"])

    def _add_aside(self) -> None:
        aside = self.emitter.file(self.number, "aside").read_bytes()
        reasons = list(self.info["reasons"])
        for row, offset, length, reason, is_review in load_array(self.emitter.file(self.number, "aside.npy")).tolist():
            line = aside[offset : offset + length]
            if is_review:
                self.emitter.review.append(line)
            else:
                self.entries.append((row, reasons[reason], line))

    def _rejects(self) -> Iterator[Lines]:
        """Yield the entries in input order, then the counts of rejects without an entry."""
        for _, reason, line in sorted(self.entries):
            self.reasons[reason] -= 1
            yield Lines(line + b"\n", 1, reason)
        for reason, count in self.reasons.items():
            if count:
                yield Lines(b"", count, reason)

    def _count(self, status: np.ndarray) -> None:
        self.losses.reasons += self.reasons
        kept = self.rows[status != _DROPPED]
        licences = np.bincount(kept["licence"], minlength=1).tolist()
        for licence, count in zip(self.info["licences"], licences, strict=False):
            self.losses.licences[licence] += count
        if self.settings.does("split"):
            for split, count in zip(SPLITS, np.bincount(kept["split"], minlength=len(SPLITS)).tolist(), strict=True):
                self.losses.splits[split] += count


def _stretches(status: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> Iterator[tuple[int, int]]:
    """Yield (first, last) for each stretch of kept documents with one status and consecutive lines.

    A stretch is cut at `CHUNK` bytes, so that the bytes that were read are still in the cache when they are written.
    """
    if not len(status):
        return
    breaks = (status[1:] != status[:-1]) | (starts[1:] != ends[:-1]) | (starts[1:] // CHUNK != starts[:-1] // CHUNK)
    for first, after in pairwise([0, *(np.flatnonzero(breaks) + 1).tolist(), len(status)]):
        if status[first] != _DROPPED:
            yield first, after - 1
