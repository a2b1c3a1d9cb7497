"""Which families of models train, and how: a tiny random model of each that transformers has for text.

Those that take pictures or sound beside text have small parts for these too.

    python tests/bench/families.py [KIND ...]
    python tests/bench/families.py --guide recipes/families.md      writes the guide, from all families

Each takes three steps on random texts, after the proof that the texts of a row do not see each other. What is found:

- `packed`: it trains, and packing is exact. The difference of logits stands beside it, as a share of their spread.
- `unpacked`: it trains on rows that are taken apart. The difference of packed rows stands there too.
- `refused`: latxa says in one line that it cannot be trained so.
- `failed`: an error that latxa does not know.
- `not made`: no tiny model comes of the sizes here, which says nothing of latxa.

Goals: 50 families that train, none refused, and none that failed.
"""

from __future__ import annotations

import argparse
import signal
import tempfile
import warnings
from collections import Counter
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import transformers
from timing import table, verdict
from transformers import CONFIG_MAPPING
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES as OF_TEXT
from transformers.models.auto.modeling_auto import MODEL_FOR_MULTIMODAL_LM_MAPPING_NAMES as OF_ALL
from transformers.utils import logging

from latxa_cli.architecture import auto_class, check_reads_text, skeleton
from latxa_cli.stream.display import render
from latxa_cli.stream.errors import LatxaError, UsageError
from latxa_cli.training import loop, session
from latxa_cli.training.config import TrainConfig
from latxa_cli.training.data.packing import best_fit
from latxa_cli.training.data.rows import PreparedRows, RowWriter
from latxa_cli.training.network import isolation, parameters

