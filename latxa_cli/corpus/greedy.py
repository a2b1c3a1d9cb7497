"""One batch of documents that may be duplicates of each other: which are dropped, and for whom.

The rule is in `duplicates`, the kernels that follow it are in `native.similarity`. They hold the sets of shingles of a
chunk of the batch. Most batches are one chunk; a component that is too large for the memory is several, and what was
kept of one is spilled to be compared with each later chunk: time grows with the square of their number, memory does
not.
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
    gather,
)
from latxa_cli.stages import load_array, save_array
from latxa_cli.text.near import shingles
from latxa_cli.text.words import segment

DROP = np.dtype([("document", "<u4"), ("reason", "u1"), ("similarity", "<f4"), ("keeper", "<u4")])
# Bytes of memory for one of a chunk's lines. A shingle takes 8 and its word 7 or so; the sets are there twice while
# they are joined, and once more for the kept ones of an earlier chunk. Words of one letter take four times as much.
MEMORY_PER_BYTE = 8
_WINDOW = 1 << 20  # documents whose rows are looked at together


@dataclass(frozen=True)
class DecisionTask:
    """A task: to decide batch `number` of the pairs in `files`. `exact`: having the text of a kept document is a
    reason; `similarity`: the least of near duplicates; `chunk`: bytes of lines."""

    work: str
    number: int
    files: tuple[str, ...]
    exact: bool
    similarity: float
    chunk: int


@dataclass(frozen=True)
class DocumentChunk:
    """Documents (u32, rising), their texts and keys; `groups` (u64, rising): kind << 32 | first of each group that
    `keys` names by its place."""

    numbers: np.ndarray
    texts: ShingleSets
    keys: GroupTable
    groups: np.ndarray

    def rules(self, batch: DecisionTask) -> NearRules:
        urls, bands = np.searchsorted(self.groups, np.array([URL, FIRST_BAND], np.uint64) << HIGH_BITS).tolist()
        return NearRules(batch.exact, batch.similarity, urls, bands)


@dataclass(frozen=True)
class KeptDocuments:
    """What later chunks need to know of one: the kept documents, their sets, the groups (as in
    `DocumentChunk.groups`) that each is listed in, and what the texts are near duplicates of that were dropped as such.
    """

    numbers: np.ndarray
    hashes: np.ndarray
    bounds: np.ndarray
    listed_bounds: np.ndarray
    listed: np.ndarray
    texts: np.ndarray
    followed: np.ndarray
    similarities: np.ndarray


def resolve(batch: DecisionTask) -> dict[str, int]:
    """Write what is dropped of a batch: DROP, by rising document."""
    work = Path(batch.work)
    documents = Documents.load(work)
    start, stop = load_array(work / "components" / "bounds.npy", mapped=True)[batch.number - 1 : batch.number + 1]
    numbers = load_array(work / "components" / "documents.npy", mapped=True)[start:stop]
    spill = work / "spill" / f"{batch.number:05}-{uuid4().hex[:8]}"  # another attempt at the task may be under way
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


def _chunks(documents: Documents, batch: DecisionTask, numbers: np.ndarray) -> Iterator[tuple[DocumentChunk, bool]]:
    """Yield the chunks of a batch, and whether another follows."""
    start = 0
    while start < len(numbers):
        window = np.asarray(numbers[start : start + _WINDOW])
        rows = documents.rows(window)
        ends = np.cumsum(rows["length"].astype(np.int64) + OVERHEAD)
        count = max(1, int(np.searchsorted(ends, batch.chunk, "right")))
        start += count
        yield _load(documents, batch, window[:count], rows[:count]), start < len(numbers)


def _load(documents: Documents, batch: DecisionTask, numbers: np.ndarray, rows: np.ndarray) -> DocumentChunk:
    sets = [shingles(segment(text)) for text in documents.texts(numbers, rows)]
    texts = ShingleSets(np.concatenate(sets), _bounds([len(one) for one in sets]))
    members, groups = [], []
    for path in map(Path, batch.files):
        for kind, all_pairs in load_pairs(path, batch.number):
            pairs = between(all_pairs, int(numbers[0]), int(numbers[-1]) + 1)
            members.append(np.searchsorted(numbers, (pairs >> HIGH_BITS).astype(np.uint32)))
            groups.append(np.uint64(kind << 32) | pairs & LOW)
    member = np.concatenate(members)
    order = np.argsort(member, kind="stable")  # a document's groups by text and URL stay before those by bands
    known, places = np.unique(np.concatenate(groups), return_inverse=True)
    return DocumentChunk(
        numbers, texts, GroupTable(_bounds(np.bincount(member, minlength=len(numbers))), places[order]), known
    )


def _bounds(counts: list[int] | np.ndarray) -> np.ndarray:
    bounds = np.zeros(len(counts) + 1, np.int64)
    np.cumsum(counts, out=bounds[1:])
    return bounds


# --- chunks that went before


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
    """Add to `state` and `found` what an earlier chunk tells of this one."""
    places, known = _places(chunk.groups, kept.listed)
    owners = np.repeat(np.arange(len(kept.numbers)), np.diff(kept.listed_bounds))[known]
    listed = GroupTable(_bounds(np.bincount(owners, minlength=len(kept.numbers))), places)
    earlier = ShingleSets(kept.hashes, kept.bounds)
    gather(kept.numbers.astype(np.int64), earlier, listed, chunk.texts, chunk.keys, state, found, rules)
    places, known = _places(chunk.groups, kept.texts)
    state.followed[places] = kept.followed[known]
    state.similarities[places] = kept.similarities[known]


def _places(groups: np.ndarray, wanted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the places of those of `wanted` that are among `groups` (rising), and which ones these are."""
    places = np.searchsorted(groups, wanted)
    known = places < len(groups)
    known[known] = groups[places[known]] == wanted[known]
    return places[known], known


def _spill(kept: KeptDocuments, prefix: Path) -> None:
    for field in fields(KeptDocuments):
        save_array(_file(prefix, field.name), getattr(kept, field.name))


def _unspill(prefix: Path) -> KeptDocuments:
    return KeptDocuments(*(load_array(_file(prefix, field.name)) for field in fields(KeptDocuments)))


def _file(prefix: Path, name: str) -> Path:
    return prefix.with_name(f"{prefix.name}.{name}.npy")
