"""Instructions that were drawn before, or nearly: a model draws the same ones again and again.

What is remembered is bounded: the last `EXACT` instructions that were kept, by their words, the last `NEAR` of them by
their shingles, of which candidates share a MinHash band (`latxa_cli.text.shingles`), and the last by their embeddings
(`latxa_cli.sampling.meanings`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice

import numpy as np
from xxhash import xxh3_64_intdigest

from latxa_cli.native.minhash import BANDS
from latxa_cli.sampling.meanings import AT_ONCE, Meanings
from latxa_cli.stream.records import Outcome, Record, Reject, instruction_of
from latxa_cli.text.shingles import bands, jaccard, shingles
from latxa_cli.text.words import segment

EXACT, NEAR = 1 << 21, 1 << 18  # instructions
SIMILARITY = 0.7


class Distinct:
    """The instructions of the conversations that were kept.

    `near`: look for those of nearly the same words too; `meanings`: and for those that mean nearly the same.
    """

    def __init__(
        self, *, near: bool = True, meanings: Meanings | None = None, exact: int = EXACT, most: int = NEAR
    ) -> None:
        self.near, self.meanings, self.exact, self.most = near, meanings, exact, most
        self.ids: dict[int, str] = {}  # by the words of the instruction, the oldest first
        self.sets: list[tuple[str, np.ndarray]] = []  # a ring: the id and the shingles of an instruction
        self.count = 0
        # The last instruction with a band key, by the key's place in the table; others with that place are forgotten.
        self.table = np.full((BANDS, most), -1, np.int64) if near else None

    def filter(self, outcomes: Iterable[Outcome]) -> Iterator[Outcome]:
        """Yield outcomes, in place of conversations whose instruction was there before a reject."""
        waiting = iter(outcomes)
        while batch := list(islice(waiting, AT_ONCE if self.meanings else 1)):
            records = [outcome for outcome in batch if isinstance(outcome, dict)]
            if self.meanings and records:
                self.meanings.look([instruction_of(record) for record in records])
            place = 0
            for outcome in batch:
                if isinstance(outcome, dict):
                    yield self._fault(outcome, place) or outcome
                    place += 1
                else:
                    yield outcome

    def remember(self, records: Iterable[Record]) -> None:
        """Remember the conversations that an interrupted run had kept."""
        for _ in self.filter(records):
            pass

    def _fault(self, record: Record, place: int) -> Reject | None:
        """Return a reject for a conversation that repeats another; remember it if it does not.

        `place`: where it stands in the batch that `meanings` looked at.
        """
        text = instruction_of(record)
        words = segment(text)
        key = xxh3_64_intdigest(words.hashes.tobytes() if len(words) else text.strip().encode())
        if (known := self.ids.get(key)) is not None:
            return Reject(record, "duplicate instruction", f"of {known}")
        if self.near:
            found = shingles(words)
            places = (bands(found) % np.uint64(self.most)).astype(np.int64)
            if near := self._nearest(found, places):
                return Reject(record, "near-duplicate instruction", near)
        if self.meanings:
            similarity, other = self.meanings.nearest(place)
            if other:
                return Reject(record, "instruction that means the same", f"as {other}, similarity {similarity:.3f}")
            self.meanings.keep(place, record["id"])
        if self.near:
            self._keep(record["id"], found, places)
        self.ids[key] = record["id"]
        if len(self.ids) > self.exact:
            del self.ids[next(iter(self.ids))]
        return None

    def _nearest(self, found: np.ndarray, places: np.ndarray) -> str:
        """Return which instruction is the most similar one and how similar, or the empty string."""
        assert self.table is not None
        candidates = set(self.table[np.arange(BANDS), places].tolist())
        similar = [
            (jaccard(found, self.sets[n % self.most][1]), -n)
            for n in candidates
            if n >= self.count - self.most and n >= 0
        ]
        best = max(similar, default=(0.0, 0))
        if best[0] < SIMILARITY or not len(found):
            return ""
        return f"of {self.sets[-best[1] % self.most][0]}, similarity {best[0]:.2f}"

    def _keep(self, name: str, found: np.ndarray, places: np.ndarray) -> None:
        assert self.table is not None
        if self.count < self.most:
            self.sets.append((name, found))
        else:
            self.sets[self.count % self.most] = (name, found)
        self.table[np.arange(BANDS), places] = self.count
        self.count += 1
