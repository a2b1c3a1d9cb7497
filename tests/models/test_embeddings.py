"""Rows for new tokens: what they are, and that the old ones stay."""

from __future__ import annotations

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM, PhiConfig, PhiForCausalLM

from latxa_cli.models.embeddings import add_rows, count_rows
from latxa_cli.stream.errors import LatxaError

SHAPE = {
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
}
PARTS = [(3, 4), (5,), (0, 0, 7)]


def llama(rows: int, *, tied: bool = False) -> LlamaForCausalLM:
    torch.manual_seed(0)
    return LlamaForCausalLM(
        LlamaConfig(vocab_size=rows, tie_word_embeddings=tied, initializer_range=0.5, **SHAPE)
    ).eval()


def phi(rows: int) -> PhiForCausalLM:
    """A model with a bias for each token."""
    torch.manual_seed(0)
    model = PhiForCausalLM(PhiConfig(vocab_size=rows, **SHAPE)).eval()
    torch.nn.init.normal_(model.lm_head.bias)
    return model


def tables(model) -> list[torch.Tensor]:
    found = [model.get_input_embeddings().weight, model.get_output_embeddings().weight]
    bias = model.get_output_embeddings().bias
    return [table.detach() for table in (*found, *([] if bias is None else [bias]))]


MODELS = {"tied": lambda rows: llama(rows, tied=True), "untied": llama, "biased": phi}


@pytest.mark.parametrize("make", MODELS.values(), ids=MODELS)
@pytest.mark.parametrize("start", ["mean", "random"])
def test_old_rows_and_logits_stay(make, start):
    before, model = make(30), make(30)
    add_rows(model, 30, PARTS, start=start, seed=0)
    ids = torch.arange(30)[None]
    with torch.no_grad():
        torch.testing.assert_close(model(ids).logits[..., :30], before(ids).logits, rtol=1e-6, atol=1e-6)
    for old, new in zip(tables(before), tables(model), strict=True):
        assert torch.equal(new[:30], old)


@pytest.mark.parametrize("make", MODELS.values(), ids=MODELS)
def test_a_new_row_is_the_mean_of_its_parts(make):
    model = make(30)
    add_rows(model, 30, PARTS, start="mean", seed=0)
    for table in tables(model):
        for number, parts in enumerate(PARTS, 30):
            expected = sum(table[part] for part in parts) / len(parts)
            torch.testing.assert_close(table[number], expected)
    assert model.config.vocab_size == count_rows(model) == 34  # a multiple of two, as before
    torch.testing.assert_close(tables(model)[0][33], tables(model)[0][:30].mean(0))


def test_embeddings_of_each_layer_get_rows_too():
    from transformers import Gemma4ForCausalLM, Gemma4TextConfig

    torch.manual_seed(0)
    settings = SHAPE | {"head_dim": 8, "layer_types": ["full_attention"], "hidden_size_per_layer_input": 4}
    config = Gemma4TextConfig(vocab_size=32, vocab_size_per_layer_input=30, pad_token_id=0, **settings)
    model = Gemma4ForCausalLM(config)
    table = model.get_per_layer_input_embeddings().weight.detach().clone()
    add_rows(model, 30, [*PARTS, (1, 2)], start="mean", seed=0)
    new = model.get_per_layer_input_embeddings().weight.detach()
    assert len(new) == count_rows(model) == 64 and torch.equal(new[:30], table)
    for number, parts in enumerate([*PARTS, (1, 2)], 30):
        torch.testing.assert_close(new[number], sum(table[part] for part in parts) / len(parts))
    torch.testing.assert_close(new[34:], table.mean(0).expand(30, -1))


def test_the_output_stays_tied():
    model = llama(30, tied=True)
    add_rows(model, 30, PARTS, start="mean", seed=0)
    assert model.lm_head.weight is model.get_input_embeddings().weight


