"""Layers through `torch.compile`: the same losses with adapters, experts and what balances them, in silence."""

from __future__ import annotations

import shutil

import pytest
from random_models import random_model
from test_expert_adapters import KINDS

from latxa_cli.training import loop
from latxa_cli.training.config import TrainConfig

needs_compiler = pytest.mark.skipif(shutil.which("g++") is None, reason="needs a C++ compiler")


def figures(rows, kernels, **settings):
    model = random_model("mixtral", **KINDS["mixtral"], output_router_logits=True)
    config = TrainConfig(sequence_length=64, sequences_per_step=4, learning_rate=5e-3, kernels=kernels, **settings)
    trainer = loop.Trainer(model, rows, config)
    lines = [trainer.step(step) for step in range(2)]
    return [line[name] for line in lines for name in ("loss", "gradient_norm", "balancing_loss")]


@needs_compiler
def test_mixtures_with_adapters_train_as_without_and_say_nothing(rows, capfd, recwarn):
    settings = {"lora_rank": 2, "lora_experts": True}
    expected = figures(rows, "torch", **settings)
    capfd.readouterr()
    assert figures(rows, "compile", **settings) == pytest.approx(expected, rel=1e-4)
    assert capfd.readouterr().err == ""
    assert not [warned for warned in recwarn if "Error detected" in str(warned.message)]
