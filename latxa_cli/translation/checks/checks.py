"""All checks of a translation, cheapest first; the first that finds something names the fault.

    checks = Checks("eu", source="en")
    checks.fault("Why is the sky blue?", "Zeruak kolore urdina du.")   # Fault("answered, not translated", …)

Each check has a name, by which `--checks FILE` changes its limits or takes it out, and a reason that is counted.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from latxa_cli.text.scripts import scripts_of
from latxa_cli.translation.calibration import LengthRatio
from latxa_cli.translation.checks import copies, form, language, length, padding, parts, structure, transfer
from latxa_cli.translation.checks.limits import Limits, load_limits
from latxa_cli.translation.checks.pair import Pair, Text
from latxa_cli.translation.checks.phrases import Phrases, load_phrases

REASONS = {
    "empty": "empty translation",
    "null": "null translation",
    "leaked_role": "leaked role",
    "characters": "broken characters",
    "wrapper": "wrapper",
    "leaked_examples": "leaked examples",
    "copied": "copied source",
    "transfer": "does not survive translation",
    "padding": "added text",
    "repetition": "repetition",
    "script": "another script",
    "partly_copied": "partly copied source",
    "language": "another language",
    "answered": "answered, not translated",
    "unfinished": "unfinished translation",
    "code": "altered code",
    "parts": "lost part",
    "choices": "other choices",
    "items": "other list items",
    "table": "other table",
    "lines": "other lines",
    "numbers": "other numbers",
    "length": "other length",
    # These two compare records, so that `audit` makes them.
    "shared": "same translation of different sources",
    "another_record": "translation of another record",
}
# What a text is by itself, whatever its source: no evidence of another record weighs more.
OF_ITSELF = frozenset(
    REASONS[name]
    for name in (
        "empty", "null", "leaked_role", "characters", "wrapper", "leaked_examples", "copied", "transfer",
        "padding", "repetition", "script", "partly_copied", "language",
    )
)  # fmt: skip
TOO_LONG, TOO_SHORT = "too long", "too short"  # the two reasons of `length`
LABELS = ("Source", "Target", "Translation", "Input", "Output", "Source text", "Target text", "Text")


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a text is no translation of its source: a `reason` that is counted, and a `detail` in words."""

    reason: str
    detail: str = ""


