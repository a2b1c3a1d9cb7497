"""Naive Bayes over byte n-grams that an automaton finds (see `text.naive_bayes`)."""

from __future__ import annotations

from functools import partial

import numpy as np

from latxa_cli.native.kernel import kernel

# Weights are stored as integers of 1/1024. That loses nothing: the model's are 16-bit floats between 2 and 16.
UNIT = np.float32(1024)


@partial(kernel, nogil=False)
def classify(
    text: np.ndarray,
    moves: np.ndarray,
    states: np.ndarray,
    weights: np.ndarray,
    prior: np.ndarray,
    language_of: np.ndarray,
    counts: np.ndarray,
) -> tuple[int, float]:
    """Return the most probable language and its probability.

    - text: UTF-8 bytes.
    - moves [rows, 256]: the next state for each byte; states [states, 2]: the row of each state in `moves`, and the
      feature that ends there.
    - weights [features, classes]: log P(feature | class) plus a constant; prior: log P(class).
    - language_of: the language of each class.
    - counts: zeros [features], scratch memory that is zeros again afterwards.
    """
    seen = _visit(text, moves, states, counts)
    scores = np.zeros(len(prior), np.float32)
    if len(seen) > 1 or (len(seen) and seen[0] != len(weights) - 1):
        scores += prior
    for feature in seen:
        count = np.log1p(np.float32(counts[feature])) / UNIT
        counts[feature] = 0
        row = weights[feature]
        for class_ in range(len(scores)):
            scores[class_] += count * np.float32(row[class_])
    # Without the division by the square root of the length, every long text would have probability 1.
    scores = np.exp((scores - scores.max()) / np.sqrt(max(len(text), 1)))
    probabilities = np.zeros(language_of.max() + 1)
    for class_ in range(len(scores)):
        probabilities[language_of[class_]] += scores[class_]
    best = int(probabilities.argmax())
    return best, float(probabilities[best] / probabilities.sum())


@partial(kernel, nogil=False)
def _visit(text: np.ndarray, moves: np.ndarray, states: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Count the features of a text in `counts`, and return those that occur."""
    seen = np.empty(len(text) + 1, np.uint32)
    number = 0
    state = np.uint32(0)
    for byte in text:
        state = moves[states[state, 0], byte]
        feature = states[state, 1]
        seen[number] = feature
        number += counts[feature] == 0
        counts[feature] += 1
    return seen[:number]
