"""Tiny random models of any kind that transformers knows."""

from __future__ import annotations

import torch

SIZES = {
    "vocab_size": 300, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2,
    "num_key_value_heads": 1, "max_position_embeddings": 128, "bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 1,
}  # fmt: skip


def random_model(kind, *, spread=0.2, **settings):
    from transformers import AutoConfig, AutoModelForCausalLM

    torch.manual_seed(0)
    config = AutoConfig.for_model(kind, **SIZES | {"initializer_range": spread} | settings)
    return AutoModelForCausalLM.from_config(config).eval()


def seeing_model():
    """Return a tiny Gemma 3 with a tower for pictures."""
    from transformers import AutoModelForCausalLM, Gemma3Config

    text = SIZES | {"head_dim": 16, "sliding_window": 16, "initializer_range": 0.2}
    pictures = {
        "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2,
        "image_size": 28, "patch_size": 14,
    }  # fmt: skip
    torch.manual_seed(0)
    config = Gemma3Config(text_config=text, vision_config=pictures, mm_tokens_per_image=1, image_token_index=3)
    return AutoModelForCausalLM.from_config(config)
