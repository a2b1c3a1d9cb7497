"""Packing: bins, and windows of which some pieces wait for better company."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from latxa_cli.training.data.packing import FULL, best_fit, pack_window


@settings(max_examples=60)
@given(st.lists(st.integers(1, 40), max_size=80))
def test_bins_hold_every_item_once_and_are_few(lengths):
    bins = best_fit(lengths, 40)
    assert sorted(index for items in bins for index in items) == list(range(len(lengths)))
    assert all(sum(lengths[index] for index in items) <= 40 for items in bins)
    assert len(bins) <= 11 / 9 * -(-sum(lengths) // 40) + len(lengths) / 2 + 1
    assert sum(1 for items in bins if sum(lengths[index] for index in items) * 2 <= 40) <= 1


def test_the_best_fit_is_taken():
    assert best_fit([6, 5, 4, 3, 2], 10) == [[0, 2], [1, 3, 4]]


@settings(max_examples=60)
@given(st.lists(st.integers(1, 40), min_size=1, max_size=80))
def test_a_window_keeps_full_rows_and_half_of_its_tokens(lengths):
    rows, waiting = pack_window(lengths, 40, last=False)
    assert sorted([index for row in rows for index in row] + waiting) == list(range(len(lengths)))
    assert waiting == sorted(waiting)
    assert 2 * sum(lengths[index] for index in waiting) <= sum(lengths)
    if waiting:
        fullest = max(sum(lengths[index] for index in row) for row in rows)
        assert fullest * len(rows) >= sum(lengths) / 2 or fullest >= FULL * 40
    assert pack_window(lengths, 40, last=True) == (best_fit(lengths, 40), [])


def test_a_row_that_is_not_full_waits_and_a_full_one_does_not():
    assert pack_window([1000, 700], 1000, last=False) == ([[0]], [1])
    assert pack_window([999, 997], 1000, last=False) == ([[0]], [1])  # 99.9 % is full, 99.7 % is not
    assert pack_window([700, 700, 700], 1000, last=False) == ([[1], [2]], [0]), "no more than half of all tokens wait"
