"""The examination of one part: each document is assessed by itself, and those that pass are saved for the next stages.

Files of part N, in the folder `examine`:

    N.kept             the documents that pass, one JSON line each; there is no such file where no step changes
                       documents, since the rows then point into the input file
    N.rows.npy         ROW for each of them
    N.keys.npy         u64 [3 + BANDS, documents]: text hash (low, high), URL hash (0: none), near-duplicate bands
    N.paragraphs.npy   u64: the hashes of their non-blank lines, one document after another
    N.aside            entries for `--rejects` and documents for `--review`, in input order
    N.aside.npy        ASIDE for each of these
"""

from __future__ import annotations

from bisect import bisect
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import orjson
from xxhash import xxh3_64_intdigest, xxh3_128_digest

from latxa_cli.corpus import scan
from latxa_cli.corpus.assessment import REVIEWED, Assessment, AssessmentSettings, assessor_of
from latxa_cli.corpus.boilerplate import line_hashes, remove_lines
from latxa_cli.native.minhash import BANDS
from latxa_cli.stages import load_array, save_array, save_bytes
from latxa_cli.stream.cutting import Part, is_usual, lines_of, location
from latxa_cli.stream.reader import explain, name_of, parser
from latxa_cli.stream.records import JsonObject, Record, keyed_hash
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
    """A task: to examine one part of `source`, whose name is put into its documents if the user gave it (`named`)."""

    part: Part
    folder: str
    settings: AssessmentSettings
    source: str
    named: bool
    boilerplate: str | None = None  # the hashes of the source's boilerplate lines, a `.npy` file

    def file(self, name: str) -> Path:
        return Path(self.folder) / f"{self.part.number:05}.{name}"


class _NoId(Exception):  # noqa: N818
    """A record has no id, or a number as id, so that its line cannot be copied unchanged."""


