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
    - `minus` is None, and `plus` is not: the base or `minus` was never taught these tokens, and the rows of `plus` are
      taken. `base` is None where it has no such rows at all.

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
    - A row is merged where all three models have its token, or none of them has a token there. A token that the base or
      `minus` lacks has the row of `plus`.

    Raises:
        LatxaError: the base lacks a special token of `plus`.
    """
    by_base = any(plus.ids.get(token) != number for token, number in base.ids.items())
    if by_base and (missing := sorted(token for token in plus.added & plus.ids.keys() if token not in base.ids)):
        raise _lacking(base, plus, minus, missing[0])
    rows = base.rows if by_base else max(base.rows, 1 + max(plus.ids.values(), default=NONE))
    # Without tokens of its own, the base has them in the rows of `plus`.
    tokens = _by_row(base.ids if by_base else plus.ids, rows)
    named = np.array([token is not None for token in tokens], dtype=bool)
    in_base = np.array([token in base.ids for token in tokens], dtype=bool)
    numbers = np.arange(rows)
    places = np.stack(
        [np.where(numbers < base.rows, numbers, NONE), _places(plus, tokens, ~named), _places(minus, tokens, ~named)]
    )
    merged = (places != NONE).all(axis=0) & (in_base | ~named)
    taken = ~merged & (places[1] != NONE) & (named | (places[0] == NONE))
    places[1:, ~merged & ~taken] = NONE
    places[2, taken] = NONE
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


def _places(vocabulary: Vocabulary, tokens: Sequence[str | None], unnamed: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return the row of each token in `vocabulary`, NONE where it has none; for no token, a row of that number."""
    free = np.zeros(max(len(tokens), vocabulary.rows), dtype=bool)
    free[: vocabulary.rows] = True
    free[list(vocabulary.ids.values())] = False
    places = np.array([NONE if token is None else vocabulary.ids.get(token, NONE) for token in tokens], dtype=np.int64)
    return np.where(unnamed & free[: len(tokens)], np.arange(len(tokens)), places)


def _stretches(places: NDArray[np.int64]) -> tuple[Stretch, ...]:
    """Cut the columns of `places` [3, rows] into runs in which each row rises by one, or stays NONE."""
    before, after = places[:, :-1], places[:, 1:]
    follows = np.where(before == NONE, after == NONE, after == before + 1).all(axis=0)
    starts = [0, *(np.flatnonzero(~follows) + 1).tolist()] if places.shape[1] else []
    ends = [*starts[1:], places.shape[1]]
    first = [[None if place == NONE else int(place) for place in places[:, start]] for start in starts]
    return tuple(Stretch(end - start, *rows) for start, end, rows in zip(starts, ends, first, strict=False))
