"""Optimiser steps, against the same steps written out in plain torch; and what of them depends on the seed."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from random_models import random_model
from torch.nn.functional import cross_entropy

from latxa_cli.model import load_model
from latxa_cli.training import loop
from latxa_cli.training.config import TrainConfig
from latxa_cli.training.network import isolation, parameters
from latxa_cli.training.network.forward import PackedLoss, to_device
from latxa_cli.training.plan import TrainingPlan
from latxa_cli.training.processes import Processes
from latxa_cli.training.validation import ValidationSets

# None of these is a default, and the gradient is clipped in each step.
CONFIG = TrainConfig(
    epochs=0.85, learning_rate=4e-3, sequences_per_step=3, batch_size=2, sequence_length=64, warmup_ratio=0.35,
    minimum_learning_rate_ratio=0.2, weight_decay=0.5, beta1=0.7, beta2=0.8, clip=0.4, seed=3,
)  # fmt: skip
OF_GPT2 = {"n_embd": 32, "n_layer": 2, "n_head": 2, "n_positions": 128}


def on_cpu(directory):
    return load_model(str(directory), device="cpu")


def mean_loss(model, rows, numbers):
    """The mean over the trained tokens of all rows at once, by the model's own logits."""
    ids, positions, labels = (torch.from_numpy(array).long() for array in rows.batch(numbers))
    logits = model(input_ids=ids, position_ids=positions, use_cache=False).logits
    return cross_entropy(logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten())


def test_steps_are_those_of_plain_torch(model_directory, rows):
    trainer = loop.Trainer(on_cpu(model_directory), rows, CONFIG)
    model = on_cpu(model_directory).train()
    steps = round(0.85 * math.ceil(len(rows) / 3))
    assert trainer.plan.steps == steps > 7
    matrices = [parameter for parameter in model.parameters() if parameter.ndim == 2]
    vectors = [parameter for parameter in model.parameters() if parameter.ndim == 1]
    groups = [{"params": matrices, "weight_decay": 0.5}, {"params": vectors, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, betas=(0.7, 0.8))
    order = np.random.default_rng([3, 0]).permutation(len(rows))
    warmup = round(0.35 * steps)
    for step in range(steps):
        numbers = order[3 * step : 3 * step + 3]
        if step < warmup:
            rate = 4e-3 * (step + 1) / warmup
        else:
            rate = 4e-3 * (0.2 + 0.8 * (1 + math.cos(math.pi * (step - warmup) / (steps - 1 - warmup))) / 2)
        loss = mean_loss(model, rows, numbers)
        optimizer.zero_grad()
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 0.4)
        assert norm > 0.4
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.step()
        found = trainer.step(step)
        assert found["loss"] == pytest.approx(loss.item(), rel=1e-4)
        assert found["gradient_norm"] == pytest.approx(norm.item(), rel=1e-3)
        assert found["learning_rate"] == pytest.approx(rate, rel=1e-9)
        assert (found["step"], found["tokens"]) == (step + 1, 64 * len(numbers))
        assert found["epoch"] == pytest.approx((step + 1) / math.ceil(len(rows) / 3), abs=1e-4)
        assert found["trained_tokens"] == int((rows.batch(numbers).labels[:, 1:] >= 0).sum())
    for ours, plain in zip(trainer.model.parameters(), model.parameters(), strict=True):
        assert (ours - plain).abs().max() < 2e-4


def test_the_number_of_steps_is_rounded_and_never_none():
    assert TrainingPlan(10, TrainConfig(epochs=1.9, sequences_per_step=4)).steps == 6  # of 5.7
    assert TrainingPlan(10, TrainConfig(epochs=0.01, sequences_per_step=4)).steps == 1


def test_the_warm_up_is_rounded():
    plan = TrainingPlan(14, TrainConfig(epochs=1, sequences_per_step=1, warmup_ratio=0.1, learning_rate=1.0))
    assert plan.steps == 14
    assert plan.learning_rate(0) == 1.0, "1.4 steps are one"
    assert plan.learning_rate(1) == 1.0, "the cosine begins at the peak"
    assert plan.learning_rate(2) < 1.0


