"""The figures by which the quality of a text is judged: its words, lines and repetitions.

The definitions are those in the filters of MassiveText (Rae et al. 2021, arXiv 2112.11446, Table A1), FineWeb (Penedo
et al. 2024, arXiv 2406.17557) and FineWeb-2 (arXiv 2506.20920). These count tokens, which are words and other signs
(see `native.tokens`).
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np

from latxa_cli.native import figures as kernels
from latxa_cli.native.figures import KNOWN
from latxa_cli.native.tokens import CAPITAL, LETTERS_BELOW
from latxa_cli.text.fences import prose
from latxa_cli.text.words import Words, segment


class Figures(NamedTuple):
    """The figures of a text: counts, and shares from 0 to 1.

    Of code in fences only the number of words counts. In scripts without spaces so many letters count as a word
    (see `text.words`); there the figures of n-grams, which would be of letters, mean nothing and are 0.
    """

    words: float  # tokens with a letter or digit
    mean_word_length: float  # characters
    median_word_length: float
    alphabetic_words: float  # share of the words that hold a letter
    alphabetic_tokens: float  # share of the tokens that hold a letter
    hash_signs: float  # per token
    ellipses: float  # `…` and `...` per token
    line_breaks: float  # per token
    lines: float  # number of lines that are not blank, which the next figures are about
    repeated_lines: float  # share of the lines that repeat an earlier one
    repeated_line_characters: float  # share of the characters that are in such lines
    sentence_ends: float  # share of the lines that end in punctuation such as `.`
    short_lines: float  # share of the lines of at most 30 characters
    bullet_lines: float  # share of the lines that begin with a bullet
    ellipsis_lines: float  # share of the lines that end in an ellipsis
    top_2grams: float  # share of the characters in the most frequent pair of tokens, the first of several
    top_3grams: float
    top_4grams: float
    repeated_5grams: float  # share of the characters in 5-grams of tokens that occurred before; none counts twice
    repeated_6grams: float
    repeated_7grams: float
    repeated_8grams: float
    repeated_9grams: float
    repeated_10grams: float


def measure(text: str, words: Words | None = None) -> Figures:
    """Return the figures of a clean text (see `text.normalise`); those of a text without tokens are all 0.

    words: the words of the text, if the caller has them.
    """
    figures = _measure(text, segment(text) if words is None else words)
    written = prose(text)
    return figures if written is text else _measure(written, segment(written))._replace(words=figures.words)


def _measure(text: str, found: Words) -> Figures:
    count, of_words, of_lines, of_ngrams = kernels.measure(
        found.codepoints, found.starts, found.ends, found.hashes, letter_classes()
    )
    tokens = max(count, 1)
    signs = (text.count("#"), text.count("…") + text.count("..."), text.count("\n"))
    figures = Figures(*of_words, *[sign / tokens for sign in signs], *of_lines, *of_ngrams.tolist())
    length = found.exact_length
    return figures if length == len(found) else _in_words(figures, count, length / len(found))


def _in_words(figures: Figures, tokens: int, scale: float) -> Figures:
    """Return the figures in words of usual length; of these there are `scale` times as many as were counted."""
    words = figures.words * scale
    fewer = tokens - figures.words + words
    return figures._replace(
        words=words,
        mean_word_length=figures.mean_word_length / scale,
        median_word_length=figures.median_word_length / scale,
        alphabetic_tokens=1 - (1 - figures.alphabetic_tokens) * tokens / fewer,
        hash_signs=figures.hash_signs * tokens / fewer,
        ellipses=figures.ellipses * tokens / fewer,
        line_breaks=figures.line_breaks * tokens / fewer,
    )


# --- stop words and letters of a language -------------------------------------------------------------------------


def stop_word_table(stop_words: tuple[str, ...]) -> np.ndarray:
    """Return the table for `distinct_stop_words`; of a stop word of several words only the first counts."""
    hashes = sorted({int(segment(word).hashes[0]) for word in stop_words if len(segment(word))})
    return np.array(hashes, np.uint64)


def distinct_stop_words(words: Words, table: np.ndarray) -> int:
    """Return the number of different stop words among the words, in any case."""
    return kernels.distinct(words.hashes, table)


@cache
def letter_classes() -> np.ndarray:
    """Return u8 [0x20000]: for each code point `LETTER`, `CAPITAL`, or 0 if it is no letter."""
    characters = list(map(chr, range(LETTERS_BELOW)))
    letters = np.fromiter(map(str.isalpha, characters), np.uint8, LETTERS_BELOW)
    letters[np.fromiter(map(str.isupper, characters), np.bool_, LETTERS_BELOW) & (letters == 1)] = CAPITAL
    return letters


def letter_table(alphabet: str) -> np.ndarray:
    """Return the table for `foreign_letters`, in which the letters of `alphabet` are known in both cases."""
    table = letter_classes().copy()
    for letter in {*alphabet, *alphabet.lower(), *alphabet.upper()}:
        if ord(letter) < LETTERS_BELOW:
            table[ord(letter)] = KNOWN
    return table


def foreign_letters(words: Words, table: np.ndarray) -> float:
    """Return the share of letters that are not in the alphabet; 0 for a text without letters."""
    return kernels.foreign(words.codepoints, table)
