"""The loop: packing without contamination, the loss, the schedule."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch

from latxa_cli.model import choose_device
from latxa_cli.stream.errors import LatxaError, UsageError
from latxa_cli.training import loop
from latxa_cli.training.config import TrainConfig
from latxa_cli.training.rows import IGNORED

CONFIG = TrainConfig(epochs=2, learning_rate=1e-2, batch_size=4, sequence_length=64)


def tensors(batch, rows):
    return [torch.from_numpy(array[rows]).long() for array in batch]


def row_with_most_pieces(batch):
    return int((batch.position_ids == 0).sum(axis=1).argmax())


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_packed_logits_are_those_of_the_pieces_alone(model, batch, training, attention):
    model.set_attn_implementation(attention)
    model.train(training)
    row = row_with_most_pieces(batch)
    ids, positions, _ = tensors(batch, [row, 0])  # two rows: isolation must hold in a batch too
    together = loop.forward(model, ids, positions)[0]
    cuts = [*np.flatnonzero(batch.position_ids[row] == 0).tolist(), 64]
    assert len(cuts) > 3
    for start, end in itertools.pairwise(cuts):
        alone = model(input_ids=ids[:1, start:end], use_cache=False).logits[0]
        assert (alone - together[start:end]).abs().max() < 1e-5


def test_the_check_passes_here_and_finds_a_model_that_looks_across_pieces(model, rows, monkeypatch):
    loop.check_isolation(model, rows)

    def contaminated(model, input_ids, position_ids, neftune_alpha=0.0):
        return model(input_ids=input_ids, position_ids=position_ids, use_cache=True).logits

    monkeypatch.setattr(loop, "forward", contaminated)
    with pytest.raises(LatxaError, match="mixes the texts"):
        loop.check_isolation(model, rows)


def test_the_packed_loss_is_that_of_the_records_alone(model, batch):
    """Against an independent sum, piece by piece and token by token."""
    rows = list(range(6))
    ids, positions, labels = tensors(batch, rows)
    with torch.no_grad():
        packed_loss = loop.loss_sum(loop.forward(model, ids, positions), labels).item()
        expected = 0.0
        for row in rows:
            cuts = [*np.flatnonzero(batch.position_ids[row] == 0).tolist(), 64]
            for start, end in itertools.pairwise(cuts):
                likelihoods = model(input_ids=ids[row : row + 1, start:end]).logits[0].log_softmax(-1)
                for at in range(1, end - start):
                    if labels[row, start + at] != IGNORED:
                        expected -= likelihoods[at - 1, ids[row, start + at]].item()
    assert packed_loss == pytest.approx(expected, rel=1e-5)


def test_accumulation_gives_the_step_of_the_large_batch(model_directory, rows):
    """Rows have unequal numbers of trained tokens, so that a mean of means would differ."""
    from latxa_cli.model import load_model

    weights = []
    for batch_size, accumulation in ((8, 1), (2, 4)):
        config = TrainConfig(batch_size=batch_size, gradient_accumulation=accumulation, learning_rate=1e-3)
        trainer = loop.Trainer(load_model(str(model_directory), device="cpu"), rows, config)
        trainer.step(0)
        weights.append(torch.cat([parameter.detach().flatten() for parameter in trainer.model.parameters()]))
    assert (weights[0] - weights[1]).abs().max() < 2e-5


def test_training_lowers_the_loss(model, rows):
    trainer = loop.Trainer(model, rows, CONFIG)
    losses = [trainer.step(step)["loss"] for step in range(min(20, trainer.plan.steps))]
    assert losses[-1] < losses[0] - 1


def test_each_epoch_sees_every_row_once_in_its_own_order():
    plan = loop.Plan(10, TrainConfig(epochs=2, batch_size=2, gradient_accumulation=2))
    assert (plan.steps_per_epoch, plan.steps) == (3, 6)
    orders = [
        [int(row) for step in steps for rows in plan.batches(step) for row in rows] for steps in ((0, 1, 2), (3, 4, 5))
    ]
    assert sorted(orders[0]) == sorted(orders[1]) == list(range(10))
    assert orders[0] != orders[1]
    assert loop.Plan(10, TrainConfig(epochs=2.5, batch_size=2)).steps == 12


def test_the_learning_rate_rises_then_falls_to_the_floor():
    config = TrainConfig(epochs=100, batch_size=1, learning_rate=1.0)
    plan = loop.Plan(1, config)
    rates = [plan.learning_rate(step) for step in range(100)]
    assert rates[0] == pytest.approx(0.1) and rates[9] == rates[10] == 1.0
    assert rates[:10] == sorted(rates[:10]) and rates[10:] == sorted(rates[10:], reverse=True)
    assert rates[-1] == pytest.approx(0.33)
    assert rates[10 + 44] == pytest.approx(0.33 + 0.67 * (1 + math.cos(math.pi * 44 / 89)) / 2)
    assert loop.Plan(1, TrainConfig(warmup_ratio=1.0)).learning_rate(0) == pytest.approx(1e-5)


def test_norms_do_not_decay(model):
    decayed, spared = loop.make_optimizer(model, CONFIG).param_groups
    assert (decayed["weight_decay"], spared["weight_decay"]) == (0.1, 0.0)
    assert {parameter.ndim for parameter in decayed["params"]} == {2}
    assert len(spared["params"]) == 5  # two norms a layer, and the last one
    assert len(decayed["params"]) + len(spared["params"]) == len(list(model.parameters()))


def test_noise_is_scaled_by_the_length_of_the_piece():
    positions = torch.tensor([[0, 1, 2, 0, 1, 0], [0, 1, 2, 3, 4, 5]])
    assert loop.piece_lengths(positions).tolist() == [[3, 3, 3, 2, 2, 1], [6] * 6]


def test_noise_changes_the_loss_and_is_repeatable(model_directory, rows):
    from latxa_cli.model import load_model

    losses = []
    for alpha in (0.0, 5.0, 5.0):
        config = TrainConfig(neftune_alpha=alpha, sequence_length=64)
        losses.append(loop.Trainer(load_model(str(model_directory), device="cpu"), rows, config).step(0)["loss"])
    assert losses[1] == losses[2] != losses[0]


def test_bfloat16_is_near_float32(model_directory, rows):
    from latxa_cli.model import load_model

    losses = [
        loop.Trainer(load_model(str(model_directory), device="cpu"), rows, TrainConfig(dtype=dtype, seed=1)).step(0)[
            "loss"
        ]
        for dtype in ("float32", "bfloat16")
    ]
    assert losses[0] != losses[1]
    assert losses[1] == pytest.approx(losses[0], rel=0.02)


def test_a_loss_that_is_no_number_stops_at_its_step(model, rows):
    trainer = loop.Trainer(model, rows, CONFIG)
    trainer.step(0)
    with torch.no_grad():
        model.model.norm.weight[0] = float("nan")
    with pytest.raises(LatxaError, match="the loss became `nan` at step 2"):
        trainer.step(1)


def test_a_row_without_anything_to_learn_is_no_error(model, rows, monkeypatch):
    some = rows.batch

    def nothing_trained(numbers):
        return some(numbers)._replace(labels=np.full((len(numbers), 64), IGNORED, np.int32))

    monkeypatch.setattr(rows, "batch", nothing_trained)
    assert loop.Trainer(model, rows, CONFIG).step(0)["loss"] == 0.0


def test_an_unknown_device():
    with pytest.raises(UsageError, match="there is no device `abacus`"):
        choose_device("abacus")


def test_estimate(model, rows):
    estimate = loop.estimate(loop.Trainer(model, rows, CONFIG))
    assert estimate.steps == loop.Plan(len(rows), CONFIG).steps
    assert estimate.state_bytes == 16 * sum(parameter.numel() for parameter in model.parameters())
    assert estimate.seconds > 0 and estimate.peak_bytes > estimate.state_bytes
