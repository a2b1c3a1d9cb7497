"""The stage functions of a mix by files (see `latxa_cli.mixing.files`): what is done with one part.

Files made of part N:

    scan/N.rows.npy, N.made, N.aside        ROW; lines; entries for `--rejects`
    tokens/N.npy                            u32, the tokens of each row
    scatter/N.lines, N.keys.npy, N.aside    copies, sorted by bucket; KEY of each; entries for `--rejects`
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from latxa_cli.mixing.draw import ALL, Bounds, Decision, PartDecision, Picks
from latxa_cli.mixing.lines import LineTable, array_of, look_at, placed, scan_part
from latxa_cli.mixing.plan import DUPLICATE, duplicates
from latxa_cli.mixing.rows import InputReading
from latxa_cli.mixing.shares import tally
from latxa_cli.stages import load_array, new_file, save_array, save_bytes
from latxa_cli.stream.inputs import reading
from latxa_cli.stream.parts import Part, is_usual

KEY = np.dtype([("order", "<u8"), ("length", "<u4")])
DECISION = ("duplicates", "repeats", "counts", "copies", "similar")  # the arrays of a decision, each a file


# --- before all is decided -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ScanTask:
    part: Part
    reading: InputReading
    folder: str

    def file(self, ending: str) -> Path:
        return Path(self.folder) / f"{self.part.number:05}.{ending}"


def scan(task: ScanTask) -> dict[str, Any]:
    """Read and check a part, and write its files; returns what was counted. Raises RecordError as `scan_part` does."""
    found = scan_part(task.part, task.reading, look_at(task.part) if is_usual(task.part) else None)
    save_array(task.file("rows.npy"), found.rows)
    save_bytes(task.file("made"), found.made)
    if task.reading.set_aside:
        save_bytes(task.file("aside"), b"".join(aside.entry + b"\n" for aside in found.asides))
    rejected = Counter(aside.reason for aside in found.asides)
    return {
        "rows": len(found.rows), "read": found.read, "other split": found.other_split, "rejected": rejected,
        "last epoch": found.last_epoch,
    }  # fmt: skip


# --- once it is ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class DecisionFiles:
    """What was decided, as tasks are told of it: the folder with its arrays (None: nothing yet), and the bounds."""

    folder: str | None = None
    bounds: tuple[Bounds, ...] = ()
    take: int = ALL

    def decision(self) -> Decision:
        """Return it with its arrays."""
        assert self.folder is not None
        arrays = {name: load_array(Path(self.folder) / f"{name}.npy", mapped=True) for name in DECISION}
        return Decision(**arrays, bounds=self.bounds, take=self.take)


def settle(decision: Decision, folder: Path) -> DecisionFiles:
    """Save a decision for tasks."""
    for name in DECISION:
        save_array(folder / f"{name}.npy", getattr(decision, name))
    return DecisionFiles(str(folder), decision.bounds, decision.take)


@dataclass(frozen=True)
class PartTask:
    """What is to be done with a part, of inputs with these `names` and `last_epochs`, and as many copies as `epochs` at
    most."""

    part: Part
    folder: str  # of the work
    names: tuple[str, ...]
    last_epochs: tuple[int, ...]
    epochs: int
    settled: DecisionFiles = DecisionFiles()
    tokenizer: str | None = None
    buckets: int = 1
    set_aside: bool = False

    def file(self, stage: str, ending: str) -> Path:
        return Path(self.folder) / stage / f"{self.part.number:05}.{ending}"

    def rows(self) -> np.ndarray:
        rows: np.ndarray = load_array(self.file("scan", "rows.npy"))
        return rows

    def table(self) -> LineTable:
        """Return the rows of the part with their lines."""
        data = look_at(self.part) if is_usual(self.part) else None
        with reading(str(path := self.file("scan", "made"))):
            made = array_of(path.read_bytes())
        rows = placed(self.rows(), data, made)
        return LineTable(rows, [made] if data is None else [data, made], self.names, self.last_epochs, self.epochs)

    def look(self, rows: np.ndarray) -> PartDecision:
        return self.settled.decision().look(self.part.number, rows, self.part.source)

    def tokens(self) -> np.ndarray | None:
        path = self.file("tokens", "npy")
        tokens: np.ndarray | None = load_array(path) if self.tokenizer else None
        return tokens


def count_tokens(task: PartTask) -> dict[str, Any]:
    """Count the tokens of the rows of a part, once it is settled only of those that are in the mix."""
    from latxa_cli.mixing import tokens

    assert task.tokenizer is not None
    rows = task.rows()
    wanted = np.ones(len(rows), bool)
    if task.settled.folder is not None:
        wanted[:] = False
        wanted[task.look(rows).picks().rows] = True
    found = tokens.count_tokens(task.table(), wanted, task.tokenizer) if wanted.any() else np.zeros(len(rows), "u4")
    save_array(task.file("tokens", "npy"), found)
    return {}


def scatter(task: PartTask) -> dict[str, Any]:
    """Write the copies of a part's records that are in the mix, and those that are held out, sorted by bucket.

    The last bucket is that of the records held out. Returns how many copies each bucket has and how many bytes, and
    what is counted.
    """
    rows = task.rows()
    look = task.look(rows)
    picks, held = look.picks(), look.held_out()
    table = task.table() if len(picks.rows) + len(held.rows) or not look.distinct.all() else None
    bucket = np.concatenate([bucket_of(picks.order, task.buckets), np.full(len(held.rows), task.buckets)])
    order = np.argsort(bucket, kind="stable")
    every = Picks(*(np.concatenate(arrays)[order] for arrays in zip(picks, held, strict=True)))
    lengths: list[np.ndarray] = []
    with new_file(task.file("scatter", "lines")) as file:
        for chunk in table.written(every) if table else ():
            file.write(memoryview(chunk.data))  # type: ignore[arg-type]
            lengths.append(np.diff(chunk.ends, prepend=0))
    keys = np.empty(len(every.order), KEY)
    keys["order"], keys["length"] = every.order, np.concatenate([np.empty(0, np.int64), *lengths])
    save_array(task.file("scatter", "keys.npy"), keys)
    name = task.names[task.part.source]
    asides = list(duplicates(table, look, name, entries=task.set_aside)) if table else []
    save_bytes(task.file("scatter", "aside"), b"".join(aside.entry + b"\n" for aside in asides if aside.entry))
    sizes = np.bincount(bucket[order], keys["length"], task.buckets + 1).astype(np.int64)
    copies = np.bincount(bucket, minlength=task.buckets + 1)
    counts = tally(rows, look, picks, task.tokens())
    return {"copies": copies, "bytes": sizes, "counts": counts, "rejected": {DUPLICATE: len(asides)}}


def bucket_of(order: np.ndarray, buckets: int) -> np.ndarray:
    """Return the bucket of each copy: as the hashes go up, so do the buckets."""
    return ((order >> np.uint64(31)) * np.uint64(buckets) >> np.uint64(32)).astype(np.int64)
