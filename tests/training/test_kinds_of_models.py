"""Models of other kinds, tiny and random: the loss of packed rows is that of each text alone, as the model has it."""

from __future__ import annotations

import json
from itertools import pairwise

import numpy as np
import pytest
import torch
from random_models import random_model
from torch.nn.functional import cross_entropy

from latxa_cli.stream.errors import LatxaError, UsageError
from latxa_cli.training import loop
from latxa_cli.training.config import TrainConfig
from latxa_cli.training.data.rows import IGNORED
from latxa_cli.training.network import isolation, parameters
from latxa_cli.training.network.forward import PackedLoss, to_device

OF_GPT2 = {"n_embd": 32, "n_layer": 2, "n_head": 2, "n_positions": 128}
WINDOW = {"sliding_window": 16, "head_dim": 16}
MIXTURE = {"num_local_experts": 2, "num_experts_per_tok": 1}
# Layers of full attention have larger heads.
OF_GEMMA4 = {
    "layer_types": ["sliding_attention", "full_attention"], "global_head_dim": 32, "hidden_size_per_layer_input": 8,
    "vocab_size_per_layer_input": 300,
}  # fmt: skip
PLAIN = {
    "gpt2": OF_GPT2, "gpt_neox": {}, "qwen3": {"head_dim": 16}, "mistral": WINDOW, "gemma3_text": WINDOW,
    "gemma4_text": WINDOW | OF_GEMMA4, "mixtral": MIXTURE, "phi3": {},
}  # fmt: skip
SHARED = {
    "num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 24, "shared_expert_intermediate_size": 24,
}  # fmt: skip
NOT_PLAIN = {  # capped, far above the logits of an untrained model; with a bias; scaled; no part of the model without
    "gemma2": WINDOW | {"final_logit_softcapping": 30.0}, "phi": {}, "cohere": {"logit_scale": 0.5},
    "llama4_text": MIXTURE | {"head_dim": 16, "attention_chunk_size": 128, "intermediate_size_mlp": 48},
}  # fmt: skip

# Recurrent, mixed of that and attention; without a use for position ids; with sinks.
SSM = {"mamba_d_state": 8, "mamba_n_heads": 4, "mamba_d_head": 16, "mamba_n_groups": 1, "mamba_chunk_size": 16}
LINEAR = {"linear_num_key_heads": 2, "linear_num_value_heads": 2, "linear_key_head_dim": 8, "linear_value_head_dim": 8}
MIXING = {
    "qwen3_5_text": LINEAR | {"head_dim": 16, "layer_types": ["linear_attention", "full_attention"]},
    "lfm2_moe": {
        "layer_types": ["conv", "full_attention"], "num_experts": 4, "num_experts_per_tok": 2, "num_dense_layers": 1,
        "moe_intermediate_size": 24,
    },
    "granitemoehybrid": SSM | {"layer_types": ["mamba", "attention"], "num_local_experts": 4, "num_experts_per_tok": 2},
    "falcon_h1": SSM | {"mamba_d_ssm": 64},
    "gpt_oss": MIXTURE | {"head_dim": 16, "sliding_window": 16},
    "bamba": SSM | {"attn_layer_indices": [1]},
    "mamba": {"state_size": 4},
    "opt": {"ffn_dim": 48, "word_embed_proj_dim": 32},
    "bloom": {"n_layer": 2, "n_head": 2},
}  # fmt: skip
SIX = range(6)


def loss_in_rows(network, rows, batch_size):
    """Return the loss of the first six rows, in batches."""
    batches = (rows.batch(SIX[at : at + batch_size]) for at in range(0, 6, batch_size))
    return sum(network(*to_device(batch, torch.device("cpu"))).item() for batch in batches)


def loss_of_each_text(model, batch):
    """Return the sum of the losses of texts, by plain transformers on each alone."""
    total = 0.0
    for row, start, end in texts_of(batch):
        ids, wanted = (torch.from_numpy(array[row, start:end]).long() for array in (batch.input_ids, batch.labels))
        with torch.no_grad():
            logits = model(input_ids=ids[None], use_cache=False).logits[0, :-1]
        total += cross_entropy(logits, wanted[1:], ignore_index=IGNORED, reduction="sum").item()
    return total


