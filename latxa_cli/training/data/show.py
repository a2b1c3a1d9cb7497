"""Prepared rows as text, with what is trained in them, so that a wrong mask is seen at once."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby, pairwise
from typing import Any

import numpy as np

from latxa_cli.training.data.rows import IGNORED, PreparedRows

LOOKED_AT = 64  # rows
LONGEST = 300  # tokens of a piece that are shown


def marked(rows: PreparedRows, tokenizer: Any, count: int) -> Iterator[list[tuple[str, bool]]]:
    """Yield up to `count` pieces as parts of text, each with whether it is trained.

    Those with tokens of both kinds come first, since they are conversations.
    """
    if not count:
        return
    batch = rows.batch(np.linspace(0, len(rows) - 1, min(len(rows), LOOKED_AT)).astype(np.int64))
    found = []
    for ids, positions, labels in zip(*batch, strict=True):
        starts = [*np.flatnonzero(positions == 0).tolist(), len(ids)]
        for start, end in pairwise(starts):
            trained = labels[start:end] != IGNORED
            if trained.any():
                whole = trained[1:].all()
                found.append((bool(whole), ids[start:end].tolist(), trained.tolist()))
    found.sort(key=lambda piece: piece[0])
    for _, ids, trained in found[:count]:
        pairs = zip(ids[:LONGEST], trained[:LONGEST], strict=True)
        parts = [
            (tokenizer.decode([token for token, _ in group], clean_up_tokenization_spaces=False), kind)
            for kind, group in groupby(pairs, key=lambda pair: pair[1])
        ]
        yield [*parts, (" …", False)] if len(ids) > LONGEST else parts
