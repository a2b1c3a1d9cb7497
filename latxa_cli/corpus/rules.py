"""The rules of a profile, in the order in which they are applied, and the reasons for rejects."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from latxa_cli.corpus import quality
from latxa_cli.native import repetition
from latxa_cli.text.fences import prose
from latxa_cli.text.words import Words, segment

if TYPE_CHECKING:
    from latxa_cli.corpus.profile import Profile

# {key of the profile: (figure that it limits, reason)}. Plain faults come first, since they explain the others.
REASONS = {
    "minimum_words": ("words", "too short"),
    "maximum_words": ("words", "too long"),
    "minimum_mean_word_length": ("mean_word_length", "short words"),
    "maximum_mean_word_length": ("mean_word_length", "long words"),
    "minimum_median_word_length": ("median_word_length", "short words"),
    "maximum_median_word_length": ("median_word_length", "long words"),
    "minimum_alphabetic_words": ("alphabetic_words", "few alphabetic words"),
    "minimum_alphabetic_tokens": ("alphabetic_tokens", "few alphabetic words"),
    "maximum_hash_signs": ("hash_signs", "many hash signs"),
    "maximum_ellipses": ("ellipses", "many ellipses"),
    "maximum_line_breaks": ("line_breaks", "many line breaks"),
    "maximum_repeated_lines": ("repeated_lines", "repeated lines"),
    "maximum_repeated_line_characters": ("repeated_line_characters", "repeated lines"),
    "minimum_sentence_ends": ("sentence_ends", "few sentence ends"),
    "maximum_short_lines": ("short_lines", "short lines"),
    "maximum_bullet_lines": ("bullet_lines", "bullet lines"),
    "maximum_ellipsis_lines": ("ellipsis_lines", "cut-off lines"),
    "maximum_top_ngrams": ("top_{n}grams", "frequent phrase"),
    "maximum_repeated_ngrams": ("repeated_{n}grams", "repeated phrases"),
}
OTHER_REASONS = ("no words", "lorem ipsum", "few stop words", "foreign letters")
ALL_REASONS = frozenset((*OTHER_REASONS, *(reason for _, reason in REASONS.values())))
NGRAMS = {"maximum_top_ngrams": repetition.TOP, "maximum_repeated_ngrams": repetition.REPEATED}


class QualityRule(NamedTuple):
    """A figure may not lie below the limit (`sign` 1) or above it (`sign` -1)."""

    place: int  # the place of the figure in `quality.Figures`
    limit: float
    sign: int
    reason: str
    subject: str = ""  # the words before the value in the detail


class QualityRules:
    """The rules of one profile, prepared for many texts."""

    def __init__(self, profile: Profile) -> None:
        self.profile = profile
        self.rules = list(_rules(profile))
        self.stop_words = quality.stop_word_table(profile.stop_words) if profile.minimum_stop_words else None
        self.letters = quality.letter_table(profile.alphabet) if profile.maximum_foreign_letters is not None else None

    def judge(self, text: str, words: Words) -> tuple[str, str] | None:
        """Return (reason, detail) of the first rule that a clean text fails, or None if it passes all rules.

        `words` are the text's words. The detail compares the figure with the limit, as in `0.42 > 0.298`.
        """
        if not len(words):
            return "no words", ""
        if self.profile.reject_lorem_ipsum and _has_lorem_ipsum(text):
            return "lorem ipsum", ""
        figures = quality.measure(text, words)
        for place, limit, sign, reason, subject in self.rules:
            if (figures[place] - limit) * sign < 0:
                return reason, subject + _compared(figures[place], limit)
        written = prose(text)
        return self._judge_language(words if written is text else segment(written))

    def _judge_language(self, words: Words) -> tuple[str, str] | None:
        """Judge a text by the profile's stop words and alphabet."""
        least, most = self.profile.minimum_stop_words, self.profile.maximum_foreign_letters
        if self.stop_words is not None and least is not None:
            found = quality.distinct_stop_words(words, self.stop_words)
            if found < least:
                return "few stop words", _compared(found, least)
        if self.letters is not None and most is not None:
            share = quality.foreign_letters(words, self.letters)
            if share > most:
                return "foreign letters", _compared(share, most)
        return None


def _rules(profile: Profile) -> Iterator[QualityRule]:
    """Yield a rule for each limit of the profile."""
    places = {name: place for place, name in enumerate(quality.Figures._fields)}
    for key, (figure, reason) in REASONS.items():
        limit = getattr(profile, key)
        sign = 1 if key.startswith("minimum_") else -1
        if limit is None:
            continue
        if key not in NGRAMS:
            yield QualityRule(places[figure], limit, sign, reason)
            continue
        for n, each in zip(NGRAMS[key], limit, strict=True):
            yield QualityRule(places[figure.format(n=n)], each, sign, reason, f"{n} words, ")


def _compared(value: float, limit: float) -> str:
    """Return a text such as `0.42 > 0.298`, with three digits, or with enough to tell the two apart."""
    shown = f"{value:.0f}" if value == round(value) else f"{value:.3g}"
    digits = 4
    while float(shown) == limit:
        shown = f"{value:.{digits}g}"
        digits += 1
    return f"{shown} {'<' if value < limit else '>'} {limit:.10g}"


def _has_lorem_ipsum(text: str) -> bool:
    return ("orem " in text or "OREM " in text) and "lorem ipsum" in text.lower()
