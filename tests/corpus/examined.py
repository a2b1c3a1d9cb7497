"""What `examine` leaves of documents, for tests of what comes after it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from xxhash import xxh3_64_intdigest, xxh3_128_intdigest

from latxa_cli.corpus.examine import ROW
from latxa_cli.native.minhash import BANDS
from latxa_cli.stages import Work, open_executor, save_array, save_bytes
from latxa_cli.text.shingles import bands, shingles
from latxa_cli.text.words import segment

Document = dict[str, Any]


def work_on(folder: Path, workers: int = 1, resume: bool = False) -> Work:
    return Work(folder, {}, open_executor("local", workers), resume=resume)


def leave(work: Work, parts: Iterable[list[Document]]) -> list[dict[str, Any]]:
    """Write what `examine` leaves of documents {text, url?} in parts; return what is needed of what it returns."""
    return [_leave(work.folder / "examine", number, documents) for number, documents in enumerate(parts)]


def _leave(folder: Path, number: int, documents: list[Document]) -> dict[str, Any]:
    lines = [orjson.dumps(document) for document in documents]
    texts = [document["text"] for document in documents]
    paragraphs = [[line for line in map(str.strip, text.split("\n")) if line] for text in texts]
    rows = np.zeros(len(documents), ROW)
    rows["row"] = np.arange(len(documents)) * 2  # others were dropped before
    rows["length"] = [len(line) for line in lines]
    rows["offset"] = np.cumsum(rows["length"] + np.int64(1)) - rows["length"] - 1
    rows["paragraphs"] = [len(some) for some in paragraphs]
    hashes = [xxh3_128_intdigest(text.encode()) for text in texts]
    keys = np.zeros((3 + BANDS, len(documents)), np.uint64)
    keys[0], keys[1] = [one & (1 << 64) - 1 for one in hashes], [one >> 64 for one in hashes]
    keys[2] = [xxh3_64_intdigest(document["url"].encode()) if "url" in document else 0 for document in documents]
    for place, text in enumerate(texts):
        keys[3:, place] = bands(shingles(segment(text)))
    data = folder / f"{number:05}.kept"
    save_bytes(data, b"".join(line + b"\n" for line in lines))
    save_array(folder / f"{number:05}.rows.npy", rows)
    save_array(folder / f"{number:05}.keys.npy", keys)
    hashed = [xxh3_64_intdigest(line.encode()) for some in paragraphs for line in some]
    save_array(folder / f"{number:05}.paragraphs.npy", np.array(hashed, np.uint64))
    return {"data": str(data), "documents": len(documents)}


def cut(documents: list[Document], sizes: Iterable[int]) -> list[list[Document]]:
    """Return the documents in parts of these sizes; the last has what is left."""
    parts, start = [], 0
    for size in sizes:
        parts.append(documents[start : start + size])
        start += size
    return [*parts, documents[start:]]
