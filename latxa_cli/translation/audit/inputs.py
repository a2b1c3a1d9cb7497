"""What an audit is given beside the records: the languages, and pairs that say how long translations are."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from latxa_cli.stream.errors import UsageError
from latxa_cli.stream.records import Record
from latxa_cli.translation.calibration import calibrated
from latxa_cli.translation.checks.checks import REASONS, Checks
from latxa_cli.translation.checks.limits import load_limits
from latxa_cli.translation.languages import Language, check_two, language_of

MOST_PAIRS = 2000  # in which false alarms are counted
_CODE = re.compile(r"[a-z]{2,3}(?:-[A-Za-z0-9]{2,8})*")


def checks_of(
    target: str,
    source: str | None,
    *,
    limits: Path | None = None,
    comments: bool = False,
    pairs: Sequence[Record] | None = None,
) -> Checks:
    """Return the checks of translations from one language into another, given by codes or names.

    Raises UsageError for unknown languages and too few pairs, LatxaError for odd files.
    """
    languages = [_language(target, "--to"), *([_language(source, "--from")] if source else [])]
    check_two(languages)
    return Checks(
        languages[0].code,
        source=languages[1].code if source else None,
        limits=load_limits(list(REASONS), limits),
        ratio=calibrated(pairs) if pairs is not None else None,
        labels={name for language in languages for name in (language.name, language.english)},
        comments=comments,
    )


@dataclass(frozen=True, slots=True)
class FalseAlarms:
    """What the checks find in pairs that are right: how many pairs were looked at, and the reasons."""

    pairs: int
    reasons: Counter[str]


def false_alarms(checks: Checks, pairs: Sequence[Record]) -> FalseAlarms:
    """Return what `checks` find in the first `MOST_PAIRS` of the pairs that they were calibrated with."""
    some = pairs[:MOST_PAIRS]
    faults = [checks.fault(pair["source"], pair["target"], role="assistant") for pair in some]
    return FalseAlarms(len(some), Counter(fault.reason for fault in faults if fault))


def _language(text: str, flag: str) -> Language:
    """Return the language of a flag; a code that is not known will do, and raises nothing."""
    try:
        return language_of(text, flag)
    except UsageError:
        if _CODE.fullmatch(text):
            return Language(text, text, text)
        raise
