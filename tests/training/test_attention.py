"""Which attention a model gets, and that texts one by one are what a mask makes of them."""

from __future__ import annotations

import pytest
import torch

from latxa_cli.stream.errors import UsageError
from latxa_cli.training import loop
from latxa_cli.training.config import TrainConfig
from latxa_cli.training.network import attention, isolation
from latxa_cli.training.network.forward import PackedLoss, to_device


def made(kind, **changes):
    from transformers import AutoConfig, AutoModelForCausalLM

    shape = {
        "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "vocab_size": 300,
        "num_key_value_heads": 2, "head_dim": 8, "max_position_embeddings": 128, "pad_token_id": 2,
    }  # fmt: skip
    torch.manual_seed(0)
    return AutoModelForCausalLM.from_config(AutoConfig.for_model(kind, **shape | changes)).eval()


@pytest.mark.parametrize("kind", ["llama", "qwen3", "mistral"])
def test_texts_one_by_one_are_as_those_behind_a_mask(rows, kind):
    changes = {"sliding_window": None} if kind == "mistral" else {}
    logits, losses = [], []
    for wanted in ("sdpa", "varlen"):
        model = made(kind, **changes)
        name = attention.choose(model, wanted, half=False, text_length=1.0)
        network = PackedLoss(model, attention=name)
        assert isolation.check(network, rows) < 1e-5 and name == wanted
        batch = to_device(rows.batch([0, 3, 5]), torch.device("cpu"))
        logits.append(network.logits(batch))
        losses.append(network(*batch).item())
    assert (logits[0] - logits[1]).abs().max() < 1e-5
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


def test_gradients_are_those_behind_a_mask(rows):
    gradients = []
    for wanted in ("sdpa", "varlen"):
        trainer = loop.Trainer(made("llama"), rows, TrainConfig(attention=wanted, learning_rate=1e-3))
        trainer.step(0)
        gradients.append(torch.cat([parameter.flatten() for parameter in trainer.model.parameters()]).detach())
    assert (gradients[0] - gradients[1]).abs().max() < 2e-5


def test_long_texts_alone_are_worth_it_on_a_cpu():
    assert attention.choose(made("llama"), "auto", half=False, text_length=400.0) == "varlen"
    assert attention.choose(made("llama"), "auto", half=False, text_length=40.0) == "sdpa"


def test_what_it_does_not_know_stays_with_a_mask(rows):
    window = made("mistral", sliding_window=8)
    assert attention.choose(window, "auto", half=False, text_length=400.0) == "sdpa"
    with pytest.raises(UsageError, match="cannot be `varlen`: on a CPU it knows no sliding window"):
        attention.choose(window, "varlen", half=False, text_length=400.0)
    capped = made("gemma2", sliding_window=None)
    assert attention.choose(capped, "auto", half=False, text_length=400.0) != "varlen"
    with pytest.raises(UsageError, match="soft capping"):
        attention.choose(capped, "varlen", half=False, text_length=400.0)


def test_sinks_stay_with_a_mask():
    model = made("gpt_oss", num_local_experts=2, num_experts_per_tok=1)
    assert attention.choose(model, "auto", half=False, text_length=400.0) == "eager"
    with pytest.raises(UsageError, match="it knows no attention sinks"):
        attention.choose(model, "varlen", half=False, text_length=400.0)


def test_a_library_that_is_not_there():
    with pytest.raises(UsageError, match="`attention` cannot be `flash_attention_2`"):
        attention.choose(made("llama"), "flash_attention_2", half=True, text_length=400.0)
