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
def test_a_little_is_too_much_in_any_precision(model, one_text_first, monkeypatch, casts):
    """Far less than rounding makes of it."""
    network = PackedLoss(model, attention="sdpa", casts=casts)
    assert isolation.check(network, one_text_first) < (0.1 if casts else 1e-5)
    mixing(model, monkeypatch, 1e-4 if casts else 1e-7)
    with pytest.raises(LatxaError, match="mixes the texts of a packed row"):
        isolation.check(network, one_text_first)


def test_a_hybrid_that_mixes_by_less_than_rounding_is_found(rows):
    """Tiny, with small weights: logits differ by less than 1e-3 of their spread."""
    layers = {"attn_layer_period": 2, "attn_layer_offset": 1, "expert_layer_period": 2, "expert_layer_offset": 1}
    sizes = {"mamba_d_state": 4, "mamba_dt_rank": 2, "num_experts": 2, "num_experts_per_tok": 1}
    model = random_model("jamba", spread=0.02, use_mamba_kernels=False, **layers, **sizes)
    proof = isolation.choose(PackedLoss(model, attention="sdpa"), rows, "auto")
    assert proof.difference < 1e-5 < proof.mixed < 1e-3


@pytest.mark.parametrize("casts", [False, True])
def test_texts_at_wrong_positions_are_found_though_they_do_not_see_each_other(one_text_first, monkeypatch, casts):
    model = random_model("gpt2", n_embd=32, n_layer=2, n_head=2, n_positions=128)
    network = PackedLoss(model, attention="sdpa", casts=casts)
    assert isolation.check(network, one_text_first) < (0.1 if casts else 1e-5)
    embed = model.transformer.wpe.forward
    monkeypatch.setattr(
        model.transformer.wpe, "forward", lambda ids: embed(torch.arange(ids.shape[-1])[None].expand_as(ids))
    )
    assert not isolation._sees(network, isolation._followed(isolation._row_of_most_texts(one_text_first)))
    with pytest.raises(LatxaError, match="mixes the texts of a packed row"):
        isolation.check(network, one_text_first)


def test_what_is_no_number_for_a_text_alone_is_no_proof(model, one_text_first, monkeypatch):
    network = PackedLoss(model, attention="sdpa")
    whole = network.of_tokens

    def spoilt(module, output, rows, noise=None):
        found = whole(module, output, rows, noise)
        return found if len(rows.boundaries) > 2 else found * float("nan")

    monkeypatch.setattr(network, "of_tokens", spoilt)
    with pytest.raises(LatxaError, match="mixes the texts of a packed row"):
        isolation.check(network, one_text_first)


def test_the_logits_of_a_long_row_are_compared_here_and_there_up_to_its_end(model, prepared, monkeypatch):
    monkeypatch.setattr(isolation, "TOKENS_COMPARED", 16)
    rows = prepared([{"text": "etxe " * 400}]).rows
    scored = []
    score = isolation._scores
    monkeypatch.setattr(isolation, "_scores", lambda *given: scored.append(given[1]) or score(*given))
    network = PackedLoss(model, attention="sdpa")
    assert isolation.check(network, rows) < 1e-5
    assert 8 < max(map(len, scored)) <= 16
    mixing_from(48, model, monkeypatch)
    with pytest.raises(LatxaError, match="mixes the texts of a packed row"):
        isolation.check(network, rows)


def mixing_from(place, model, monkeypatch):
    """Let tokens of a row from a place on be other ones, but not those of a text alone."""
    call = model.model.forward

    def mixed(input_ids, position_ids, **given):
        found = call(input_ids=input_ids, position_ids=position_ids, **given)
        count = torch.arange(input_ids.shape[1])
        moved = (count >= place) & (position_ids != count)
        found.last_hidden_state = found.last_hidden_state * (1 + moved[..., None] * count[:, None])
        return found

    monkeypatch.setattr(model.model, "forward", mixed)


@pytest.mark.parametrize("length", [2, 3, 9])
def test_the_shortest_rows_are_proven_too(model, prepared, length):
    rows = prepared([{"text": "etxe mendi ibai " * 9}], sequence_length=length).rows
    assert isolation.check(PackedLoss(model, attention="sdpa"), rows) < 1e-5


def test_of_many_texts_some_are_compared_from_the_first_to_the_last(one_text_first, monkeypatch):
    row = isolation._row_of_most_texts(one_text_first)
    begins = np.flatnonzero(row.position_ids[0] == 0)
    assert [begin for _, begin, _ in isolation._some_texts(row)] == begins.tolist()
    monkeypatch.setattr(isolation, "TEXTS_COMPARED", 3)
    some = [begin for _, begin, _ in isolation._some_texts(row)]
    assert len(some) == 3 < len(begins) and (some[0], some[-1]) == (begins[0], begins[-1])


def test_a_head_with_a_soft_cap_is_not_plain_though_the_logits_are_small(one_text_first):
    """Training may bring them to where the cap bends them."""
    model = random_model("gemma2", spread=0.02, sliding_window=16, head_dim=16, final_logit_softcapping=30.0)
    network = PackedLoss(model, attention="eager")
    isolation.check(network, one_text_first)
    assert not network.head_is_plain
