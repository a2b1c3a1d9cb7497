"""Words, by a regular expression over the classes of code points."""

from __future__ import annotations

import re
from collections.abc import Iterable
from fractions import Fraction
from math import floor

import numpy as np
import orjson

from latxa_cli.native.plain.hashing import FACTOR, fmix64
from latxa_cli.native.plain.memory import WORD, read
from latxa_cli.native.words import ALONE, ALONE_LETTERS, CLASS_BITS, DENSE, DENSE_LETTERS, INNER, LETTER, MARK, START

_SIGNS = {LETTER: "L", MARK: "M", INNER: "I", ALONE: "A", DENSE: "D"}
_WORD = re.compile("[AD]M*|L[LM]*(?:IL[LM]*)*")


def segment(codepoints: np.ndarray, table: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    entries = table[codepoints].tolist()
    found = list(_WORD.finditer("".join(_SIGNS.get(entry >> int(CLASS_BITS), "-") for entry in entries)))
    starts, ends = [word.start() for word in found], [word.end() for word in found]
    hashes = [_hash(entries[word.start() : word.end()]) for word in found]
    return np.array(starts, np.int64), np.array(ends, np.int64), np.array(hashes, np.uint64)


def hash_words(at: int, size: int, table: np.ndarray, hashes: np.ndarray) -> tuple[int, int]:
    text = orjson.loads(b'"%b"' % read(at, at + size))
    codepoints = np.frombuffer(text.encode("utf-32-le"), np.uint32)
    starts, _, found = segment(codepoints, table)
    hashes[: len(found)] = found
    kinds = [int(table[codepoints[start]]) >> int(CLASS_BITS) for start in starts.tolist()]
    return len(found), whole(length_of(len(found), kinds.count(ALONE), kinds.count(DENSE)))


def length_of(words: int, alone: int, dense: int) -> float:
    return float(words - alone - dense + Fraction(alone, ALONE_LETTERS) + Fraction(dense, DENSE_LETTERS))


def whole(length: float) -> int:
    return 0 if length == 0 else max(floor(length), 1)


def _hash(entries: Iterable[int]) -> int:
    value = int(START)
    for entry in entries:
        value = (value ^ entry) * FACTOR & WORD
    return fmix64(value)