GOAL, LARGEST, SECONDS, LENGTH, VOCABULARY = 50, 60_000_000, 30, 64, 300
TEXTS = (10, 22, 30, 17, 47, 64, 5, 9, 50, 31, 33)  # tokens of each
ENDS = {"bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 1}
# What configurations call their sizes. A family has those of its own alone.
SMALL = {
    "vocab_size": VOCABULARY, "vocab_size_per_layer_input": VOCABULARY, "hidden_size": 32, "intermediate_size": 48,
    "num_hidden_layers": 2, "num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 16,
    "max_position_embeddings": 128, "sliding_window": 16, "hidden_size_per_layer_input": 8,
    "n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 128, "n_inner": 48, "rotary_dim": 8,
    "d_model": 32, "n_layers": 2, "n_heads": 2, "num_layers": 2, "num_heads": 2, "max_seq_len": 128, "ffn_dim": 48,
    "num_experts": 4, "num_local_experts": 4, "n_routed_experts": 4, "num_experts_per_tok": 2,
    "moe_intermediate_size": 24, "shared_expert_intermediate_size": 24, "n_group": 1, "topk_group": 1,
    "n_shared_experts": 1, "first_k_dense_replace": 1, "q_lora_rank": 16, "kv_lora_rank": 16, "v_head_dim": 16,
    "qk_rope_head_dim": 8, "qk_nope_head_dim": 8, "state_size": 8, "mamba_d_state": 8, "mamba_n_heads": 4,
    "mamba_d_head": 16, "mamba_n_groups": 1, "mamba_chunk_size": 16, "linear_num_key_heads": 2,
    "linear_num_value_heads": 2, "linear_key_head_dim": 8, "linear_value_head_dim": 8,
}  # fmt: skip
# No families for the answers of an assistant: encoders, translators, speech, models that read bytes alone or draft for
# another one, that do not read text alone, or are several in one.
OTHERS = {
    "blip", "blip-2", "diffusion_gemma", "evolla", "florence2", "idefics", "instructblip", "instructblipvideo",
    "kosmos-2", "kosmos-2.5", "kyutai_speech_to_text", "paligemma", "pi0", "pix2struct", "pp_formulanet",
    "qwen2_5_omni", "qwen3_omni_moe", "shieldgemma2", "t5gemma2", "udop", "vibevoice_asr", "vision-encoder-decoder",
    "voxtral_realtime",
    "bart", "bert", "bert-generation", "big_bird", "bigbird_pegasus", "blenderbot", "blenderbot-small", "blt",
    "camembert", "cpmant", "ctrl", "data2vec-text", "electra", "ernie", "gemma4_assistant", "gemma4_unified_assistant",
    "git", "marian", "mbart", "megatron-bert", "moshi", "musicgen", "musicgen_melody", "mvp", "pegasus", "plbart",
    "prophetnet", "reformer", "rembert", "roberta", "roberta-prelayernorm", "roc_bert", "roformer", "trocr", "whisper",
    "xlm", "xlm-roberta", "xlm-roberta-xl", "xlnet", "xmod",
}  # fmt: skip
# What a family asks of its sizes beside these.
ROPE = {"rope_type": "default", "rope_theta": 1e4}
GRIDS = {"rope_parameters": ROPE | {"mrope_section": [4, 2, 2]}}  # positions in time, height and width
OWN: dict[str, dict[str, Any]] = {
    "cohere_compass_text": {"rope_parameters": {"full_attention": ROPE | {"mrope_section": [4, 2, 2]}}},
    "dbrx": {
        "attn_config": {"rope_theta": 1e4, "kv_n_heads": 1, "clip_qkv": 8},
        "ffn_config": {"ffn_hidden_size": 48, "moe_num_experts": 4, "moe_top_k": 2},
    },
    "cosmos3_edge_text": GRIDS,
    "deepseek_ocr2_text": {"mlp_layer_types": ["dense", "sparse"]},
    "deepseek_v2": {"num_experts_per_tok": 2},
    "diffllama": {"num_key_value_heads": 2},
    "dots1": {"n_routed_experts": 4, "num_experts_per_tok": 2, "n_shared_experts": 1},
    "ernie4_5_vl_moe_text": {
        "moe_intermediate_size": [24, 24], "moe_num_experts": 4, "moe_k": 2, "moe_num_shared_experts": 1,
        "rope_parameters": ROPE | {"mrope_section": [3, 3, 2]},
    },
    "falcon_h1": {"mamba_d_ssm": 64},
    "gemma3n_text": {
        "num_hidden_layers": 4, "layer_types": ["sliding_attention", "full_attention"] * 2, "intermediate_size": 48,
        "num_kv_shared_layers": 2, "activation_sparsity_pattern": [0.5, 0.0, 0.0, 0.0], "laurel_rank": 4,
    },
    "glm4v_moe_text": {"rope_parameters": ROPE | {"partial_rotary_factor": 0.5, "mrope_section": [2, 1, 1]}},
    "glm4v_text": GRIDS,
    "glm5_next_text": {"qk_rope_head_dim": 0, "linear_num_heads": 2, "linear_head_dim": 16},
    "glm_ocr_text": GRIDS,
    "gpt_neo": {"attention_types": [[["global", "local"], 1]], "window_size": 16},
    "hunyuan_vl_text": {"rope_parameters": ROPE | {"mrope_section": [2, 2, 2, 2]}},
    "kimi_linear": {"num_experts_per_token": 2, "linear_head_dim": 16, "linear_num_heads": 2},
    "lfm2": {"layer_types": ["conv", "full_attention"]},
    "lfm2_moe": {"layer_types": ["conv", "full_attention"], "num_dense_layers": 1},
    "longcat_flash": {
        "head_dim": 8, "ffn_hidden_size": 48, "expert_ffn_hidden_size": 24, "moe_topk": 2, "zero_expert_num": 2,
    },
    "mamba2": {"num_heads": 4, "head_dim": 16, "n_groups": 1, "chunk_size": 16},
    "paddleocr_vl_text": GRIDS,
    "qwen2_5_omni_text": GRIDS,
    "qwen2_5_vl_text": GRIDS,
    "qwen2_vl_text": GRIDS,
    "step3p5": {"sliding_window": 16},
    "zamba": {
        "num_hidden_layers": 4, "layers_block_type": ["linear_attention", "hybrid"] * 2, "attention_hidden_size": 64,
        "attention_head_dim": 32,
        "num_key_value_heads": 2, "mamba_dt_rank": 2,
    },
    "zamba2": {
        "layers_block_type": ["linear_attention", "hybrid"], "n_mamba_heads": 2, "adapter_rank": 4, "chunk_size": 16,
        "num_key_value_heads": 2,
    },
    "zaya": {"num_experts_per_tok": 1, "router_hidden_size": 16},
}  # fmt: skip
# Of the parts beside text.
OF_PARTS = {
    "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2, "image_size": 28,
    "patch_size": 14, "depth": 2, "embed_dim": 32, "num_heads": 2, "out_hidden_size": 32, "encoder_layers": 2,
    "encoder_attention_heads": 2, "encoder_ffn_dim": 48, "d_model": 32, "num_layers": 2, "mlp_dim": 48,
    "output_channels": 16,
}  # fmt: skip
CODES = {"base_channels": 32, "channel_multiplier": [1, 1], "num_res_blocks": 1, "embed_dim": 8, "num_embeddings": 16}
PICTURE = {"vocabulary_map": {"<image>": 3}}
PARTS: dict[str, dict[str, Any]] = {
    "chameleon": {"vq_config": CODES, **PICTURE},
    "emu3": {"vq_config": CODES | {"codebook_size": 16, "attn_resolutions": []}, **PICTURE},
    "fun_asr_nano": {"adaptor_config": {"intermediate_size": 8}},
    "gemma3": {"mm_tokens_per_image": 4},
    "got_ocr2": {"vision_config": {"image_size": 64}},
    "granite4_vision": {
        "text_config": {"model_type": "granite"}, "downsample_rate": "1/2", "deepstack_layer_map": [[0, 0]],
        "spatial_target_layers": [1],
    },
    "janus": {"vq_config": CODES},
    "mllama": {"text_config": {"num_hidden_layers": 4, "cross_attention_layers": [3]}},
    "nemotron_h_omni": {"vision_config": {"video_temporal_patch_size": 2}},
    "phi4_multimodal": {
        "audio_config": {
            "hidden_size": 32, "intermediate_size": 48, "num_blocks": 1, "num_attention_heads": 2,
            "ext_pw_out_channel": 32, "depthwise_separable_out_channel": 32, "nemo_conv_channels": 32,
        },
        "vision_config": {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2},
    },
}  # fmt: skip
LEFT_OPEN = ("head_dim", "num_key_value_heads")  # sizes that a configuration may have as None, until a model is made


TRAIN = ("packed", "unpacked")
GUIDE = """\
# Families of models

`train` trains {number} families of models that transformers {transformers} has: {packed} on packed rows,
{unpacked} on rows that are taken apart. [training.md](training.md) says what that is. {whole} of them take pictures or
sound beside text, and are exported with the parts for these.

Each line is a tiny random model of the family, in float32 on a CPU (torch {torch}). It passed the proof and took three
steps. On a GPU, with other kernels or other settings of a family, the way may differ; `train --dry-run` says it.

- `difference`: of the logits of a text in a row from those of the text alone, as a share of their spread.
- `difference, packed`: that of packed rows, which are not taken.

{table}
"""


class Found(NamedTuple):
    """What is found of a family: numbers of the proof, or the words of an error."""

    family: str
    what: str
    difference: str = ""
    mixed: str = ""
    details: str = ""


def random_rows(folder: Path) -> PreparedRows:
    draw, lengths = np.random.default_rng(0), np.array(TEXTS)
    begins = np.cumsum(lengths) - lengths
    ids, trained = draw.integers(3, VOCABULARY, lengths.sum()), np.ones(lengths.sum(), bool)
    trained[begins] = False
    writer = RowWriter(folder, LENGTH, padding=1, vocabulary=VOCABULARY)
    rows = best_fit(TEXTS, LENGTH)
    writer.write(ids, trained, [np.stack([begins[row], lengths[row]], axis=1) for row in rows])
    share = {"records": len(TEXTS), "tokens": int(lengths.sum()), "trained": int(trained.sum())}
    writer.finish({"sources": {"random": share}, "tokenizer": "", "chat_template": None, "model": ""})
    return PreparedRows([folder])


def tiny_model(kind: str) -> Any:
    config = tiny_config(kind)
    if (numbers := parameters.count(skeleton(kind, config))) > LARGEST:
        raise ValueError(f"{numbers:,} parameters")
    torch.manual_seed(0)
    model: Any = getattr(transformers, auto_class(kind, config)).from_config(config)
    with torch.no_grad():  # the row of padding is zeros, by which some divide, and no model that was trained has such
        model.get_input_embeddings().weight[ENDS["pad_token_id"]].normal_(std=0.02)
    return model


def tiny_config(kind: str) -> Any:
    default = CONFIG_MAPPING[kind]()
    text = default.get_text_config()
    own = text.to_dict()
    sizes = {name: size for name, size in SMALL.items() if name in own and (name in LEFT_OPEN or own[name] is not None)}
    if "qk_rope_head_dim" in sizes:  # multi-head latent attention: heads of two parts, none of them shared
        sizes = {name: size for name, size in sizes.items() if name != "head_dim"} | {"num_key_value_heads": 2}
    sizes |= OWN.get(text.model_type, {}) | ENDS
    if text is default:
        return type(default)(**sizes | PARTS.get(kind, {}))
    more, parts = dict(PARTS.get(kind, {})), {}
    for name in default.sub_configs:
        part = getattr(default, name, None)
        if part is text:
            parts[name] = {"model_type": text.model_type} | sizes | more.pop(name, {})
        elif part is not None:
            known = {own: size for own, size in OF_PARTS.items() if isinstance(getattr(part, own, None), int)}
            parts[name] = known | more.pop(name, {}) | {"model_type": part.model_type}
    return type(default)(**parts, architectures=[OF_ALL.get(kind, OF_TEXT.get(kind))], **more)


def tried(kind: str, rows: PreparedRows) -> Found:
    """Return what is found of a family."""
    try:
        model = tiny_model(kind)
    except Exception as error:  # whatever a family asks of its sizes
        return Found(kind, "not made", details=_line(error))
    config = TrainConfig(sequence_length=LENGTH, sequences_per_step=2, batch_size=2, max_steps=4, learning_rate=1e-3)
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    try:
        check_reads_text(kind, model.config)
        trainer = loop.Trainer(model, rows, config)
        proof = isolation.choose(trainer.network, rows, "auto")
        for step in range(3):
            trainer.step(step)
    except (LatxaError, UsageError) as error:
        return Found(kind, "refused", details=_line(error))
    except Exception as error:  # what this is to find
        return Found(kind, "failed", details=_line(error))
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
    mixed = "" if proof.mixed is None else f"{proof.mixed:.0e}"
    return Found(kind, session.packing_of(trainer), f"{proof.difference:.0e}", mixed, trainer.network.attention)


def _line(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:90]}"


