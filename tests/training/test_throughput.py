"""Operations of a step, against a count of those that torch does."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from latxa_cli.training.network import throughput


@pytest.mark.parametrize("tied", [True, False])
def test_operations_are_those_that_torch_counts(tied):
    from transformers import LlamaConfig, LlamaForCausalLM

    shape = {
        "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 3, "num_attention_heads": 4,
        "num_key_value_heads": 4, "head_dim": 24, "vocab_size": 200, "tie_word_embeddings": tied,
    }  # fmt: skip
    model = LlamaForCausalLM(LlamaConfig(**shape))
    model.set_attn_implementation("eager")
    ids = torch.arange(2 * 32).view(2, 32)
    with FlopCounterMode(display=False) as counter:
        model(input_ids=ids, use_cache=False).logits.sum().backward()
    all_pairs = 2 * 32 * 32  # eager attention computes those to come too
    assert throughput.operations(model, 64, all_pairs) == pytest.approx(counter.get_total_flops(), rel=0.01)


def test_pairs_are_causal_and_inside_of_texts():
    positions = np.array([[0, 1, 2, 0, 1, 0], [0, 1, 2, 3, 4, 5]], np.int32)
    assert throughput.attended_pairs(positions) == (6 + 3 + 1) + 21


def test_no_share_of_a_peak_that_is_not_known():
    assert throughput.peak(torch.device("cpu")) is None
    assert throughput.memory(torch.device("cpu")) > 50_000_000


@pytest.mark.parametrize(
    ("name", "peak"),
    [
        ("NVIDIA H100 PCIe", 756e12), ("NVIDIA H100 NVL", 835e12), ("NVIDIA H100 80GB HBM3", 989e12),
        ("NVIDIA H200", 989e12), ("NVIDIA L40S", 362e12), ("NVIDIA L40", 181e12), ("NVIDIA L4", 121e12),
        ("NVIDIA A100-SXM4-80GB", 312e12), ("NVIDIA RTX A6000", 155e12), ("NVIDIA GeForce RTX 4090", 165e12),
        ("Abacus 9000", None),
    ],
)  # fmt: skip
def test_the_peak_of_a_device_by_its_whole_name(monkeypatch, name, peak):
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: name)
    assert throughput.peak(torch.device("cuda")) == peak
