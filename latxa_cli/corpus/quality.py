"""The figures by which the quality of a text is judged: its words, lines and repetitions.

The definitions are those of the filters of MassiveText (Rae et al. 2021, arXiv 2112.11446, Table A1), FineWeb (Penedo
et al. 2024, arXiv 2406.17557) and FineWeb-2 (arXiv 2506.20920), which count tokens: words and other signs (see
`tokens`).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from latxa_cli.corpus.repetition import NGRAMS, ngrams, repeated_lines
from latxa_cli.corpus.tokens import (
    CAPITAL,
    LETTER,
    LETTERS_BELOW,
    among,
    is_space,
    letter_classes,
    most_tokens,
    tokenise,
)
from latxa_cli.text.kernel import kernel
from latxa_cli.text.words import Words, mix, segment

SHORT_LINE = 30  # characters

# Marks that end a sentence, in the scripts of today.
_SENTENCE_ENDS = np.array(sorted(map(ord, ".!?‼‽⁇⁈⁉。．！？｡؟۔܀܁܂।॥։።፧፨།༎၊။។៕᠃᠉꓿᙮᱾᱿꘎꘏꯫")), np.uint32)
_BULLETS = np.array(sorted(map(ord, "•-*")), np.uint32)
_ELLIPSIS, _POINT, _LINE_END = map(ord, "….\n")
_KNOWN = 3  # beside LETTER and CAPITAL in the table of an alphabet
_MIX = np.uint64(0x9E3779B97F4A7C15)


class Figures(NamedTuple):
    """What `measure` finds in a text: counts, and shares from 0 to 1.

    In scripts without spaces, where a letter is a word, the figures of n-grams say nothing and are 0.
    """

    words: float  # tokens with a letter or digit
    mean_word_length: float  # characters
    median_word_length: float
    alphabetic_words: float  # share of the words that hold a letter
    alphabetic_tokens: float  # share of the tokens that hold a letter
    hash_signs: float  # a token
    ellipses: float  # `…` and `...` a token
    line_breaks: float  # a token
    lines: float  # that are not blank; all that follows is about these
    repeated_lines: float  # share of the lines that stood before
    repeated_line_characters: float  # share of the characters that stand in such lines
    sentence_ends: float  # share of the lines that end in a mark such as `.`
    short_lines: float  # share of the lines of at most 30 characters
    bullet_lines: float  # share of the lines that begin with a bullet
    ellipsis_lines: float  # share of the lines that end in an ellipsis
    top_2grams: float  # share of the characters that stand in the most frequent pair of tokens, or the first of these
    top_3grams: float
    top_4grams: float
    repeated_5grams: float  # share of the characters in 5-grams of tokens that stood before; none counts twice
    repeated_6grams: float
    repeated_7grams: float
    repeated_8grams: float
    repeated_9grams: float
    repeated_10grams: float


def measure(text: str, words: Words | None = None) -> Figures:
    """Return the figures of a text in clean form (see `text.normalise`); those of a text without tokens are all 0.

    `words`: those of this text, where they are known.
    """
    found = segment(text) if words is None else words
    count, of_words, of_lines, of_ngrams = _measure(
        found.codepoints, found.starts, found.ends, found.hashes, letter_classes()
    )
    tokens = max(count, 1)
    signs = (text.count("#"), text.count("…") + text.count("..."), text.count("\n"))
    return Figures(*of_words, *[sign / tokens for sign in signs], *of_lines, *of_ngrams.tolist())


# --- stop words and letters: what the figures need of a language --------------------------------------------------


def stop_word_table(stop_words: tuple[str, ...]) -> np.ndarray:
    """Return the table in which `distinct_stop_words` looks words up; of a stop word only the first word counts."""
    hashes = sorted({int(segment(word).hashes[0]) for word in stop_words if len(segment(word))})
    return np.array(hashes, np.uint64)


def distinct_stop_words(words: Words, table: np.ndarray) -> int:
    """Return how many different stop words stand among the words, whatever their case."""
    return _distinct(words.hashes, table)


def letter_table(alphabet: str) -> np.ndarray:
    """Return the table by which `foreign_letters` knows the letters of `alphabet`, in both cases."""
    table = letter_classes().copy()
    for letter in {*alphabet, *alphabet.lower(), *alphabet.upper()}:
        if ord(letter) < LETTERS_BELOW:
            table[ord(letter)] = _KNOWN
    return table


def foreign_letters(words: Words, table: np.ndarray) -> float:
    """Return the share of the letters that are not in the alphabet; 0 for a text without letters."""
    return _foreign(words.codepoints, table)


@kernel
def _distinct(hashes: np.ndarray, table: np.ndarray) -> int:
    found = np.zeros(len(table), np.bool_)
    for mark in hashes:
        place = np.searchsorted(table, mark)
        if place < len(table) and table[place] == mark:
            found[place] = True
    return found.sum()


@kernel
def _foreign(codepoints: np.ndarray, table: np.ndarray) -> float:
    counts = np.zeros(4, np.int64)
    for code in codepoints:
        counts[table[code] if code < LETTERS_BELOW else LETTER] += 1
    foreign = counts[LETTER] + counts[CAPITAL]
    return foreign / max(foreign + counts[_KNOWN], 1)


# --- the measurement -----------------------------------------------------------------------------------------------


@kernel
def _measure(
    codepoints: np.ndarray, starts: np.ndarray, ends: np.ndarray, hashes: np.ndarray, letters: np.ndarray
) -> tuple[int, tuple[float, ...], tuple[float, ...], np.ndarray]:
    """Return the number of tokens, and the figures of the words, the lines and the n-grams."""
    most = most_tokens(codepoints, starts, ends)
    lengths, marks = np.empty(most, np.int32), np.empty(most, np.uint64)
    tokens, of_words = tokenise(codepoints, starts, ends, hashes, letters, lengths, marks)
    of_ngrams = np.zeros(NGRAMS)
    if 2 * (starts[1:] == ends[:-1]).sum() < max(len(starts), 1):  # else letters are words, in a script without spaces
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
            hashes[lines], lengths[lines] = mix(mark), end - start
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
