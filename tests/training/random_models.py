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


# Models that take pictures or sound beside text: (the part of their configuration about these, its sizes).
EYES = {
    "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2, "image_size": 28,
    "patch_size": 14,
}  # fmt: skip
GRID = {"depth": 2, "embed_dim": 16, "hidden_size": 16, "num_heads": 2, "patch_size": 14, "out_hidden_size": 32}
EARS = {
    "d_model": 16, "hidden_size": 16, "intermediate_size": 24, "encoder_layers": 2, "encoder_attention_heads": 2,
    "encoder_ffn_dim": 24, "num_hidden_layers": 2, "num_attention_heads": 2,
}  # fmt: skip
WITH_PARTS = {
    "aya_vision": ("vision_config", EYES),
    "gemma3": ("vision_config", EYES),
    "idefics3": ("vision_config", EYES),
    "internvl": ("vision_config", EYES | {"image_size": [28, 28], "patch_size": [14, 14]}),
    "llama4": (
        "vision_config",
        EYES | {"vision_output_dim": 16, "projector_output_dim": 16, "projector_input_dim": 16},
    ),
    "llava": ("vision_config", EYES | {"model_type": "clip_vision_model", "projection_dim": 16}),
    "mistral3": ("vision_config", EYES | {"model_type": "pixtral"}),
    "mllama": ("vision_config", EYES | {"num_global_layers": 1, "attention_heads": 2, "vision_output_dim": 32}),
    "qwen2_5_vl": ("vision_config", GRID | {"intermediate_size": 24}),
    "qwen2_audio": ("audio_config", EARS),
    "qwen2_vl": ("vision_config", GRID | {"hidden_size": 32, "mlp_ratio": 2}),
    "qwen3_5": ("vision_config", GRID | {"intermediate_size": 24}),
    "qwen3_vl": ("vision_config", GRID | {"intermediate_size": 24, "deepstack_visual_indexes": [0, 1]}),
    "qwen3_vl_moe": ("vision_config", GRID | {"intermediate_size": 24, "deepstack_visual_indexes": [0, 1]}),
    "smolvlm": ("vision_config", EYES),
    "voxtral": ("audio_config", EARS),
}
HALVES = {"rope_parameters": {"rope_type": "default", "rope_theta": 1e4, "mrope_section": [4, 2, 2]}}
TEXT_PARTS = {
    "gemma3": {"head_dim": 16, "sliding_window": 16},
    "llama4": {
        "head_dim": 16, "num_local_experts": 2, "num_experts_per_tok": 1, "intermediate_size_mlp": 48,
        "attention_chunk_size": 128,
    },
    "mistral3": {"model_type": "ministral3", "head_dim": 16},
    "mllama": {"cross_attention_layers": [1]},
    "qwen2_5_vl": HALVES,
    "qwen2_vl": HALVES,
    "qwen3_5": {
        "head_dim": 16, "layer_types": ["linear_attention", "full_attention"], "linear_num_key_heads": 2,
        "linear_num_value_heads": 2, "linear_key_head_dim": 8, "linear_value_head_dim": 8,
    },
    "qwen3_vl": {"head_dim": 16},
    "qwen3_vl_moe": {"head_dim": 16, "num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 24},
}  # fmt: skip


def model_with_parts(kind, *, spread=0.2, **settings):
    """Return a tiny model of a family in `WITH_PARTS`."""
    from transformers import CONFIG_MAPPING, AutoModelForMultimodalLM

    torch.manual_seed(0)
    name, sizes = WITH_PARTS[kind]
    text = SIZES | {"initializer_range": spread} | TEXT_PARTS.get(kind, {})
    of_kind = CONFIG_MAPPING[kind]
    default = of_kind()
    text = {"model_type": default.text_config.model_type} | text
    part = {"model_type": getattr(default, name).model_type} | sizes
    return AutoModelForMultimodalLM.from_config(of_kind(text_config=text, **{name: part}, **settings)).eval()


def seeing_model():
    """Return a tiny Gemma 3 with a tower for pictures."""
    return model_with_parts("gemma3", mm_tokens_per_image=1, image_token_index=3)
