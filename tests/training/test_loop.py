"""The loop: packing without contamination, the loss, the schedule."""

from __future__ import annotations

import itertools
import math
import re

import numpy as np
import pytest
import torch

from latxa_cli.model import choose_device
from latxa_cli.stream.errors import LatxaError, UsageError
from latxa_cli.training import loop
from latxa_cli.training.checkpoints import checkpoint
from latxa_cli.training.config import TrainConfig
from latxa_cli.training.data.rows import IGNORED, PackedRows
from latxa_cli.training.network import isolation, parameters
from latxa_cli.training.network.forward import PackedLoss, noise_for, text_lengths, to_device
from latxa_cli.training.plan import TrainingPlan

CONFIG = TrainConfig(epochs=2, learning_rate=1e-2, sequences_per_step=4, sequence_length=64)


def pieces_of(batch, row):
    """Where the texts of a row begin and end."""
    return list(itertools.pairwise([*np.flatnonzero(batch.position_ids[row] == 0).tolist(), 64]))


def row_with_most_pieces(batch):
    return int((batch.position_ids == 0).sum(axis=1).argmax())


def some(batch, rows):
    return to_device(PackedRows(*(array[rows] for array in batch)), torch.device("cpu"))


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_packed_logits_are_those_of_the_pieces_alone(model, batch, training, attention):
    model.set_attn_implementation(attention)
    network = PackedLoss(model, attention=attention).train(training)
    row = row_with_most_pieces(batch)
    rows = some(batch, [row, 0])  # two rows: isolation must hold in a batch too
    together = network.logits(rows)[0]
    assert len(pieces_of(batch, row)) > 2
    for start, end in pieces_of(batch, row):
        alone = model(input_ids=rows.input_ids[:1, start:end], use_cache=False).logits[0]
        assert (alone - together[start:end]).abs().max() < 1e-5


def test_the_check_passes_here_and_finds_a_model_that_looks_across_pieces(model, rows, monkeypatch):
    network = PackedLoss(model, attention="sdpa")
    assert isolation.check(network, rows) < 1e-5
    assert network.head_is_plain
    call = model.forward

    def contaminated(**given):
        return call(**{**given, "use_cache": True})

    monkeypatch.setattr(model, "forward", contaminated)
    with pytest.raises(LatxaError, match=r"mixes the texts of a packed row .*attention `sdpa`") as caught:
        isolation.check(network, rows)
    assert "a gradient shows it" in str(caught.value)
    monkeypatch.setattr(isolation, "_sees", lambda *_: True)
    with pytest.raises(LatxaError, match=r"mixes the texts of a row that is taken apart") as caught:
        isolation.choose(network, rows, "auto")
    assert '"eager"' in caught.value.hint and "sdpa" not in caught.value.hint


def test_a_model_with_a_spoilt_weight_is_told_apart_from_one_that_mixes_texts(model, rows):
    with torch.no_grad():
        model.model.norm.weight[0] = float("nan")
    with pytest.raises(LatxaError, match="not finite before any training"):
        isolation.check(PackedLoss(model, attention="sdpa"), rows)


def test_a_head_that_does_more_than_multiply_is_noticed(model, rows, monkeypatch):
    call = model.forward

    def capped(**given):
        found = call(**given)
        found.logits = torch.tanh(found.logits / 2) * 2
        return found

    monkeypatch.setattr(model, "forward", capped)
    network = PackedLoss(model, attention="sdpa")
    isolation.check(network, rows)
    assert not network.head_is_plain
    batch = to_device(rows.batch([0, 1]), torch.device("cpu"))
    logits = network.logits(batch).flatten(0, 1)[batch.where]
    expected = torch.nn.functional.cross_entropy(logits, batch.targets, reduction="sum").item()
    assert network(*batch).item() == pytest.approx(expected, rel=1e-5)


def test_the_packed_loss_is_that_of_the_records_alone(model, batch):
    """Against an independent sum, piece by piece and token by token."""
    rows = list(range(6))
    with torch.no_grad():
        packed_loss = PackedLoss(model, attention="sdpa")(*some(batch, rows)).item()
        expected = 0.0
        for row in rows:
            ids, labels = (torch.from_numpy(array[[row]]).long() for array in (batch.input_ids, batch.labels))
            for start, end in pieces_of(batch, row):
                likelihoods = model(input_ids=ids[:, start:end]).logits[0].log_softmax(-1)
                for at in range(1, end - start):
                    if labels[0, start + at] != IGNORED:
                        expected -= likelihoods[at - 1, ids[0, start + at]].item()
    assert packed_loss == pytest.approx(expected, rel=1e-5)


