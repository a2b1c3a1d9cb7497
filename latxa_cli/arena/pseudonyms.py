"""Pseudonyms: names that stand for users, so that findings and pairs name nobody."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from hashlib import blake2b

from latxa_cli.stream.records import Record
from latxa_cli.stream.spellings import field_text, spelled

PREFIX = "user-"


def pseudonym(name: str) -> str:
    """Return a name that stands for a user, the same in every run.

    It is a hash without a secret: whoever guesses the user's name can check the guess.
    """
    return PREFIX + blake2b(name.encode(errors="surrogatepass"), digest_size=6, person=b"latxa-user").hexdigest()


def with_pseudonyms(battles: Iterable[Record]) -> Iterator[Record]:
    """Yield the battles with pseudonyms for their users."""
    for battle in battles:
        name, value = spelled(battle, "user")
        yield battle if value is None else battle | {name: pseudonym(str(field_text(value)))}