def texts_of(batch):
    """Return (row, begin, end) of each text."""
    return [
        (row, *span)
        for row, positions in enumerate(batch.position_ids)
        for span in pairwise([*np.flatnonzero(positions == 0).tolist(), len(positions)])
    ]


@pytest.mark.parametrize("kind", PLAIN | NOT_PLAIN)
def test_the_head_is_plain_or_the_loss_is_that_of_the_models_logits(kind, rows):
    model = random_model(kind, spread=0.02 if kind == "gemma2" else 0.2, **(PLAIN | NOT_PLAIN)[kind])
    network = PackedLoss(model, attention="sdpa").eval()
    isolation.check(network, rows)
    assert network.head_is_plain == (kind in PLAIN)
    batch = rows.batch([0, 1])
    with torch.no_grad():
        found = network(*to_device(batch, torch.device("cpu"))).item()
        assert found == pytest.approx(loss_of_each_text(model, batch), rel=1e-4)


@pytest.mark.parametrize("packing", ["always", "never"])
@pytest.mark.parametrize("batch_size", [1, 3, 6])
@pytest.mark.parametrize("kind", ["llama", *PLAIN, *NOT_PLAIN])
def test_rows_packed_or_not_have_the_loss_of_each_text_alone(kind, rows, packing, batch_size):
    model = random_model(kind, spread=0.02, **(PLAIN | NOT_PLAIN).get(kind, {}))
    network = PackedLoss(model, attention="sdpa").eval()
    isolation.choose(network, rows, packing)
    assert network.packed == (packing == "always")
    assert loss_in_rows(network, rows, batch_size) == pytest.approx(loss_of_each_text(model, rows.batch(SIX)), rel=1e-5)


@pytest.mark.parametrize("kind", MIXING)
def test_models_whose_packed_texts_would_see_each_other_are_trained_on_rows_taken_apart(kind, rows):
    model = random_model(kind, spread=0.02 if kind == "mamba" else 0.2, **MIXING[kind])
    config = TrainConfig(sequence_length=64, learning_rate=1e-3, sequences_per_step=6, batch_size=2)
    trainer = loop.Trainer(model, rows, config)
    proof = isolation.choose(trainer.network, rows, "auto")
    assert not trainer.network.packed and proof.mixed > 1e-3 > 1e-5 > proof.difference
    assert f"logits differ by {proof.mixed:.2g}" in proof.note
    with torch.no_grad():
        trainer.network.eval()
        found = loss_in_rows(trainer.network, rows, 2)
        assert found == pytest.approx(loss_of_each_text(model, rows.batch(SIX)), rel=1e-5)
        trainer.network.train()
    losses = [trainer.step(0)["loss"] for _ in range(3)]
    assert losses[2] < losses[0]


@pytest.mark.parametrize("more", [{}, {"gradient_checkpointing": True}, {"lora_rank": 2}, {"neftune_alpha": 5.0}])
def test_a_step_on_rows_taken_apart_is_that_on_packed_rows(rows, more):
    weights = []
    for packing in ("always", "never"):
        config = TrainConfig(sequences_per_step=6, batch_size=3, learning_rate=1e-3, sequence_length=64, **more)
        trainer = loop.Trainer(random_model("llama"), rows, config)
        isolation.choose(trainer.network, rows, packing)
        trainer.step(0)
        weights.append(torch.cat([value.detach().flatten() for value in trainer.model.parameters()]))
    assert (weights[0] - weights[1]).abs().max() < 2e-5


@pytest.mark.parametrize("original", [16, 32, 64])
def test_angles_that_the_longest_text_of_a_call_turns_are_those_of_each_text_alone(rows, original):
    """LongRoPE has others for all texts of a call as soon as one is longer than the original length."""
    factors = {"short_factor": [1.0] * 8, "long_factor": [1.0, 1.5, 2.0, 3.0, 5.0, 8.0, 12.0, 16.0]}
    rope = {"rope_type": "longrope", "rope_theta": 1e4, **factors}
    model = random_model("phi3", rope_parameters=rope, original_max_position_embeddings=original)
    lengths = [end - start for _, start, end in texts_of(rows.batch(SIX))]
    assert min(lengths) < 16 and 32 < max(lengths) < 64
    for batch_size in (1, 6):
        network = PackedLoss(model, attention="sdpa").eval()
        isolation.choose(network, rows, "auto")
        assert network.packed == (original == 64)
        expected = loss_of_each_text(model, rows.batch(SIX))
        assert loss_in_rows(network, rows, batch_size) == pytest.approx(expected, rel=1e-5)
    if original < 64:
        with pytest.raises(LatxaError, match="mixes the texts of a packed row"):
            isolation.choose(PackedLoss(model, attention="sdpa"), rows, "always")


