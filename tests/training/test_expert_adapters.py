"""Adapters of the experts of mixtures: trained, gone on with, and merged into what plain PEFT computes."""

from __future__ import annotations

import pytest
import torch
from random_models import random_model
from test_balance import FAMILIES, OTHERS
from test_checkpoint import train, weights
from test_kinds_of_models import files_of

from latxa_cli.model import load_model
from latxa_cli.stream.errors import UsageError
from latxa_cli.training import loop, session
from latxa_cli.training.checkpoints import saved_run
from latxa_cli.training.config import TrainConfig
from latxa_cli.training.network import parameters

KINDS = {kind: FAMILIES[kind] for kind in ("mixtral", "qwen3_moe", "olmoe", "gpt_oss", "granitemoe")} | {
    "deepseek_v3": OTHERS["deepseek_v3"],
    "ernie4_5_moe": {
        "moe_num_experts": 4, "moe_k": 2, "moe_intermediate_size": 24, "moe_layer_start_index": 1,
        "moe_num_shared_experts": 1,
    },
    "jetmoe": {"kv_channels": 16, "num_local_experts": 4, "num_experts_per_tok": 2},
}  # fmt: skip
CONFIG = TrainConfig(
    sequence_length=64, sequences_per_step=4, learning_rate=0.1, max_steps=3, lora_rank=2, lora_experts=True, keep=1
)


def logits(model):
    with torch.no_grad():
        return model.eval()(input_ids=torch.arange(3, 43).view(2, 20), use_cache=False).logits


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_ends_with_the_model_that_was_trained_and_that_peft_merges(kind, rows, tokenizer, tmp_path):
    from peft import LoraConfig, inject_adapter_in_model

    start = files_of(random_model(kind, **KINDS[kind]), tokenizer, tmp_path / "start")
    loaded = session.load(start, CONFIG, device="cpu", threads=1)
    said = []
    silent = session.RunListeners(report=lambda _: None, warn=said.append, give_up=pytest.fail)
    session.run(loaded, rows, CONFIG, tmp_path / "out", resume=False, listeners=silent)
    assert not any("without adapters" in line for line in said)
    exported, before = (load_model(str(folder), device="cpu") for folder in (tmp_path / "out", start))
    untouched = logits(before)
    assert (logits(exported) - untouched).abs().max() > 0.01
    assert (logits(exported) - logits(loaded.model)).abs().max() <= 1e-5 * untouched.abs().max()

    found = saved_run.open_weights(saved_run.choose(tmp_path / "out", pytest.fail))
    in_jetmoe = ("mlp.input_linear", "mlp.output_linear")
    experts = [
        name for name, value in before.named_parameters()
        if value.dim() == 3 and ("expert" in name or any(part in name for part in in_jetmoe))
    ]  # fmt: skip
    layers = sorted(
        {name.split(".lora_")[0] for name in found.entries} - parameters.expert_adapters(loaded.model).keys()
    )
    settings = LoraConfig(r=2, lora_alpha=4, target_modules=layers, target_parameters=experts)
    # In a list, as PEFT would give the experts of models that it knows (DeepSeek V3) twice the rank.
    inject_adapter_in_model(settings, torch.nn.ModuleList([before]))
    state = {name: found.tensor(name) for name in found.entries}
    assert not before.load_state_dict(state, strict=False).unexpected_keys
    assert {name for name, value in before.named_parameters() if "lora_" in name} == state.keys()
    assert (logits(exported) - logits(before)).abs().max() <= 1e-5 * untouched.abs().max()


@pytest.mark.parametrize("more", [{}, {"gradient_checkpointing": True}, {"dtype": "bfloat16"}])
def test_each_adapter_learns(more, rows):
    config = TrainConfig(sequence_length=64, learning_rate=1e-2, lora_rank=2, lora_experts=True, **more)
    trainer = loop.Trainer(random_model("mixtral", **KINDS["mixtral"]), rows, config)
    before = {name: value.detach().clone() for name, value in trainer.backend.trained.items()}
    losses = [trainer.step(step)["loss"] for step in (0, 0, 0)]
    assert losses[2] < losses[0]
    assert len(parameters.expert_adapters(trainer.model)) == 4
    for name, value in trainer.backend.trained.items():  # each expert has rows of A, and columns of B
        moved = (value != before[name]).any(dim=1 if "lora_A" in name else 0)
        assert moved.all() or "experts" not in name, name


def test_a_run_that_goes_on_has_the_same_bits(rows, tmp_path):
    config = TrainConfig(
        sequence_length=64, learning_rate=1e-2, lora_rank=2, lora_experts=True, max_steps=5, checkpoint_every=2
    )

    def run(folder, **how):
        folder.mkdir(exist_ok=True)
        trainer = loop.Trainer(random_model("mixtral", **KINDS["mixtral"]), rows, config)
        losses = [line["loss"] for line in train(trainer, folder, **how)]
        return losses, weights(trainer)

    run(tmp_path / "cut", until=3)
    gone_on, whole = run(tmp_path / "cut", resume=True), run(tmp_path / "whole")
    assert gone_on[0] == whole[0] and torch.equal(gone_on[1], whole[1])


