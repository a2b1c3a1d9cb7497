"""Which rows of the vocabularies of three models belong together: those of the same token, wherever they lie.

Models of one family mostly have one vocabulary. But a base model may have been given tokens of its language, and an
instruct model some for its turns, or rows of no token at all, so that their number divides well.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from latxa_cli.model import load_tokenizer
from latxa_cli.stream.errors import LatxaError

NONE = -1  # no such row


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """The rows of the embeddings of a model, and the token of each that has one.

    `ids`: {token: row}, tokens beyond the last row left out. `added`: the special tokens and others that stand outside
    the tokenizer's own model, chat markers among them.
    """

    model: str
    rows: int
    ids: dict[str, int]
    added: frozenset[str]

    @classmethod
    def read(cls, model: str, directory: Path, rows: int) -> Vocabulary:
        """Read the tokenizer in `directory`; raises LatxaError."""
        tokenizer = load_tokenizer(str(directory))
        ids = {token: number for token, number in tokenizer.get_vocab().items() if number < rows}
        return cls(model, rows, ids, frozenset(tokenizer.get_added_vocab()))


class Stretch(NamedTuple):
    """So many `rows` of the result that lie side by side in each model, from the row that stands here.

    Merged where all three have them; where `plus` or `minus` is None they are the base's alone; where `base` is None,
    those of `plus`.
    """

    rows: int
    base: int | None
    plus: int | None
    minus: int | None


@dataclass(frozen=True, slots=True)
class Alignment:
    """How the rows of the result come from the three models, in their order.

    `by_base`: its tokens have the ids of the base's tokenizer, else those of the tokenizer of `plus`. `moved`: {id in
    `plus`: id in the result} of the tokens whose ids differ. `same`: the vocabularies are the same, row by row.
    """

    stretches: tuple[Stretch, ...]
    by_base: bool
    moved: dict[int, int]
    same: bool

    @property
    def rows(self) -> int:
        return sum(stretch.rows for stretch in self.stretches)

    def counts(self) -> dict[str, int]:
        """Return how many rows were merged, kept as the base has them, and taken from `plus`."""
        counts = {"merged": 0, "kept": 0, "taken": 0}
        for stretch in self.stretches:
            whole = None not in stretch
            counts["merged" if whole else "taken" if stretch.base is None else "kept"] += stretch.rows
        return counts


def align(base: Vocabulary, plus: Vocabulary, minus: Vocabulary) -> Alignment:
    """Find the rows of each token of the result.

    Where the tokenizer of `plus` knows all tokens of the base by their ids, it is that of the result, and tokens that
    only `plus` has come with it. Otherwise the base's tokenizer is, and must know the special tokens of `plus`: the
    chat template writes them. Rows of no token are matched by their number.

    Raises:
        LatxaError: the base lacks a special token of `plus`.
    """
    by_base = any(plus.ids.get(token) != number for token, number in base.ids.items())
    if by_base and (missing := sorted(token for token in plus.added & plus.ids.keys() if token not in base.ids)):
        raise LatxaError(
            f"`{base.model}` has tokens of its own, and lacks the token `{missing[0]}` of `{plus.model}`",
            hint="give the base this token and a row for it, so that the result can write a chat",
        )
    rows = base.rows if by_base else max(base.rows, 1 + max(plus.ids.values(), default=NONE))
    tokens = _by_row(base.ids, rows)
    is_base = np.array([token is not None for token in tokens], dtype=bool)
    if not by_base:
        tokens = _by_row(plus.ids, rows)  # which has those of the base too
    places = np.stack(
        [
            np.where(np.arange(rows) < base.rows, np.arange(rows), NONE),
            _places(plus, tokens, ~is_base),
            _places(minus, tokens, ~is_base),
        ]
    )
    merged = (places != NONE).all(axis=0)
    taken = ~merged & ~is_base & (places[1] != NONE)
    kept = ~merged & ~taken
    places[1:, kept] = NONE
    places[0, taken] = places[2, taken] = NONE
    stretches = _stretches(places)
    same = base.rows == plus.rows == minus.rows and stretches == (Stretch(rows, 0, 0, 0),)
    moved = {plus.ids[token]: number for token, number in base.ids.items() if token in plus.ids} if by_base else {}
    return Alignment(stretches, by_base, {old: new for old, new in moved.items() if old != new}, same or not rows)


def _by_row(ids: dict[str, int], rows: int) -> list[str | None]:
    tokens: list[str | None] = [None] * rows
    for token, number in ids.items():
        tokens[number] = token
    return tokens


def _places(vocabulary: Vocabulary, tokens: Sequence[str | None], by_number: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return the row of each token in `vocabulary`, NONE where it has none.

    Where `by_number` holds (the base has no token there), a row of the same number that has no token will do.
    """
    named = np.zeros(max(len(tokens), vocabulary.rows), dtype=bool)
    named[list(vocabulary.ids.values())] = True
    places = np.array([NONE if token is None else vocabulary.ids.get(token, NONE) for token in tokens], dtype=np.int64)
    numbers = np.arange(len(tokens))
    free = by_number & (places == NONE) & (numbers < vocabulary.rows) & ~named[: len(tokens)]
    return np.where(free, numbers, places)


def _stretches(places: NDArray[np.int64]) -> tuple[Stretch, ...]:
    """Cut the columns of `places` [3, rows] into runs in which every row of it counts on, or stays NONE."""
    before, after = places[:, :-1], places[:, 1:]
    follows = np.where(before == NONE, after == NONE, after == before + 1).all(axis=0)
    starts = [0, *(np.flatnonzero(~follows) + 1).tolist()] if places.shape[1] else []
    ends = [*starts[1:], places.shape[1]]
    first = [[None if place == NONE else int(place) for place in places[:, start]] for start in starts]
    return tuple(Stretch(end - start, *rows) for start, end, rows in zip(starts, ends, first, strict=False))
