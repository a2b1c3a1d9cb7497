"""How well a translation agrees with a source by what languages share: names, numbers, code and addresses.

Names are words with a capital letter, of which only the first letters count, since endings differ. Between scripts they
differ altogether: then nothing is known, and no record is another one's translation by them.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache

from latxa_cli.translation.checks.pair import Text
from latxa_cli.translation.checks.parts import numbers_of

_NAME = re.compile(r"[^\W\d_]+")
_LETTERS = 4  # of a name that count
_SHORTEST = 3
# Another source agrees so well, and so much better than the record's own, that the translation must be the other's.
_AGREES, _BETTER, _OWN_AT_MOST = 0.4, 0.4, 0.3

Anchors = frozenset[str]


def anchors(texts: Iterable[Text]) -> Anchors:
    """Return what is the same in all languages: the beginnings of names, numbers, and masked parts."""
    found: set[str] = set()
    for text in texts:
        for name in _NAME.findall(text.prose):
            if name.islower():
                continue
            # In some languages a small letter may come before a name's capital: Irish `gCorcaigh`.
            capital = next((place for place, letter in enumerate(name) if letter.isupper()), len(name))
            if len(name) - capital >= _SHORTEST:
                found.add(_bare(name[capital : capital + _LETTERS]))
        found.update(numbers_of(text.prose))
        found.update(part.text for part in text.masked.parts)
    return frozenset(found)


@lru_cache(1 << 16)
def _bare(letters: str) -> str:
    """Return letters in lower case without accents, which languages put on names as they like."""
    return "".join(
        sign for sign in unicodedata.normalize("NFKD", letters.casefold()) if not unicodedata.combining(sign)
    )


def agreement(source: Anchors, translation: Anchors) -> float:
    """Return how much of both is shared (Dice's coefficient), from 0 to 1; 0 where one has nothing."""
    total = len(source) + len(translation)
    return 2 * len(source & translation) / total if source and translation else 0.0


def is_of_another(own: float, other: float) -> bool:
    """Whether a translation must be that of another source, by its agreement with its own and with the other one."""
    return own <= _OWN_AT_MOST and other >= _AGREES and other >= own + _BETTER
