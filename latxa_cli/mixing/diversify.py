"""A varied choice among the instructions of one input: embeddings are clustered, and each cluster gives equally many.

This is the third step of X-Instruction (arXiv 2405.19744), done for each language, that is, for each input. The paper
does not give the number of clusters; by default it is the square root of the number of instructions.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import orjson
from numpy.lib.format import open_memmap

from latxa_cli.mixing.draw import DIVERSIFY, Decision, draw_hashes
from latxa_cli.mixing.kmeans import cluster, spread_over
from latxa_cli.mixing.lines import line_of
from latxa_cli.mixing.plan import RowStore
from latxa_cli.stages import load_array, save_array
from latxa_cli.stream.files import cannot_write
from latxa_cli.stream.records import Record, instruction_of
from latxa_cli.text.embedding import Embedder

BATCH = 1024  # texts given to the embedder at once, which sorts them by length into batches of the model


def instruction(record: Record) -> str:
    """Return the content of the first user turn, else of the first message; for a document, its text."""
    if "messages" not in record:
        return str(record["text"])
    has_user = any(message["role"] == "user" for message in record["messages"])
    return instruction_of(record) if has_user else str(record["messages"][0]["content"])


@dataclass(frozen=True)
class Diversifier:
    """Chooses instructions by the embeddings of `model`, which lie in `folder` (2 bytes a number), not in memory.

    clusters: the number of clusters; None for the default.
    """

    model: str
    folder: Path
    clusters: int | None = None
    device: str | None = None
    say: Callable[[str], None] = lambda _text: None

    def __call__(self, store: RowStore, decision: Decision, number: int, count: int) -> np.ndarray:
        """Return the ordinals (u64, ascending) of an input's usable records that are not among the `count` chosen."""
        done = self.folder / f"left-out-{number}.npy"
        if not done.exists():  # an interrupted run may have embedded them
            save_array(done, self._left_out(store, decision, number, count))
        return load_array(done)

    def _left_out(self, store: RowStore, decision: Decision, number: int, count: int) -> np.ndarray:
        places: list[tuple[int, np.ndarray]] = []  # (part, its usable rows)
        keys, ordinals = [np.empty(0, np.uint64)], [np.empty(0, np.uint64)]
        for part in (part for part, its_input in enumerate(store.inputs) if its_input == number):
            part_decision = decision.for_part(part, store.rows(part), number)
            rows = np.flatnonzero(part_decision.usable)
            places.append((part, rows))
            keys.append(draw_hashes(part_decision.identity[rows], DIVERSIFY))
            ordinals.append(rows.astype(np.uint64) | np.uint64(part << 32))
        every, key = np.concatenate(ordinals), np.concatenate(keys)
        if len(every) <= count:
            return every[:0]
        clusters = min(self.clusters or round(len(every) ** 0.5), len(every))
        self.say(f"{store.plan.names[number]}: {len(every):,} instructions, {clusters:,} clusters")
        vectors = self._vectors(store, places, number, len(every))
        return every[~spread_over(cluster(vectors, clusters, key), key, count)]

    def _vectors(self, store: RowStore, places: list[tuple[int, np.ndarray]], number: int, total: int) -> np.ndarray:
        """Embed the instructions of the rows at `places` into a file, and map it: float16 [total, dimensions]."""
        embedder = Embedder(self.model, self.device)
        self.folder.mkdir(exist_ok=True)
        file = self.folder / f"vectors-{number}.npy"
        try:
            vectors = open_memmap(file, "w+", np.float16, (total, embedder.dimensions))
            start = 0
            for part, rows in places:
                table = store.table(part)
                texts = (instruction(orjson.loads(line_of(row))) for row in table.rows[rows])
                while batch := list(islice(texts, BATCH)):
                    vectors[start : start + len(batch)] = embedder.embed(batch)
                    start += len(batch)
        except OSError as error:
            raise cannot_write(file, error) from None
        return vectors
