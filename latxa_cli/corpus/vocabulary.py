"""The stop words and the alphabet of a language, found in trusted documents."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from latxa_cli.text.words import words

CANDIDATES = 200  # the most frequent words, among which stop words are chosen
STRETCHES = 10  # stretches of consecutive documents, in each of which stop words must be frequent
LARGE_SOURCE = 0.05  # the share of documents from which a source must have frequent stop words too
LEAST_SHARE = 0.1  # a stop word is in at least this share of as many documents as the most frequent word is
EVENNESS = 1 / 3  # a stop word's frequency in each stretch is at least this share of its frequency in all
FEWEST, MOST = 12, 40  # stop words
WANTED = 2  # stop words that a document should hold
COVERAGE = 0.99  # the share of documents that must hold so many

LETTER_SHARE = 0.01  # a letter of the alphabet is in at least this share of the documents
MOST_LETTERS = 200


def stop_words(texts: Sequence[str], sources: Sequence[str]) -> tuple[list[str], np.ndarray]:
    """Return the stop words, most frequent first, and the number of different ones in each text.

    Stop words are frequent in documents of any topic:

    - One is in at least a tenth as many documents as the most frequent word.
    - In every tenth of the input, and in every large source, it is at least a third as frequent as in all documents.
    - There are as many as it takes for 99 % of the documents to hold two, but at least 12 (if there are so many) and at
      most 40.
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
    """Return the words of a text in lower case, without those that have digits or signs."""
    return [word for word in map(str.casefold, words(text)) if word.isalpha()]


def _rates(counts: np.ndarray) -> np.ndarray:
    """Return the frequency of each candidate among all words, from the counts in some documents."""
    totals = counts.sum(axis=0)
    return totals[:-1] / max(totals.sum(), 1)


def _groups(sources: Sequence[str]) -> list[np.ndarray]:
    """Return the places of the documents of each stretch and of each large source."""
    everything = np.arange(len(sources))
    large = [source for source, count in sorted(Counter(sources).items()) if count >= LARGE_SOURCE * len(sources)]
    named = np.array(sources)
    return [*np.array_split(everything, STRETCHES), *[np.flatnonzero(named == source) for source in large]]


def alphabet(texts: Sequence[str]) -> str:
    """Return the lower-case letters that are in at least 1 % of the texts; none if there are more than 200."""
    found = Counter(letter for text in texts for letter in set(text.lower()) if letter.isalpha())
    letters = sorted(letter for letter, count in found.items() if count >= LETTER_SHARE * len(texts))
    return "".join(letters) if len(letters) <= MOST_LETTERS else ""
