"""The documents of one part, each judged by itself; those that pass are written out with the arrays that come next.

Files made of part N, in the folder `examine`:

    N.kept             the documents that pass, a JSON line each (none where no step changes a document: then the
                       arrays point into the input file itself)
    N.rows.npy         ROW for each of them
    N.keys.npy         uint64 [3 + BANDS, documents]: text hash (low, high), URL hash (0: none), near-duplicate bands
    N.paragraphs.npy   uint64: the hashes of their non-blank lines, one document after the other
    N.aside            entries for `--rejects` and documents for `--review`, in input order
    N.aside.npy        ASIDE for each of these
"""

from __future__ import annotations

from bisect import bisect
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from xxhash import xxh3_64_intdigest, xxh3_128_digest

from latxa_cli.corpus import scan
from latxa_cli.corpus.assessment import REVIEWED, Assessment, AssessmentSettings, assessor_of
from latxa_cli.corpus.boilerplate import line_hashes, without
from latxa_cli.native.minhash import BANDS
from latxa_cli.stages import load_array, save_array, save_bytes
from latxa_cli.stream.parts import Part, is_usual, lines_of, where
from latxa_cli.stream.reader import explain, name_of, parser
from latxa_cli.stream.records import Record, keyed_hash
from latxa_cli.stream.rejects import MALFORMED, malformed_entry, unfit_entry
from latxa_cli.text.normalise import normalise
from latxa_cli.text.words import segment

ROW = np.dtype(
    [("row", "<u4"), ("offset", "<u8"), ("length", "<u4"), ("words", "<u4"), ("bytes", "<u4"), ("paragraphs", "<u4"),
     ("named", "?"), ("licence", "<u2"), ("split", "u1")]
)  # fmt: skip
ASIDE = np.dtype([("row", "<u4"), ("offset", "<u8"), ("length", "<u4"), ("reason", "<u2"), ("review", "?")])
SPLITS = ("train", "valid", "test")
SPLIT_ENDS = (98, 99)  # 98, 1 and 1 per cent, as in the Basque corpus of arXiv 2506.07597


@dataclass(frozen=True)
class ExamineTask:
    """One part to examine, of `source`, whose name the documents take where the user gave it (`named`)."""

    part: Part
    folder: str
    settings: AssessmentSettings
    source: str
    named: bool
    boilerplate: str | None = None  # the hashes of the source's boilerplate lines, a `.npy` file

    def file(self, name: str) -> Path:
        return Path(self.folder) / f"{self.part.number:05}.{name}"


class _NoId(Exception):  # noqa: N818
    """A record without an id, or with a number for one, cannot stand as it is."""


def examine(task: ExamineTask) -> dict[str, Any]:
    """Examine a part, write its files, and return what was counted.

    Raises RecordError at the first malformed line, unless rejects are set aside.
    """
    as_it_is = not task.settings.changes_documents and not task.named and task.part.kind == "jsonl"
    try:
        return _Examination(task, as_it_is).run()
    except _NoId:
        return _Examination(task, as_it_is=False).run()