@pytest.mark.parametrize(
    ("kind", "more", "why"),
    [
        ("llama", {}, "no parameter of the model is the stacked matrices of experts"),
        ("mixtral", {"freeze": ["experts"]}, "no parameter of the model is the stacked matrices of experts"),
    ],
)
def test_a_model_without_experts_to_adapt_is_refused(kind, more, why):
    model = random_model(kind, **KINDS.get(kind, {}))
    with pytest.raises(UsageError, match=f"`lora_experts`: {why}"):
        parameters.choose(model, TrainConfig(lora_rank=2, lora_experts=True, **more))


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({}, "needs `lora_rank`"),
        ({"lora_rank": 2, "backend": "deepspeed", "zero_stage": 3}, "does not go with `zero_stage` 3"),
    ],
)  # fmt: skip
def test_settings_that_do_not_go_with_it(settings, why):
    with pytest.raises(UsageError, match=why):
        TrainConfig(lora_experts=True, **settings)


FLAT = {
    "attn_config": {"kv_n_heads": 1, "rope_theta": 1e4},
    "ffn_config": {"ffn_hidden_size": 48, "moe_num_experts": 4, "moe_top_k": 2},
}


def random_dbrx():
    from transformers import AutoModelForCausalLM, DbrxConfig

    sizes = {"d_model": 32, "n_heads": 2, "n_layers": 2, "max_seq_len": 128, "vocab_size": 300}
    return AutoModelForCausalLM.from_config(DbrxConfig(**sizes, **FLAT))


def test_experts_that_lie_flat_are_told_with_what_trains_them():
    (said,) = parameters.choose(random_dbrx(), TrainConfig(lora_rank=2))
    mlp = "transformer.blocks.*.ffn.experts.mlp"
    assert f"`{mlp}.v1`, `{mlp}.w1`, `{mlp}.w2`, " in said and said.endswith("`lora_whole` trains them whole")
    with pytest.raises(UsageError, match="`lora_experts`") as caught:
        parameters.choose(random_dbrx(), TrainConfig(lora_rank=2, lora_experts=True))
    assert "ffn.experts.mlp.w1` and its like lie flat: `lora_whole`" in caught.value.hint
    model = random_dbrx()
    assert parameters.choose(model, TrainConfig(lora_rank=2, lora_whole=["ffn.experts"])) == []
    assert "transformer.blocks.0.ffn.experts.mlp.w1" in parameters.trained(model)


@pytest.mark.parametrize(
    ("kind", "experts"),
    [
        ("mixtral", "model.layers.*.mlp.experts.down_proj`, `model.layers.*.mlp.experts.gate_up_proj"),
        ("gpt_oss", "model.layers.*.mlp.experts.down_proj`, `model.layers.*.mlp.experts.gate_up_proj"),
        ("jetmoe", "`, `".join(f"model.layers.*.{where}_linear.weight" for where in (
            "mlp.input", "mlp.output", "self_attention.experts.input",
        ))),
    ],
)  # fmt: skip
def test_experts_without_adapters_are_named_however_small_their_share(kind, experts):
    (said,) = parameters.choose(random_model(kind, **KINDS[kind]), TrainConfig(lora_rank=2))
    assert f"experts `{experts}`" in said and said.endswith("`lora_experts = true` gives them some")


def test_layers_that_share_their_weights_get_no_adapters_and_are_told(rows, tokenizer, tmp_path):
    """Those of Zamba's attention, which has one block for many layers."""
    sizes = {
        "num_hidden_layers": 4, "layers_block_type": ["mamba", "hybrid"] * 2, "attention_hidden_size": 64,
        "attention_head_dim": 32, "num_key_value_heads": 2, "mamba_dt_rank": 2, "mamba_d_state": 8,
    }  # fmt: skip
    start = files_of(random_model("zamba", spread=0.02, **sizes), tokenizer, tmp_path / "start")
    loaded = session.load(start, TrainConfig(sequence_length=64), device="cpu", threads=1)
    said = []
    silent = session.RunListeners(report=lambda _: None, warn=said.append, give_up=pytest.fail)
    config = TrainConfig(sequence_length=64, lora_rank=2, max_steps=1, learning_rate=0.1)
    session.run(loaded, rows, config, tmp_path / "out", resume=False, listeners=silent)
    assert any("since several layers share them: `model.layers.*.shared_transf.feed_forward" in line for line in said)
    exported = load_model(str(tmp_path / "out"), device="cpu")
    assert (logits(exported) - logits(loaded.model)).abs().max() <= 1e-5 * logits(exported).abs().max()
