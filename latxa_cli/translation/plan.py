"""From flags to a plan: which checks, how to draft, and what cannot be asked for."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from latxa_cli.chat.special import special_tokens
from latxa_cli.stream.errors import UsageError
from latxa_cli.stream.records import Record
from latxa_cli.translation.calibration import calibrated, learn
from latxa_cli.translation.checks.checks import REASONS, Checks
from latxa_cli.translation.checks.limits import load_limits
from latxa_cli.translation.drafts import Drafter, Work
from latxa_cli.translation.fields import MESSAGES
from latxa_cli.translation.languages import Language
from latxa_cli.translation.layouts import Layout, Prompt
from latxa_cli.translation.shots import Shots


def check_layout(layout: Layout, unit: str, fields: Sequence[str]) -> None:
    """Raise UsageError where conversations are wanted whole, and there are none, or the prompt cannot ask for them."""
    if unit != "conversation":
        return
    if MESSAGES not in fields:
        raise UsageError("`--layout conversation` is for `--field messages`", hint="leave `--layout` out")
    if not layout.can_structure:
        raise UsageError(
            f"`--layout conversation`: `--prompt {layout.name}` has no `structured` text",
            hint="`--prompt base` and `--prompt chat` have one",
        )


def checks_of(
    languages: tuple[Language, Language],
    limits: Path | None,
    shots: Shots,
    pairs: Sequence[Record] | None,
    *,
    comments: bool,
) -> Checks:
    """Return the checks of a run, with lengths learnt from `pairs`, or from the shots where these are enough.

    Raises UsageError for a file of limits that cannot be read or for too few pairs, LatxaError for a bad file.
    """
    source, target = languages
    return Checks(
        target.code,
        source=source.code,
        limits=load_limits(list(REASONS), limits),
        ratio=learn(shots.pairs) if pairs is None else calibrated(pairs),
        labels=[name for language in languages for name in (language.name, language.english)],
        comments=comments,
    )


def drafter_of(
    prompt: Prompt,
    shots: Shots,
    checks: Checks,
    tokenizer: Any,
    *,
    max_tokens: int,
    retries: int,
    candidates: int,
    seed: int,
) -> Drafter:
    """Return what drafts translations; `tokenizer` is None where a server keeps it to itself."""
    markers = frozenset() if tokenizer is None else special_tokens(tokenizer)
    return Drafter(prompt, shots, checks, Work(), max_tokens, retries, candidates, seed, markers)
