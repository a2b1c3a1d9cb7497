"""Code-switching: the runs of words in an answer that are in another language than the one expected.

LLaMA Beyond English (arXiv 2401.01055) reports the share of answers that hold tokens of another language, and
describes no detector. This one is ours:

- Which words are searched says `searched`.
- A word in a script that the expected language does not have is in another language.
- Every other word has, for each of the `languages` in `code_switch.toml` that shares the script, a log-likelihood ratio
  against the expected language: that of its character n-grams by the language identifier's model (`text.naive_bayes`),
  and between languages that have a lexicon also that of the word itself. Each is cut off, so that one word alone does
  not pay for a change, unless the languages share so many words that a change costs little.
- The words of the prompt, and those that begin a sentence with a capital, count only for the expected language.
- The most probable path through the languages (Viterbi) pays a cost for each change into another one. The cost rises
  with the logarithm of the text's length, since a long text has more places for a false alarm.

The figures of `tests/bench/code_switch.py` say what it finds.
"""

from __future__ import annotations

import tomllib
import unicodedata
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from latxa_cli.judging import lexicon
from latxa_cli.judging.searched import FOREIGN, OTHER, OWN, Searched, searched
from latxa_cli.native.naive_bayes import UNIT
from latxa_cli.native.switches import label
from latxa_cli.text.language import UNDETERMINED, check_language, identify, naive_bayes
from latxa_cli.text.scripts import scripts_of
from latxa_cli.text.words import segment

# What the n-grams of a word, and the word itself, can weigh at most, in nats.
_NGRAMS, _WORD = 5.0, 4.0
_SHORT = 10  # words; a text of so many has the costs of `code_switch.toml`


@dataclass(frozen=True, slots=True)
class Run:
    """Words in another language: their place in the text (`end` excluded), their text, and the language."""

    start: int
    end: int
    words: str
    language: str


@dataclass(frozen=True, slots=True)
class Switches:
    """The runs of a text from left to right, how many words they have, and how many words were searched in all."""

    runs: list[Run]
    switched: int
    searched: int

    @property
    def share(self) -> float:
        """The share of words in another language, 0.0 where none was searched."""
        return self.switched / self.searched if self.searched else 0.0


def find_switches(text: str, language: str, prompts: Iterable[str] = ()) -> Switches:
    """Return the runs of `text` that are in another language than `language`.

    - language: a BCP-47 code; only its script counts beside the language itself.
    - prompts: the texts that `text` answers.

    Raises UsageError for a language that `text.language` cannot identify.
    """
    detector = _detector(language)
    known = [segment(prompt).hashes for prompt in prompts]
    composed = unicodedata.normalize("NFC", text)
    found = detector.find(composed, np.unique(np.concatenate(known)) if known else np.empty(0, np.uint64))
    return found if composed == text else _moved(found, text)


