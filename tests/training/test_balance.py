"""The loss that balances experts: what plain transformers computes of the texts of a row as a padded batch."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from random_models import random_model
from test_checkpoint import train
from test_kinds_of_models import SIX, SSM, texts_of
from torch.nn.functional import cross_entropy

from latxa_cli.training import loop
from latxa_cli.training.config import TrainConfig
from latxa_cli.training.data.rows import IGNORED
from latxa_cli.training.network import balance, isolation
from latxa_cli.training.network.forward import PackedLoss, to_device

NAMED = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 24}
LOCAL = {"num_local_experts": 4, "num_experts_per_tok": 2}
FAMILIES = {
    "mixtral": LOCAL | {"router_aux_loss_coef": 0.5}, "qwen3_moe": NAMED | {"head_dim": 16}, "olmoe": NAMED,
    "qwen2_moe": NAMED | {"shared_expert_intermediate_size": 24}, "phimoe": LOCAL,
    "gpt_oss": LOCAL | {"head_dim": 16, "sliding_window": 16}, "granitemoe": LOCAL | {"logits_scaling": 2.0},
    "granitemoehybrid": LOCAL | SSM | {"layer_types": ["mamba", "attention"]},
    "jetmoe": LOCAL | {"kv_channels": 16},
    "dbrx": {
        "d_model": 32, "n_heads": 2, "n_layers": 2, "max_seq_len": 128,
        "attn_config": {"rope_theta": 1e4, "kv_n_heads": 1, "clip_qkv": 8},
        "ffn_config": {"ffn_hidden_size": 48, "moe_num_experts": 4, "moe_top_k": 2, "moe_loss_weight": 0.3},
    },
    "jamba": NAMED | {"attn_layer_period": 2, "attn_layer_offset": 1, "use_mamba_kernels": False},
}  # fmt: skip
OTHERS = {
    "deepseek_v3": {
        "q_lora_rank": 16, "kv_lora_rank": 16, "qk_rope_head_dim": 8, "qk_nope_head_dim": 8, "v_head_dim": 16,
        "num_key_value_heads": 2, "n_routed_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 24,
        "n_group": 1, "topk_group": 1, "first_k_dense_replace": 1,
    },
    "lfm2_moe": NAMED | {"layer_types": ["conv", "full_attention"], "num_dense_layers": 1},
}  # fmt: skip


def mixture(kind, **more):
    return random_model(kind, **FAMILIES[kind], output_router_logits=True, **more)


def losses_of_transformers(model, batch):
    """Return, of each row as a batch of its texts: trained tokens, mean cross-entropy, balancing loss, whole loss."""
    found = []
    for row in range(len(batch.input_ids)):
        texts = [(begin, end) for number, begin, end in texts_of(batch) if number == row]
        texts = [(begin, end) for begin, end in texts if (batch.labels[row, begin:end] != IGNORED).any()]  # no padding
        shape = len(texts), max(end - begin for begin, end in texts)
        ids, labels, mask = torch.ones(shape).long(), torch.full(shape, IGNORED), torch.zeros(shape).long()
        for place, (begin, end) in enumerate(texts):
            ids[place, : end - begin] = torch.from_numpy(batch.input_ids[row, begin:end])
            labels[place, : end - begin] = torch.from_numpy(batch.labels[row, begin:end])
            mask[place, : end - begin] = 1
        whole = model(input_ids=ids, attention_mask=mask, labels=labels, output_router_logits=True, use_cache=False)
        trained = int((labels != IGNORED).sum())
        entropy = cross_entropy(whole.logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten(), ignore_index=IGNORED)
        found.append((trained, entropy, whole.aux_loss, whole.loss))
    return found


@pytest.mark.parametrize("packing", ["auto", "never"])
@pytest.mark.parametrize("kind", FAMILIES)
def test_loss_and_gradient_are_those_of_transformers_on_the_texts_of_each_row(kind, packing, rows):
    model = mixture(kind)
    trainer = loop.Trainer(model, rows, TrainConfig(sequence_length=64, sequences_per_step=6))
    assert not trainer.notes
    network = trainer.network
    isolation.choose(network, rows, packing)
    model.eval()  # without the noise of routers in training (Phi); the network itself stays in training
    batch = rows.batch(SIX)
    assert any(len(texts_of(rows.batch([row]))) > 2 for row in SIX)
    loss = network(*to_device(batch, torch.device("cpu")))
    loss.backward()
    found = {name: value.grad.clone() for name, value in model.named_parameters() if value.grad is not None}
    model.zero_grad()
    expected = losses_of_transformers(model, batch)
    sum(trained * whole for trained, _, _, whole in expected).backward()
    assert loss.item() == pytest.approx(sum(trained * entropy.item() for trained, entropy, *_ in expected), rel=1e-5)
    balancing = sum(trained * aux.item() for trained, _, aux, _ in expected)
    assert network.balancing.item() == pytest.approx(balancing, rel=1e-5) and balancing > 0
    for name, value in model.named_parameters():
        if value.grad is not None:
            assert torch.allclose(found[name], value.grad, rtol=1e-3, atol=1e-4 * float(value.grad.abs().max())), name


def test_a_single_text_has_the_loss_of_transformers(prepared):
    rows = prepared([{"text": "etxe mendi ibai katu " * 3}]).rows
    model = mixture("mixtral")
    trainer = loop.Trainer(model, rows, TrainConfig(sequence_length=64))
    begin, end = 0, int(np.flatnonzero(rows.batch([0]).position_ids[0] == 0)[1])
    ids = torch.from_numpy(rows.batch([0]).input_ids[:, begin:end]).long()
    expected = model(input_ids=ids, labels=ids, output_router_logits=True)
    figures = trainer.step(0)
    assert figures["balancing_loss"] == pytest.approx(expected.aux_loss.item(), rel=1e-5)
    assert figures["loss"] + 0.5 * figures["balancing_loss"] == pytest.approx(expected.loss.item(), rel=1e-5)


def after_two_steps(rows, **settings):
    trainer = loop.Trainer(
        mixture("mixtral"), rows, TrainConfig(sequence_length=64, learning_rate=1e-2, sequences_per_step=6, **settings)
    )
    isolation.choose(trainer.network, rows, trainer.config.packing)
    lines = [trainer.step(step) for step in range(2)]
    figures = [(line["loss"], line["balancing_loss"], line["gradient_norm"]) for line in lines]
    return torch.tensor(figures)


@pytest.mark.parametrize(
    "settings",
    [
        {"batch_size": 1}, {"batch_size": 4}, {"packing": "never"}, {"gradient_checkpointing": True},
        {"attention": "varlen"},
    ],
)  # fmt: skip
def test_neither_the_batch_size_nor_the_way_of_computing_changes_it(settings, rows):
    assert torch.allclose(after_two_steps(rows), after_two_steps(rows, **settings), rtol=1e-4)


def test_training_with_it_balances_the_experts(rows):
    trainer = loop.Trainer(mixture("mixtral"), rows, TrainConfig(sequence_length=64, learning_rate=1e-2, max_steps=8))
    found = [trainer.step(step % 4)["balancing_loss"] for step in range(8)]
    assert found[-1] < found[0] and min(found) > 1.9  # 2 experts a token, evenly used


def test_a_run_that_goes_on_has_the_same_bits(rows, tmp_path):
    def run(folder, **how):
        config = TrainConfig(sequence_length=64, learning_rate=1e-2, max_steps=5, checkpoint_every=2)
        folder.mkdir(exist_ok=True)
        lines = train(loop.Trainer(mixture("mixtral"), rows, config), folder, **how)
        return [(line["loss"], line["balancing_loss"], line["gradient_norm"]) for line in lines]

    assert len(run(tmp_path / "cut", until=3)) == 3
    assert run(tmp_path / "cut", resume=True) == run(tmp_path / "whole")


def test_outside_of_training_there_is_none(rows):
    network = PackedLoss(mixture("mixtral"), attention="sdpa")
    network.balance = balance.of_family(network.model)
    network.eval()
    network(*to_device(rows.batch(SIX), torch.device("cpu")))
    assert network.balancing is None


@pytest.mark.parametrize("kind", OTHERS)
def test_a_family_without_such_a_loss_is_said_and_trained(kind, rows):
    model = random_model(kind, **OTHERS[kind], output_router_logits=True)
    trainer = loop.Trainer(model, rows, TrainConfig(sequence_length=64))
    why = f"is not trained: transformers has no such loss for `{kind}`"
    assert trainer.notes == [f"the loss that balances experts (`output_router_logits`) {why}"]
    assert "balancing_loss" not in trainer.step(0)


def test_a_model_whose_configuration_does_not_ask_for_it_is_trained_without(rows):
    trainer = loop.Trainer(random_model("mixtral", **FAMILIES["mixtral"]), rows, TrainConfig(sequence_length=64))
    assert not trainer.notes and "balancing_loss" not in trainer.step(0)


def test_a_model_without_routers_that_choose_by_logits_trains(rows):
    """Those of the first layers of DeepSeek V4 choose by a hash; transformers ends with an IndexError then."""
    sizes = {"head_dim": 16, "o_groups": 2, "o_lora_rank": 8, "hc_mult": 2, "mlp_layer_types": ["hash_moe"] * 2}
    model = random_model("deepseek_v4", **OTHERS["deepseek_v3"] | sizes, output_router_logits=True)
    trainer = loop.Trainer(model, rows, TrainConfig(sequence_length=64))
    isolation.choose(trainer.network, rows, "auto")
    assert "balancing_loss" not in trainer.step(0)
