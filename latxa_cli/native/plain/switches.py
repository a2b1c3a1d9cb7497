"""Languages of words, by one word after the other and by dictionaries of paths."""

from __future__ import annotations

import numpy as np


def weigh(
    text: np.ndarray,
    starts: np.ndarray,
    ends: np.ndarray,
    chained: np.ndarray,
    moves: np.ndarray,
    states: np.ndarray,
    weights: np.ndarray,
) -> np.ndarray:
    found = np.zeros((len(starts), weights.shape[1]), np.int32)
    for word in range(len(starts)):
        first = word
        while first and chained[first]:
            first -= 1
        follows = word + 1 < len(starts) and chained[word + 1]
        read = bytes(text[starts[first] : starts[word + 1] if follows else ends[word]])
        read = b" " + (read if follows else read + b" ")
        state, features = 0, []
        for byte in read:
            state = int(moves[states[state, 0], byte])
            features.append(int(states[state, 1]))
        own = len(read) - 1 - int(starts[word] - starts[first])
        found[word] = weights[features[len(features) - own :]].sum(axis=0, dtype=np.int32)
    return found


def label(evidence: np.ndarray, costs: np.ndarray) -> np.ndarray:
    paths: dict[int, tuple[int, list[int]]] = {-1: (0, [])}
    for row in evidence.tolist():
        best = max(paths, key=lambda state: (paths[state][0], state < 0, -state))
        score, labels = paths[best]
        following = {-1: (score, [*labels, -1])}
        for language, gain in enumerate(row):
            entered = (score - int(costs[language]), labels)
            stay = paths.get(language, entered)
            came = stay if stay[0] >= entered[0] else entered
            following[language] = (came[0] + gain, [*came[1], language])
        paths = following
    best = max(paths, key=lambda state: (paths[state][0], state < 0, -state))
    return np.array(paths[best][1], np.int64)
