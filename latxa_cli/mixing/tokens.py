"""The numbers of tokens of records' texts."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import orjson

from latxa_cli.mixing.lines import LineTable, line_of
from latxa_cli.mixing.rows import texts_of
from latxa_cli.tokenizer import load_tokenizer

BATCH = 256  # records that the tokenizer gets at once


def count_tokens(table: LineTable, mask: np.ndarray, model: str) -> np.ndarray:
    """Return the number of tokens (u32) in the text of each row in `mask`, and 0 for the others.

    The messages of a conversation are joined by line breaks, without special tokens.
    """
    tokenizer = _tokenizer(model)
    tokens = np.zeros(len(table.rows), np.uint32)
    places = np.flatnonzero(mask)
    for start in range(0, len(places), BATCH):
        batch = places[start : start + BATCH]
        texts = ["\n".join(texts_of(orjson.loads(line_of(row)))) for row in table.rows[batch]]
        # `verbose=False` suppresses the warning for texts longer than the model's window, which does not matter here.
        ids = tokenizer(texts, add_special_tokens=False, verbose=False)["input_ids"]
        tokens[batch] = [len(found) for found in ids]
    return tokens


@lru_cache(maxsize=2)
def _tokenizer(model: str) -> Any:
    return load_tokenizer(model)
