"""Which earlier instruction is nearest in meaning, by the cosine of embeddings: exact, over the last `most` of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

MOST = 1 << 17  # instructions that are remembered: 200 MB with 384 dimensions
BLOCK = 1 << 13  # of them, compared at once
SIMILARITY = 0.975  # a squared distance of 0.05 between unit vectors: what Magpie's authors take for the same
AT_ONCE = 64  # instructions embedded and looked up together


class Meanings:
    """`embed` gives float32 [texts, dimensions], of length 1 each. A batch is looked up (`look`), then one of it after
    the other is compared (`nearest`) and, where it is kept, remembered (`keep`)."""

    def __init__(self, embed: Callable[[Sequence[str]], np.ndarray], similarity: float, most: int = MOST) -> None:
        self.embed, self.similarity, self.most = embed, similarity, most
        self.vectors: list[np.ndarray] = []  # blocks of a ring
        self.names: list[str] = []
        self.count = 0

    def look(self, texts: Sequence[str]) -> None:
        """Embed a batch, and find for each text the nearest of those remembered before."""
        self.batch = self.embed(texts)
        self.among = self.batch @ self.batch.T
        self.kept: list[tuple[int, str]] = []  # places in the batch, and ids
        self.best = np.full(len(texts), -1.0, np.float32)
        self.best_place = np.zeros(len(texts), np.int64)
        for number, block in enumerate(self.vectors):
            filled = block[: len(self.names) - number * BLOCK]
            cosines = self.batch @ filled.T
            places = cosines.argmax(axis=1)
            highest = cosines[np.arange(len(texts)), places]
            nearer = highest > self.best
            self.best[nearer] = highest[nearer]
            self.best_place[nearer] = places[nearer] + number * BLOCK
        self.best_names = [self.names[place] if self.names else "" for place in self.best_place.tolist()]

    def nearest(self, place: int) -> tuple[float, str]:
        """Return the highest cosine to an earlier instruction, if it reaches `similarity`, and whose it is."""
        found = [(float(self.best[place]), self.best_names[place])]
        found += [(float(self.among[place, other]), name) for other, name in self.kept]
        best = max(found, key=lambda entry: entry[0])
        return best if best[0] >= self.similarity else (0.0, "")

    def keep(self, place: int, name: str) -> None:
        """Remember a text of the batch; the oldest is forgotten where there are `most`."""
        self.kept.append((place, name))
        slot = self.count % self.most
        if slot == len(self.names):
            if slot % BLOCK == 0:
                self.vectors.append(np.empty((min(BLOCK, self.most - slot), self.batch.shape[1]), np.float32))
            self.names.append(name)
        else:
            self.names[slot] = name
        self.vectors[slot // BLOCK][slot % BLOCK] = self.batch[place]
        self.count += 1