class Checks:
    """The checks of one run.

    - target, source: the codes of the languages; None where unknown, so that checks which need them are out.
    - limits: the thresholds, which checks are out, and the user's phrases.
    - ratio: how long translations are (see `calibration`).
    - labels: what begins a text in the prompt, such as the names of languages.
    - comments: whether comments in code may be translated.
    - identifier: a fastText model for language identification, in place of our own.
    """

    def __init__(
        self,
        target: str | None = None,
        *,
        source: str | None = None,
        limits: Limits | None = None,
        ratio: LengthRatio | None = None,
        labels: Iterable[str] = (),
        comments: bool = False,
        identifier: str | None = None,
    ) -> None:
        self.target, self.source, self.comments, self._model = target, source, comments, identifier
        self.limits = limits or load_limits(list(REASONS))
        self.ratio = ratio or LengthRatio()
        names = sorted({*LABELS, *labels}, key=len, reverse=True)
        # The label of a prompt stands at the beginning of a line, with a colon.
        self._labels = re.compile(
            rf"^[ \t*_]*({'|'.join(map(re.escape, names))})[*_]*[ \t]*:", re.MULTILINE | re.IGNORECASE
        )
        self._phrases: Phrases = load_phrases(_language(source), _language(target), self.limits.phrases)
        self._shots: tuple[Sequence[tuple[str, str]], form.ShotIndex] | None = None  # the last ones
        self._checks = [(name, check) for name, check in self._all() if name not in self.limits.off]

    def fault(
        self, source: str, translation: str, *, role: str = "user", shots: Sequence[tuple[str, str]] = ()
    ) -> Fault | None:
        """Return the first fault of `translation`, or None.

        - role: who says it: `user`, `assistant` or `system`. What an assistant says answers nothing.
        - shots: the examples (source, target) that the translator was given.
        """
        return self.fault_of(Pair(Text(source), Text(translation), role, shots))

    def fault_of(self, pair: Pair) -> Fault | None:
        """Return the first fault of the translation in a pair, or None."""
        for name, check in self._checks:
            detail = check(pair)
            if detail is not None:
                return Fault(*detail) if isinstance(detail, tuple) else Fault(REASONS[name], detail)
        return None

    def untranslatable(self, source: str, *, role: str = "user") -> Fault | None:
        """Return why no translation of `source` can do, known before there is one; or None."""
        if "transfer" in self.limits.off:
            return None
        detail = transfer.does_not_survive(Pair(Text(source), Text(""), role), self._phrases)
        return None if detail is None else Fault(REASONS["transfer"], detail)

    def _all(self) -> Iterator[tuple[str, Callable[[Pair], str | tuple[str, str] | None]]]:
        """Yield the name of each check and what it finds in a pair: a detail, None for nothing, or (reason, detail)."""
        limits, phrases = self.limits, self._phrases
        yield "empty", form.empty
        yield "null", form.null
        yield "leaked_role", form.leaked_role
        yield "characters", form.broken_characters
        yield "wrapper", form.wrapper
        yield "leaked_examples", self._leaked_examples
        yield "copied", lambda pair: copies.copied(pair, limits)
        yield "transfer", lambda pair: transfer.does_not_survive(pair, phrases)
        yield "padding", lambda pair: padding.padding(pair, phrases, self.ratio, self._is_foreign)
        yield "repetition", lambda pair: copies.repetition(pair, limits)
        if self.target and (scripts := scripts_of(self.target)):
            yield "script", lambda pair: language.another_script(pair, limits, scripts)
        yield "partly_copied", lambda pair: copies.partly_copied(pair, limits)
        if self.target:
            yield "language", self._another_language
        yield "answered", lambda pair: length.answered(pair, limits, self.ratio)
        yield "unfinished", length.unfinished
        yield "code", lambda pair: parts.altered_code(pair, comments=self.comments)
        yield "parts", parts.lost_part
        yield "choices", structure.other_choice
        yield "items", structure.lost_item
        yield "table", structure.other_table
        yield "lines", lambda pair: structure.other_lines(pair, limits)
        yield "numbers", lambda pair: parts.other_numbers(pair, limits)
        yield "length", self._other_length

    def _leaked_examples(self, pair: Pair) -> str | None:
        label = form.leaked_label(pair, self._labels)
        if label is None:
            label = form.leaked_tag(pair)
        if label is not None or not pair.shots:
            return label
        if self._shots is None or self._shots[0] is not pair.shots:  # as a rule, all texts have the same examples
            self._shots = (pair.shots, form.ShotIndex(pair.shots, self.limits.leaked_examples_passage))
        return form.leaked_examples(pair, self._shots[1])

    def _another_language(self, pair: Pair) -> str | None:
        assert self.target is not None
        target, known = self._identified
        return language.another_language(pair, self.limits, self._identify, target, _language(self.source), known=known)

    def _is_foreign(self, text: str) -> bool:
        """Whether a line or a sentence is surely in another language than the target."""
        if not self.target or sum(map(str.isalpha, text)) < self.limits.language_letters:
            return False
        target, known = self._identified
        found, probability = self._identify(text)
        return known and found not in (target, "und", "zxx") and probability >= self.limits.language_probability

    def _other_length(self, pair: Pair) -> tuple[str, str] | None:
        found = length.other_length(pair, self.limits, self.ratio)
        return None if found is None else (TOO_LONG if found[0] else TOO_SHORT, found[1])

    @cached_property
    def _identify(self) -> Callable[[str], tuple[str, float]]:
        from latxa_cli.text.language import identifier

        return identifier(self._model)

    @cached_property
    def _identified(self) -> tuple[str, bool]:
        """The target without its subtags, and whether the model can find it."""
        from latxa_cli.text.language import known_languages

        target = _language(self.target) or ""
        return target, target in known_languages(self._model)


def _language(code: str | None) -> str | None:
    """Return a BCP-47 code without script and region."""
    return code.split("-")[0].lower() if code else None
