"""Groups of documents that share a key (text, URL, a near-duplicate band), and batches of groups to be compared.

Each document that shares a key is a pair `number << 32 | first` (u64), where `first` is the number of the first
document with that key, which has a pair too. Pairs of one or more kinds of keys, in one range of keys, are in two
files:

    KIND-RANGE.npy          the pairs, sorted by kind, then by batch, then by number
    bounds-KIND-RANGE.npy   i64 [kinds, batches + 1]: the bounds of each batch in each kind

Five stages make these files; until the last there is one batch:

    same        pairs by text and by URL
    copies      the copies of an earlier text, which are dropped with it or for it; the pairs of all other documents
    similar     pairs by band, of the documents that are not copies
    components  connected components of documents, packed into batches
    shares      the pairs sorted by batch, if there are several batches

Memory: `same` and `similar` take `BYTES_PER_KEY` for each document of a range, and ranges are small enough for that.
`components` takes at most `BYTES_PER_DOCUMENT` for each document, and cannot be divided.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from latxa_cli.corpus.documents import HIGH_BITS, LOW, Documents
from latxa_cli.native.components import pack, union
from latxa_cli.native.minhash import BANDS
from latxa_cli.stages import load_array, save_array

TEXT, URL, FIRST_BAND = 0, 1, 2  # kinds of keys; higher numbers are the other bands
KINDS = FIRST_BAND + BANDS

BYTES_PER_KEY = 96
BYTES_PER_DOCUMENT = 44
OVERHEAD = 128  # bytes of memory per document beside its text, in units of `BATCH_BYTES`
_BAND_TASK = 500_000  # keys at least of a task, where there are so many


@dataclass(frozen=True)
class KeyTask:
    """A task: to find pairs by the keys of these kinds, in range `number` of `ranges`."""

    work: str
    kinds: tuple[int, ...]
    number: int
    ranges: int
    without_copies: bool = False


def same_tasks(documents: Documents, kinds: list[int], memory: int) -> list[KeyTask]:
    """Return the tasks of the stage `same`; `memory` is in bytes, for one process."""
    ranges = _ranges(documents, memory)
    return [KeyTask(str(documents.work), (kind,), number, ranges) for kind in kinds for number in range(ranges)]


def similar_tasks(documents: Documents, without_copies: bool, memory: int) -> list[KeyTask]:
    """Return the tasks of the stage `similar`; `memory` is in bytes, for one process."""
    ranges = _ranges(documents, memory)
    some = max(1, min(BANDS, _BAND_TASK // max(1, documents.total)))
    kinds = [tuple(range(kind, min(kind + some, KINDS))) for kind in range(FIRST_BAND, KINDS, some)]
    return [
        KeyTask(str(documents.work), part, number, ranges, without_copies) for part in kinds for number in range(ranges)
    ]


def _ranges(documents: Documents, memory: int) -> int:
    return max(1, -(-documents.total * BYTES_PER_KEY // memory))


def pair_file(folder: Path, kind: int, number: int) -> Path:
    """Return the file of pairs whose first kind is `kind`, in the range `number`."""
    return folder / f"{kind:02}-{number:05}.npy"


def files_of(tasks: list[KeyTask], folder: Path) -> list[Path]:
    """Return the files of pairs that these tasks make in a folder, sorted by kind."""
    return sorted(pair_file(folder, task.kinds[0], task.number) for task in tasks)


def save_pairs(path: Path, pairs: list[np.ndarray], bounds: list[np.ndarray]) -> None:
    """Save the pairs of each kind, and the bounds of batches in each."""
    starts = np.cumsum([0, *map(len, pairs[:-1])])
    save_array(path, np.concatenate(pairs))
    save_array(path.with_name(f"bounds-{path.name}"), np.stack(bounds) + starts[:, None])


def load_pairs(path: Path, batch: int = 1) -> Iterator[tuple[int, np.ndarray]]:
    """Yield (kind, pairs) of one batch; the pairs are mapped."""
    bounds = load_array(path.with_name(f"bounds-{path.name}"))
    pairs = load_array(path, mapped=True)
    for kind, ends in enumerate(bounds, start=int(path.name.split("-")[0])):
        yield kind, np.asarray(pairs[ends[batch - 1] : ends[batch]])


# --- same, similar


def share_keys(task: KeyTask) -> dict[str, int]:
    """Save the pairs by the task's keys."""
    documents = Documents.load(task.work)
    folder = documents.work / ("same" if task.kinds[0] < FIRST_BAND else "similar")
    copies = load_array(documents.work / "copies" / "copies.npy") if task.without_copies else None
    pairs = [group(*_read(documents, kind, task, copies)) for kind in task.kinds]
    save_pairs(pair_file(folder, task.kinds[0], task.number), pairs, [np.array([0, len(some)]) for some in pairs])
    return {"pairs": sum(map(len, pairs))}


