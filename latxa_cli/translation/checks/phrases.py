"""Phrases of languages, from `phrases/CODE.toml` and from the user's `--checks FILE`: what checks cannot know.

[transfer]      by what they are about: phrases of instructions that no translation keeps
[padding]       `before`, `after`: how what assistants put round a translation begins
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import NamedTuple

from latxa_cli.stream.errors import LatxaError, nearest
from latxa_cli.stream.tables import load_toml

_OWN = Path(__file__).parent / "phrases"
# The checks that know phrases, and what theirs are about: empty where a file may say anything.
OF_CHECKS: dict[str, tuple[str, ...]] = {"transfer": (), "padding": ("before", "after")}


class Phrase(NamedTuple):
    """A phrase: the check that looks for it, what it is about, and its words."""

    check: str
    about: str
    words: str


@dataclass(frozen=True, slots=True)
class Transfer:
    """A phrase of instructions that no translation keeps: what it is about, and how it is found.

    - rarest: its longest word, without which a text has no such phrase. It is looked for first, since that is quick.
    """

    about: str
    rarest: str
    expression: re.Pattern[str]


@dataclass(frozen=True, slots=True)
class Phrases:
    """Expressions for the phrases of some languages, for texts in lower case; None where there are no phrases.

    - rarest: the words without which a text has no phrase of `transfer`. None of them holds another.
    """

    transfer: tuple[Transfer, ...]
    rarest: tuple[str, ...]
    before: re.Pattern[str] | None
    after: re.Pattern[str] | None


@cache
def load_phrases(source: str | None, target: str | None, more: tuple[Phrase, ...] = ()) -> Phrases:
    """Return the phrases of two languages (codes, None for unknown), and `more`."""
    of_source = [path for path in (_OWN / f"{source}.toml",) if source and path.exists()]
    of_target = [path for path in (_OWN / f"{target}.toml",) if target and path.exists()]
    transferred = [*_own(of_source), *more]
    padded = [*_own(dict.fromkeys((_OWN / "en.toml", *of_source, *of_target))), *more]
    transfer = tuple(
        Transfer(phrase.about, max(phrase.words.split(), key=len), re.compile(_words(phrase.words)))
        for phrase in transferred
        if phrase.check == "transfer"
    )
    rarest = {phrase.rarest for phrase in transfer}
    return Phrases(
        transfer,
        tuple(word for word in rarest if not any(other in word for other in rarest - {word})),
        _beginnings(phrase.words for phrase in padded if phrase[:2] == ("padding", "before")),
        _beginnings(phrase.words for phrase in padded if phrase[:2] == ("padding", "after")),
    )


def _own(paths: Iterable[Path]) -> Iterator[Phrase]:
    for path in paths:
        yield from phrases_of(load_toml(path), path)


def phrases_of(table: dict[str, object], path: Path) -> Iterator[Phrase]:
    """Yield the phrases in a file's table; other checks than those of `OF_CHECKS` are left alone.

    Raises LatxaError for what is no list of phrases.
    """
    for check, known in OF_CHECKS.items():
        of = table.get(check, {})
        if not isinstance(of, dict):
            raise LatxaError(f"{path}: `{check}` is not a table", hint=f"write `[{check}]`, and its phrases below")
        for about, phrases in of.items():
            if known and about not in known:
                raise LatxaError(f"{path}: `{check}` has no `{about}`", hint=nearest(about, [*known, "on"]))
            if not isinstance(phrases, list) or not all(isinstance(one, str) and one.strip() for one in phrases):
                raise LatxaError(
                    f"{path}: `{check}.{about}` is not a list of phrases", hint=f'such as `"{about}" = ["a phrase"]`'
                )
            for words in phrases:
                yield Phrase(check, about, " ".join(words.casefold().split()))


def _words(phrase: str) -> str:
    between = r"\W+(?:[^\s.!?]+\s+){0,6}"
    return r"(?<!\w)" + between.join(re.escape(part) for part in phrase.split(" … ")) + r"(?!\w)"


def _beginnings(phrases: Iterable[str]) -> re.Pattern[str] | None:
    found = sorted(set(phrases), key=lambda phrase: (-len(phrase), phrase))
    # A phrase that ends in a letter ends a word too.
    parts = [re.escape(phrase) + (r"(?!\w)" if phrase[-1].isalpha() else "") for phrase in found]
    return re.compile("|".join(parts)) if parts else None
