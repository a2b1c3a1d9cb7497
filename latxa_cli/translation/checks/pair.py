"""A source and its translation, with what the checks want to know of each, found out once and only if asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from latxa_cli.text.words import Words, segment
from latxa_cli.translation.masks import Masked, mask


class Text:
    """One text: what is masked in it, its prose, and its lines."""

    def __init__(self, text: str) -> None:
        self.text = text

    @cached_property
    def masked(self) -> Masked:
        return mask(self.text)

    @cached_property
    def prose(self) -> str:
        """The text without code, formulas, addresses and other masked parts."""
        return self.masked.prose

    @cached_property
    def plain(self) -> str:
        """The text in lower case, with single spaces."""
        return " ".join(self.text.casefold().split())

    @cached_property
    def lines(self) -> list[str]:
        """The lines that are not blank; a fenced block is one."""
        return [line for line in self.masked.text.split("\n") if line and not line.isspace()]

    @cached_property
    def words(self) -> Words:
        """The words of the prose."""
        return segment(self.prose)

    @cached_property
    def all_words(self) -> Words:
        """The words of the text, those of its masked parts included."""
        return segment(self.text)

    @cached_property
    def letters(self) -> int:
        """The number of letters in the prose."""
        return sum(map(str.isalpha, self.prose))

    def has_letters(self, count: int) -> bool:
        """Whether the prose has so many letters, which mostly shows at its beginning."""
        return sum(map(str.isalpha, self.prose[: 2 * count])) >= count or self.letters >= count


@dataclass(slots=True)
class Pair:
    """What a check judges.

    - role: who says it, since only a request can be answered.
    - shots: the examples that the translator was given, as (source, target).
    """

    source: Text
    translation: Text
    role: str = "user"
    shots: Sequence[tuple[str, str]] = ()