def test_random_rows_are_spread_like_the_old_ones_and_depend_on_the_seed():
    models = [llama(400) for _ in range(3)]
    for model, seed in zip(models, (0, 0, 1), strict=True):
        add_rows(model, 400, [(1,)] * 5000, start="random", seed=seed)
    first, same, other = (tables(model)[0][400:5400] for model in models)
    assert torch.equal(first, same) and not torch.equal(first, other)
    old = tables(models[0])[0][:400]
    torch.testing.assert_close(first.std(0), old.std(0), rtol=0.05, atol=0)
    torch.testing.assert_close(first.mean(0), old.mean(0), rtol=0, atol=0.05)


def test_rows_that_are_there_already_are_used_first():
    before, model = llama(64), llama(64)
    add_rows(model, 50, PARTS, start="mean", seed=0)
    assert count_rows(model) == model.config.vocab_size == 64
    table = tables(model)[0]
    torch.testing.assert_close(table[50], (table[3] + table[4]) / 2)
    assert torch.equal(table[53:], tables(before)[0][53:])


@pytest.mark.parametrize(("rows", "grown"), [(64, 128), (32, 96), (1024, 1152), (51, 67), (66, 68)])
def test_the_number_of_rows_stays_the_multiple_that_it_was(rows, grown):
    model = llama(rows)
    first = min(rows, 1024)
    add_rows(model, first, [(1,)] * (grown - rows if rows % 2 else max(grown - rows - 1, 1)), start="mean", seed=0)
    assert count_rows(model) == grown


def test_ids_without_a_row_get_one():
    """Some tokenizers have one token more than their model has rows, a padding token say."""
    model = llama(30)
    add_rows(model, 31, PARTS, start="random", seed=0)
    assert count_rows(model) == 34
    torch.testing.assert_close(tables(model)[0][30], tables(model)[0][:30].mean(0))


def test_half_precision_stays():
    model = llama(30).to(torch.bfloat16)
    add_rows(model, 30, PARTS, start="mean", seed=0)
    assert {table.dtype for table in tables(model)} == {torch.bfloat16}
    torch.testing.assert_close(tables(model)[0][31], tables(model)[0][5])


def test_no_new_tokens_change_nothing():
    before, model = llama(30), llama(30)
    add_rows(model, 30, [], start="mean", seed=0)
    assert all(torch.equal(old, new) for old, new in zip(tables(before), tables(model), strict=True))


@pytest.mark.parametrize("make", MODELS.values(), ids=MODELS)
def test_rows_of_no_token_do_not_decide_what_random_rows_are_like(make):
    """Padding is whatever it is; here it is far away."""
    model = make(64)
    with torch.no_grad():
        for table in tables(model):
            table[50:] = 1000.0
    add_rows(model, 50, [(1,)] * 8, start="random", seed=0)
    for table in tables(model):
        assert table[50:58].abs().max() < 20
        assert len(table[50:58].reshape(8, -1)[:, 0].unique()) == 8, "each is drawn for itself"


def test_a_model_with_more_rows_of_tokens_takes_none() -> None:
    """Experts that are chosen by the token: what is made could not be loaded."""
    from transformers import DeepseekV4Config, DeepseekV4ForCausalLM

    config = DeepseekV4Config(
        vocab_size=40, hidden_size=16, intermediate_size=8, moe_intermediate_size=8, num_hidden_layers=2,
        num_attention_heads=2, num_key_value_heads=1, n_routed_experts=4, num_experts_per_tok=2, q_lora_rank=8,
    )  # fmt: skip
    with pytest.raises(LatxaError, match=r"a `deepseek_v4` takes no more tokens: `\S*tid2eid` .* each of its 40"):
        add_rows(DeepseekV4ForCausalLM(config), 40, [(1, 2)], start="mean", seed=0)


def test_a_model_that_transformers_cannot_make_larger_takes_none() -> None:
    """It looks in xLSTM for a part of another name."""
    from transformers import xLSTMConfig, xLSTMForCausalLM

    model = xLSTMForCausalLM(xLSTMConfig(vocab_size=40, hidden_size=16, embedding_dim=16, num_heads=2, num_blocks=1))
    with pytest.raises(LatxaError, match="a `xlstm` takes no more tokens: "):
        add_rows(model, 40, [(1, 2)], start="mean", seed=0)
