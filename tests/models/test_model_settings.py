"""Settings by which models compute otherwise, of several families."""

from __future__ import annotations

from typing import Any

import pytest

from latxa_cli.models.settings import differences

# Each is another model by itself; the values are other ones than the defaults of the family.
COUNT: dict[str, dict[str, Any]] = {
    "MistralConfig": {"sliding_window": 7, "rms_norm_eps": 0.5},
    "Gemma2Config": {"final_logit_softcapping": 7.0, "attn_logit_softcapping": 7.0, "query_pre_attn_scalar": 7},
    "GraniteConfig": {"attention_multiplier": 7.0, "logits_scaling": 7.0, "embedding_multiplier": 7.0},
    "Qwen3MoeConfig": {"num_experts_per_tok": 3, "norm_topk_prob": True},
    "CohereConfig": {"logit_scale": 7.0},
}
DO_NOT = {
    "use_cache": False, "max_position_embeddings": 7, "eos_token_id": 7, "attention_dropout": 0.5, "vocab_size": 7,
    "initializer_range": 7.0, "tie_word_embeddings": False, "torch_dtype": "float16", "transformers_version": "4.0",
    "_name_or_path": "elsewhere", "unknown_to_the_family": 7, "architectures": ["Other"],
}  # fmt: skip


@pytest.mark.parametrize("family", COUNT)
def test_what_changes_the_result_counts_and_nothing_else(family: str) -> None:
    import transformers

    kind = getattr(transformers, family)
    for name, value in COUNT[family].items():
        (found,) = differences([kind(), kind(**{name: value}), kind()])
        assert found.name == name and not found.decisive
        assert found.values[1] != found.values[0] == found.values[2]
    assert differences([kind(), kind(**DO_NOT), kind()]) == []


def test_names_of_a_family_of_its_own_are_understood() -> None:
    from transformers import GPT2Config

    (found,) = differences([GPT2Config(), GPT2Config(n_head=6)])
    assert (found.name, found.values, found.decisive) == ("n_head", ("12", "6"), True)
    assert differences([GPT2Config(), GPT2Config(n_positions=7, summary_type="last")]) == []


def test_layers_with_heads_of_their_own_sizes_are_compared_too() -> None:
    """A configuration of Gemma 4 has no `head_dim` for all layers, and raises where it is asked for one."""
    from transformers import Gemma4TextConfig

    kinds = ["sliding_attention", "full_attention"]
    one, other = (Gemma4TextConfig(num_hidden_layers=2, layer_types=kinds, **more) for more in ({}, {"head_dim": 4}))
    assert differences([one, one]) == []
    assert [found.name for found in differences([one, other]) if found.decisive] == ["head_dim"]


def test_names_in_a_setting_may_be_numbers() -> None:
    """As those of labels, in a part that a configuration has of its own."""
    from transformers import DbrxConfig

    assert differences([DbrxConfig(), DbrxConfig()]) == []


def test_a_long_value_is_cut() -> None:
    from transformers import Gemma3TextConfig

    kinds = ["full_attention"] * 26
    (found,) = differences([Gemma3TextConfig(), Gemma3TextConfig(layer_types=kinds)])
    assert found.name == "layer_types" and all(len(value) <= 60 for value in found.values)