def test_accumulation_gives_the_step_of_the_large_batch(model_directory, rows):
    """Rows have unequal numbers of trained tokens, so that a mean of means would differ."""
    from latxa_cli.model import load_model

    weights = []
    for batch_size in (8, 2):
        config = TrainConfig(sequences_per_step=8, batch_size=batch_size, learning_rate=1e-3)
        trainer = loop.Trainer(load_model(str(model_directory), device="cpu"), rows, config)
        trainer.step(0)
        weights.append(torch.cat([parameter.detach().flatten() for parameter in trainer.model.parameters()]))
    assert (weights[0] - weights[1]).abs().max() < 2e-5


def test_training_lowers_the_loss(model, rows):
    trainer = loop.Trainer(model, rows, CONFIG)
    losses = [trainer.step(step)["loss"] for step in range(min(20, trainer.plan.steps))]
    assert losses[-1] < losses[0] - 1


def test_each_epoch_sees_every_row_once_in_its_own_order():
    plan = TrainingPlan(10, TrainConfig(epochs=2, sequences_per_step=4, batch_size=2))
    assert (plan.steps_per_epoch, plan.steps) == (3, 6)
    orders = [
        [int(row) for step in steps for rows in plan.batches(step) for row in rows] for steps in ((0, 1, 2), (3, 4, 5))
    ]
    assert sorted(orders[0]) == sorted(orders[1]) == list(range(10))
    assert orders[0] != orders[1]
    assert TrainingPlan(10, TrainConfig(epochs=2.5, sequences_per_step=2)).steps == 12


@pytest.mark.parametrize("world", [1, 2, 3, 7])
def test_processes_share_out_the_rows_of_a_step(world):
    config = TrainConfig(epochs=2, sequences_per_step=11, batch_size=2)
    alone = TrainingPlan(40, config)
    for step in range(alone.steps):
        dealt = [TrainingPlan(40, config, rank, world).batches(step) for rank in range(world)]
        assert len({len(batches) for batches in dealt}) == 1, "all must meet in every forward pass"
        assert all(len(batch) <= 2 for batches in dealt for batch in batches)
        rows = sorted(int(row) for batches in dealt for batch in batches for row in batch)
        assert rows == sorted(alone.rows_of(step).tolist())


def test_the_learning_rate_rises_then_falls_to_the_floor():
    config = TrainConfig(epochs=100, sequences_per_step=1, learning_rate=1.0)
    plan = TrainingPlan(1, config)
    rates = [plan.learning_rate(step) for step in range(100)]
    assert rates[0] == pytest.approx(0.1) and rates[9] == rates[10] == 1.0
    assert rates[:10] == sorted(rates[:10]) and rates[10:] == sorted(rates[10:], reverse=True)
    assert rates[-1] == pytest.approx(0.33)
    assert rates[10 + 44] == pytest.approx(0.33 + 0.67 * (1 + math.cos(math.pi * 44 / 89)) / 2)
    assert TrainingPlan(1, TrainConfig(warmup_ratio=1.0)).learning_rate(0) == pytest.approx(1e-5)


def test_norms_do_not_decay(model):
    decayed, spared = parameters.groups(model, CONFIG)
    assert (decayed["weight_decay"], spared["weight_decay"]) == (0.1, 0.0)
    assert {parameter.ndim for parameter in decayed["params"]} == {2}
    assert len(spared["params"]) == 5  # two norms a layer, and the last one
    assert len(decayed["params"]) + len(spared["params"]) == len(list(model.parameters()))


def test_noise_is_scaled_by_the_length_of_the_piece_or_of_the_row(batch):
    assert text_lengths(np.array([[0, 1, 2, 0, 1, 0], [0, 1, 2, 3, 4, 5]], np.int32)).tolist() == [
        [3, 3, 3, 2, 2, 1],
        [6] * 6,
    ]
    two = PackedRows(*(array[[3, 5]] for array in batch))
    draw = {"alpha": 5.0, "size": 1000, "seed": 1, "step": 7, "device": torch.device("cpu")}
    by_text = noise_for(two, [3, 5], by_row=False, **draw)
    by_row = noise_for(two, [3, 5], by_row=True, **draw)
    bound = 5 / math.sqrt(64 * 1000)
    assert -bound <= by_row.min() < -0.99 * bound and 0.99 * bound < by_row.max() <= bound
    assert abs(by_row.mean()) < 0.01 * bound
    lengths = torch.from_numpy(text_lengths(two.position_ids)).unsqueeze(-1)
    assert torch.allclose(by_text, by_row * (64 / lengths).sqrt(), rtol=1e-5)
    other_way = noise_for(PackedRows(*(array[[5, 3]] for array in batch)), [5, 3], by_row=True, **draw)
    assert torch.equal(other_way, by_row.flip(0)), "it belongs to the row, not to its place"


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
    with pytest.raises(LatxaError, match="the loss became `nan` at step 2, in all rows, the first is row"):
        trainer.step(1)


