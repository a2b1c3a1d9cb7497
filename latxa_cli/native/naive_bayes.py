"""Naive Bayes over byte n-grams that an automaton finds (see `text.naive_bayes`)."""

from __future__ import annotations

from functools import partial

import numpy as np

from latxa_cli.native.kernel import kernel

UNIT = np.float32(1024)  # of the weights as integers, which the model's 16-bit floats (of 2 to 16) fill exactly


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
    """Return the likeliest language and its probability.

    text: UTF-8 bytes; automaton: moves [rows * 256], the row of each state, the feature that ends in each state;
    weights: log P(feature | class) but for a constant [features, classes]; prior: log P(class); language_of: of each
    class; counts: zeros [features], a workspace that is left as it was found.
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
    # Divided by the square root of the length, so that the probabilities of long texts are not all 1.
    scores = np.exp((scores - scores.max()) / np.sqrt(max(len(text), 1)))
    probabilities = np.zeros(language_of.max() + 1)
    for class_ in range(len(scores)):
        probabilities[language_of[class_]] += scores[class_]
    best = int(probabilities.argmax())
    return best, float(probabilities[best] / probabilities.sum())


@partial(kernel, nogil=False)
def _visit(text: np.ndarray, moves: np.ndarray, states: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Count the features of a text in `counts`; return those that occur."""
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
