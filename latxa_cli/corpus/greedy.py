"""The decision about one batch of documents that may be duplicates of each other.

`duplicates` has the rule, and `native.similarity` the kernels that apply it to the sets of shingles of one chunk of the
batch. Most batches are one chunk. A component that is too large for the memory is several: the kept documents of each
chunk are spilled to the disk, and compared with each later chunk. Then time grows with the square of the number of
chunks, and memory does not grow.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from uuid import uuid4

import numpy as np

from latxa_cli.corpus.documents import HIGH_BITS, LOW, Documents
from latxa_cli.corpus.groups import FIRST_BAND, OVERHEAD, URL, between, load_pairs
from latxa_cli.native.similarity import (
    KEPT,
    EarlierMatches,
    GroupState,
    GroupTable,
    NearRules,
    ShingleSets,
    decide,
    match_earlier,
)
from latxa_cli.stages import load_array, save_array
from latxa_cli.text.shingles import shingles
from latxa_cli.text.words import segment

DROP = np.dtype([("document", "<u4"), ("reason", "u1"), ("similarity", "<f4"), ("keeper", "<u4")])
# Bytes of memory per byte of a chunk's lines. A shingle takes 8 bytes, for a word of about 7. The sets are in memory
# twice while they are joined, and once more for the kept ones of an earlier chunk. Words of one letter need four times
# as much.
MEMORY_PER_BYTE = 8
_WINDOW = 1 << 20  # documents whose rows are read at once


@dataclass(frozen=True)
class BatchTask:
    """A task: to decide about the batch `number` of the pairs in `files`.

    exact, similarity: as in `NearRules`; chunk: the bytes of lines in a chunk.
    """

    work: str
    number: int
    files: tuple[str, ...]
    exact: bool
    similarity: float
    chunk: int


@dataclass(frozen=True)
class DocumentChunk:
    """Documents of a batch that are decided together."""

    numbers: np.ndarray  # u32, rising
    texts: ShingleSets
    keys: GroupTable
    groups: np.ndarray  # u64, rising: kind << 32 | first document, for each group that `keys` numbers by its place here

    def rules(self, batch: BatchTask) -> NearRules:
        """Return the rules of the batch, with the numbers at which the kinds of this chunk's groups begin."""
        urls, bands = np.searchsorted(self.groups, np.array([URL, FIRST_BAND], np.uint64) << HIGH_BITS).tolist()
        return NearRules(batch.exact, batch.similarity, urls, bands)


@dataclass(frozen=True)
class KeptDocuments:
    """The kept documents of a chunk, and the texts that were dropped as near duplicates, for later chunks.

    Groups are as in `DocumentChunk.groups`.
    """

    numbers: np.ndarray
    hashes: np.ndarray  # their sets, as in `ShingleSets`
    bounds: np.ndarray
    listed_bounds: np.ndarray  # document i is listed in the groups `listed[listed_bounds[i] : listed_bounds[i + 1]]`
    listed: np.ndarray
    texts: np.ndarray  # groups of texts that were dropped as near duplicates
    followed: np.ndarray  # for each, the document that was kept in its place
    similarities: np.ndarray


def resolve(batch: BatchTask) -> dict[str, int]:
    """Decide about a batch, and save DROP for its dropped documents in rising order."""
    work = Path(batch.work)
    documents = Documents.load(work)
    start, stop = load_array(work / "components" / "bounds.npy", mapped=True)[batch.number - 1 : batch.number + 1]
    numbers = load_array(work / "components" / "documents.npy", mapped=True)[start:stop]
    spill = work / "spill" / f"{batch.number:05}-{uuid4().hex[:8]}"  # another attempt at the task may still be running
    spilled: list[Path] = []
    drops = []
    for chunk, more in _chunks(documents, batch, numbers):
        state, found, rules = (
            GroupState.of(len(chunk.groups)),
            EarlierMatches.of(len(chunk.numbers)),
            chunk.rules(batch),
        )
        for prefix in spilled:
            _compare(_unspill(prefix), chunk, state, found, rules)
        outcome = decide(chunk.numbers.astype(np.int64), chunk.texts, chunk.keys, state, found, rules)
        reasons, keepers, similarities, listed = outcome
        dropped = reasons != KEPT
        columns = (chunk.numbers, reasons, similarities, keepers)
        drops.append(_table([column[dropped] for column in columns], DROP))
        if more:
            spilled.append(spill.with_suffix(f".{len(spilled)}"))
            _spill(_kept(chunk, ~dropped, listed, state, rules), spilled[-1])
    save_array(work / "resolve" / f"{batch.number:05}.npy", np.concatenate(drops))
    for prefix in spilled:
        for field in fields(KeptDocuments):
            _file(prefix, field.name).unlink(missing_ok=True)
    return {"dropped": sum(map(len, drops))}