class Detector:
    """What is known of one expected language."""

    def __init__(self, language: str) -> None:
        settings = _settings()
        self.language = check_language(language.lower().replace("_", "-").split("-")[0])
        more = [f"{self.language}-{script}" for script in settings["scripts"].get(self.language, ())]
        is_given = "-" in language  # `sr-Cyrl` is in no other script
        self.scripts = scripts_of(language).union(*map(scripts_of, () if is_given else more))
        others = [other for other in settings["languages"] if other != self.language]
        others = [other for other in others if scripts_of(other) & self.scripts]
        self._weights, classes = naive_bayes().weights_of([self.language, *others])
        self._own = classes.count(self.language)
        self._others = classes[self._own :]
        costs = [settings["costs"].get(f"{self.language}-{other}", settings["cost"]) for other in self._others]
        self._costs = np.array([*costs, settings["cost"]])  # the last one is that of other scripts

    def find(self, text: str, known: np.ndarray) -> Switches:
        """Return the runs of a text in NFC; known: the sorted hashes of the prompt's words."""
        words = searched(text, self.scripts, known)
        if not words.count:
            return Switches([], 0, 0)
        costs = self._costs + max(0.0, np.log(words.count / _SHORT))
        evidence = self._evidence(text, words)
        evidence[words.kinds == FOREIGN, -1] = costs[-1] + 1
        labels = label((evidence * UNIT).astype(np.int32), (costs * UNIT).astype(np.int64))
        runs, switched = [], 0
        for first, last, other in _trimmed(labels, evidence):
            start, end = int(words.words.starts[first]), int(words.words.ends[last])
            language = self._others[other] if other < len(self._others) else self._language_of(text[start:end])
            runs.append(Run(start, end, text[start:end], language))
            switched += int((words.kinds[first : last + 1] != OTHER).sum())
        return Switches(runs, switched, words.count)

    def _evidence(self, text: str, words: Searched) -> np.ndarray:
        """Return f64 [words, languages + 1]: the log-likelihood ratios of the words; 0 for other scripts."""
        places = np.flatnonzero((words.kinds != OTHER) & (words.kinds != FOREIGN))
        found = np.zeros((len(words.kinds), len(self._others) + 1))
        if not self._others or not len(places):
            return found
        chained = np.zeros(len(places), bool)
        chained[1:] = places[1:] == places[:-1] + 1
        codepoints = words.words.codepoints
        at = np.zeros(len(codepoints) + 1, np.int64)  # the place of each character among the bytes
        np.cumsum(1 + sum((codepoints > most).astype(np.int64) for most in (0x7F, 0x7FF, 0xFFFF)), out=at[1:])
        encoded = np.frombuffer(bytearray(_lowered(text).encode("utf-8", "surrogatepass")), np.uint8)
        starts, ends = at[words.words.starts[places]], at[words.words.ends[places]]
        sums = naive_bayes().weigh(encoded, starts, ends, chained, self._weights) / np.float64(UNIT)
        ratios = (sums[:, self._own :] - sums[:, : self._own].max(axis=1, keepdims=True)).clip(-_NGRAMS, _NGRAMS)
        if self.language in lexicon.languages():
            hashes = words.words.hashes[places]
            own = lexicon.frequencies(self.language, hashes)
            for number, other in enumerate(self._others):
                if other in lexicon.languages():
                    ratio = (lexicon.frequencies(other, hashes) - own) / lexicon.LEVELS
                    ratios[:, number] += ratio.clip(-_WORD, _WORD)
        is_own = words.kinds[places] == OWN
        ratios[is_own] = ratios[is_own].clip(max=0)
        found[places, :-1] = ratios
        return found

    def _language_of(self, text: str) -> str:
        language, _ = identify(text)
        return language if language != self.language else UNDETERMINED


@cache
def _detector(language: str) -> Detector:
    return Detector(language)


@cache
def _settings() -> dict[str, Any]:
    return tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))


def _trimmed(labels: np.ndarray, evidence: np.ndarray) -> Iterator[tuple[int, int, int]]:
    """Yield the first word, the last word and the label of each run; its first and last words are in its language."""
    end = 0
    for other, members in groupby(labels.tolist()):
        start, end = end, end + len(list(members))
        if other >= 0:
            places = start + np.flatnonzero(evidence[start:end, other] > 0)
            yield int(places[0]), int(places[-1]), other


def _lowered(text: str) -> str:
    """Return `text` in lower case, with as many characters."""
    lower = text.lower()
    if len(lower) == len(text):
        return lower
    return "".join([form if len(form := letter.lower()) == 1 else letter for letter in text])


def _moved(found: Switches, text: str) -> Switches:
    """Return what was found in the NFC form of `text` with the places that it has in `text`."""

    def place(composed: int) -> int:
        return (
            bisect_right(
                range(len(text) + 1), composed, key=lambda size: len(unicodedata.normalize("NFC", text[:size]))
            )
            - 1
        )

    runs = [(place(run.start), place(run.end), run.language) for run in found.runs]
    return Switches(
        [Run(start, end, text[start:end], language) for start, end, language in runs], found.switched, found.searched
    )
