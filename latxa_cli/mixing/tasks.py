"""The stage functions of a mix through files (see `latxa_cli.mixing.files`), each for one part.

Files of part N:

    scan/N.rows.npy, N.made, N.aside        rows; the lines of `MADE` rows; entries for `--rejects`
    tokens/N.npy                            u32, the number of tokens of each row
    scatter/N.lines, N.keys.npy, N.aside    copies, sorted by bucket; a KEY for each; entries for `--rejects`
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from latxa_cli.mixing.draw import ALL, Bounds, Decision, PartDecision, Picks
from latxa_cli.mixing.lines import LineTable, array_of, map_part, scan_part, with_addresses
from latxa_cli.mixing.plan import DUPLICATE, duplicates
from latxa_cli.mixing.rows import InputReading
from latxa_cli.mixing.shares import tally
from latxa_cli.stages import load_array, new_file, save_array, save_bytes
from latxa_cli.stream.cutting import Part, is_usual
from latxa_cli.stream.inputs import reading
from latxa_cli.stream.records import JsonObject

KEY = np.dtype([("order", "<u8"), ("length", "<u4")])
# The arrays of a decision, each a file.
DECISION = ("duplicates", "repeats", "counts", "copies", "namesakes", "contents", "similar")


# --- before the decision ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ScanTask:
    """A task: to read one part, and to save its files in `folder`."""

    part: Part
    reading: InputReading
    folder: str

    def file(self, ending: str) -> Path:
        return Path(self.folder) / f"{self.part.number:05}.{ending}"


def scan(task: ScanTask) -> JsonObject:
    """Read and check a part, save its files, and return its counts. Raises RecordError as `scan_part` does."""
    found = scan_part(task.part, task.reading, map_part(task.part) if is_usual(task.part) else None)
    save_array(task.file("rows.npy"), found.rows)
    save_bytes(task.file("made"), found.made)
    if task.reading.set_aside:
        save_bytes(task.file("aside"), b"".join(aside.entry + b"\n" for aside in found.rejected))
    rejected = Counter(aside.reason for aside in found.rejected)
    return {
        "rows": len(found.rows), "read": found.read, "other split": found.other_split, "rejected": rejected,
        "last epoch": found.last_epoch,
    }  # fmt: skip


# --- after the decision ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class DecisionFiles:
    """A decision in the form that tasks get: the folder with its arrays (None before the decision), and the bounds."""

    folder: str | None = None
    bounds: tuple[Bounds, ...] = ()
    take: int = ALL

    def decision(self) -> Decision:
        """Return the decision, with its arrays mapped."""
        assert self.folder is not None
        arrays = {name: load_array(Path(self.folder) / f"{name}.npy", mapped=True) for name in DECISION}
        return Decision(**arrays, bounds=self.bounds, take=self.take)


def save_decision(decision: Decision, folder: Path) -> DecisionFiles:
    """Save the arrays of a decision to `folder`, for tasks."""
    for name in DECISION:
        save_array(folder / f"{name}.npy", getattr(decision, name))
    return DecisionFiles(str(folder), decision.bounds, decision.take)


@dataclass(frozen=True)
class PartTask:
    """The work on one part; `names`, `last_epochs` and `epochs` are those of `LineTable`."""

    part: Part
    folder: str  # the folder of the work
    names: tuple[str, ...]
    last_epochs: tuple[int, ...]
    epochs: int
    decision_files: DecisionFiles = DecisionFiles()
    tokenizer: str | None = None
    buckets: int = 1
    set_aside: bool = False

    def file(self, stage: str, ending: str) -> Path:
        return Path(self.folder) / stage / f"{self.part.number:05}.{ending}"

    def rows(self) -> np.ndarray:
        return load_array(self.file("scan", "rows.npy"))

    def table(self) -> LineTable:
        """Return the rows of the part with their lines."""
        data = map_part(self.part) if is_usual(self.part) else None
        with reading(str(path := self.file("scan", "made"))):
            made = array_of(path.read_bytes())
        rows = with_addresses(self.rows(), data, made)
        return LineTable(rows, [made] if data is None else [data, made], self.names, self.last_epochs, self.epochs)

    def part_decision(self, rows: np.ndarray) -> PartDecision:
        return self.decision_files.decision().for_part(self.part.number, rows, self.part.source)

    def tokens(self) -> np.ndarray | None:
        return load_array(self.file("tokens", "npy")) if self.tokenizer else None


def count_tokens(task: PartTask) -> JsonObject:
    """Save the number of tokens of each row of a part; after the decision, only of rows that are in the mix."""
    from latxa_cli.mixing import tokens

    assert task.tokenizer is not None
    rows = task.rows()
    mask = np.ones(len(rows), bool)
    if task.decision_files.folder is not None:
        mask[:] = False
        mask[task.part_decision(rows).picks().rows] = True
    counts = tokens.count_tokens(task.table(), mask, task.tokenizer) if mask.any() else np.zeros(len(rows), "u4")
    save_array(task.file("tokens", "npy"), counts)
    return {}


def scatter(task: PartTask) -> JsonObject:
    """Save the copies of a part's records that are in the mix, sorted by bucket; held-out records are the last bucket.

    Returns {`copies`, `bytes`: the size of each bucket, `counts`: see `tally`, `rejected`: the number of duplicates}.
    """
    rows = task.rows()
    part_decision = task.part_decision(rows)
    picks, held = part_decision.picks(), part_decision.held_out()
    table = task.table() if len(picks.rows) + len(held.rows) or not part_decision.distinct.all() else None
    bucket = np.concatenate([bucket_of(picks.order, task.buckets), np.full(len(held.rows), task.buckets)])
    order = np.argsort(bucket, kind="stable")
    every = Picks(*(np.concatenate(arrays)[order] for arrays in zip(picks, held, strict=True)))
    lengths: list[np.ndarray] = []
    with new_file(task.file("scatter", "lines")) as file:
        for chunk in table.chunks(every) if table else ():
            file.write(memoryview(chunk.data))  # type: ignore[arg-type]
            lengths.append(np.diff(chunk.ends, prepend=0))
    keys = np.empty(len(every.order), KEY)
    keys["order"], keys["length"] = every.order, np.concatenate([np.empty(0, np.int64), *lengths])
    save_array(task.file("scatter", "keys.npy"), keys)
    name = task.names[task.part.source]
    rejected = list(duplicates(table, part_decision, name, entries=task.set_aside)) if table else []
    save_bytes(task.file("scatter", "aside"), b"".join(aside.entry + b"\n" for aside in rejected if aside.entry))
    sizes = np.bincount(bucket[order], keys["length"], task.buckets + 1).astype(np.int64)
    copies = np.bincount(bucket, minlength=task.buckets + 1)
    counts = tally(rows, part_decision, picks, task.tokens())
    return {"copies": copies, "bytes": sizes, "counts": counts, "rejected": {DUPLICATE: len(rejected)}}


def bucket_of(order: np.ndarray, buckets: int) -> np.ndarray:
    """Return the bucket of each copy; buckets divide the range of hashes, in order."""
    return ((order >> np.uint64(31)) * np.uint64(buckets) >> np.uint64(32)).astype(np.int64)
