"""The proof that packed texts do not see each other: which rows it looks at, and what it lets pass."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from random_models import random_model

from latxa_cli.stream.errors import LatxaError
from latxa_cli.training.network import isolation
from latxa_cli.training.network.forward import PackedLoss


@pytest.fixture(scope="module")
def one_text_first(prepared):
    """Rows of which the first is one text, which proves nothing."""
    texts = ["etxe " * 200, *("mendi ibai", "katu", "txori gorri zuri") * 6]
    rows = prepared([{"text": text} for text in texts]).rows
    pieces = (rows.batch(range(len(rows))).position_ids == 0).sum(axis=1)
    assert pieces[0] == 1 < pieces.max()
    return rows


def mixing(model, monkeypatch, share):
    """Let `share` of what a model says of a token come from the tokens of other texts before."""
    call = model.forward

    def mixed(input_ids, position_ids, **given):
        alone = call(input_ids=input_ids, position_ids=position_ids, **given)
        across = call(input_ids=input_ids, position_ids=torch.arange(input_ids.shape[1])[None].expand_as(input_ids))
        alone.logits = (1 - share) * alone.logits + share * across.logits
        return alone

    monkeypatch.setattr(model, "forward", mixed)


def test_the_row_of_most_texts_is_the_one_that_proves_it(model, one_text_first, monkeypatch):
    network = PackedLoss(model, attention="sdpa")
    assert isolation.check(network, one_text_first) < 1e-5
    mixing(model, monkeypatch, 1.0)
    with pytest.raises(LatxaError, match="mixes the texts of a packed row"):
        isolation.check(network, one_text_first)


@pytest.mark.parametrize("casts", [False, True])
def test_a_little_is_allowed_where_half_precision_rounds_and_nowhere_else(model, one_text_first, monkeypatch, casts):
    network = PackedLoss(model, attention="sdpa", casts=casts)
    mixing(model, monkeypatch, 0.01)
    if casts:
        assert isolation.check(network, one_text_first) > 0
        monkeypatch.undo()
        mixing(model, monkeypatch, 0.5)
    with pytest.raises(LatxaError, match="mixes the texts of a packed row"):
        isolation.check(network, one_text_first)


def test_logits_that_are_no_number_for_a_text_alone_are_no_proof(model, one_text_first, monkeypatch):
    network = PackedLoss(model, attention="sdpa")
    whole = network.logits

    def spoilt(rows):
        found = whole(rows)
        return found if len(rows.boundaries) > 2 else found * float("nan")

    monkeypatch.setattr(network, "logits", spoilt)
    with pytest.raises(LatxaError, match="mixes the texts of a packed row"):
        isolation.check(network, one_text_first)


def test_of_a_row_too_long_to_compare_the_beginning_is_compared(model, prepared, monkeypatch):
    monkeypatch.setattr(isolation, "TOKENS_COMPARED", 16)
    rows = prepared([{"text": "etxe " * 400}]).rows
    (text,) = isolation._texts(rows)
    assert text.input_ids.shape == (1, 16)
    assert isolation.check(PackedLoss(model, attention="sdpa"), rows) < 1e-5


def test_as_many_texts_of_the_row_are_compared_as_there_is_room_for(one_text_first, monkeypatch):
    whole = isolation._texts(one_text_first)
    monkeypatch.setattr(isolation, "TOKENS_COMPARED", 20)
    some = isolation._texts(one_text_first)
    assert 1 < len(some) < len(whole)
    assert sum(text.input_ids.shape[1] for text in some) <= 20
    assert all(np.array_equal(*both) for pair in zip(some, whole, strict=False) for both in zip(*pair, strict=True))


def test_a_head_with_a_soft_cap_is_not_plain_though_the_logits_are_small(one_text_first):
    """Training may bring them to where the cap bends them."""
    model = random_model("gemma2", spread=0.02, sliding_window=16, head_dim=16, final_logit_softcapping=30.0)
    network = PackedLoss(model, attention="eager")
    isolation.check(network, one_text_first)
    assert not network.head_is_plain
