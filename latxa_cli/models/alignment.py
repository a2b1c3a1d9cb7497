"""Match the rows of three models' vocabularies by their tokens.

Models of one family mostly share a vocabulary. But a base model may have tokens of its language added, and an instruct
model tokens for its turns. Either may have rows of no token, which pad their number.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from latxa_cli.stream.errors import LatxaError
from latxa_cli.tokenizer import load_tokenizer

NONE = -1  # no such row


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """A model's vocabulary.

    Attributes:
        model: the name of the model.
        rows: the number of rows of its embeddings.
        ids: {token: row}, without tokens beyond the last row.
        added: the tokens outside the tokenizer's own model, such as special tokens and chat markers.
    """

    model: str
    rows: int
    ids: dict[str, int]
    added: frozenset[str]

    @classmethod
    def read(cls, model: str, directory: Path, rows: int) -> Vocabulary:
        """Read the tokenizer in `directory`; raises LatxaError where that fails."""
        tokenizer = load_tokenizer(str(directory))
        ids = {token: number for token, number in tokenizer.get_vocab().items() if number < rows}
        return cls(model, rows, ids, frozenset(tokenizer.get_added_vocab()))


class Stretch(NamedTuple):
    """Consecutive rows of the result that are consecutive in the models too.

    - All three models have rows: they are merged.
    - `plus` is None: the base's rows stay.
    - `minus` alone is None: all other models have a token that it was never taught, and the rows of `plus` are taken.
    - `base` is None: the rows of `plus` are taken, since no other are there.

    Attributes:
        rows: their number.
        base, plus, minus: the first of the rows in each model.
    """

    rows: int
    base: int | None
    plus: int | None
    minus: int | None


@dataclass(frozen=True, slots=True)
class Alignment:
    """The origin of each row of the result.

    Attributes:
        stretches: the rows, in the order of the result.
        by_base: whether the result has the base's tokenizer; else it has that of `plus`.
        moved: {id in `plus`: id in the result} for tokens whose ids differ.
        same: whether the three vocabularies are the same, row by row.
    """

    stretches: tuple[Stretch, ...]
    by_base: bool
    moved: dict[int, int]
    same: bool

    @property
    def rows(self) -> int:
        return sum(stretch.rows for stretch in self.stretches)

    def counts(self) -> dict[str, int]:
        """Return the numbers of rows that are merged, kept from the base, and taken from `plus`."""
        counts = {"merged": 0, "kept": 0, "taken": 0}
        for stretch in self.stretches:
            counts["kept" if stretch.plus is None else "taken" if stretch.minus is None else "merged"] += stretch.rows
        return counts


def align(base: Vocabulary, plus: Vocabulary, minus: Vocabulary) -> Alignment:
    """Find the rows of each token of the result.

    - The result has the tokenizer of `plus` if that gives every token of the base the same id. Tokens that only `plus`
      has come with it.
    - Otherwise it has the base's tokenizer. That must know the special tokens of `plus`, which the chat template
      writes.
    - Rows of no token are matched by their number.

    Raises:
        LatxaError: the base lacks a special token of `plus`.
    """
    by_base = any(plus.ids.get(token) != number for token, number in base.ids.items())
    if by_base and (missing := sorted(token for token in plus.added & plus.ids.keys() if token not in base.ids)):
        raise _lacking(base, plus, minus, missing[0])
    rows = base.rows if by_base else max(base.rows, 1 + max(plus.ids.values(), default=NONE))
    tokens = _by_row(base.ids, rows)
    is_base = np.array([token is not None for token in tokens], dtype=bool)
    if not by_base:
        tokens = _by_row(plus.ids, rows)  # these hold the base's tokens too, in the same rows
    places = np.stack(
        [
            np.where(np.arange(rows) < base.rows, np.arange(rows), NONE),
            _places(plus, tokens, ~is_base),
            _places(minus, tokens, ~is_base),
        ]
    )
    merged = (places != NONE).all(axis=0)
    taken = ~merged & (places[1] != NONE) & (~is_base | (places[2] == NONE))
    places[1:, ~merged & ~taken] = NONE
    places[2, taken] = NONE
    places[0, taken & ~is_base] = NONE
    stretches = _stretches(places)
    same = base.rows == plus.rows == minus.rows and stretches == (Stretch(rows, 0, 0, 0),)
    moved = {plus.ids[token]: number for token, number in base.ids.items() if token in plus.ids} if by_base else {}
    return Alignment(stretches, by_base, {old: new for old, new in moved.items() if old != new}, same or not rows)


def _lacking(base: Vocabulary, plus: Vocabulary, minus: Vocabulary, token: str) -> LatxaError:
    row = plus.ids[token]
    ours = _by_row(base.ids, base.rows)[row] if row < base.rows else None
    if ours is not None and ours not in plus.ids and minus.ids.get(ours) == row:  # it was reserved, and got a name
        return LatxaError(
            f"row {row:,} is the token `{ours}` in `{base.model}`, and `{token}` in `{plus.model}`",
            hint="if it is one token, give it one name in the tokenizer files of all models",
        )
    return LatxaError(
        f"`{base.model}` has tokens of its own, and lacks the token `{token}` of `{plus.model}`",
        hint="give the base this token and a row for it, so that the result can write a chat",
    )


def _by_row(ids: dict[str, int], rows: int) -> list[str | None]:
    tokens: list[str | None] = [None] * rows
    for token, number in ids.items():
        tokens[number] = token
    return tokens


def _places(vocabulary: Vocabulary, tokens: Sequence[str | None], by_number: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return the row of each token in `vocabulary`, NONE where it has none.

    `by_number` is true where the base has no token. There a row of the same number serves, if it has no token either.
    """
    named = np.zeros(max(len(tokens), vocabulary.rows), dtype=bool)
    named[list(vocabulary.ids.values())] = True
    places = np.array([NONE if token is None else vocabulary.ids.get(token, NONE) for token in tokens], dtype=np.int64)
    numbers = np.arange(len(tokens))
    free = by_number & (places == NONE) & (numbers < vocabulary.rows) & ~named[: len(tokens)]
    return np.where(free, numbers, places)


def _stretches(places: NDArray[np.int64]) -> tuple[Stretch, ...]:
    """Cut the columns of `places` [3, rows] into runs in which each row rises by one, or stays NONE."""
    before, after = places[:, :-1], places[:, 1:]
    follows = np.where(before == NONE, after == NONE, after == before + 1).all(axis=0)
    starts = [0, *(np.flatnonzero(~follows) + 1).tolist()] if places.shape[1] else []
    ends = [*starts[1:], places.shape[1]]
    first = [[None if place == NONE else int(place) for place in places[:, start]] for start in starts]
    return tuple(Stretch(end - start, *rows) for start, end, rows in zip(starts, ends, first, strict=False))
