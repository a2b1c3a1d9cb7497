"""Naive Bayes, by matrices."""

from __future__ import annotations

from collections import Counter

import numpy as np

from latxa_cli.native.naive_bayes import UNIT


def classify(
    text: np.ndarray,
    moves: np.ndarray,
    states: np.ndarray,
    weights: np.ndarray,
    prior: np.ndarray,
    language_of: np.ndarray,
    counts: np.ndarray,
) -> tuple[int, float]:
    """Classify a text; the probability may differ in its last bits, and `counts` is not used."""
    seen: Counter[int] = Counter()
    state = 0
    for byte in text.tolist():
        state = int(moves[states[state, 0], byte])
        seen[int(states[state, 1])] += 1
    nothing = len(weights) - 1
    found = [feature for feature in seen if feature != nothing]
    scores = np.log1p([seen[feature] for feature in found]) @ (weights[found] / np.float64(UNIT))
    if found:
        scores = scores + prior
    scores = np.exp((scores - scores.max()) / np.sqrt(max(len(text), 1)))
    probabilities = np.bincount(language_of, scores)
    best = int(probabilities.argmax())
    return best, float(probabilities[best] / probabilities.sum())
