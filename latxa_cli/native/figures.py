"""The quality figures of a text (see `corpus.quality.Figures`)."""

from __future__ import annotations

import numpy as np

from latxa_cli.native.hashing import fmix64
from latxa_cli.native.kernel import kernel
from latxa_cli.native.repetition import NGRAMS, ngrams, repeated_lines
from latxa_cli.native.tokens import CAPITAL, LETTER, LETTERS_BELOW, among, is_space, most_tokens, tokenise

SHORT_LINE = 30  # characters, as in FineWeb's rules

# Punctuation that ends a sentence, in the scripts in use today.
SENTENCE_ENDS = ".!?‼‽⁇⁈⁉。．！？｡؟۔܀܁܂।॥։።፧፨།༎၊။។៕᠃᠉꓿᙮᱾᱿꘎꘏꯫"
BULLETS = "•-*"
_SENTENCE_ENDS, _BULLETS = (np.array(sorted(map(ord, signs)), np.uint32) for signs in (SENTENCE_ENDS, BULLETS))
_ELLIPSIS, _POINT, _LINE_END = map(ord, "….\n")
KNOWN = 3  # a letter of the language's alphabet; in the table of `foreign` LETTER and CAPITAL are those of others
_MIX = np.uint64(0x9E3779B97F4A7C15)


@kernel
def measure(
    codepoints: np.ndarray, starts: np.ndarray, ends: np.ndarray, hashes: np.ndarray, letters: np.ndarray
) -> tuple[int, tuple[float, ...], tuple[float, ...], np.ndarray]:
    """Return the number of tokens, and the figures of the words, the lines and the n-grams.

    The parameters are those of `tokens.tokenise`.
    """
    most = most_tokens(codepoints, starts, ends)
    lengths, marks = np.empty(most, np.int32), np.empty(most, np.uint64)
    tokens, of_words = tokenise(codepoints, starts, ends, hashes, letters, lengths, marks)
    of_ngrams = np.zeros(NGRAMS)
    # In a script without spaces each letter counts as a word, and n-grams of letters repeat in any text.
    if 2 * (starts[1:] == ends[:-1]).sum() < max(len(starts), 1):
        ngrams(lengths[:tokens], marks[:tokens], len(codepoints), of_ngrams)
    return tokens, of_words, _lines(codepoints), of_ngrams


@kernel
def _lines(codepoints: np.ndarray) -> tuple[float, ...]:
    """Return the figures of the lines, from `lines` to `ellipsis_lines`."""
    total = len(codepoints)
    breaks = 0
    for code in codepoints:
        breaks += code == _LINE_END
    hashes = np.empty(breaks + 1, np.uint64)
    lengths = np.empty(breaks + 1, np.int32)
    lines = ended = short = bullets = ellipses = start = 0
    while start < total:
        mark, end = np.uint64(0), start
        while end < total and codepoints[end] != _LINE_END:
            mark = (mark ^ np.uint64(codepoints[end])) * _MIX
            end += 1
        first, last = start, end - 1
        while first < end and is_space(codepoints[first]):
            first += 1
        while last > first and is_space(codepoints[last]):
            last -= 1
        if first < end:
            hashes[lines], lengths[lines] = fmix64(mark), end - start
            lines += 1
            ended += among(_SENTENCE_ENDS, codepoints[last])
            short += end - start <= SHORT_LINE
            bullets += among(_BULLETS, codepoints[first])
            ellipses += _ends_in_ellipsis(codepoints, first, last)
        start = end + 1
    repeated, characters = repeated_lines(hashes[:lines], lengths)
    of, outside = max(lines, 1), max(total - breaks, 1)
    shares = (repeated / of, characters / outside, ended / of, short / of, bullets / of, ellipses / of)
    return (float(lines), *shares)


@kernel
def _ends_in_ellipsis(codepoints: np.ndarray, first: int, last: int) -> bool:
    if codepoints[last] == _ELLIPSIS:
        return True
    return last - first >= 2 and (codepoints[last - 2 : last + 1] == _POINT).all()


# --- stop words and letters -------------------------------------------------------------------------------------------


@kernel
def distinct(hashes: np.ndarray, table: np.ndarray) -> int:
    """Return the number of different `hashes` that are in the sorted `table`."""
    found = np.zeros(len(table), np.bool_)
    for mark in hashes:
        place = np.searchsorted(table, mark)
        if place < len(table) and table[place] == mark:
            found[place] = True
    return found.sum()


@kernel
def foreign(codepoints: np.ndarray, table: np.ndarray) -> float:
    """Return the share of letters that are not `KNOWN` in a language's table."""
    counts = np.zeros(4, np.int64)
    for code in codepoints:
        counts[table[code] if code < LETTERS_BELOW else LETTER] += 1
    foreign = counts[LETTER] + counts[CAPITAL]
    return foreign / max(foreign + counts[KNOWN], 1)
