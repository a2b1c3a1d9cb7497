"""Paragraphs that stand in an earlier document too, trimmed from both ends of the later ones.

A paragraph is a line that is not blank, without the spaces around it; it is long if it has at least `LONG` words. Among
the documents that duplicates left it is *known* where it stands in an earlier one. Of a document

  - the known paragraphs that it begins with go, up to the last long one of them, and those that it ends with go, from
    the first long one of them: a short one, such as a heading, only goes with a long one that is farther in;
  - those inside stay;
  - a document of which fewer than `LONG` words would remain is dropped, but not one that others were dropped for: that
    stays whole.

So no long paragraph is lost: the first document that has one keeps it, and is not dropped.

Stages: `known` sorts the hashes of all paragraphs, a range at a time, and finds the known ones: u64, part << 32 | place
in the part's `paragraphs`, rising. `trims` reads the texts that begin or end with one, and writes for each part N

    N.trims.npy    TRIM for each document that changes, by its place among the part's rows

Memory: `BYTES_PER_PARAGRAPH` for each paragraph of a range, for which ranges are made small enough, and one part.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from latxa_cli.corpus.documents import HIGH_BITS, Documents
from latxa_cli.corpus.duplicates import load_decisions
from latxa_cli.stages import Work, load_array, save_array
from latxa_cli.text.words import segment

LONG = 6  # words: most mastheads and footers have as many, few headings do
TRIM = np.dtype([("index", "<u4"), ("first", "<u4"), ("last", "<u4")])
BYTES_PER_PARAGRAPH = 64


@dataclass(frozen=True)
class Hashes:
    """A task: to find known paragraphs whose hashes are in range `number` of `ranges`."""

    work: str
    number: int
    ranges: int


@dataclass(frozen=True)
class Trimming:
    """A task: to find what to trim in a part; `ranges`: how many files of known paragraphs there are."""

    work: str
    part: int
    ranges: int


def paragraphs(work: Work, infos: list[dict[str, Any]], *, memory: int) -> None:
    """Find what to trim. infos: what `examine` returned for each part; memory: bytes for one process.

    Raises LatxaError for more than 2^32 documents and for a full disk.
    """
    documents = Documents.save(work.folder, infos)
    folder, parts = str(work.folder), range(len(infos))
    total = sum(len(documents.array(part, "paragraphs")) for part in parts)
    ranges = max(1, -(-total * BYTES_PER_PARAGRAPH // memory))
    work.stage("known", find_known, [Hashes(folder, number, ranges) for number in range(ranges)])
    work.stage("trims", find_trims, [Trimming(folder, part, ranges) for part in parts])
    for path in (work.folder / "known").glob("*.npy"):
        path.unlink()


def load_trims(work: Path, part: int) -> np.ndarray:
    """Return TRIM for the documents of a part that change: of their paragraphs those from `first` to `last` (excluded)
    stay, none where they are equal. Nothing, where paragraphs were not looked at."""
    folder = work / "trims"
    return load_array(folder / f"{part:05}.trims.npy") if folder.exists() else np.empty(0, TRIM)


def trim(text: str, first: int, last: int) -> str:
    """Return the lines of `text` from paragraph `first` to `last` (excluded), blank ones between them included."""
    lines = text.split("\n")
    places = [place for place, line in enumerate(lines) if line.strip()][first:last]
    return "\n".join(lines[places[0] : places[-1] + 1]) if places else ""


def disk_need(paragraphs: int, documents: int) -> int:
    """Return the most bytes of intermediate files."""
    return 8 * paragraphs + TRIM.itemsize * documents


# --- known


def find_known(task: Hashes) -> dict[str, int]:
    """Write where the known paragraphs of a range are."""
    hashes, places, owners = _read(Documents.load(task.work), task)
    order = np.argsort(hashes, kind="stable")
    hashes, owners = hashes[order], owners[order]
    first = np.ones(len(hashes), bool)  # of those that are the same; these stand in the order of their documents
    first[1:] = hashes[1:] != hashes[:-1]
    known = owners != owners[np.maximum.accumulate(np.where(first, np.arange(len(first)), 0))]
    found = np.sort(places[order[known]])
    save_array(_known_file(Path(task.work), task.number), found)
    return {"known": len(found)}


def _known_file(work: Path, number: int) -> Path:
    return work / "known" / f"{number:05}.npy"


def _read(documents: Documents, task: Hashes) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the hashes (u64) of the paragraphs in the task's range of the documents that are kept; where each stands
    (u64, part << 32 | place); and the number of its document (u32)."""
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


def find_trims(task: Trimming) -> dict[str, int]:
    """Write what to trim in a part."""
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
        lines = [line for line in text.split("\n") if line.strip()]
        first, last = stretch(known[starts[index] : ends[index]], lines)
        if last - first < len(lines) and not (first == last and index in needed):
            trims.append((index, first, last))
    save_array(documents.work / "trims" / f"{task.part:05}.trims.npy", np.array(trims, TRIM))
    return {"trimmed": len(trims), "dropped": sum(first == last for _, first, last in trims)}


def _known(documents: Documents, task: Trimming) -> np.ndarray:
    """Return which paragraphs of a part are known."""
    known = np.zeros(len(documents.array(task.part, "paragraphs")), bool)
    ends = np.array([task.part, task.part + 1], np.uint64) << HIGH_BITS
    for number in range(task.ranges):
        found = load_array(_known_file(documents.work, number), mapped=True)
        start, stop = np.searchsorted(found, ends)
        known[(found[start:stop] - ends[0]).astype(np.int64)] = True
    return known


def stretch(known: np.ndarray, lines: list[str]) -> tuple[int, int]:
    """Return the first and last (excluded) paragraph of a document that stay, (0, 0) for none.

    known: bool, of each paragraph; lines: the paragraphs.
    """
    new = np.flatnonzero(~known)
    leading, trailing = (int(new[0]), int(new[-1]) + 1) if len(new) else (len(lines), 0)
    first = next((place + 1 for place in reversed(range(leading)) if _are_long(lines[place : place + 1])), 0)
    last = next((place for place in range(trailing, len(lines)) if _are_long(lines[place : place + 1])), len(lines))
    if (first or last < len(lines)) and not _are_long(lines[first:last]):
        return 0, 0
    return first, last


def _are_long(lines: list[str]) -> bool:
    """Whether lines have `LONG` words together."""
    count = 0
    for line in lines:
        count += len(segment(line))
        if count >= LONG:
            return True
    return False
