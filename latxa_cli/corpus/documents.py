"""The documents that passed `examine`, numbered through all parts, as the search for repetitions reads them.

The number of a document (u32) is its place among the documents of all parts, so smaller numbers have priority.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import orjson

from latxa_cli.stages import load_array, save_bytes
from latxa_cli.stream.errors import LatxaError
from latxa_cli.stream.records import JsonObject

LOW = np.uint64(0xFFFFFFFF)
HIGH_BITS = np.uint64(32)
_MOST = 1 << 32


@dataclass(frozen=True)
class Documents:
    """The documents of all parts."""

    work: Path
    counts: list[int]  # documents of each part
    data: list[str]  # for each part, the file with its lines

    @classmethod
    def save(cls, work: Path, infos: list[JsonObject]) -> Documents:
        """Save for tasks what `examine` returned for each part; raises LatxaError beyond 2^32 documents."""
        documents = cls(work, [info["documents"] for info in infos], [info["data"] for info in infos])
        if documents.total >= _MOST:
            raise LatxaError(f"{documents.total:,} documents are more than one run can number ({_MOST:,})")
        save_bytes(_index(work), orjson.dumps({"counts": documents.counts, "data": documents.data}))
        return documents

    @classmethod
    def load(cls, work: Path | str) -> Documents:
        return cls(Path(work), **orjson.loads(_index(Path(work)).read_bytes()))

    @cached_property
    def starts(self) -> np.ndarray:
        """i64 [parts + 1]: the number of each part's first document, then the total."""
        return np.concatenate([[0], np.cumsum(self.counts, dtype=np.int64)])

    @property
    def total(self) -> int:
        return sum(self.counts)

    def array(self, part: int, name: str) -> np.ndarray:
        """Return the `rows`, `keys` or `paragraphs` of a part, mapped from the disk."""
        return load_array(self.work / "examine" / f"{part:05}.{name}.npy", mapped=True)

    def by_part(self, numbers: np.ndarray) -> Iterator[tuple[int, slice, np.ndarray]]:
        """Yield (part, the slice of its documents in sorted `numbers`, their places within the part)."""
        bounds = np.searchsorted(numbers, self.starts)
        for part in np.flatnonzero(bounds[1:] > bounds[:-1]).tolist():
            inside = slice(int(bounds[part]), int(bounds[part + 1]))
            yield part, inside, numbers[inside].astype(np.int64) - self.starts[part]

    def rows(self, numbers: np.ndarray) -> np.ndarray:
        """Return the rows of documents, by sorted numbers."""
        found = [self.array(part, "rows")[places] for part, _, places in self.by_part(numbers)]
        return np.concatenate(found)

    def texts(self, numbers: np.ndarray, rows: np.ndarray) -> Iterator[str]:
        """Yield the texts of documents, by sorted numbers and their rows."""
        for part, inside, _ in self.by_part(numbers):
            with Path(self.data[part]).open("rb") as data:
                spans = zip(rows["offset"][inside].tolist(), rows["length"][inside].tolist(), strict=True)
                for offset, length in spans:
                    yield orjson.loads(os.pread(data.fileno(), length, offset))["text"]

    def keepers(self, numbers: np.ndarray) -> np.ndarray:
        """Return part << 32 | place within the part (u64) for documents that were kept in place of others."""
        parts = np.searchsorted(self.starts, numbers, "right") - 1
        return parts.astype(np.uint64) << HIGH_BITS | (numbers - self.starts[parts]).astype(np.uint64)


def _index(work: Path) -> Path:
    return work / "examine" / "documents.json"
