"""The classifier of py3langid (naive Bayes over byte n-grams, about 140 languages) in a compiled kernel.

The model and the arithmetic are py3langid's, and so are the answers, in about an eighth of its time. The method is that
of Lui and Baldwin, langid.py: An Off-the-shelf Language Identification Tool (ACL 2012, system demonstrations).
"""

from __future__ import annotations

import unicodedata
from functools import partial

import numpy as np

from latxa_cli.stream.errors import LatxaError
from latxa_cli.text.kernel import kernel

_UNIT = np.float32(1024)  # of the weights as integers, which the model's 16-bit floats (of 2 to 16) fill exactly


class NaiveBayes:
    """Called with a text, it returns the code of the likeliest language and its probability in [0, 1].

    `languages`: the codes that it can return (ISO 639-1 where one exists, else 639-3; `zxx` for no language). To load
    it takes half a second and 100 MB. The kernel keeps the GIL, since all calls share one workspace.
    """

    def __init__(self) -> None:
        from py3langid.langid import MODEL_FILE, LanguageIdentifier

        try:
            model = LanguageIdentifier.from_model_file(MODEL_FILE)
        except OSError as error:  # it is unpacked into a temporary file
            reason = error.strerror or error
            raise LatxaError(f"the model for language identification cannot be unpacked ({reason})") from None
        self.languages: list[str] = model.labels
        # Some languages have two classes, one for each script.
        self._language_of = np.array([self.languages.index(label) for label in model.nb_classes])
        self._prior = model.nb_pc.astype(np.float32)
        # States where no feature ends count as one more feature that says nothing, which saves the kernel a branch.
        nothing = len(model.nb_ptc)
        weights = np.empty((nothing + 1, len(model.nb_classes)), dtype=np.int16)
        np.multiply(model.nb_ptc, _UNIT, out=weights[:nothing], casting="unsafe")
        weights[nothing] = 0
        # A constant taken from all classes of a feature changes no probability, and small sums are more exact.
        weights -= weights.max(axis=1, keepdims=True)
        self._weights = weights
        features = np.array(model.tk_output)
        features[features < 0] = nothing
        self._states = np.stack([np.array(model.tk_row), features], axis=1).astype(np.uint32)
        # A copy, since numpy asks for huge pages where `array` does not: walking takes a fifth less time.
        self._moves = np.array(model.tk_nextmove, dtype=np.uint32).reshape(-1, 256)
        self._counts = np.zeros(nothing + 1, dtype=np.int32)

    def __call__(self, text: str) -> tuple[str, float]:
        if text.isupper():
            text = text.lower()
        encoded = unicodedata.normalize("NFC", text).encode("utf-8", "surrogatepass")
        best, probability = _classify(
            np.frombuffer(encoded, dtype=np.uint8),
            self._moves,
            self._states,
            self._weights,
            self._prior,
            self._language_of,
            self._counts,
        )
        return self.languages[best], probability


@partial(kernel, nogil=False)
def _classify(
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
        count = np.log1p(np.float32(counts[feature])) / _UNIT
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