def test_a_loss_that_is_no_number_names_its_texts(model, rows, tokenizer):
    trainer = loop.Trainer(model, rows, CONFIG, tokenizer=tokenizer)
    taken = [int(row) for row in trainer.plan.rows_of(0)]
    ids = [set(rows.batch([row]).input_ids[0].tolist()) for row in taken]
    (token, where) = next(
        (token, at) for at, own in enumerate(ids) for token in own if sum(token in o for o in ids) == 1
    )
    with torch.no_grad():
        model.lm_head.weight = torch.nn.Parameter(model.lm_head.weight.clone())  # no longer tied
        model.get_input_embeddings().weight[token] = float("inf")
    with pytest.raises(LatxaError, match=rf"at step 1, in row {taken[where]} \(`"):
        trainer.step(0)


def test_no_checkpoint_is_written_after_a_gradient_that_is_no_number(model, rows, tmp_path):
    config = TrainConfig(sequences_per_step=4, sequence_length=64, checkpoint_every=1)
    steps = loop.train(loop.Trainer(model, rows, config), tmp_path, report=lambda _: None)
    assert next(steps)["step"] == 1
    model.model.norm.weight.register_hook(lambda gradient: gradient * float("inf"))
    with pytest.raises(LatxaError, match="the gradient became infinite, or no number, at step 2"):
        list(steps)
    assert [path.name for path in checkpoint.complete(tmp_path)] == ["step-1"]


def test_what_the_starting_weights_give_is_not_put_down_to_the_learning_rate(model, rows, tokenizer):
    """A padding token whose row is zero, in a model that divides by the length of that."""
    with torch.no_grad():
        model.get_input_embeddings().weight[tokenizer.pad_token_id] = 0.0
    for layer in model.model.layers:
        layer.input_layernorm.variance_epsilon = 0.0
    config = TrainConfig(learning_rate=1e-2, sequences_per_step=len(rows), sequence_length=64)
    with pytest.raises(LatxaError, match=r"the loss became `nan` at step 1, in row") as caught:
        loop.Trainer(model, rows, config, tokenizer=tokenizer).step(0)
    assert caught.value.hint == loop.NO_STEP_YET


def test_a_gradient_that_is_no_number_is_named_and_changes_nothing(model, rows, tokenizer):
    trainer = loop.Trainer(model, rows, CONFIG, tokenizer=tokenizer)
    before = [value.detach().clone() for value in model.parameters()]
    embedding = model.get_input_embeddings().weight

    def spoil(gradient):
        gradient = gradient.clone()
        gradient[tokenizer.eos_token_id, 0] = float("nan")
        return gradient

    embedding.register_hook(spoil)
    name = re.escape(f"(of `{tokenizer.eos_token}`)")
    with pytest.raises(LatxaError, match=rf"at step 1: that of `model.embed_tokens.weight` {name}$") as caught:
        trainer.step(0)
    assert caught.value.hint == loop.NO_STEP_YET
    assert all(map(torch.equal, before, model.parameters()))


def test_a_row_without_anything_to_learn_is_no_error(model, rows, monkeypatch):
    some = rows.batch

    def nothing_trained(numbers):
        return some(numbers)._replace(labels=np.full((len(numbers), 64), IGNORED, np.int32))

    monkeypatch.setattr(rows, "batch", nothing_trained)
    monkeypatch.setattr(rows, "trained_in", lambda _: 0)
    assert loop.Trainer(model, rows, CONFIG).step(0)["loss"] == 0.0


def test_an_unknown_device():
    with pytest.raises(UsageError, match="there is no device `abacus`"):
        choose_device("abacus")


def test_estimate(model, rows):
    estimate = loop.estimate(loop.Trainer(model, rows, CONFIG))
    assert estimate.steps == TrainingPlan(len(rows), CONFIG).steps
    assert estimate.seconds == pytest.approx(2 * len(rows) * 64 / estimate.tokens_per_second), "of both epochs"
    assert estimate.state_bytes == 16 * sum(parameter.numel() for parameter in model.parameters())
    half = TrainConfig(lora_rank=2, dtype="bfloat16")
    loop.Trainer(model, rows, half)
    frozen, trained = (
        sum(p.numel() for p in model.parameters() if p.requires_grad is needed) for needed in (False, True)
    )
    assert parameters.state_bytes(model) == 2 * frozen + 16 * trained
    assert estimate.seconds > 0 and estimate.peak_bytes > estimate.state_bytes
