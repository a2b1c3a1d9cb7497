"""Rows taken apart: which texts are computed together."""

from __future__ import annotations

from itertools import combinations, pairwise

import numpy as np
import pytest

from latxa_cli.training.network import unpacked


def texts_in(lengths, limits=(), most=0):
    """Return the groups of texts of such lengths as lists of texts, each as its places."""
    boundaries = np.cumsum([0, *lengths])
    found = []
    for places, own in unpacked.groups(boundaries, limits, most):
        kept = np.zeros(places.size, bool)
        kept[own] = True
        found.append([row[mask].tolist() for row, mask in zip(places, kept.reshape(places.shape), strict=True)])
        assert places.shape[1] == max(map(len, found[-1])), "no longer than its longest text"
    return found


def cost(groups):
    return sum(unpacked.CALL + len(group) * max(map(len, group)) for group in groups)


@pytest.mark.parametrize("limits", [(), (7,), (3, 30)])
def test_every_token_is_computed_once_in_its_text(limits):
    lengths = np.random.default_rng(0).integers(1, 90, 60)
    found = [text for group in texts_in(lengths, limits) for text in group]
    begins = np.cumsum(lengths) - lengths
    assert sorted(found) == [list(range(begin, begin + length)) for begin, length in zip(begins, lengths, strict=True)]


def test_groups_do_not_straddle_a_length():
    groups = texts_in([8, 7, 9, 8, 3, 8], (8,))
    assert sorted(sorted(map(len, group)) for group in groups) == [[3, 7, 8, 8, 8], [9]]


def test_of_few_calls_none_straddles_a_length_either():
    lengths = np.random.default_rng(2).integers(1, 500, 60)
    assert len(texts_in(lengths)) > 4 == len(texts_in(lengths, most=4))
    found = texts_in(lengths, (100, 200), most=2)
    assert [{sum(len(text) > limit for limit in (100, 200)) for text in group} for group in found] == [{2}, {1}, {0}]


def test_no_other_groups_cost_less():
    """Against every way to cut the sorted texts."""
    draw = np.random.default_rng(1)
    for _ in range(20):
        lengths = sorted(draw.integers(1, 200, 7).tolist(), reverse=True)
        ways = [cuts for size in range(7) for cuts in combinations(range(1, 7), size)]
        best = min(
            sum(unpacked.CALL + (end - begin) * lengths[begin] for begin, end in pairwise((0, *cuts, 7)))
            for cuts in ways
        )
        assert cost(texts_in(lengths)) == best
