"""The assessment of one text: its language, its quality, evaluation items in it, and its near-duplicate bands.

Equal texts have equal assessments. A worker keeps those of the last texts, since dumps overlap.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np
import orjson

from latxa_cli.corpus.profile import load_profile
from latxa_cli.corpus.rules import QualityRules
from latxa_cli.corpus.steps import CHANGING, OF_LINES, READS_TEXT, READS_WORDS
from latxa_cli.native.minhash import BANDS
from latxa_cli.stream.records import JsonObject
from latxa_cli.text.fences import prose
from latxa_cli.text.language import identifier, other_lines
from latxa_cli.text.ngrams import NgramIndex
from latxa_cli.text.shingles import bands_of
from latxa_cli.text.words import Words, segment

REVIEWED = frozenset(("uncertain language", "mixed languages"))  # reasons that a person may want to check
_REMEMBERED = 20_000  # texts whose assessment is kept
_NO_BANDS = np.zeros(BANDS, np.uint64)


@dataclass(frozen=True)
class AssessmentSettings:
    """The settings by which documents are assessed.

    - profile: the name or file of the quality profile.
    - items, items_hash: a file of evaluation items {key, text}, and its hash.
    - rejects, review: documents that are left out are written for these flags.
    """

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
        """Whether a step may change documents, so that they must be written anew."""
        return not self.steps.isdisjoint(CHANGING)

    @property
    def reads_lines(self) -> bool:
        """Whether the kernel can read lines without parsing them into records."""
        return self.steps <= OF_LINES

    @property
    def reads_words(self) -> bool:
        """Whether a step needs the words of texts."""
        return not self.steps.isdisjoint(READS_WORDS)


@dataclass(slots=True)
class Assessment:
    """The assessment of a text, which is unfit if it has a `reason`."""

    step: str = ""  # the step that found it unfit
    reason: str = ""
    detail: str = ""
    words: int = 0
    facts: JsonObject = field(default_factory=dict)  # fields for the metadata of the document
    bands: np.ndarray = field(default_factory=lambda: _NO_BANDS)
    leaked: tuple[str, ...] = ()  # the keys of evaluation items in it

    def unfit(self, step: str, reason: str, detail: str) -> Assessment:
        """Mark the text as unfit, and return this assessment."""
        self.step, self.reason, self.detail = step, reason, detail
        return self


_NOTHING = Assessment()


class Assessor:
    """Assesses texts by the settings of a run, and holds the models for that."""

    def __init__(self, settings: AssessmentSettings) -> None:
        self.settings = settings
        self.profile = load_profile(settings.profile)
        self.rules = QualityRules(self.profile)
        self.identify = identifier(settings.language_model) if settings.does("language") else None
        self.index = NgramIndex(_items(settings.items)) if settings.items else None
        self.reads_text = not settings.steps.isdisjoint(READS_TEXT)
        self.remembered: dict[bytes, Assessment] = {}

    def assess(self, text: str, digest: bytes) -> Assessment:
        """Return the assessment of a clean text, whose hash is `digest`."""
        if not self.reads_text:
            return _NOTHING
        assessment = self.remembered.get(digest)
        if assessment is None:
            if len(self.remembered) >= _REMEMBERED:
                self.remembered.clear()
            assessment = self.remembered[digest] = self._assess(text)
        return assessment

    def _assess(self, text: str) -> Assessment:
        assessment = Assessment()
        if not text or text.isspace():
            return assessment.unfit("normalise", "empty", "")
        words = segment(text) if self.settings.reads_words else None
        if words is not None:
            assessment.words = words.length
        if self.identify is not None and self._in_another_language(text, assessment):
            return assessment
        return assessment if words is None else self._read(text, words, assessment)

    def _read(self, text: str, words: Words, assessment: Assessment) -> Assessment:
        if self.settings.does("quality") and (fault := self.rules.judge(text, words)):
            return assessment.unfit("quality", *fault)
        if self.index is not None and (hits := self.index.find(words)):
            assessment.leaked = tuple(item for item, _ in hits)
            return assessment.unfit("contamination", "contaminated", f"{hits[0][1]} n-grams of {hits[0][0]}")
        if self.settings.does("near"):
            assessment.bands = bands_of(words)
        return assessment

    def _in_another_language(self, text: str, assessment: Assessment) -> bool:
        assert self.identify is not None
        target, profile = self.settings.language, self.profile
        text = prose(text)
        language, probability = self.identify(text)
        assessment.facts = {"language": language, "language_probability": round(probability, 4)}
        least = profile.language_score if self.settings.language_model else profile.language_probability
        if probability < least:  # it may be the target language or another one
            assessment.unfit("language", "uncertain language", f"{language} {probability:.3f} < {least}")
        elif language != target:
            assessment.unfit("language", "wrong language", f"{language} {probability:.3f}")
        elif "\n" in text and (share := round(other_lines(text, target, self.identify), 4)):
            assessment.facts["other_languages"] = share
            if share > profile.other_languages:
                assessment.unfit("language", "mixed languages", f"{share} > {profile.other_languages}")
        return bool(assessment.reason)


def _items(path: str) -> list[tuple[str, str]]:
    return [(item["key"], item["text"]) for item in map(orjson.loads, Path(path).read_bytes().split(b"\n")[:-1])]


@lru_cache(maxsize=1)
def assessor_of(settings: AssessmentSettings) -> Assessor:
    """Return the assessor for these settings, which a worker makes once for all its parts."""
    return Assessor(settings)