def examine(task: ExamineTask) -> JsonObject:
    """Examine a part, save its files, and return its counts.

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
        self.tables: list[tuple[np.ndarray, np.ndarray]] = []  # rows and keys of blocks that the kernel read
        self.rows: list[tuple[object, ...]] = []  # of ROW, for the other documents
        self.digests: list[bytes] = []
        self.urls: list[int] = []
        self.bands: list[np.ndarray] = []
        self.paragraphs: list[int] = []
        self.kept: list[bytes] = []
        self.place = 0  # where the next line of `kept` begins
        self.aside: list[bytes] = []
        self.aside_place = 0
        self.aside_rows: list[tuple[object, ...]] = []

    def run(self) -> JsonObject:
        """Examine all lines, save the files, and return the counts."""
        if self.as_it_is and self.settings.reads_lines and is_usual(self.task.part):
            for block in scan.blocks(self.task.part, near=self.settings.does("near")):
                self._take_block(block)
        else:
            for row, offset, raw in lines_of(self.task.part):
                self._examine_line(row, offset, raw)
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

    def _take_block(self, block: scan.LineBlock) -> None:
        """Add the documents that the kernel has read, and examine the other lines of the block one by one."""
        is_document = block.documents()
        for line in block.lines[~is_document]:
            self._examine_line(int(line["row"]), int(line["offset"]), block.raw(line))
        lines = block.lines[is_document]
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
            keys[3:] = block.bands[is_document].T
        self.tables.append((rows, keys))

    def _examine_line(self, row: int, offset: int, raw: bytes) -> None:
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
        text, lines = self._clean(record["text"])
        # The hash is that of the text's JSON spelling, which `scan` hashes in the line without making the text.
        digest = xxh3_128_digest(orjson.dumps(text)[1:-1])
        assessment, size = self.assessor.assess(text, digest), len(text.encode())
        self._count(self.read, assessment.words, size)
        if assessment.reason:
            self._set_aside(record, name, text, assessment, row, size)
            return
        if not self.as_it_is:
            raw = self._write_kept(record, name, text, assessment)
            offset, self.place = self.place, self.place + len(raw) + 1
        self._keep(record, name, (row, offset, len(raw), assessment.words, size, len(lines), given))
        self.digests.append(digest)
        self.bands.append(assessment.bands)
        self.paragraphs += lines

    @staticmethod
    def _count(counts: list[int], words: int, size: int, documents: int = 1) -> None:
        counts[0] += documents
        counts[1] += words
        counts[2] += size

    # --- one document

    def _clean(self, text: str) -> tuple[str, list[int]]:
        """Return the clean text without boilerplate, and the hashes of its lines if a step needs them."""
        if self.normalises:
            text = self._count_loss("normalise", text, normalise(text))
        if not self.hashes_lines:
            return text, []
        lines = line_hashes(text)
        if self.boilerplate.isdisjoint(lines):
            return text, lines
        stripped = remove_lines(text, self.boilerplate)
        if not stripped:  # a text of boilerplate alone stays, since the lines may be its content
            return text, lines
        return self._count_loss("boilerplate", text, stripped), line_hashes(stripped)

    def _count_loss(self, step: str, before: str, after: str) -> str:
        """Count the words and bytes that a step removed, and return the text `after` it."""
        if after != before:
            words = segment(before).length - segment(after).length if self.settings.reads_words else 0
            size = len(before.encode("utf-8", "surrogatepass")) - len(after.encode("utf-8", "surrogatepass"))
            self._count(self.lost.setdefault(step, [0, 0, 0]), words, size, documents=0)
            self._count(self.read, words, size, documents=0)
        return after

    def _keep(self, record: Record, name: str, figures: tuple[object, ...]) -> None:
        """Add the row of a document that passes; `figures` are the first columns of ROW."""
        licence, url = record.get("licence") or record.get("license"), record.get("url")
        number = self._licence(licence) if type(licence) is str else 0
        self.rows.append((*figures, number, split_of(name, self.settings.seed) if self.splits else 0))
        self.urls.append(_url_key(url.encode()) if type(url) is str and self.settings.does("url") else 0)

    def _licence(self, licence: str) -> int:
        """Return the number of a licence, its place in `licences`; all beyond 65,535 share the last number."""
        return self.licences.setdefault(licence, min(len(self.licences), 0xFFFF))

    def _write_kept(self, record: Record, name: str, text: str, assessment: Assessment) -> bytes:
        data = orjson.dumps(self._new_record(record, name, text, assessment))
        self.kept.append(data)
        return data

    def _new_record(self, record: Record, name: str, text: str, assessment: Assessment) -> Record:
        made: Record = {"id": name} | record | {"id": name, "text": text}
        own = record.get("source")
        if self.task.named:
            made["source"] = f"{self.task.source}/{own}" if own else self.task.source
        metadata = dict(record.get("metadata") or {})
        if assessment.facts:
            facts = dict(assessment.facts)
            made["language"] = facts.pop("language")
            metadata |= facts
        if self.splits:
            metadata["split"] = SPLITS[split_of(name, self.settings.seed)]
        if metadata:
            made["metadata"] = metadata
        return made

    # --- rejects

    def _set_aside(self, record: Record, name: str, text: str, assessment: Assessment, row: int, size: int) -> None:
        self._count(self.lost.setdefault(assessment.step, [0, 0, 0]), assessment.words, size)
        self.leaked.update(assessment.leaked)
        self.reasons[assessment.reason] += 1
        if self.settings.review and assessment.reason in REVIEWED:
            self._write_aside(self._new_record(record, name, text, assessment), row, assessment.reason, review=True)
        elif self.settings.rejects:
            entry = unfit_entry({"id": name} | record | {"id": name}, assessment.reason, assessment.detail)
            self._write_aside(entry, row, assessment.reason)

    def _set_aside_malformed(self, row: int, raw: bytes, error: ValueError) -> None:
        place = location(self.task.part, row)
        entry = malformed_entry(place, explain(error, raw), raw, set_aside=self.settings.rejects)
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
        """Save the files, and return the number of documents."""
        rows, keys = self._arrays()
        if not self.as_it_is:
            save_bytes(self.task.file("kept"), _join(self.kept))
        save_array(self.task.file("rows.npy"), rows)
        save_array(self.task.file("keys.npy"), keys)
        save_array(self.task.file("paragraphs.npy"), np.array(self.paragraphs, np.uint64))
        save_bytes(self.task.file("aside"), _join(self.aside))
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
    """Return the lower and the upper halves of 128-bit hashes: u64 [2, hashes]."""
    return np.frombuffer(b"".join(digests), ">u8").reshape(-1, 2).T[::-1]


def _url_key(url: bytes) -> int:
    return xxh3_64_intdigest(url) or 1 if url else 0


def _join(lines: list[bytes]) -> bytes:
    return b"\n".join([*lines, b""]) if lines else b""


def split_of(name: str, seed: int) -> int:
    """Return the place in SPLITS of the split that the document with the id `name` belongs to."""
    return bisect(SPLIT_ENDS, keyed_hash(seed, "split", name) % 100)