def _read(documents: Documents, kind: int, task: KeyTask, copies: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Return keys (u64 [1 or 2, n]; a text has two) and the numbers (u32 [n]) of their documents."""
    columns = slice(0, 2) if kind == TEXT else slice(kind + 1, kind + 2)
    keys, numbers = [np.empty((columns.stop - columns.start, 0), np.uint64)], [np.empty(0, np.uint32)]
    for part, start in enumerate(documents.starts[:-1].tolist()):
        found = documents.array(part, "keys")[columns]
        chosen = _chosen(found[0], kind, task)
        if copies is not None:
            chosen &= ~copies[start : start + documents.counts[part]]
        keys.append(found[:, chosen])
        numbers.append((np.flatnonzero(chosen) + start).astype(np.uint32))
    return np.concatenate(keys, axis=1), np.concatenate(numbers)


def _chosen(keys: np.ndarray, kind: int, task: KeyTask) -> np.ndarray:
    chosen = np.ones(len(keys), bool) if kind == TEXT else keys != 0
    if task.ranges > 1:
        first = task.number * (1 << 64) // task.ranges
        last = (task.number + 1) * (1 << 64) // task.ranges - 1
        chosen &= (keys >= np.uint64(first)) & (keys <= np.uint64(last))
    return chosen


def group(keys: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    """Return the sorted pairs of documents that share a key; keys: u64 [columns, n], numbers: [n] in rising order."""
    order = np.lexsort(keys)
    same = np.zeros(len(order) + 1, bool)  # equal to the key before; the last entry is a guard
    same[1:-1] = (keys[:, order[1:]] == keys[:, order[:-1]]).all(axis=0)
    shared = same[:-1] | same[1:]
    members = numbers[order[shared]].astype(np.uint64)
    begins = ~same[:-1][shared]
    firsts = members[begins][np.cumsum(begins) - 1]
    pairs = members << HIGH_BITS | firsts
    pairs.sort()
    return pairs


# --- copies


@dataclass(frozen=True)
class CopyTask:
    """A task: to find copies; `texts` and `urls` are the files of pairs by text and by URL."""

    work: str
    texts: tuple[str, ...]
    urls: tuple[str, ...]


def find_copies(task: CopyTask) -> dict[str, int]:
    """Save the mask of copies (bool [documents]), and the pairs by text and URL of all other documents.

    A copy has the text of an earlier document that is the first with its URL. That one cannot be dropped for its URL:
    it is kept, or dropped as a near duplicate. So the copy is a duplicate of it, or of the document it was dropped for.
    """
    documents = Documents.load(task.work)
    folder = documents.work / "copies"
    late = np.zeros(documents.total, bool)  # an earlier document has the same URL
    for path in map(Path, task.urls):
        members, firsts = split(*_all_pairs(path))
        late[members[members != firsts]] = True
    copies = np.zeros(documents.total, bool)
    for path in map(Path, task.texts):
        [pairs] = _all_pairs(path)
        members, firsts = split(pairs)
        copies[members[(members != firsts) & ~late[firsts]]] = True
        _save_one(folder / path.name, pairs[late[firsts]])
    for path in map(Path, task.urls):
        members, firsts = split(*_all_pairs(path))
        stays = ~copies[members]
        _save_one(folder / path.name, group(firsts[stays].astype(np.uint64)[None], members[stays]))
    save_array(folder / "copies.npy", copies)
    return {"copies": int(copies.sum())}


def _all_pairs(path: Path) -> list[np.ndarray]:
    return [pairs for _, pairs in load_pairs(path)]


def _save_one(path: Path, pairs: np.ndarray) -> None:
    save_pairs(path, [pairs], [np.array([0, len(pairs)])])


def split(pairs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the members and the firsts (u32) of pairs."""
    return (pairs >> HIGH_BITS).astype(np.uint32), (pairs & LOW).astype(np.uint32)


# --- components


@dataclass(frozen=True)
class ConnectTask:
    """A task: to connect documents by the pairs in `files`, and to pack components into batches of `limit` bytes."""

    work: str
    files: tuple[str, ...]
    limit: int


def connect(task: ConnectTask) -> dict[str, int]:
    """Save the batch of each document (u32, 0 for one without pairs), and the documents of all batches with bounds."""
    documents = Documents.load(task.work)
    folder = documents.work / "components"
    parents = np.arange(documents.total, dtype=np.uint32)
    for path in task.files:
        for _, pairs in load_pairs(Path(path)):
            union(parents, pairs)
    batches = pack(parents, _sizes(documents), task.limit)
    shared = np.flatnonzero(batches).astype(np.uint32)
    order = np.argsort(batches[shared], kind="stable")
    save_array(folder / "batches.npy", batches)
    save_array(folder / "documents.npy", shared[order])
    count = int(batches.max(initial=0))
    save_array(folder / "bounds.npy", np.searchsorted(batches[shared[order]], np.arange(1, count + 2)))
    return {"batches": count}


def _sizes(documents: Documents) -> np.ndarray:
    sizes = np.empty(documents.total, np.uint32)
    for part, start in enumerate(documents.starts[:-1].tolist()):
        lengths = np.minimum(documents.array(part, "rows")["length"], LOW - np.uint64(OVERHEAD))
        sizes[start : start + documents.counts[part]] = lengths + OVERHEAD
    return sizes


# --- shares


@dataclass(frozen=True)
class OrderTask:
    """A task: to sort one file of pairs by batch."""

    work: str
    path: str


def sort_by_batch(task: OrderTask) -> dict[str, int]:
    """Save the pairs of a file sorted by batch."""
    work, path = Path(task.work), Path(task.path)
    batches = load_array(work / "components" / "batches.npy", mapped=True)
    count = len(load_array(work / "components" / "bounds.npy")) - 1
    shares, bounds = [], []
    for _, pairs in load_pairs(path):
        batch = batches[pairs >> HIGH_BITS]
        order = np.argsort(batch, kind="stable")
        shares.append(pairs[order])
        bounds.append(np.searchsorted(batch[order], np.arange(1, count + 2)))
    save_pairs(work / "shares" / path.name, shares, bounds)
    return {"pairs": sum(map(len, shares))}


def between(pairs: np.ndarray, start: int, stop: int) -> np.ndarray:
    """Return those of sorted pairs whose members are from `start` to `stop` (excluded)."""
    first, last = (
        np.searchsorted(pairs, np.uint64(end << 32)) if end < 1 << 32 else len(pairs) for end in (start, stop)
    )
    return pairs[first:last]
