"""Repeated paragraphs, which are trimmed from both ends of documents if an earlier document has them too.

A paragraph is a line that is not blank, without the spaces around it. It is *long* if it has at least `LONG` words, and
*known* if an earlier document has it, among those that are no duplicates.

  - Of the known paragraphs that a document begins with, those up to the last long one are removed. Of those that it
    ends with, those from the first long one on are removed. So a short one, such as a heading, is removed only with a
    long one that is farther inside.
  - Paragraphs inside stay. Code in fences counts as new.
  - A document that would keep fewer than `LONG` words is dropped. One that others were dropped for stays whole instead.

So no long paragraph is lost: the first document with it keeps it, and is not dropped.

The stage `known` sorts the hashes of all paragraphs, one range at a time, and finds the known ones (u64, part << 32 |
place in the part's `paragraphs`, rising). The stage `trims` reads the texts that begin or end with one, and writes for
each part N

    N.trims.npy    TRIM for each document that changes, by its place among the part's rows

Memory: `BYTES_PER_PARAGRAPH` for each paragraph of a range, and ranges are small enough for that; and one part.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from latxa_cli.corpus.documents import HIGH_BITS, Documents
from latxa_cli.corpus.duplicates import load_decisions
from latxa_cli.stages import Work, load_array, save_array
from latxa_cli.stream.records import JsonObject
from latxa_cli.text.fences import code_lines
from latxa_cli.text.words import segment

LONG = 6  # words: most mastheads and footers have at least so many, and few headings do
TRIM = np.dtype([("index", "<u4"), ("first", "<u4"), ("last", "<u4")])
BYTES_PER_PARAGRAPH = 64


@dataclass(frozen=True)
class KnownTask:
    """A task: to find the known paragraphs among those whose hashes are in range `number` of `ranges`."""

    work: str
    number: int
    ranges: int


@dataclass(frozen=True)
class TrimTask:
    """A task: to find the trims of a part; `ranges` is the number of files of known paragraphs."""

    work: str
    part: int
    ranges: int


def paragraphs(work: Work, infos: list[JsonObject], *, memory: int) -> None:
    """Find and save the trims of all documents.

    - infos: what `examine` returned for each part.
    - memory: bytes for one process.

    Raises LatxaError for more than 2^32 documents and for a full disk.
    """
    documents = Documents.save(work.folder, infos)
    folder, parts = str(work.folder), range(len(infos))
    total = sum(len(documents.array(part, "paragraphs")) for part in parts)
    ranges = max(1, -(-total * BYTES_PER_PARAGRAPH // memory))
    work.stage("known", find_known, [KnownTask(folder, number, ranges) for number in range(ranges)])
    work.stage("trims", find_trims, [TrimTask(folder, part, ranges) for part in parts])
    for path in (work.folder / "known").glob("*.npy"):
        path.unlink()


def load_trims(work: Path, part: int) -> np.ndarray:
    """Return TRIM for the documents of a part that change; there are none where the step was left out.

    The paragraphs from `first` to `last` (excluded) stay; where both are equal, the document is dropped.
    """
    folder = work / "trims"
    return load_array(folder / f"{part:05}.trims.npy") if folder.exists() else np.empty(0, TRIM)


def trim(text: str, first: int, last: int) -> str:
    """Return the lines of `text` from paragraph `first` to `last` (excluded), with blank lines between them."""
    lines = text.split("\n")
    places = [place for place, line in enumerate(lines) if line.strip()][first:last]
    return "\n".join(lines[places[0] : places[-1] + 1]) if places else ""


def disk_need(paragraphs: int, documents: int) -> int:
    """Return the largest size of intermediate files in bytes."""
    return 8 * paragraphs + TRIM.itemsize * documents


# --- known


def find_known(task: KnownTask) -> dict[str, int]:
    """Save the places of the known paragraphs of a range."""
    hashes, places, owners = _read(Documents.load(task.work), task)
    order = np.argsort(hashes, kind="stable")
    hashes, owners = hashes[order], owners[order]
    first = np.ones(len(hashes), bool)  # of equal hashes, which are in the order of their documents
    first[1:] = hashes[1:] != hashes[:-1]
    known = owners != owners[np.maximum.accumulate(np.where(first, np.arange(len(first)), 0))]
    found = np.sort(places[order[known]])
    save_array(_known_file(Path(task.work), task.number), found)
    return {"known": len(found)}


def _known_file(work: Path, number: int) -> Path:
    return work / "known" / f"{number:05}.npy"


def _read(documents: Documents, task: KnownTask) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return (hashes, places, numbers) for the paragraphs of kept documents in the task's range.

    hashes: u64; places: u64, part << 32 | place in the part's `paragraphs`; numbers: u32, of their documents.
    """
    hashes, places, owners = [np.empty(0, np.uint64)], [np.empty(0, np.uint64)], [np.empty(0, np.uint32)]
    least = np.uint64(task.number * (1 << 64) // task.ranges)
    most = np.uint64((task.number + 1) * (1 << 64) // task.ranges - 1)
    for part, start in enumerate(documents.starts[:-1].tolist()):
        kept = np.ones(documents.counts[part], bool)
        kept[load_decisions(documents.work, part).dropped["index"]] = False
        lengths = documents.array(part, "rows")["paragraphs"]
        found = documents.array(part, "paragraphs")
        chosen = np.flatnonzero((found >= least) & (found <= most) & np.repeat(kept, lengths))
        hashes.append(found[chosen])
        places.append(np.uint64(part << 32) | chosen.astype(np.uint64))
        owners.append(np.repeat(np.arange(start, start + len(kept), dtype=np.uint32), lengths)[chosen])
    return np.concatenate(hashes), np.concatenate(places), np.concatenate(owners)


# --- trims


def find_trims(task: TrimTask) -> dict[str, int]:
    """Save the trims of a part."""
    documents = Documents.load(task.work)
    known = _known(documents, task)
    rows = documents.array(task.part, "rows")
    ends = np.cumsum(rows["paragraphs"], dtype=np.int64)
    starts = ends - rows["paragraphs"]
    edged = np.flatnonzero(ends > starts)
    edged = edged[known[starts[edged]] | known[ends[edged] - 1]]
    needed = set(load_decisions(documents.work, task.part).kept_for["index"].tolist())
    trims = []
    texts = documents.texts(edged + documents.starts[task.part], rows[edged])
    for index, text in zip(edged.tolist(), texts, strict=True):
        lines = text.split("\n")
        is_code = np.array([code for line, code in zip(lines, code_lines(lines), strict=True) if line.strip()])
        lines = [line for line in lines if line.strip()]
        first, last = stretch(known[starts[index] : ends[index]] & ~is_code, lines)
        if last - first < len(lines) and not (first == last and index in needed):
            trims.append((index, first, last))
    save_array(documents.work / "trims" / f"{task.part:05}.trims.npy", np.array(trims, TRIM))
    return {"trimmed": len(trims), "dropped": sum(first == last for _, first, last in trims)}


def _known(documents: Documents, task: TrimTask) -> np.ndarray:
    """Return the mask of the known paragraphs of a part."""
    known = np.zeros(len(documents.array(task.part, "paragraphs")), bool)
    ends = np.array([task.part, task.part + 1], np.uint64) << HIGH_BITS
    for number in range(task.ranges):
        found = load_array(_known_file(documents.work, number), mapped=True)
        start, stop = np.searchsorted(found, ends)
        known[(found[start:stop] - ends[0]).astype(np.int64)] = True
    return known


def stretch(known: np.ndarray, lines: list[str]) -> tuple[int, int]:
    """Return the first and last (excluded) paragraph of a document that stay, or (0, 0) if none do.

    known: the mask of known paragraphs; lines: the paragraphs.
    """
    new = np.flatnonzero(~known)
    leading, trailing = (int(new[0]), int(new[-1]) + 1) if len(new) else (len(lines), 0)
    first = next((place + 1 for place in reversed(range(leading)) if _are_long(lines[place : place + 1])), 0)
    last = next((place for place in range(trailing, len(lines)) if _are_long(lines[place : place + 1])), len(lines))
    if (first or last < len(lines)) and not _are_long(lines[first:last]):
        return 0, 0
    return first, last


def _are_long(lines: list[str]) -> bool:
    """Whether lines have at least `LONG` words together."""
    count = 0
    for line in lines:
        count += segment(line).length
        if count >= LONG:
            return True
    return False
