"""Byte pair encoding that goes on, against a slow and simple one."""

from __future__ import annotations

from collections import Counter
from itertools import count, islice, pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from latxa_cli.models.byte_pairs import FEWEST, WordSymbols, learn

Word = tuple[int, ...]
FIRST = 100  # the first new symbol


def put(word: Word, pair: tuple[int, int], symbol: int) -> Word:
    """Put `symbol` for a pair, from left to right."""
    made: list[int] = []
    for each in word:
        if made and (made[-1], each) == pair:
            made[-1] = symbol
        else:
            made.append(each)
    return tuple(made)


def reference(
    words: dict[Word, int], most: int, banned: set[tuple[int, int]]
) -> tuple[list[tuple[int, int]], list[Word]]:
    """Return the pairs joined, in order, and what the words have become; everything is counted anew for each."""
    now, joined = list(words.items()), []
    for symbol in range(FIRST, FIRST + most):
        pairs: Counter[tuple[int, int]] = Counter()
        for word, seen in now:
            for pair in pairwise(word):
                pairs[pair] += seen
        best = min(
            ((-seen, pair) for pair, seen in pairs.items() if seen >= FEWEST and pair not in banned), default=None
        )
        if best is None:
            break
        joined.append(best[1])
        now = [(put(word, best[1], symbol), seen) for word, seen in now]
    return joined, [word for word, _ in now]


def arrays(words: dict[Word, int]) -> WordSymbols:
    symbols = np.array([symbol for word in words for symbol in word], np.int32)
    lengths = np.array([len(word) for word in words])
    return WordSymbols(symbols, np.ones(len(symbols), np.int32), lengths, np.array(list(words.values())))


def learnt(
    words: dict[Word, int], most: int, banned: set[tuple[int, int]]
) -> tuple[list[tuple[int, int]], WordSymbols]:
    joined: list[tuple[int, int]] = []
    numbers = count(FIRST)

    def join(left: int, right: int) -> int | None:
        if (left, right) in banned:
            return None
        joined.append((left, right))
        return next(numbers)

    sequences = arrays(words)
    list(islice(learn(sequences, join), most))
    return joined, sequences


small = st.integers(0, 3)
some_words = st.dictionaries(
    st.lists(small, min_size=1, max_size=9).map(tuple), st.integers(0, 5), min_size=1, max_size=25
)


@given(some_words, st.integers(0, 30), st.sets(st.tuples(small, small), max_size=3))
def test_it_joins_what_the_simple_one_joins(words, most, banned):
    joined, sequences = learnt(words, most, banned)
    pairs, became = reference(words, most, banned)
    assert joined == pairs
    assert sequences.tokens().tolist() == [len(word) for word in became]
    assert sequences.symbols[sequences.symbols >= 0].tolist() == [symbol for word in became for symbol in word]


def test_many_words_make_the_table_grow():
    draw = np.random.default_rng(0)
    words = {tuple(draw.integers(0, 90, draw.integers(1, 12)).tolist()): int(draw.integers(0, 9)) for _ in range(3000)}
    joined, sequences = learnt(words, 60, set())
    pairs, became = reference(words, 60, set())
    assert joined == pairs
    assert sequences.tokens().tolist() == [len(word) for word in became]


@pytest.mark.parametrize(("seen", "expected"), [(1, []), (2, [(1, 1)])])
def test_what_is_seen_once_is_not_joined(seen, expected):
    assert learnt({(1, 1): seen}, 5, set())[0] == expected


def test_words_of_count_zero_are_joined_but_decide_nothing():
    joined, sequences = learnt({(1, 2): 2, (3, 4, 1, 2): 0}, 5, set())
    assert joined == [(1, 2)]
    assert sequences.tokens().tolist() == [1, 3]
