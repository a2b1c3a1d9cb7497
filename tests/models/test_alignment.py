"""Rows of three vocabularies: against a plain reading of the rules, row by row."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from latxa_cli.models.alignment import Alignment, Vocabulary, align
from latxa_cli.stream.errors import LatxaError

TOKENS = [f"t{number}" for number in range(8)]


@st.composite
def vocabularies(draw: st.DrawFn, name: str) -> Vocabulary:
    rows = draw(st.integers(1, 10))
    numbers = draw(st.permutations(range(rows))) if draw(st.booleans()) else list(range(rows))
    tokens = draw(st.lists(st.sampled_from(TOKENS), unique=True, max_size=rows))
    if draw(st.booleans()):
        tokens.sort()
    ids = dict(zip(tokens, numbers, strict=False))
    added = draw(st.sets(st.sampled_from(tokens), max_size=2)) if tokens else set()
    return Vocabulary(name, rows, ids, frozenset(added))


def row_by_row(base: Vocabulary, plus: Vocabulary, minus: Vocabulary) -> list[tuple[int | None, ...]]:
    """Return (row in base, in plus, in minus) of each row of the result."""

    def token_at(model: Vocabulary, row: int) -> str | None:
        return next((token for token, number in model.ids.items() if number == row), None)

    by_base = any(plus.ids.get(token) != number for token, number in base.ids.items())
    rows = base.rows if by_base else max([base.rows, *(number + 1 for number in plus.ids.values())])
    found: list[tuple[int | None, ...]] = []
    for row in range(rows):
        token = token_at(base if by_base else plus, row)
        ours = row if row < base.rows else None
        p, m = plus.ids.get(token or ""), minus.ids.get(token or "")
        if token is None:
            p, m = (row if row < one.rows and token_at(one, row) is None else None for one in (plus, minus))
        if (token is None or token in base.ids) and None not in (ours, p, m):
            found.append((ours, p, m))  # all have the token, or none has one
        elif p is not None and (token is not None or ours is None):
            found.append((ours, p, None))
        else:
            found.append((ours, None, None))
    return found


def unrolled(alignment: Alignment) -> list[tuple[int | None, ...]]:
    return [
        tuple(None if start is None else start + step for start in stretch[1:])
        for stretch in alignment.stretches
        for step in range(stretch.rows)
    ]


@given(vocabularies("base"), vocabularies("plus"), vocabularies("minus"))
def test_stretches_are_the_rows_one_by_one(base: Vocabulary, plus: Vocabulary, minus: Vocabulary) -> None:
    try:
        alignment = align(base, plus, minus)
    except LatxaError as error:
        missing = [token for token in plus.added if token not in base.ids]
        assert missing and f"`{min(missing)}`" in error.message
        return
    assert unrolled(alignment) == row_by_row(base, plus, minus)
    assert sum(alignment.counts().values()) == alignment.rows
    for token, number in base.ids.items():
        if token in plus.ids:
            assert alignment.moved.get(plus.ids[token], plus.ids[token]) == number


def test_one_vocabulary_is_one_stretch() -> None:
    one = Vocabulary("m", 300, {f"t{n}": n for n in range(280)}, frozenset())
    alignment = align(one, one, one)
    assert alignment.same and len(alignment.stretches) == 1
    assert alignment.counts() == {"merged": 300, "kept": 0, "taken": 0}


def test_a_token_beyond_the_last_row_is_none() -> None:
    """A tokenizer with a padding token that no one gave a row."""
    ids = {"a": 0, "b": 1}
    base = Vocabulary("base", 2, ids, frozenset())
    assert align(base, Vocabulary("plus", 2, ids, frozenset(("pad",))), base).same