def test_a_single_text_of_a_row_beside_turns_the_angles_too(prepared):
    """It fills its row, and no other text stands in that."""
    rows = prepared([{"text": "etxe " * 100}, *({"text": "mendi ibai katu"} for _ in range(20))]).rows
    rope = {"rope_type": "longrope", "rope_theta": 1e4, "short_factor": [1.0] * 8, "long_factor": [4.0] * 8}
    model = random_model("phi3", rope_parameters=rope, original_max_position_embeddings=60)
    network = PackedLoss(model, attention="sdpa").eval()
    isolation.choose(network, rows, "auto")
    assert not network.packed
    batch = rows.batch(range(len(rows)))
    found = network(*to_device(batch, torch.device("cpu"))).item()
    assert found == pytest.approx(loss_of_each_text(model, batch), rel=1e-5)


def test_a_long_text_that_straddles_a_chunk_shows_though_the_row_of_most_texts_has_none(prepared):
    long, short, tiny = ({"text": " ".join(["etxe"] * count)} for count in (38, 19, 1))
    rows = prepared([*[long, short] * 3, *[tiny] * 64]).rows
    settings = MIXTURE | {"head_dim": 16, "attention_chunk_size": 48, "intermediate_size_mlp": 48}
    model = random_model("llama4_text", **settings)
    network = PackedLoss(model, attention="sdpa").eval()
    assert isolation._difference(network, isolation._row_of_most_texts(rows)) < 1e-5
    isolation.choose(network, rows, "auto")
    assert not network.packed


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        ("llama4_text", MIXTURE | {"head_dim": 16, "attention_chunk_size": 16, "intermediate_size_mlp": 48}),
        ("llama4_text", MIXTURE | {"head_dim": 16, "floor_scale": 8, "attn_scale": 2.0, "intermediate_size_mlp": 48}),
        ("mistral", {"sliding_window": 8, "head_dim": 16}),
        ("ministral3", {"head_dim": 16, "rope_parameters": {
            "rope_type": "yarn", "rope_theta": 1e4, "factor": 4.0, "original_max_position_embeddings": 16,
            "llama_4_scaling_beta": 0.5,
        }}),
    ],
    ids=["chunks", "temperature by position", "window", "temperature and yarn"],
)  # fmt: skip
def test_what_begins_inside_a_row_alone_has_the_loss_of_each_text_alone(kind, settings, rows):
    model = random_model(kind, **settings)
    network = PackedLoss(model, attention="sdpa").eval()
    isolation.choose(network, rows, "auto")
    assert loss_in_rows(network, rows, 3) == pytest.approx(loss_of_each_text(model, rows.batch(SIX)), rel=1e-5)
    assert network.packed == ("attention_chunk_size" not in settings)


@pytest.mark.parametrize("kind", ["bloom", "mamba"])
def test_models_that_cannot_keep_texts_apart_are_refused_where_packing_is_wanted(kind, rows):
    network = PackedLoss(random_model(kind, **MIXING[kind]), attention="eager")
    with pytest.raises(LatxaError, match="mixes the texts of a packed row") as caught:
        isolation.choose(network, rows, "always")
    assert caught.value.hint == "`--packing auto` takes rows apart"


def files_of(model, tokenizer, folder):
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


