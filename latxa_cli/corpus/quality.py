"""The figures by which the quality of a text is judged: its words, lines and repetitions.

The definitions are those of the filters of MassiveText (Rae et al. 2021, arXiv 2112.11446, Table A1), FineWeb (Penedo
et al. 2024, arXiv 2406.17557) and FineWeb-2 (arXiv 2506.20920), which count tokens: words and other signs (see
`native.tokens`).
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np

from latxa_cli.native import figures as kernels
from latxa_cli.native.figures import KNOWN
from latxa_cli.native.tokens import CAPITAL, LETTERS_BELOW
from latxa_cli.text.words import Words, segment


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
    count, of_words, of_lines, of_ngrams = kernels.measure(
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
    return kernels.distinct(words.hashes, table)


@cache
def letter_classes() -> np.ndarray:
    """Return u8 [0x20000]: which code points are letters, and which of these capitals."""
    characters = list(map(chr, range(LETTERS_BELOW)))
    letters = np.fromiter(map(str.isalpha, characters), np.uint8, LETTERS_BELOW)
    letters[np.fromiter(map(str.isupper, characters), np.bool_, LETTERS_BELOW) & (letters == 1)] = CAPITAL
    return letters


def letter_table(alphabet: str) -> np.ndarray:
    """Return the table by which `foreign_letters` knows the letters of `alphabet`, in both cases."""
    table = letter_classes().copy()
    for letter in {*alphabet, *alphabet.lower(), *alphabet.upper()}:
        if ord(letter) < LETTERS_BELOW:
            table[ord(letter)] = KNOWN
    return table


def foreign_letters(words: Words, table: np.ndarray) -> float:
    """Return the share of the letters that are not in the alphabet; 0 for a text without letters."""
    return kernels.foreign(words.codepoints, table)
