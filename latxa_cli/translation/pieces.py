"""A piece: what one request translates, a text or several texts as one object, with its masks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from latxa_cli.translation.fields import Part
from latxa_cli.translation.layouts import Pair
from latxa_cli.translation.masks import MARKER, Masked, marker, mask
from latxa_cli.translation.structure import decoded, encoded, keys_of, schema_of, structured


@dataclass(frozen=True)
class Piece:
    """One text, or with `keys` several.

    - name: where it stands in its record, for random draws and for people.
    - parts: the texts and who says them; white space around a text is kept.
    - masked: the same texts, as the model sees them.
    """

    name: str
    parts: tuple[Part, ...]
    masked: tuple[Masked, ...]
    keys: tuple[str, ...] = ()

    @property
    def shown(self) -> str:
        """What a prompt shows: the masked text, or the object of masked texts."""
        texts = [masked.text for masked in self.masked]
        return encoded(self.keys, texts) if self.keys else texts[0]

    @property
    def schema(self) -> dict[str, Any] | None:
        """What a structured translation must obey."""
        return schema_of(self.keys) if self.keys else None

    def examples(self, pairs: Sequence[Pair]) -> list[Pair]:
        """Return pairs as the prompt of this piece shows them: masked, and structured as it is."""
        shown = [masked_pair(pair) for pair in pairs]
        return structured(shown, self.keys) if self.keys else shown

    def read(self, written: str) -> list[str] | None:
        """Return the texts that a model wrote, still masked; None where they have not this structure."""
        return decoded(written, self.keys) if self.keys else [written]


def piece_of(part: Part, *, comments: bool = False) -> Piece:
    """Return the piece of one text; with `comments`, those in its code are translated."""
    return Piece(part.name, (part,), (mask(part.text.strip(), comments=comments),))


def piece_together(parts: Sequence[Part], name: str, *, comments: bool = False) -> Piece:
    """Return the piece of several texts in one request."""
    masked = tuple(mask(part.text.strip(), comments=comments) for part in parts)
    return Piece(name, tuple(parts), masked, tuple(keys_of(parts)))


def has_words(text: str, *, comments: bool = False) -> bool:
    """Whether there is anything to translate in a text: letters outside code, formulas and addresses."""
    return any(map(str.isalpha, mask(text, comments=comments).prose))


def with_space_of(text: str, source: str) -> str:
    """Return a text with the white space that `source` has at its ends."""
    core = source.strip()
    if not core:
        return source
    before = source[: source.index(core)]
    return before + text + source[len(before) + len(core) :]


def masked_pair(pair: Pair) -> Pair:
    """Return a pair whose two sides have the same masked parts with their markers; others as they are."""
    source, target = mask(pair[0]), mask(pair[1])
    if not source.parts or Counter(source.parts) != Counter(target.parts):
        return pair
    places: dict[Any, list[int]] = {}
    for number, part in enumerate(source.parts, 1):
        places.setdefault(part, []).append(number)
    numbers = iter([places[part].pop(0) for part in target.parts])
    return source.text, MARKER.sub(lambda _: marker(next(numbers)), target.text)
