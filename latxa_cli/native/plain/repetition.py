"""Repetitions, by counting."""

from __future__ import annotations

from collections import Counter

import numpy as np

from latxa_cli.native.repetition import REPEATED, TOP


def repeated_lines(hashes: np.ndarray, lengths: np.ndarray) -> tuple[int, int]:
    lines = hashes.tolist()
    repeated = [place for place, line in enumerate(lines) if line in lines[:place]]
    return len(repeated), int(lengths[repeated].sum())


def ngrams(lengths: np.ndarray, marks: np.ndarray, characters: int, figures: np.ndarray) -> None:
    sizes, tokens = lengths.tolist(), marks.tolist()
    for place, n in enumerate((*TOP, *REPEATED)):
        grams = [tuple(tokens[start : start + n]) for start in range(len(tokens) - n + 1)]
        if grams:
            found = _top(grams, sizes, n) if n in TOP else _repeated(grams, sizes, n)
            figures[place] = found / characters


def _top(grams: list[tuple[int, ...]], sizes: list[int], n: int) -> int:
    [(gram, times)] = Counter(grams).most_common(1)  # of equally frequent ones the first, since it keeps their order
    first = grams.index(gram)
    return (sum(sizes[first : first + n]) + n - 1) * times


def _repeated(grams: list[tuple[int, ...]], sizes: list[int], n: int) -> int:
    seen, place, characters = set(), 0, 0
    while place < len(grams):
        is_repeated = grams[place] in seen
        characters += sum(sizes[place : place + n]) if is_repeated else 0
        seen.add(grams[place])
        place += n if is_repeated else 1
    return characters
