"""Which words of a text are in another language than the text (see `judging.code_switch`)."""

from __future__ import annotations

import numpy as np

from latxa_cli.native.kernel import kernel

_BLANK = ord(" ")


@kernel
def weigh(
    text: np.ndarray,
    starts: np.ndarray,
    ends: np.ndarray,
    chained: np.ndarray,
    moves: np.ndarray,
    states: np.ndarray,
    weights: np.ndarray,
) -> np.ndarray:
    """Return i32 [words, languages]: the sum of the weights of all n-grams that end in a word or just behind it.

    - text: UTF-8 bytes; starts, ends: the places of the words in it.
    - chained: whether n-grams may reach from the word before into a word. Else it is read as if it came first.
    - moves, states: the automaton of `naive_bayes.classify`; weights [features, languages]: 16-bit integers.
    """
    found = np.zeros((len(starts), weights.shape[1]), np.int32)
    state = np.uint32(0)
    for word in range(len(starts)):
        if not chained[word]:
            state = moves[states[0, 0], _BLANK]
        last = word + 1 == len(starts) or not chained[word + 1]
        behind = ends[word] if last else starts[word + 1]
        for place in range(starts[word], behind):
            state = moves[states[state, 0], text[place]]
            _add(weights[states[state, 1]], found[word])
        if last:
            state = moves[states[state, 0], _BLANK]
            _add(weights[states[state, 1]], found[word])
    return found


@kernel
def _add(row: np.ndarray, total: np.ndarray) -> None:
    for language in range(len(row)):
        total[language] += row[language]


@kernel
def label(evidence: np.ndarray, costs: np.ndarray) -> np.ndarray:
    """Return i64 [words]: the language of each word on the most probable path (Viterbi), -1 for the expected one.

    - evidence: i32 [words, languages], how much more probable a word is in each language than in the expected one.
    - costs: i64 [languages], what it costs to change into each. To change back is free.
    """
    words, languages = evidence.shape
    came = np.full((words, languages), -2, np.int64)  # the state before: -1 the expected language, -2 the same one
    came_back = np.full(words, -1, np.int64)  # the state before the expected language
    scores = -costs
    home, best = np.int64(0), np.int64(-1)  # the score of the path that is in the expected language, the best other one
    for word in range(words):
        if best >= 0 and scores[best] > home:
            came_back[word] = best
            home = scores[best]
        for language in range(languages):
            entry = home - costs[language]
            if word == 0 or entry > scores[language]:
                came[word, language] = came_back[word]
                scores[language] = entry
            scores[language] += evidence[word, language]
        best = scores.argmax()
    labels = np.empty(words, np.int64)
    current = best if languages and words and scores[best] > home else np.int64(-1)
    for word in range(words - 1, -1, -1):
        labels[word] = current
        if current < 0:
            current = came_back[word]
        elif came[word, current] != -2:
            current = came[word, current]
    return labels
