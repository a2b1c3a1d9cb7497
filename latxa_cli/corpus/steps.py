"""The steps of `latxa corpus` in their order, by which `--only`, `--skip` and the funnel name them."""

from __future__ import annotations

from collections.abc import Iterable

from latxa_cli.stream.errors import UsageError, nearest

STEPS = {
    "normalise": "clean form: NFC, controls, spaces, mojibake",
    "boilerplate": "lines repeated across a source go",
    "language": "documents in other languages go",
    "quality": "documents that fail the profile's rules go",
    "contamination": "documents that hold evaluation items go (`--against`)",
    "exact": "documents with the text of an earlier one go",
    "url": "documents with the URL of an earlier one go",
    "near": "documents nearly the same as an earlier one go",
    "paragraphs": "paragraphs seen in an earlier document go from both ends",
    "split": "train, valid and test are drawn, 98/1/1",
}
CHANGING = frozenset(("normalise", "boilerplate", "language", "split"))  # steps that may change any document
READS_WORDS = frozenset(("quality", "contamination", "near", "paragraphs"))  # steps that need a text's words
READS_TEXT = READS_WORDS | {"normalise", "boilerplate", "language"}  # steps that need the text
DUPLICATES = ("exact", "url", "near")
OF_LINES = frozenset(DUPLICATES)  # steps for which lines need not be parsed into records


def choose_steps(only: Iterable[str], skip: Iterable[str], *, contamination: bool) -> frozenset[str]:
    """Return the steps to take: those in `only`, or all except those in `skip`.

    contamination: there are evaluation items. Raises UsageError for an unknown step, for `only` together with `skip`,
    and for evaluation items without their step or the reverse.
    """
    only, skip = list(only), list(skip)
    for step in (*only, *skip):
        if step not in STEPS:
            raise UsageError(f"there is no step `{step}`", hint=nearest(step, list(STEPS)))
    if only and skip:
        raise UsageError("`--only` and `--skip` exclude each other", hint="name the steps to take, or those to leave")
    if "contamination" in only and not contamination:
        raise UsageError("`--only contamination` needs evaluation items", hint="`--against FILE` names them")
    steps = frozenset(only) or frozenset(STEPS) - frozenset(skip)
    if contamination and "contamination" not in steps:
        raise UsageError("`--against` needs the step `contamination`", hint="add `--only contamination`")
    return steps if contamination else steps - {"contamination"}