class _Examination:
    """The examination of one part."""

    def __init__(self, task: ExamineTask, as_it_is: bool) -> None:
        self.task, self.settings, self.as_it_is = task, task.settings, as_it_is
        self.assessor = assessor_of(task.settings)
        self.parse = parser("document")
        self.boilerplate = frozenset(load_array(Path(task.boilerplate)).tolist()) if task.boilerplate else frozenset()
        self.normalises = self.settings.does("normalise")
        self.splits = self.settings.does("split")
        self.hashes_lines = bool(self.boilerplate) or self.settings.does("paragraphs")
        self.read = [0, 0, 0]  # documents, words, bytes
        self.lost: dict[str, list[int]] = {}  # by step
        self.reasons: Counter[str] = Counter()
        self.leaked: Counter[str] = Counter()
        self.licences: dict[str, int] = {"": 0}
        self.tables: list[tuple[np.ndarray, np.ndarray]] = []  # rows and keys of many documents at once
        self.rows: list[tuple[Any, ...]] = []  # as ROW
        self.digests: list[bytes] = []
        self.urls: list[int] = []
        self.bands: list[np.ndarray] = []
        self.paragraphs: list[int] = []
        self.kept: list[bytes] = []
        self.place = 0  # where the next of them begins
        self.aside: list[bytes] = []
        self.aside_place = 0
        self.aside_rows: list[tuple[Any, ...]] = []

    def run(self) -> dict[str, Any]:
        if self.as_it_is and self.settings.reads_lines and is_usual(self.task.part):
            for block in scan.blocks(self.task.part, near=self.settings.does("near")):
                self._take(block)
        else:
            for row, offset, raw in lines_of(self.task.part):
                self._look_at(row, offset, raw)
        rows = self._save()
        return {
            "data": self.task.part.path if self.as_it_is else str(self.task.file("kept")),
            "documents": rows,
            "paragraphs": len(self.paragraphs),
            "read": self.read,
            "malformed": self.reasons["malformed"],
            "lost": self.lost,
            "reasons": dict(self.reasons),
            "leaked": dict(self.leaked),
            "licences": list(self.licences),
        }

    def _take(self, block: scan.LineBlock) -> None:
        """Take the documents that the kernel has read, and look at each of its other lines."""
        taken = block.taken()
        for line in block.lines[~taken]:
            self._look_at(int(line["row"]), int(line["offset"]), block.raw(line))
        lines = block.lines[taken]
        self._count(self.read, int(lines["words"].sum()), int(lines["bytes"].sum()), len(lines))
        rows = np.zeros(len(lines), ROW)
        for name in ("row", "offset", "length", "words", "bytes"):
            rows[name] = lines[name]
        rows["named"] = True
        rows["licence"] = [self._licence(licence.decode()) for licence in block.strings(lines, "licence")]
        keys = np.zeros((3 + BANDS, len(lines)), np.uint64)
        keys[:2] = _halves(block.digests(lines))
        if self.settings.does("url"):
            keys[2] = list(map(_url_key, block.strings(lines, "url")))
        if len(block.bands):
            keys[3:] = block.bands[taken].T
        self.tables.append((rows, keys))

    def _look_at(self, row: int, offset: int, raw: bytes) -> None:
        """Examine one line."""
        try:
            record = self.parse(raw)
            name, given = name_of(record)
        except ValueError as error:
            if raw.strip():
                self._set_aside_malformed(row, raw, error)
            return
        if self.as_it_is and name is not record.get("id"):
            raise _NoId
        text, lines = self._cleaned(record["text"])
        digest = xxh3_128_digest(orjson.dumps(text)[1:-1])  # of the text as it is spelled, which can be had without it
        finding, size = self.assessor.find(text, digest), len(text.encode())
        self._count(self.read, finding.words, size)
        if finding.reason:
            self._set_aside(record, name, text, finding, row, size)
            return
        if not self.as_it_is:
            raw = self._written(record, name, text, finding)
            offset, self.place = self.place, self.place + len(raw) + 1
        self._keep(record, name, (row, offset, len(raw), finding.words, size, len(lines), given))
        self.digests.append(digest)
        self.bands.append(finding.bands)
        self.paragraphs += lines

    @staticmethod
    def _count(counts: list[int], words: int, size: int, documents: int = 1) -> None:
        counts[0] += documents
        counts[1] += words
        counts[2] += size

    # --- one document

    def _cleaned(self, text: str) -> tuple[str, list[int]]:
        """Return the text in clean form and without boilerplate, and the hashes of its lines if they are needed."""
        if self.normalises:
            text = self._losing("normalise", text, normalise(text))
        if not self.hashes_lines:
            return text, []
        lines = line_hashes(text)
        if self.boilerplate.isdisjoint(lines):
            return text, lines
        stripped = without(text, self.boilerplate)
        if not stripped:  # that it has nothing else is no reason to lose it
            return text, lines
        return self._losing("boilerplate", text, stripped), line_hashes(stripped)

    def _losing(self, step: str, before: str, after: str) -> str:
        """Count what a step took from a text, and return the text that it left."""
        if after != before:
            words = len(segment(before)) - len(segment(after)) if self.settings.reads_words else 0
            size = len(before.encode("utf-8", "surrogatepass")) - len(after.encode("utf-8", "surrogatepass"))
            self._count(self.lost.setdefault(step, [0, 0, 0]), words, size, documents=0)
            self._count(self.read, words, size, documents=0)
        return after

    def _keep(self, record: Record, name: str, figures: tuple[Any, ...]) -> None:
        """Add what is known of a document that passes: `figures` are the first columns of ROW, in their order."""
        licence, url = record.get("licence") or record.get("license"), record.get("url")
        number = self._licence(licence) if type(licence) is str else 0
        self.rows.append((*figures, number, split_of(name, self.settings.seed) if self.splits else 0))
        self.urls.append(_url_key(url.encode()) if type(url) is str and self.settings.does("url") else 0)

    def _licence(self, licence: str) -> int:
        """Return the number of a licence: its place in `licences`, as far as that goes."""
        return self.licences.setdefault(licence, min(len(self.licences), 0xFFFF))

    def _written(self, record: Record, name: str, text: str, finding: Assessment) -> bytes:
        data = orjson.dumps(self._made(record, name, text, finding))
        self.kept.append(data)
        return data

    def _made(self, record: Record, name: str, text: str, finding: Assessment) -> Record:
        made: Record = {"id": name} | record | {"id": name, "text": text}
        own = record.get("source")
        if self.task.named:
            made["source"] = f"{self.task.source}/{own}" if own else self.task.source
        metadata = dict(record.get("metadata") or {})
        if finding.facts:
            facts = dict(finding.facts)
            made["language"] = facts.pop("language")
            metadata |= facts
        if self.splits:
            metadata["split"] = SPLITS[split_of(name, self.settings.seed)]
        if metadata:
            made["metadata"] = metadata
        return made

    # --- what is set aside

    def _set_aside(self, record: Record, name: str, text: str, finding: Assessment, row: int, size: int) -> None:
        self._count(self.lost.setdefault(finding.step, [0, 0, 0]), finding.words, size)
        self.leaked.update(finding.leaked)
        self.reasons[finding.reason] += 1
        if self.settings.review and finding.reason in REVIEWED:
            self._write_aside(self._made(record, name, text, finding), row, finding.reason, review=True)
        elif self.settings.rejects:
            entry = unfit_entry({"id": name} | record | {"id": name}, finding.reason, finding.detail)
            self._write_aside(entry, row, finding.reason)

    def _set_aside_malformed(self, row: int, raw: bytes, error: ValueError) -> None:
        place, what = where(self.task.part, row), explain(error, raw)
        entry = malformed_entry(place, what, raw, set_aside=self.settings.rejects)
        self.reasons[MALFORMED] += 1
        self._write_aside(entry, row, MALFORMED)

    def _write_aside(self, entry: Record, row: int, reason: str, review: bool = False) -> None:
        data = orjson.dumps(entry)
        number = list(self.reasons).index(reason)  # in order of their first appearance
        self.aside_rows.append((row, self.aside_place, len(data), number, review))
        self.aside.append(data)
        self.aside_place += len(data) + 1

    # --- the files

    def _save(self) -> int:
        """Write the files; return how many documents there are."""
        rows, keys = self._arrays()
        if not self.as_it_is:
            save_bytes(self.task.file("kept"), _joined(self.kept))
        save_array(self.task.file("rows.npy"), rows)
        save_array(self.task.file("keys.npy"), keys)
        save_array(self.task.file("paragraphs.npy"), np.array(self.paragraphs, np.uint64))
        save_bytes(self.task.file("aside"), _joined(self.aside))
        save_array(self.task.file("aside.npy"), np.array(self.aside_rows, ASIDE))
        return len(rows)

    def _arrays(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the rows and keys of all documents in input order."""
        rows = np.zeros(len(self.rows), ROW)
        for name, values in zip(ROW.names or (), zip(*self.rows, strict=True), strict=False):
            rows[name] = values
        keys = np.zeros((3 + BANDS, len(rows)), np.uint64)
        if len(rows):
            keys[:2], keys[2] = _halves(self.digests), self.urls
            if self.settings.does("near"):
                keys[3:] = np.array(self.bands).T
        if not self.tables:
            return rows, keys
        all_rows, all_keys = zip(*self.tables, (rows, keys), strict=True)
        rows = np.concatenate(all_rows)
        order = np.argsort(rows["row"], kind="stable")
        return rows[order], np.concatenate(all_keys, axis=1)[:, order]


def _halves(digests: list[bytes]) -> np.ndarray:
    """Return (low, high) of hashes of 128 bits: u64 [2, hashes]."""
    return np.frombuffer(b"".join(digests), ">u8").reshape(-1, 2).T[::-1]


def _url_key(url: bytes) -> int:
    return xxh3_64_intdigest(url) or 1 if url else 0


def _joined(lines: list[bytes]) -> bytes:
    return b"\n".join([*lines, b""]) if lines else b""


def split_of(name: str, seed: int) -> int:
    """Return the place in SPLITS of the split that the document with this id is drawn for."""
    return bisect(SPLIT_ENDS, keyed_hash(seed, "split", name) % 100)