def test_the_order_of_rows_depends_on_the_seed():
    orders = {tuple(TrainingPlan(20, TrainConfig(seed=seed, sequences_per_step=20)).rows_of(0)) for seed in range(5)}
    assert len(orders) == 5


# --- what is random in a step depends on seed, step and row, and on nothing else -------------------------------------


@pytest.fixture(scope="module")
def one_row(prepared, records):
    rows = prepared(records[:1]).rows
    assert len(rows) == 1
    return rows


def first_losses(model, rows, steps, **settings):
    """Losses of some steps whose rate is too small to change anything."""
    config = TrainConfig(sequence_length=64, epochs=9, learning_rate=1e-30, **settings)
    trainer = loop.Trainer(model, rows, config)
    return [trainer.step(step)["loss"] for step in steps]


@pytest.mark.parametrize("cause", ["dropout", "noise"])
def test_draws_depend_on_the_step_and_the_seed_alone(one_row, model_directory, cause):
    def losses(*steps, seed=0):
        if cause == "noise":
            return first_losses(on_cpu(model_directory), one_row, steps, seed=seed, neftune_alpha=10.0)
        return first_losses(random_model("gpt2", **OF_GPT2 | {"resid_pdrop": 0.5}), one_row, steps, seed=seed)

    in_order = losses(0, 1, 2, 3)
    assert len(set(in_order)) == 4, "each step has its own"
    assert losses(3, 1) == [in_order[3], in_order[1]], "whatever was drawn before"
    assert not set(losses(0, 1, 2, 3, seed=1)) & set(in_order)


def test_noise_is_scaled_as_the_settings_say(rows, model_directory):
    losses = {
        scale: first_losses(on_cpu(model_directory), rows, [0], neftune_alpha=10.0, neftune_scale=scale)[0]
        for scale in ("sequence", "row")
    }
    plain = first_losses(on_cpu(model_directory), rows, [0])[0]
    assert abs(losses["sequence"] - plain) > abs(losses["row"] - plain) > 0, "a text is shorter than its row"


def test_proofs_and_validation_leave_dropout_as_it_was(rows, tokenizer):
    """They compute without; training goes on with it."""
    model = random_model("gpt2", **OF_GPT2 | {"resid_pdrop": 0.5})
    network = loop.Trainer(model, rows, TrainConfig(sequence_length=64)).network
    assert network.training and model.training
    isolation.check(network, rows)
    assert network.training and model.training
    validation = ValidationSets({"eu": rows}, Processes(), tokenizer, batch_size=4)
    found = validation.lines(network, step=0)[0]["loss"]
    assert network.training and model.training
    with torch.no_grad():
        expected = mean_loss(model.eval(), rows, range(len(rows))).item()
    assert found == pytest.approx(expected, rel=1e-4)
    network.eval()
    isolation.check(network, rows)
    validation.lines(network, step=0)
    assert not network.training and not model.training


def test_noise_is_added_whichever_way_attention_is_computed(rows, model_directory):
    losses = {}
    for attention in ("sdpa", "varlen"):
        for alpha in (0.0, 10.0):
            (losses[attention, alpha],) = first_losses(
                on_cpu(model_directory), rows, [0], neftune_alpha=alpha, attention=attention
            )  # fmt: skip
    assert losses["varlen", 10.0] == pytest.approx(losses["sdpa", 10.0], rel=1e-5)
    assert losses["sdpa", 10.0] != pytest.approx(losses["sdpa", 0.0], rel=1e-3)


def test_the_boundaries_of_texts_and_the_longest_of_them(rows):
    """What FlashAttention is told instead of a mask."""
    batch = rows.batch([0, 1, 2])
    found = to_device(batch, torch.device("cpu"))
    lengths = torch.diff(found.boundaries).tolist()
    assert found.boundaries[0] == 0 and found.boundaries[-1] == 3 * 64
    assert len(lengths) == int((batch.position_ids == 0).sum()) and found.longest == max(lengths) > min(lengths)


