"""What one text is found to be: in the language or not, of quality or not, a leak of evaluation items; and its bands.

Equal texts have equal findings, so that a worker remembers those of the last ones: dumps overlap.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from latxa_cli.corpus.profile import load_profile
from latxa_cli.corpus.steps import CHANGING, LOOKING, OF_LINES, READS_WORDS
from latxa_cli.native.minhash import BANDS
from latxa_cli.text.language import identifier, other_lines
from latxa_cli.text.near import bands_of
from latxa_cli.text.ngrams import NgramIndex
from latxa_cli.text.words import Words, segment

REVIEWED = frozenset(("uncertain language", "mixed languages"))  # reasons that a person may wish to look into
_REMEMBERED = 20_000  # texts
_NO_BANDS = np.zeros(BANDS, np.uint64)


@dataclass(frozen=True)
class AssessmentSettings:
    """What is done with every document. `profile`: its name or file; `items`: a file of evaluation items {key, text},
    and its hash; `rejects` and `review`: whether what is left out is wanted."""

    language: str
    steps: frozenset[str]
    profile: str
    language_model: str | None = None
    items: str | None = None
    items_hash: str = ""
    seed: int = 0
    rejects: bool = False
    review: bool = False

    def does(self, step: str) -> bool:
        return step in self.steps

    @property
    def changes_documents(self) -> bool:
        return not self.steps.isdisjoint(CHANGING)

    @property
    def reads_lines(self) -> bool:
        return self.steps <= OF_LINES

    @property
    def reads_words(self) -> bool:
        return not self.steps.isdisjoint(READS_WORDS)


@dataclass(slots=True)
class Assessment:
    """What a text is found to be: unfit at a `step` for a `reason`, or with these facts and bands."""

    step: str = ""
    reason: str = ""
    detail: str = ""
    words: int = 0
    facts: dict[str, Any] = field(default_factory=dict)
    bands: np.ndarray = field(default_factory=lambda: _NO_BANDS)
    leaked: tuple[str, ...] = ()

    def unfit(self, step: str, reason: str, detail: str) -> Assessment:
        self.step, self.reason, self.detail = step, reason, detail
        return self


_NOTHING = Assessment()


class Assessor:
    """Judges texts by the settings of a run; holds the models that this needs."""

    def __init__(self, settings: AssessmentSettings) -> None:
        self.settings = settings
        self.profile = load_profile(settings.profile)
        self.identify = identifier(settings.language_model) if settings.does("language") else None
        self.index = NgramIndex(_items(settings.items)) if settings.items else None
        self.looks = not settings.steps.isdisjoint(LOOKING)
        self.remembered: dict[bytes, Assessment] = {}

    def find(self, text: str, digest: bytes) -> Assessment:
        """Return the finding for a clean text that has this hash."""
        if not self.looks:
            return _NOTHING
        finding = self.remembered.get(digest)
        if finding is None:
            if len(self.remembered) >= _REMEMBERED:
                self.remembered.clear()
            finding = self.remembered[digest] = self._find(text)
        return finding

    def _find(self, text: str) -> Assessment:
        finding = Assessment()
        if not text or text.isspace():
            return finding.unfit("normalise", "empty", "")
        words = segment(text) if self.settings.reads_words else None
        if words is not None:
            finding.words = len(words)
        if self.identify is not None and self._in_another_language(text, finding):
            return finding
        return finding if words is None else self._read(text, words, finding)

    def _read(self, text: str, words: Words, finding: Assessment) -> Assessment:
        if self.settings.does("quality") and (fault := self.profile.judge(text, words)):
            return finding.unfit("quality", *fault)
        if self.index is not None and (hits := self.index.find(words)):
            finding.leaked = tuple(item for item, _ in hits)
            return finding.unfit("contamination", "contaminated", f"{hits[0][1]} n-grams of {hits[0][0]}")
        if self.settings.does("near"):
            finding.bands = bands_of(words)
        return finding

    def _in_another_language(self, text: str, finding: Assessment) -> bool:
        assert self.identify is not None
        wanted, profile = self.settings.language, self.profile
        language, probability = self.identify(text)
        finding.facts = {"language": language, "language_probability": round(probability, 4)}
        least = profile.language_score if self.settings.language_model else profile.language_probability
        if probability < least:  # neither surely ours nor surely another
            finding.unfit("language", "uncertain language", f"{language} {probability:.3f} < {least}")
        elif language != wanted:
            finding.unfit("language", "wrong language", f"{language} {probability:.3f}")
        elif "\n" in text and (share := round(other_lines(text, wanted, self.identify), 4)):
            finding.facts["other_languages"] = share
            if share > profile.other_languages:
                finding.unfit("language", "mixed languages", f"{share} > {profile.other_languages}")
        return bool(finding.reason)


def _items(path: str) -> list[tuple[str, str]]:
    return [(item["key"], item["text"]) for item in map(orjson.loads, Path(path).read_bytes().split(b"\n")[:-1])]


@lru_cache(maxsize=1)
def assessor_of(settings: AssessmentSettings) -> Assessor:
    """Return the judge of these settings: one for all parts that a worker examines."""
    return Assessor(settings)