@pytest.mark.parametrize("kind", ["gpt2", "mixtral", "qwen2_moe", "gemma2", "gemma4_text", "phi"])
def test_a_run_with_adapters_ends_with_a_model_that_has_the_trained_logits(kind, rows, tokenizer, tmp_path):
    """GPT-2's weights lie [in, out]; experts, of which transformers makes one tensor, get none, and shared ones do."""
    from latxa_cli.model import load_model
    from latxa_cli.training import session

    kinds = PLAIN | NOT_PLAIN | {"qwen2_moe": SHARED}
    start = files_of(random_model(kind, **kinds[kind]), tokenizer, tmp_path / "start")
    config = TrainConfig(learning_rate=0.1, sequence_length=64, lora_rank=2)
    loaded = session.load(start, config, device="cpu", threads=1)
    said = []
    silent = session.RunListeners(report=lambda _: None, warn=said.append, give_up=pytest.fail)
    session.run(loaded, rows, config, tmp_path / "out", resume=False, listeners=silent)
    experts = "without adapters, since they are no linear layers: experts `model.layers.*.mlp.experts.down_proj`, "
    assert [line.startswith(experts) and "`lora_experts = true`" in line for line in said] == [True] * (
        kind in ("mixtral", "qwen2_moe")
    )
    batch = to_device(rows.batch([0, 1]), torch.device("cpu"))
    trained, exported, before = (
        PackedLoss(model, attention="sdpa").eval().logits(batch)
        for model in (loaded.model, *(load_model(str(folder), device="cpu") for folder in (tmp_path / "out", start)))
    )
    assert (exported - before).abs().max() > 0.1
    assert torch.allclose(exported, trained, atol=1e-4)


@pytest.mark.parametrize(
    ("tied", "target", "why"),
    [(True, "embed_tokens", "no linear layer"), (True, "lm_head", "is tied"), (False, "embed_tokens", "no linear")],
)
def test_adapters_that_could_not_be_merged_are_refused_before_the_run(tied, target, why, rows):
    model = random_model("llama", tie_word_embeddings=tied)
    with pytest.raises(UsageError, match=f"`lora_targets`: `.*{target}` .*{why}"):
        parameters.choose(model, TrainConfig(lora_rank=2, lora_targets=["q_proj", target]))


@pytest.mark.parametrize(
    ("kind", "targets", "hint"),
    [
        ("llama", ["q_proj", "v_porj"], "did you mean `v_proj`"),
        ("phi3", ["o_proj", "gate_proj"], "did you mean `gate_up_proj`"),  # a list for Llama, of another family
        ("llama", ["proj"], "did you mean"),
    ],
)
def test_each_target_of_adapters_is_a_layer(kind, targets, hint):
    """PEFT passes over the others if there is one."""
    with pytest.raises(UsageError, match=f"no layer that is trained is called `{targets[-1]}`") as error:
        parameters.choose(random_model(kind), TrainConfig(lora_rank=2, lora_targets=targets))
    assert hint in error.value.hint


def test_a_model_whose_own_code_fails_is_one_line(rows, tokenizer, tmp_path):
    from latxa_cli.training import session, trial

    start = files_of(random_model("gemma2", head_dim=16), tokenizer, tmp_path / "start")
    settings = json.loads((tmp_path / "start" / "config.json").read_text())
    (tmp_path / "start" / "config.json").write_text(json.dumps(settings | {"sliding_window": None}))
    config = TrainConfig(sequence_length=64, max_steps=1)
    loaded = session.load(start, config, device="cpu", threads=1)
    with pytest.raises(LatxaError, match="`gemma2` does not compute: Could not find a `sliding_window`") as error:
        trial.cost(loaded, rows, config, tmp_path / "out")
    assert "config.json" in error.value.hint


def test_an_adapted_head_is_trained(rows):
    model = random_model("llama", tie_word_embeddings=False)
    trainer = loop.Trainer(model, rows, TrainConfig(lora_rank=2, lora_targets=["lm_head"], learning_rate=0.1))
    isolation.check(trainer.network, rows)
    assert not trainer.network.head_is_plain
    losses = [trainer.step(step)["loss"] for step in range(4)]
    assert losses[-1] < losses[0] - 0.1


def test_linear_layers_are_those_that_compute_what_torch_does():
    """Falcon's do; groups of DeepSeek V4 and the choice of experts of Phi-3.5-MoE have their weights alone."""
    from transformers.models.deepseek_v4.modeling_deepseek_v4 import DeepseekV4GroupedLinear
    from transformers.models.falcon.modeling_falcon import FalconLinear

    assert parameters.is_linear(FalconLinear(4, 4)) and not parameters.is_linear(DeepseekV4GroupedLinear(4, 4, 2))
    model = random_model("phimoe", num_local_experts=4, num_experts_per_tok=2)
    parameters.choose(model, TrainConfig(lora_rank=2))
    adapted = {name.rsplit(".", 4)[1] for name in parameters.trained(model) if "lora_A" in name}
    assert adapted == {"q_proj", "k_proj", "v_proj", "o_proj"}
    model(input_ids=torch.arange(8)[None])
