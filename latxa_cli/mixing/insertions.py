"""The texts that a mix inserts into records: the name of their input, and the number of the copy."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import NamedTuple

import numpy as np

from latxa_cli.mixing.rows import later_epoch


class Insertions(NamedTuple):
    """The texts to insert, one after another, and the start of each (i64, with the end of the last one)."""

    texts: bytes
    starts: np.ndarray

    @property
    def longest(self) -> int:
        """The largest number of bytes by which a line may grow: two insertions."""
        return 2 * int(np.diff(self.starts).max())


def insertions(names: Sequence[str], last_epochs: Sequence[int], epochs: int) -> Insertions:
    """Return the texts for inputs with these `names`, whose records are written up to `epochs` times.

    last_epochs: for each input, the highest epoch that its records already have. The order of the texts is that of
    `native.mix_lines`.
    """
    texts = [text for name in names for text in (f',"source":"{name}"', f"{name}/", name)]
    for epoch, last in product(range(2, epochs + 1), last_epochs):
        field = f'"epoch":{later_epoch(1, epoch, last)}'
        texts += [f',"metadata":{{{field}}}', "," + field, field]
    encoded = [text.encode() for text in texts]
    return Insertions(b"".join(encoded), np.cumsum([0, *map(len, encoded)]))
