"""The figures of a text, straight from their definitions."""

from __future__ import annotations

import numpy as np

from latxa_cli.native.figures import BULLETS, KNOWN, SENTENCE_ENDS, SHORT_LINE
from latxa_cli.native.plain.repetition import ngrams
from latxa_cli.native.plain.tokens import is_space, most_tokens, text_of, tokenise
from latxa_cli.native.repetition import NGRAMS
from latxa_cli.native.tokens import CAPITAL, LETTER, LETTERS_BELOW


def measure(
    codepoints: np.ndarray, starts: np.ndarray, ends: np.ndarray, hashes: np.ndarray, letters: np.ndarray
) -> tuple[int, tuple[float, ...], tuple[float, ...], np.ndarray]:
    most = most_tokens(codepoints, starts, ends)
    lengths, marks = np.empty(most, np.int32), np.empty(most, np.uint64)
    tokens, of_words = tokenise(codepoints, starts, ends, hashes, letters, lengths, marks)
    of_ngrams = np.zeros(NGRAMS)
    touching = sum(int(start) == int(end) for start, end in zip(starts[1:], ends[:-1], strict=True))
    if 2 * touching < max(len(starts), 1):  # not in scripts without spaces, whose letters count as words
        ngrams(lengths[:tokens], marks[:tokens], len(codepoints), of_ngrams)
    return tokens, of_words, lines(text_of(codepoints)), of_ngrams


def lines(text: str) -> tuple[float, ...]:
    """Return the figures of the lines."""
    every = text.split("\n")
    found = [(line, stripped) for line in every if (stripped := _stripped(line))]
    repeated = [line for place, (line, _) in enumerate(found) if line in [line for line, _ in found[:place]]]
    of, outside = max(len(found), 1), max(sum(map(len, every)), 1)
    return (
        float(len(found)),
        len(repeated) / of,
        sum(map(len, repeated)) / outside,
        sum(stripped[-1] in SENTENCE_ENDS for _, stripped in found) / of,
        sum(len(line) <= SHORT_LINE for line, _ in found) / of,
        sum(stripped[0] in BULLETS for _, stripped in found) / of,
        sum(stripped.endswith(("…", "...")) for _, stripped in found) / of,
    )


def _stripped(line: str) -> str:
    signs = [place for place, sign in enumerate(line) if not is_space(ord(sign))]
    return line[signs[0] : signs[-1] + 1] if signs else ""


def distinct(hashes: np.ndarray, table: np.ndarray) -> int:
    return len(set(hashes.tolist()) & set(table.tolist()))


def foreign(codepoints: np.ndarray, table: np.ndarray) -> float:
    kinds = [int(table[code]) if code < LETTERS_BELOW else LETTER for code in codepoints.tolist()]
    foreign, known = sum(kind in (LETTER, CAPITAL) for kind in kinds), kinds.count(KNOWN)
    return foreign / max(foreign + known, 1)
