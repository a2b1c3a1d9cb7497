"""Words, by a regular expression over the classes of code points."""

from __future__ import annotations

import re
from collections.abc import Iterable

import numpy as np
import orjson

from latxa_cli.native.plain.hashing import FACTOR, fmix64
from latxa_cli.native.plain.memory import WORD, read
from latxa_cli.native.words import ALONE, CLASS_BITS, INNER, LETTER, MARK, START

_SIGNS = {LETTER: "L", MARK: "M", INNER: "I", ALONE: "A"}
_WORD = re.compile("AM*|L[LM]*(?:IL[LM]*)*")


def segment(codepoints: np.ndarray, table: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    entries = table[codepoints].tolist()
    found = list(_WORD.finditer("".join(_SIGNS.get(entry >> int(CLASS_BITS), "-") for entry in entries)))
    starts, ends = [word.start() for word in found], [word.end() for word in found]
    hashes = [_hash(entries[word.start() : word.end()]) for word in found]
    return np.array(starts, np.int64), np.array(ends, np.int64), np.array(hashes, np.uint64)


def hash_words(at: int, size: int, table: np.ndarray, hashes: np.ndarray) -> int:
    text = orjson.loads(b'"%b"' % read(at, at + size))
    *_, found = segment(np.frombuffer(text.encode("utf-32-le"), np.uint32), table)
    hashes[: len(found)] = found
    return len(found)


def _hash(entries: Iterable[int]) -> int:
    value = int(START)
    for entry in entries:
        value = (value ^ entry) * FACTOR & WORD
    return fmix64(value)
