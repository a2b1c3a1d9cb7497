"""Duplicates among the documents that passed `examine`, each of which is dropped for a document that is kept.

Documents are decided in the order of their priority. The first of these rules that applies holds:

  - An `exact duplicate` has the same text as a kept document (128-bit hash).
  - A `near duplicate` has the same text as a document that was dropped as a near duplicate, and has the same keeper.
  - A `duplicate URL` has the same URL as a kept document, however different the two texts are.
  - A `near duplicate` shares one of its bands (`text.shingles`) with a kept document, and the Jaccard similarity of
    their sets of shingles is at least `similarity`. The keeper is the most similar one, and of equals the first.
  - Any other document is kept.

So a document is dropped only for a kept one that is similar enough itself, never through a chain. Decisions do not
depend on workers, memory or parts. To bound the time, only the first `similarity.LISTED` kept documents with one band
key are compared; pages made from one template may be more.

Each kind of duplicate can be left out. `exact` alone reads no text and compares nothing. Otherwise `groups` finds
documents that share a key and packs connected ones into batches, `greedy` decides the batches, and the stage
`decisions` adds the copies and writes for each part N

    N.dropped.npy   DROPPED for each dropped document, by its place among the part's rows
    N.kept_for.npy  KEPT_FOR for each document that others were dropped for

Memory, beyond the budget: `groups.BYTES_PER_DOCUMENT` bytes for each document, and 40 for each dropped one.
Intermediate files take 8 bytes for each key that a document shares, twice while they are sorted, and 5 for each
document; the decisions take 17 for each dropped document and 8 for each that others were dropped for. On overlapping
dumps in which a third of the documents are duplicates that was 67 bytes a document; `disk_need` is the maximum. All
files but the decisions are removed.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np

from latxa_cli.corpus import groups
from latxa_cli.corpus.documents import Documents
from latxa_cli.corpus.greedy import DROP, MEMORY_PER_BYTE, BatchTask, resolve
from latxa_cli.corpus.groups import TEXT, URL
from latxa_cli.native.similarity import EXACT, NEAR
from latxa_cli.native.similarity import URL as SAME_URL
from latxa_cli.stages import Work, load_array, save_array
from latxa_cli.stream.records import JsonObject

DROPPED = np.dtype([("index", "<u4"), ("reason", "u1"), ("similarity", "<f4"), ("keeper", "<u8")])
KEPT_FOR = np.dtype([("index", "<u4"), ("count", "<u4")])
BATCH_BYTES = 64 << 20  # bytes of lines in a batch

_REASONS = {EXACT: ("exact", "exact duplicate"), SAME_URL: ("url", "duplicate URL"), NEAR: ("near", "near duplicate")}


@dataclass(frozen=True)
class Decisions:
    """The decisions about a part, sorted by index."""

    dropped: np.ndarray  # DROPPED, whose `keeper` is part << 32 | index in that part
    kept_for: np.ndarray  # KEPT_FOR


def duplicates(work: Work, infos: list[JsonObject], *, kinds: list[str], similarity: float, memory: int) -> None:
    """Decide which documents to drop, and save the decisions.

    - infos: what `examine` returned for each part.
    - kinds: any of `exact`, `url` and `near`.
    - memory: bytes for one process.

    Raises LatxaError for more than 2^32 documents and for a full disk.
    """
    if not kinds:
        return
    documents = Documents.save(work.folder, infos)
    folder, exact, near = work.folder, "exact" in kinds, "near" in kinds
    texts = groups.same_tasks(documents, [TEXT] if exact or near else [], memory)
    urls = groups.same_tasks(documents, [URL] if "url" in kinds else [], memory)
    work.stage("same", groups.share_keys, texts + urls)
    files = groups.files_of(texts + urls, folder / "same")
    if exact and (urls or near):
        same = [tuple(map(str, groups.files_of(tasks, folder / "same"))) for tasks in (texts, urls)]
        work.stage("copies", groups.find_copies, [groups.CopyTask(str(folder), *same)])
        files = groups.files_of(texts + urls, folder / "copies")
    if near:
        tasks = groups.similar_tasks(documents, exact, memory)
        work.stage("similar", groups.share_keys, tasks)
        files += groups.files_of(tasks, folder / "similar")
    batches = 0
    if urls or near:
        chunk = max(1, memory // MEMORY_PER_BYTE)
        batches = _resolve(work, files, BatchTask(str(folder), 0, (), exact, similarity, chunk))
    copies = tuple(map(str, groups.files_of(texts, folder / "same"))) if exact else ()
    work.stage("decisions", decide, [DecideTask(str(folder), copies, bool(urls or near), batches)])
    _remove(folder, ("same", "copies", "similar", "components", "shares", "spill", "resolve"))


def _resolve(work: Work, files: list[Path], batch: BatchTask) -> int:
    """Decide about all documents that the pairs in `files` connect; return the number of batches."""
    names, limit = tuple(map(str, files)), min(BATCH_BYTES, batch.chunk)
    [connected] = work.stage("components", groups.connect, [groups.ConnectTask(batch.work, names, limit)])
    count = connected["batches"]
    if count > 1:
        work.stage("shares", groups.sort_by_batch, [groups.OrderTask(batch.work, name) for name in names])
        _remove(work.folder, ("similar",))
        names = tuple(str(work.folder / "shares" / path.name) for path in files)
    work.stage("resolve", resolve, [replace(batch, number=number, files=names) for number in range(1, count + 1)])
    return count


def _remove(work: Path, stages: Iterable[str]) -> None:
    """Remove the files of stages whose readers are done; the results that mark their tasks as done stay."""
    for stage in stages:
        for path in (work / stage).glob("*.npy"):
            path.unlink()


def load_decisions(work: Path, part: int) -> Decisions:
    """Return the decisions about a part; there are none where duplicates were left out."""
    folder = work / "decisions"
    if not folder.exists():
        return Decisions(np.empty(0, DROPPED), np.empty(0, KEPT_FOR))
    return Decisions(*(load_array(folder / f"{part:05}.{name}.npy") for name in ("dropped", "kept_for")))


def reason_of(code: int) -> tuple[str, str]:
    """Return the step and the reason in words for a code in `DROPPED.reason`."""
    return _REASONS[code]


def disk_need(documents: int) -> int:
    """Return the largest size of intermediate files in bytes, which is needed if every document shares all its keys."""
    return documents * (2 * 8 * groups.KINDS + 40)


# --- decisions


@dataclass(frozen=True)
class DecideTask:
    """A task that joins the drops of `batches` with those of copies.

    texts: files of pairs by text. Copies are all but the first document with a text; if documents were `compared`, they
    are the ones that the stage `copies` found.
    """

    work: str
    texts: tuple[str, ...]
    compared: bool
    batches: int


def decide(task: DecideTask) -> dict[str, int]:
    """Save the decisions about all parts."""
    documents = Documents.load(task.work)
    work, folder = documents.work, documents.work / "decisions"
    drops = [np.empty(0, DROP), *(load_array(work / "resolve" / f"{n:05}.npy") for n in range(1, task.batches + 1))]
    compared = np.concatenate(drops)
    compared = compared[np.argsort(compared["document"])]
    texts = [pairs for path in task.texts for _, pairs in groups.load_pairs(Path(path))]
    copies = load_array(work / "copies" / "copies.npy", mapped=True) if texts and task.compared else None
    counts = np.zeros(documents.total, np.uint32)
    bounds = list(pairwise(documents.starts.tolist()))
    for part, (start, stop) in enumerate(bounds):
        first, last = np.searchsorted(compared["document"], (start, stop))
        found = [compared[first:last]]
        found += [_drops_of_copies(groups.between(pairs, start, stop), copies, compared) for pairs in texts]
        dropped = np.concatenate(found)
        dropped = dropped[np.argsort(dropped["document"])]
        np.add.at(counts, dropped["keeper"], 1)
        save_array(folder / f"{part:05}.dropped.npy", _dropped(documents, dropped, start))
    for part, (start, stop) in enumerate(bounds):
        kept_for = np.flatnonzero(counts[start:stop])
        table = np.empty(len(kept_for), KEPT_FOR)
        table["index"], table["count"] = kept_for, counts[start:stop][kept_for]
        save_array(folder / f"{part:05}.kept_for.npy", table)
    return {"dropped": int(counts.sum())}


def _drops_of_copies(pairs: np.ndarray, copies: np.ndarray | None, drops: np.ndarray) -> np.ndarray:
    """Return DROP for the copies among the members of pairs, which are dropped for the first document with their text.

    If that one was dropped itself, its reason and keeper are those of the copies too.
    """
    members, firsts = groups.split(pairs)
    chosen = members != firsts if copies is None else copies[members]
    members, firsts = members[chosen], firsts[chosen]
    table = np.empty(len(members), DROP)
    table["document"], table["reason"], table["similarity"], table["keeper"] = members, EXACT, 1.0, firsts
    if len(drops):
        places = np.minimum(np.searchsorted(drops["document"], firsts), len(drops) - 1)
        follows = drops["document"][places] == firsts
        for field in ("reason", "similarity", "keeper"):
            table[field][follows] = drops[field][places[follows]]
    return table


def _dropped(documents: Documents, drops: np.ndarray, start: int) -> np.ndarray:
    table = np.empty(len(drops), DROPPED)
    table["index"] = drops["document"] - np.uint32(start)
    table["reason"], table["similarity"] = drops["reason"], drops["similarity"]
    table["keeper"] = documents.keepers(drops["keeper"])
    return table
