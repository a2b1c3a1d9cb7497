"""Duplicates among the documents that `examine` let pass: which are dropped, and for which kept one.

Documents are considered in the order of their priority. One is

  - an `exact duplicate` of the kept document that has the same text (128-bit hash);
  - else, where a document with the same text was dropped as a near duplicate, a `near duplicate` like that one;
  - else a `duplicate URL` of the kept document with the same URL, whatever the two texts are like;
  - else a `near duplicate` of a kept document that shares one of its bands (`text.near`) and is at least so similar as
    `similarity` asks (Jaccard, of the sets of shingles): of several the most similar, of equals the first;
  - else kept.

So a document is dropped only for one that is kept and is itself similar enough, never through a chain. The decisions do
not depend on workers, memory or parts. One thing bounds the time: of the kept documents that have one band key, as
pages made from one template may, only the first `similarity.LISTED` are compared.

Each kind of duplicate can be left out. Without others, `exact` alone reads no text and makes no comparisons. With them,
`groups` finds who shares a key and packs what is connected into batches, `greedy` decides the batches, and `decisions`
adds the copies and writes for each part N

    N.dropped.npy   DROPPED for each dropped document, by its place among the part's rows
    N.kept_for.npy  KEPT_FOR for each that others were dropped for: how many they are

Memory, beside what the budget bounds: `groups.BYTES_PER_DOCUMENT` for each document and 40 for each dropped one.
Intermediate files: 8 bytes for each key that a document shares, twice while they are put in order, 5 for each document,
and in the end 17 for each dropped one and 8 for each that was kept for others. On overlapping dumps in which a third of
the documents are duplicates that was 67 bytes a document; the most is `disk_need`. All but the decisions are removed.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from latxa_cli.corpus import groups
from latxa_cli.corpus.documents import Documents
from latxa_cli.corpus.greedy import DROP, MEMORY_PER_BYTE, DecisionTask, resolve
from latxa_cli.corpus.groups import TEXT, URL
from latxa_cli.native.similarity import EXACT, NEAR
from latxa_cli.native.similarity import URL as SAME_URL
from latxa_cli.stages import Work, load_array, save_array

DROPPED = np.dtype([("index", "<u4"), ("reason", "u1"), ("similarity", "<f4"), ("keeper", "<u8")])
KEPT_FOR = np.dtype([("index", "<u4"), ("count", "<u4")])
BATCH_BYTES = 64 << 20  # of lines

_REASONS = {EXACT: ("exact", "exact duplicate"), SAME_URL: ("url", "duplicate URL"), NEAR: ("near", "near duplicate")}


@dataclass(frozen=True)
class Decisions:
    """What was decided about a part. `dropped`: DROPPED by rising index, `keeper` being part << 32 | index there;
    `kept_for`: KEPT_FOR by rising index."""

    dropped: np.ndarray
    kept_for: np.ndarray


def duplicates(work: Work, infos: list[dict[str, Any]], *, kinds: list[str], similarity: float, memory: int) -> None:
    """Decide which documents to drop. infos: what `examine` returned for each part; kinds: any of `exact`, `url` and
    `near`; memory: bytes for one process. Raises LatxaError for more than 2^32 documents and for a full disk."""
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
        batches = _resolve(work, files, DecisionTask(str(folder), 0, (), exact, similarity, chunk))
    copies = tuple(map(str, groups.files_of(texts, folder / "same"))) if exact else ()
    work.stage("decisions", decide, [Deciding(str(folder), copies, bool(urls or near), batches)])
    _remove(folder, ("same", "copies", "similar", "components", "shares", "spill", "resolve"))


def _resolve(work: Work, files: list[Path], batch: DecisionTask) -> int:
    """Decide all documents that are connected by the pairs in `files`; return how many batches they are."""
    names, limit = tuple(map(str, files)), min(BATCH_BYTES, batch.chunk)
    [connected] = work.stage("components", groups.connect, [groups.ConnectTask(batch.work, names, limit)])
    count = connected["batches"]
    if count > 1:
        work.stage("shares", groups.share_out, [groups.OrderTask(batch.work, name) for name in names])
        _remove(work.folder, ("similar",))
        names = tuple(str(work.folder / "shares" / path.name) for path in files)
    work.stage("resolve", resolve, [replace(batch, number=number, files=names) for number in range(1, count + 1)])
    return count


def _remove(work: Path, stages: Iterable[str]) -> None:
    """Remove what stages wrote for others that are done; the marks that they are done themselves stay."""
    for stage in stages:
        for path in (work / stage).glob("*.npy"):
            path.unlink()


def load_decisions(work: Path, part: int) -> Decisions:
    """Return what was decided about a part: nothing, where duplicates were not looked for."""
    folder = work / "decisions"
    if not folder.exists():
        return Decisions(np.empty(0, DROPPED), np.empty(0, KEPT_FOR))
    return Decisions(*(load_array(folder / f"{part:05}.{name}.npy") for name in ("dropped", "kept_for")))


def reason_of(code: int) -> tuple[str, str]:
    """Return the step and the reason in words for what stands in `DROPPED.reason`."""
    return _REASONS[code]


def disk_need(documents: int) -> int:
    """Return the most bytes of intermediate files that there can be: where every document shares all of its keys."""
    return documents * (2 * 8 * groups.KINDS + 40)


# --- decisions


@dataclass(frozen=True)
class Deciding:
    """A task: to put together what was dropped in `batches` and as copies, by the pairs in `texts`: all but the first
    with a text are copies, or those that the stage `copies` found, if there was anything to compare."""

    work: str
    texts: tuple[str, ...]
    compared: bool
    batches: int


def decide(task: Deciding) -> dict[str, int]:
    """Write the decisions of all parts."""
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
        found += [_copied(groups.between(pairs, start, stop), copies, compared) for pairs in texts]
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


def _copied(pairs: np.ndarray, copies: np.ndarray | None, drops: np.ndarray) -> np.ndarray:
    """Return DROP for the copies among the members of pairs: they share the fate of the first with their text."""
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
