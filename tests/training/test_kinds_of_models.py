"""Models of other kinds, tiny and random: the loss of packed rows is that of each text alone, as the model has it."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from latxa_cli.stream.errors import LatxaError
from latxa_cli.training import isolation
from latxa_cli.training.forward import PackedLoss, packed
from latxa_cli.training.rows import IGNORED

SIZES = {
    "vocab_size": 300, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2,
    "num_key_value_heads": 1, "max_position_embeddings": 128, "bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 1,
}  # fmt: skip
OF_GPT2 = {"n_embd": 32, "n_layer": 2, "n_head": 2, "n_positions": 128}
WINDOW = {"sliding_window": 16, "head_dim": 16}
MIXTURE = {"num_local_experts": 2, "num_experts_per_tok": 1}
PLAIN = {
    "gpt2": OF_GPT2, "gpt_neox": {}, "qwen3": {"head_dim": 16}, "mistral": WINDOW, "gemma3_text": WINDOW,
    "mixtral": MIXTURE, "phi3": {},
}  # fmt: skip
NOT_PLAIN = {  # capped, far above the logits of an untrained model; with a bias; scaled; no part of the model without
    "gemma2": WINDOW | {"final_logit_softcapping": 30.0}, "phi": {}, "cohere": {"logit_scale": 0.5},
    "llama4_text": MIXTURE | {"head_dim": 16, "attention_chunk_size": 128, "intermediate_size_mlp": 48},
}  # fmt: skip


def random_model(kind, *, spread=0.2, **settings):
    from transformers import AutoConfig, AutoModelForCausalLM

    torch.manual_seed(0)
    config = AutoConfig.for_model(kind, **SIZES | {"initializer_range": spread} | settings)
    return AutoModelForCausalLM.from_config(config).eval()


def loss_of_each_text(model, batch):
    total = 0.0
    for ids, positions, labels in zip(*batch, strict=True):
        for start, end in pairwise([*np.flatnonzero(positions == 0).tolist(), len(ids)]):
            wanted = torch.from_numpy(labels[start + 1 : end]).long()
            logits = model(input_ids=torch.from_numpy(ids[None, start:end]).long()).logits[0, :-1]
            total += cross_entropy(logits, wanted, ignore_index=IGNORED, reduction="sum").item()
    return total


@pytest.mark.parametrize("kind", PLAIN | NOT_PLAIN)
def test_the_packed_loss_is_that_of_each_text_alone(kind, rows):
    model = random_model(kind, spread=0.02 if kind == "gemma2" else 0.2, **(PLAIN | NOT_PLAIN)[kind])
    network = PackedLoss(model, attention="sdpa").eval()
    isolation.check(network, rows)
    assert network.head_is_plain == (kind in PLAIN)
    batch = rows.batch([0, 1])
    with torch.no_grad():
        found = network(*packed(batch, torch.device("cpu"))).item()
        assert found == pytest.approx(loss_of_each_text(model, batch), rel=1e-4)


@pytest.mark.parametrize("kind", ["bloom", "mamba"])
def test_models_that_cannot_keep_texts_apart_are_refused(kind, rows):
    network = PackedLoss(random_model(kind, n_layer=2, n_head=2, state_size=4), attention="eager")
    with pytest.raises(LatxaError, match="mixes the texts of a packed row"):
        isolation.check(network, rows)
