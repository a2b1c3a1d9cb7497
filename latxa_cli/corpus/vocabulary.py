"""What a language's frequent words and its letters are, as trusted documents show them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from latxa_cli.text.words import words

CANDIDATES = 200  # the most frequent words, from which stop words are chosen
STRETCHES = 10  # of the documents in their order
LARGE_SOURCE = 0.05  # of the documents
LEAST_SHARE = 0.1  # of the share of the documents that hold the most frequent word
EVENNESS = 1 / 3
FEWEST, MOST = 12, 40  # stop words
WANTED = 2  # stop words in a document
COVERAGE = 0.99  # of the documents

LETTER_SHARE = 0.01  # of the documents that hold a letter of the alphabet
MOST_LETTERS = 200


def stop_words(texts: Sequence[str], sources: Sequence[str]) -> tuple[list[str], np.ndarray]:
    """Return the stop words, most frequent first, and how many different ones each text holds.

    Stop words are those in many documents, whatever their topic: one stands in at least a tenth as many as the most
    frequent word does; and in every tenth of the input, and in every source of some size, it is at least a third as
    frequent among the words as it is in all. There are as many as it takes for 99 % of the documents to hold two, but
    from 12 to 40 as far as there are so many.
    """
    frequent = Counter(word for text in texts for word in set(_words(text)))
    candidates = sorted(frequent, key=lambda word: (-frequent[word], word))[:CANDIDATES]
    if not candidates:
        return [], np.zeros(len(texts), np.int64)
    places = {word: place for place, word in enumerate(candidates)}
    counts = np.zeros((len(texts), len(candidates) + 1), np.int32)  # the last column: all other words
    for number, text in enumerate(texts):
        for word in _words(text):
            counts[number, places.get(word, -1)] += 1
    shares = (counts > 0).mean(axis=0)[:-1]
    rates = _rates(counts)
    even = np.all([_rates(counts[group]) >= rates * EVENNESS for group in _groups(sources)], axis=0)
    chosen = np.flatnonzero((shares >= LEAST_SHARE * shares.max()) & even)[:MOST]
    held = np.cumsum(counts[:, chosen] > 0, axis=1)
    covered = (held >= WANTED).mean(axis=0) >= COVERAGE
    count = max(FEWEST, int(covered.argmax()) + 1) if covered.any() else MOST
    return [candidates[place] for place in chosen[:count]], (counts[:, chosen[:count]] > 0).sum(axis=1)


def _words(text: str) -> list[str]:
    """Return the words of a text in small letters; those with digits and signs are none."""
    return [word for word in map(str.casefold, words(text)) if word.isalpha()]


def _rates(counts: np.ndarray) -> np.ndarray:
    """Return how frequent the candidates are among all words, from their counts in some documents."""
    totals = counts.sum(axis=0)
    return totals[:-1] / max(totals.sum(), 1)


def _groups(sources: Sequence[str]) -> list[np.ndarray]:
    """Return the places of the documents of each stretch and of each large source."""
    everything = np.arange(len(sources))
    large = [source for source, count in sorted(Counter(sources).items()) if count >= LARGE_SOURCE * len(sources)]
    named = np.array(sources)
    return [*np.array_split(everything, STRETCHES), *[np.flatnonzero(named == source) for source in large]]


def alphabet(texts: Sequence[str]) -> str:
    """Return the letters, small ones, that stand in at least 1 % of the texts; none where they are more than 200."""
    found = Counter(letter for text in texts for letter in set(text.lower()) if letter.isalpha())
    letters = sorted(letter for letter, count in found.items() if count >= LETTER_SHARE * len(texts))
    return "".join(letters) if len(letters) <= MOST_LETTERS else ""
