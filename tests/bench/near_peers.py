"""Other tools that find near-duplicates, each run in a process of its own by `corpus.py`.

    PYTHON near_peers.py NAME FILE.jsonl FOLDER

PYTHON has `rensa` and `datatrove[processing]`. Writes FOLDER/NAME.json: {"wall", "cpu": seconds without the loading of
libraries, "dropped": ids of the documents that the tool would drop}. All read JSON lines, split texts into shingles of
5 words and are set to find pairs of a Jaccard index of 0.7 or more, on one thread.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

THRESHOLD, WORDS, HASHES = 0.7, 5, 128


def documents(path: Path) -> Iterator[dict[str, Any]]:
    import orjson

    with path.open("rb") as file:
        yield from map(orjson.loads, file)


def shingles(text: str) -> list[str]:
    """Return the word 5-grams of a text, words by `str.split`; the quickest way known in plain Python."""
    words = text.split()
    return list(map(" ".join, zip(words, words[1:], words[2:], words[3:], words[4:], strict=False))) or [text]


def rensa(path: Path, _: Path) -> Callable[[], list[str]]:
    """R-MinHash in rensa's own deduplicator: LSH, then candidates are checked by their estimated similarity."""
    from rensa import RMinHashDeduplicator

    def work() -> list[str]:
        names: list[str] = []

        def pairs() -> Iterator[tuple[str, list[str]]]:
            for document in documents(path):
                names.append(document["id"])
                yield document["id"], shingles(document["text"])

        kept = RMinHashDeduplicator(threshold=THRESHOLD, num_perm=HASHES, use_lsh=True).add_pairs(pairs())
        return [name for name, keep in zip(names, kept, strict=True) if not keep]

    return work


def rensa_lsh(path: Path, _: Path) -> Callable[[], list[str]]:
    """R-MinHash with rensa's index alone: a document with any candidate is dropped."""
    from rensa import RMinHash, RMinHashLSH

    def work() -> list[str]:
        index = RMinHashLSH(threshold=THRESHOLD, num_perm=HASHES, num_bands=16)
        dropped = []
        for number, document in enumerate(documents(path)):
            digest = RMinHash(num_perm=HASHES, seed=42)
            digest.update(shingles(document["text"]))
            if index.query(digest):
                dropped.append(document["id"])
            else:
                index.insert(number, digest)
        return dropped

    return work


def datatrove(path: Path, folder: Path) -> Callable[[], list[str]]:
    """The four stages of FineWeb-2's deduplication: 14 buckets of 8 hashes over 5-grams, 64-bit xxhash."""
    from datatrove.executor import LocalPipelineExecutor
    from datatrove.pipeline.dedup import MinhashDedupBuckets, MinhashDedupCluster, MinhashDedupFilter
    from datatrove.pipeline.dedup import MinhashDedupSignature as Signature
    from datatrove.pipeline.dedup.minhash import MinhashConfig
    from datatrove.pipeline.readers import JsonlReader
    from datatrove.pipeline.writers import JsonlWriter
    from datatrove.utils.hashing import HashConfig
    from loguru import logger

    logger.remove()
    config = MinhashConfig(WORDS, num_buckets=14, hashes_per_bucket=8, hash_config=HashConfig(64, "xxhash"))
    reader = JsonlReader(str(path.parent), glob_pattern=path.name)
    removed, base = folder / "removed", str(folder)
    removing = JsonlWriter(str(removed), output_filename="${rank}.jsonl", compression=None)
    stages: list[tuple[list[Any], int]] = [
        ([reader, Signature(f"{base}/signatures", config, "eus")], 1),
        ([MinhashDedupBuckets(f"{base}/signatures", f"{base}/buckets", config=config)], 14),
        ([MinhashDedupCluster(f"{base}/buckets", f"{base}/clusters", config=config)], 1),
        ([reader, MinhashDedupFilter(f"{base}/clusters", exclusion_writer=removing)], 1),
    ]

    def work() -> list[str]:
        for number, (pipeline, tasks) in enumerate(stages):
            logs = str(folder / f"logs{number}")
            LocalPipelineExecutor(pipeline, tasks=tasks, workers=1, logging_dir=logs).run()
        return [document["id"] for file in removed.iterdir() for document in documents(file)]

    return work


CONTESTANTS = {"rensa": rensa, "rensa_lsh": rensa_lsh, "datatrove": datatrove}


def main(name: str, path: Path, folder: Path) -> None:
    work = CONTESTANTS[name](path, folder)
    next(documents(path))  # what that loads is not counted either
    wall, cpu = time.perf_counter(), time.process_time()
    dropped = work()
    found = {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu, "dropped": dropped}
    (folder / f"{name}.json").write_text(json.dumps(found))


if __name__ == "__main__":
    os.environ["RAYON_NUM_THREADS"] = "1"
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
