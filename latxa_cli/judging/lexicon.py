"""The words of a language, and how frequent they are, for languages that share many words (see `code_switch`).

`lexicons/CODE.txt.xz` has lines of a level and words. A word of level n is exp(n / `LEVELS`) in a million words.

Which words there are is known from the word lists of Tesseract's models (tessdata_fast, Apache-2.0), how frequent they
are from counts over LibreOffice's help (MPL-2.0). `tests/make_lexicons.py` makes them.
"""

from __future__ import annotations

import lzma
from functools import cache
from pathlib import Path

import numpy as np

from latxa_cli.text.words import segment

FOLDER = Path(__file__).parent / "lexicons"
LEVELS = 2  # a unit of the logarithm
_UNKNOWN = -10  # the level of words that are not listed: 0.007 in a million


@cache
def languages() -> frozenset[str]:
    """Return the languages that have a lexicon."""
    return frozenset(path.name.split(".")[0] for path in FOLDER.glob("*.txt.xz"))


def frequencies(language: str, hashes: np.ndarray) -> np.ndarray:
    """Return i64 [words]: the level of each word in a language that has a lexicon; hashes: those of `text.words`."""
    known, levels = _load(language)
    places = np.minimum(np.searchsorted(known, hashes), len(known) - 1)
    return np.where(known[places] == hashes, levels[places], _UNKNOWN)


@cache
def _load(language: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the sorted hashes of all words, and their levels."""
    hashes, levels = [], []
    for line in lzma.decompress((FOLDER / f"{language}.txt.xz").read_bytes()).decode().split("\n")[:-1]:
        level, _, words = line.partition(" ")
        hashes.append(segment(words).hashes)
        levels.append(np.full(len(hashes[-1]), int(level), np.int64))
    found, order = np.concatenate(hashes), np.argsort(np.concatenate(hashes))
    return found[order], np.concatenate(levels)[order]
