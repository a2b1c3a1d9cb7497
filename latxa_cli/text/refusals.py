"""Answers that refuse: what a model says that does not do what it was asked for, in the words of `refusals.txt`."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

SENTENCES = 3  # at the beginning of an answer, in which a refusal is looked for

_LIST = re.compile(r"^\s*(?:[-*+•] |\d+[.)] |```|\|)", re.MULTILINE)
_SENTENCE_END = re.compile(r"[.!?](?=\s)")


def refuses(answer: str) -> bool:
    """Whether an answer says that it does not do what was asked for, in the words of `refusals.txt`."""
    beginnings, statements = refusals()
    said = answer.casefold().replace("’", "'")
    if said.startswith(beginnings):
        return True
    ends = [found.end() for found in _SENTENCE_END.finditer(said)][:SENTENCES]
    first = said[: ends[-1]] if len(ends) == SENTENCES else said
    return any(statement in first for statement in statements) and not _LIST.search(answer)


@cache
def refusals() -> tuple[tuple[str, ...], ...]:
    """Return how refusals begin, and what their first sentences say."""
    sections: list[list[str]] = []
    for line in (Path(__file__).parent / "refusals.txt").read_text(encoding="utf-8").splitlines():
        if line.startswith("["):
            sections.append([])
        elif line and not line.startswith("#"):
            sections[-1].append(line)
    return tuple(map(tuple, sections))
