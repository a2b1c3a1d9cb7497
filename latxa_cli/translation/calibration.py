"""How long a translation is, by the length of its source: learnt from pairs, else a guess that is wide.

The model is that of Gale and Church (1993, "A Program for Aligning Sentences in Bilingual Corpora", Computational
Linguistics 19): each character of the source gives `ratio` characters on average, with a variance of `spread`² for each
of them. So the length of a translation lies around ratio × length, with a standard deviation of spread × √length.

Whole documents differ by more: in NTREX-128 (60 documents of 1,500 characters or more, eight languages) their ratios
lie around that of their language with a standard deviation of 4 % to 6 %. A part in proportion to the length stands for
that, and a larger one for a guessed ratio. Without it, right translations of long documents are too long or too short.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

from latxa_cli.stream.errors import UsageError
from latxa_cli.stream.records import Record

# In scripts without spaces letters say more (see `text.words`); a word of others has six characters with its space.
_DENSE = re.compile("[\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff]")
_DENSE_MORE = 2.0  # characters that such a letter counts more
ENOUGH = 20  # pairs from which a ratio is learnt
_SHORTEST = 30.0  # characters; shorter texts vary as much as one of these
_OF_DOCUMENTS, _OF_GUESS = 0.05, 0.09  # standard deviations of a document's ratio, as shares of a learnt or guessed one
_LIKE_DEVIATION = 1.4826  # times the median distance is the standard deviation of a normal distribution


@dataclass(frozen=True, slots=True)
class LengthRatio:
    """The lengths of translations.

    - ratio: characters of the translation for each of the source.
    - spread: the standard deviation for the square root of a character.
    - pairs: how many pairs it was learnt from; 0 for a guess.
    """

    ratio: float = 1.1
    spread: float = 2.2
    pairs: int = 0

    def expected(self, source: float) -> float:
        """Return the expected length of the translation of a text of this length."""
        return self.ratio * source

    def distance(self, source: float, translation: float) -> float:
        """Return how far a length is from the expected one, in standard deviations."""
        size = max(source, _SHORTEST)
        share = self.ratio * (_OF_DOCUMENTS if self.pairs else _OF_GUESS)
        return (translation - self.ratio * source) / (self.spread**2 * size + (share * size) ** 2) ** 0.5


def extent(text: str) -> float:
    """Return the length of a text in characters, as if all scripts needed as many."""
    size = len(text.strip())
    return size if text.isascii() else size + _DENSE_MORE * len(_DENSE.findall(text))


def learn(pairs: Iterable[tuple[str, str]]) -> LengthRatio | None:
    """Return the length ratio of pairs (source, translation), or None for fewer than `ENOUGH`.

    Medians, so that a few wrong pairs do not matter.
    """
    lengths = [(extent(source), extent(target)) for source, target in pairs]
    lengths = [(source, target) for source, target in lengths if source and target]
    if len(lengths) < ENOUGH:
        return None
    longer = [(source, target) for source, target in lengths if source >= _SHORTEST]
    ratio = median(target / source for source, target in (longer if len(longer) >= ENOUGH else lengths))
    distances = [abs(target - ratio * source) / max(source, _SHORTEST) ** 0.5 for source, target in lengths]
    return LengthRatio(round(ratio, 4), round(max(_LIKE_DEVIATION * median(distances), 0.5), 4), len(lengths))


def calibrated(pairs: Sequence[Record]) -> LengthRatio:
    """Return the length ratio of pairs (`source`, `target`); raises UsageError for too few of them."""
    ratio = learn((pair["source"], pair["target"]) for pair in pairs)
    if ratio is None:
        raise UsageError(
            f"`--calibrate`: {len(pairs):,} pairs are too few", hint=f"{ENOUGH} are enough, some hundred are better"
        )
    return ratio
