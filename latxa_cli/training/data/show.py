"""Prepared rows as text with the trained parts marked, so that people see a wrong mask at once."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby, pairwise
from typing import TYPE_CHECKING

import numpy as np

from latxa_cli.training.data.rows import IGNORED, PreparedRows

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

SAMPLE = 64  # rows, from all over the data
LONGEST = 300  # tokens of a piece that are shown


def marked(rows: PreparedRows, tokenizer: PreTrainedTokenizerBase, count: int) -> Iterator[list[tuple[str, bool]]]:
    """Yield up to `count` pieces, each as a list of (text, whether it is trained).

    Pieces with both trained and other tokens are conversations. They come first, since their masks may be wrong.
    """
    if not count:
        return
    batch = rows.batch(np.linspace(0, len(rows) - 1, min(len(rows), SAMPLE)).astype(np.int64))
    pieces = []
    for ids, positions, labels in zip(*batch, strict=True):
        starts = [*np.flatnonzero(positions == 0).tolist(), len(ids)]
        for start, end in pairwise(starts):
            trained = labels[start:end] != IGNORED
            if trained.any():
                whole = trained[1:].all()
                pieces.append((bool(whole), ids[start:end].tolist(), trained.tolist()))
    pieces.sort(key=lambda piece: piece[0])
    for _, ids, trained in pieces[:count]:
        pairs = zip(ids[:LONGEST], trained[:LONGEST], strict=True)
        parts = [
            (str(tokenizer.decode([token for token, _ in group], clean_up_tokenization_spaces=False)), kind)
            for kind, group in groupby(pairs, key=lambda pair: pair[1])
        ]
        yield [*parts, (" …", False)] if len(ids) > LONGEST else parts
