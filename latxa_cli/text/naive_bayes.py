"""The classifier of py3langid (naive Bayes over byte n-grams, about 140 languages), with a compiled kernel.

The model, the arithmetic and the answers are py3langid's; the kernel takes about an eighth of its time. The method is
that of Lui and Baldwin, langid.py: An Off-the-shelf Language Identification Tool (ACL 2012, system demonstrations).
"""

from __future__ import annotations

import unicodedata

import numpy as np

from latxa_cli.native.naive_bayes import UNIT, classify
from latxa_cli.native.switches import weigh
from latxa_cli.stream.errors import LatxaError


class NaiveBayes:
    """A classifier: called with a text, it returns the code of the most probable language, and its probability.

    - languages: the codes that it can return (ISO 639-1 where one exists, else 639-3; `zxx` for no language).
    - It takes half a second and 100 MB to load.
    - The kernel keeps the GIL, since all calls share one array of counts.
    """

    def __init__(self) -> None:
        from py3langid.langid import MODEL_FILE, LanguageIdentifier

        try:
            model = LanguageIdentifier.from_model_file(MODEL_FILE)
        except OSError as error:  # the library unpacks the model into a temporary file
            reason = error.strerror or error
            raise LatxaError(f"the model for language identification cannot be unpacked ({reason})") from None
        self.languages: list[str] = model.labels
        # Some languages have two classes, one per script.
        self._language_of = np.array([self.languages.index(label) for label in model.nb_classes])
        self._prior = model.nb_pc.astype(np.float32)
        # States where no feature ends count as a further feature with zero weights, which saves the kernel a branch.
        nothing = len(model.nb_ptc)
        weights = np.empty((nothing + 1, len(model.nb_classes)), dtype=np.int16)
        np.multiply(model.nb_ptc, UNIT, out=weights[:nothing], casting="unsafe")
        weights[nothing] = 0
        # Subtracting a constant from all classes of a feature changes no probability, and smaller sums are more exact.
        weights -= weights.max(axis=1, keepdims=True)
        self._weights = weights
        features = np.array(model.tk_output)
        features[features < 0] = nothing
        self._states = np.stack([np.array(model.tk_row), features], axis=1).astype(np.uint32)
        # Copied, since numpy allocates huge pages where `array` does not, which saves a fifth of the automaton's time.
        self._moves = np.array(model.tk_nextmove, dtype=np.uint32).reshape(-1, 256)
        self._counts = np.zeros(nothing + 1, dtype=np.int32)

    def weights_of(self, languages: list[str]) -> tuple[np.ndarray, list[str]]:
        """Return the weights i16 [features, classes] for `weigh`, in units of 1 / `UNIT`, and each class's language."""
        classes = [
            number
            for language in languages
            for number in np.flatnonzero(self._language_of == self.languages.index(language)).tolist()
        ]
        return np.ascontiguousarray(self._weights[:, classes]), [self.languages[self._language_of[n]] for n in classes]

    def weigh(
        self, text: np.ndarray, starts: np.ndarray, ends: np.ndarray, chained: np.ndarray, weights: np.ndarray
    ) -> np.ndarray:
        """Return i32 [words, classes]: the log-likelihood of each word's n-grams plus a constant (see `switches`)."""
        return weigh(text, starts, ends, chained, self._moves, self._states, weights)

    def __call__(self, text: str) -> tuple[str, float]:
        if text.isupper():
            text = text.lower()
        encoded = unicodedata.normalize("NFC", text).encode("utf-8", "surrogatepass")
        best, probability = classify(
            np.frombuffer(encoded, dtype=np.uint8),
            self._moves,
            self._states,
            self._weights,
            self._prior,
            self._language_of,
            self._counts,
        )
        return self.languages[best], probability
