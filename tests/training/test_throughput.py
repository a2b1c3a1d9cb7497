"""Operations of a step, against a count of those that torch does."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from latxa_cli.training import throughput


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