# --- settings reach what they are for --------------------------------------------------------------------------------


def test_gradient_checkpointing_is_on_and_changes_no_number(rows, model_directory):
    weights = []
    for wanted in (False, True):
        config = TrainConfig(sequence_length=64, learning_rate=1e-2, gradient_checkpointing=wanted)
        trainer = loop.Trainer(on_cpu(model_directory), rows, config)
        assert trainer.model.is_gradient_checkpointing == wanted
        trainer.step(0)
        weights.append(torch.cat([parameter.detach().flatten() for parameter in trainer.model.parameters()]))
    assert torch.allclose(*weights, atol=1e-6)


@pytest.mark.parametrize(("dtype", "held"), [("float32", torch.float32), ("bfloat16", torch.bfloat16)])
def test_frozen_parts_stay_and_are_held_in_the_dtype_of_computing(model_directory, rows, dtype, held):
    config = TrainConfig(sequence_length=64, learning_rate=1e-2, freeze=["layers.0", "embed"], dtype=dtype)
    trainer = loop.Trainer(on_cpu(model_directory), rows, config)
    before = {name: value.detach().clone() for name, value in trainer.model.named_parameters()}
    trainer.step(0)
    frozen = [name for name in before if "layers.0" in name or "embed" in name]
    assert 0 < len(frozen) < len(before)
    for name, value in trainer.model.named_parameters():
        assert value.requires_grad == (name not in frozen)
        assert torch.equal(value, before[name]) == (name in frozen), name
        assert value.dtype == (held if name in frozen else torch.float32)


def test_adapters_are_drawn_by_the_seed_scaled_and_put_where_they_are_wanted(model_directory):
    def adapted(**settings):
        model = on_cpu(model_directory)
        parameters.choose(model, TrainConfig(lora_rank=2, **settings))
        return model

    def drawn(model):
        return torch.cat([value.flatten() for name, value in model.named_parameters() if "lora_A" in name])

    first, same, other = adapted(seed=5), adapted(seed=5), adapted(seed=6)
    assert torch.equal(drawn(first), drawn(same)) and not torch.equal(drawn(first), drawn(other))
    layer = first.model.layers[0].self_attn.q_proj
    assert layer.scaling == {"default": 2.0}, "twice the rank by default"
    assert adapted(lora_alpha=3.0).model.layers[0].self_attn.q_proj.scaling == {"default": 1.5}
    assert parameters.lora_alpha(TrainConfig(lora_rank=2)) == 4.0
    names = {name.rsplit(".lora", 1)[0] for name in parameters.trained(adapted(lora_targets=["v_proj"]))}
    assert names == {f"model.layers.{number}.self_attn.v_proj" for number in (0, 1)}
    assert not any("lm_head" in name for name in parameters.trained(first))


def test_adapters_are_float32_beside_weights_in_bfloat16(model_directory):
    model = load_model(str(model_directory), device="cpu", dtype="bfloat16")
    parameters.choose(model, TrainConfig(lora_rank=2, dtype="bfloat16"))
    kinds = {(value.dtype, value.requires_grad) for value in model.parameters()}
    assert kinds == {(torch.bfloat16, False), (torch.float32, True)}


def test_only_matrices_decay_by_what_the_settings_say(model):
    decayed, spared = parameters.groups(model, TrainConfig(weight_decay=0.7))
    assert (decayed["weight_decay"], spared["weight_decay"]) == (0.7, 0.0)


def test_the_residual_stream_of_half_precision_is_half(model_directory, rows):
    """As it is in a model of that dtype, not in float32 because the embeddings are."""
    model = on_cpu(model_directory)
    network = PackedLoss(model, attention="sdpa", casts=True)
    seen = []
    model.model.layers[0].register_forward_pre_hook(lambda _, given: seen.append(given[0].dtype))
    isolation.check(network, rows)
    assert set(seen) == {torch.bfloat16}