def _too_slow(*_: object) -> None:
    raise TimeoutError(f"more than {SECONDS} s")


def guide(found: list[Found]) -> str:
    """Return the guide of the families that train."""
    counts = Counter(one.what for one in found)
    rows = [
        {"family": one.family, "rows": one.what, "difference": one.difference, "difference, packed": one.mixed}
        for one in found
        if one.what in TRAIN
    ]
    whole = sum(
        one.what in TRAIN and one.family in OF_ALL and bool(CONFIG_MAPPING[one.family].sub_configs) for one in found
    )
    return GUIDE.format(
        number=len(rows), whole=whole, packed=counts["packed"], unpacked=counts["unpacked"],
        transformers=version("transformers"), torch=version("torch"),
        table=render(rows, ("family", "rows", "difference", "difference, packed"), "markdown"),
    )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description="Train tiny models of all families.")
    parser.add_argument("kinds", nargs="*", metavar="KIND")
    parser.add_argument("--guide", type=Path, metavar="FILE")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    logging.set_verbosity_error()
    torch.set_num_threads(1)
    signal.signal(signal.SIGPROF, _too_slow)
    with tempfile.TemporaryDirectory() as scratch:
        rows = random_rows(Path(scratch))
        found = [tried(kind, rows) for kind in options.kinds or sorted({*OF_TEXT, *OF_ALL} - OTHERS)]
    table([Found._fields, *found])
    counts = Counter(one.what for one in found)
    print(", ".join(f"{what} {count}" for what, count in counts.most_common()))
    if options.guide:
        options.guide.write_text(guide(found), encoding="utf-8")
    trained = sum(counts[what] for what in TRAIN)
    goal = f"{GOAL} families or more that train, none refused, and none that failed"
    verdict(goal, trained >= GOAL and not counts["refused"] + counts["failed"])


if __name__ == "__main__":
    main()
