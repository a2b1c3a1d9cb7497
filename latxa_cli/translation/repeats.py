"""The same translation under different sources: a model that writes one text for many has not translated them.

The first record with a translation stays, later ones with it are rejected, unless their sources are alike. What is
remembered is bounded, and the same after `--resume`: the records that were done are read again, with what was made of
them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import xxhash

from latxa_cli.stream.records import Outcome, Record, Reject
from latxa_cli.text.words import segment
from latxa_cli.translation.checks.checks import REASONS, Checks
from latxa_cli.translation.fields import Part, parts_of

MOST = 1 << 17  # translations that are remembered, the last ones
_SKETCH = 64  # words of a source that are remembered: those with the smallest hashes
SHARED = REASONS["shared"]


class Repeats:
    """The translations of a run so far, each with the id and the words of its source.

    - checks: the limits `shared_words` (shorter translations may well be the same) and `shared_similar`.
    - fields, keep_system: what of a record is translated (see `fields`).
    - made: the records that an interrupted run had made, in the order of `done`.
    """

    def __init__(
        self,
        checks: Checks,
        fields: Sequence[str],
        *,
        keep_system: bool = False,
        made: Iterable[Record] = (),
        most: int = MOST,
    ) -> None:
        self.limits, self.fields, self.keep_system, self.most = checks.limits, fields, keep_system, most
        self.known: dict[int, tuple[str, np.ndarray]] = {}  # by the words of the translation, the oldest first
        self._made = iter(made)
        self._next: Record | None = None

    def done(self, source: Record) -> None:
        """Remember a record that an interrupted run had finished, if it had kept it."""
        if self._next is None:
            self._next = next(self._made, None)
        if self._next is not None and self._next["id"] == source["id"]:
            made, self._next = self._next, None
            self._look(source, made)

    def filtered(self, source: Record, outcome: Outcome) -> Outcome:
        """Return the outcome of a source, or a reject in place of a record with another one's translation."""
        if "shared" in self.limits.off or not isinstance(outcome, dict):
            return outcome
        found = self._look(source, outcome)
        return Reject(source, SHARED, f"{found[0]}, as that of `{found[1]}`: {found[2]}") if found else outcome

    def _look(self, source: Record, made: Record) -> tuple[str, str, str] | None:
        """Return (name of the text, id of the other record, text) of a repeat; else remember the texts."""
        texts: dict[int, tuple[str, np.ndarray]] = {}
        for before, after in self._texts(source, made):
            words = segment(after.text)
            if words.length < self.limits.shared_words:
                continue
            key = xxhash.xxh3_64_intdigest(words.hashes.tobytes())
            sketch = np.unique(segment(before.text).hashes)[:_SKETCH]
            if key in self.known and not self._alike(self.known[key][1], sketch):
                return after.name, self.known[key][0], after.text.strip()
            texts[key] = source["id"], sketch
        for key, value in texts.items():
            self.known.setdefault(key, value)
        while len(self.known) > self.most:
            del self.known[next(iter(self.known))]
        return None

    def _texts(self, source: Record, made: Record) -> Iterator[tuple[Part, Part]]:
        before, after = (parts_of(record, self.fields, keep_system=self.keep_system) for record in (source, made))
        return zip(before, after, strict=True)

    def _alike(self, one: np.ndarray, other: np.ndarray) -> bool:
        """Whether two sources share so many of their words (Jaccard)."""
        shared = len(np.intersect1d(one, other, assume_unique=True))
        total = len(one) + len(other) - shared
        return total == 0 or shared / total >= self.limits.shared_similar