def _table(columns: list[np.ndarray], dtype: np.dtype) -> np.ndarray:
    table = np.empty(len(columns[0]), dtype)
    for name, column in zip(dtype.names or (), columns, strict=True):
        table[name] = column
    return table


# --- chunks


def _chunks(documents: Documents, batch: BatchTask, numbers: np.ndarray) -> Iterator[tuple[DocumentChunk, bool]]:
    """Yield the chunks of a batch, and whether another follows."""
    start = 0
    while start < len(numbers):
        window = np.asarray(numbers[start : start + _WINDOW])
        rows = documents.rows(window)
        ends = np.cumsum(rows["length"].astype(np.int64) + OVERHEAD)
        count = max(1, int(np.searchsorted(ends, batch.chunk, "right")))
        start += count
        yield _load(documents, batch, window[:count], rows[:count]), start < len(numbers)


def _load(documents: Documents, batch: BatchTask, numbers: np.ndarray, rows: np.ndarray) -> DocumentChunk:
    sets = [shingles(segment(text)) for text in documents.texts(numbers, rows)]
    texts = ShingleSets(np.concatenate(sets), _bounds([len(one) for one in sets]))
    members, groups = [], []
    for path in map(Path, batch.files):
        for kind, all_pairs in load_pairs(path, batch.number):
            pairs = between(all_pairs, int(numbers[0]), int(numbers[-1]) + 1)
            members.append(np.searchsorted(numbers, (pairs >> HIGH_BITS).astype(np.uint32)))
            groups.append(np.uint64(kind << 32) | pairs & LOW)
    member = np.concatenate(members)
    order = np.argsort(member, kind="stable")  # stable: a document's groups by text and URL stay before those by band
    known, places = np.unique(np.concatenate(groups), return_inverse=True)
    return DocumentChunk(
        numbers, texts, GroupTable(_bounds(np.bincount(member, minlength=len(numbers))), places[order]), known
    )


def _bounds(counts: list[int] | np.ndarray) -> np.ndarray:
    bounds = np.zeros(len(counts) + 1, np.int64)
    np.cumsum(counts, out=bounds[1:])
    return bounds


# --- earlier chunks


def _kept(
    chunk: DocumentChunk, kept: np.ndarray, listed: np.ndarray, state: GroupState, rules: NearRules
) -> KeptDocuments:
    lengths, slots = np.diff(chunk.texts.bounds), np.diff(chunk.keys.bounds)
    owners = np.repeat(np.arange(len(kept)), slots)[listed]
    near = np.flatnonzero(state.followed[: rules.urls] >= 0)
    return KeptDocuments(
        chunk.numbers[kept],
        chunk.texts.hashes[np.repeat(kept, lengths)],
        _bounds(lengths[kept]),
        _bounds(np.bincount(owners, minlength=len(kept))[kept]),
        chunk.groups[chunk.keys.groups[listed]],
        chunk.groups[near],
        state.followed[near],
        state.similarities[near],
    )


def _compare(
    kept: KeptDocuments, chunk: DocumentChunk, state: GroupState, found: EarlierMatches, rules: NearRules
) -> None:
    """Add to `state` and `found` the matches with the kept documents of an earlier chunk."""
    places, known = _places(chunk.groups, kept.listed)
    owners = np.repeat(np.arange(len(kept.numbers)), np.diff(kept.listed_bounds))[known]
    listed = GroupTable(_bounds(np.bincount(owners, minlength=len(kept.numbers))), places)
    earlier = ShingleSets(kept.hashes, kept.bounds)
    match_earlier(kept.numbers.astype(np.int64), earlier, listed, chunk.texts, chunk.keys, state, found, rules)
    places, known = _places(chunk.groups, kept.texts)
    state.followed[places] = kept.followed[known]
    state.similarities[places] = kept.similarities[known]


def _places(groups: np.ndarray, others: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the places in `groups` (rising) of those `others` that are among them, and the mask of these."""
    places = np.searchsorted(groups, others)
    known = places < len(groups)
    known[known] = groups[places[known]] == others[known]
    return places[known], known


def _spill(kept: KeptDocuments, prefix: Path) -> None:
    for field in fields(KeptDocuments):
        save_array(_file(prefix, field.name), getattr(kept, field.name))


def _unspill(prefix: Path) -> KeptDocuments:
    return KeptDocuments(*(load_array(_file(prefix, field.name)) for field in fields(KeptDocuments)))


def _file(prefix: Path, name: str) -> Path:
    return prefix.with_name(f"{prefix.name}.{name}.npy")
