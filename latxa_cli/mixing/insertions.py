"""What is inserted into records on the way to the mix: the name of their input, and which copy each is."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import NamedTuple

import numpy as np

from latxa_cli.mixing.rows import later_epoch


class Insertions(NamedTuple):
    """The texts to insert, one after the other, and where each one starts (i64, the end of the last included)."""

    texts: bytes
    starts: np.ndarray

    @property
    def longest(self) -> int:
        """The most bytes that a line may grow by."""
        return 2 * int(np.diff(self.starts).max())


def insertions(names: Sequence[str], last_epochs: Sequence[int], epochs: int) -> Insertions:
    """Return what is inserted into records of the inputs `names`, written up to `epochs` times.

    last_epochs: of each input, the highest that its records have already.
    """
    texts = [text for name in names for text in (f',"source":"{name}"', f"{name}/", name)]
    for epoch, last in product(range(2, epochs + 1), last_epochs):
        field = f'"epoch":{later_epoch(1, epoch, last)}'
        texts += [f',"metadata":{{{field}}}', "," + field, field]
    encoded = [text.encode() for text in texts]
    return Insertions(b"".join(encoded), np.cumsum([0, *map(len, encoded)]))
