"""Which families of models train on packed rows: a tiny random model of each that transformers has for text.

    python tests/bench/families.py [KIND ...]

Each takes three steps on random texts, after the proof that its packed texts do not see each other. What is found:

- `packed`: it trains, and packing is exact. The largest difference of logits stands beside it.
- `refused`: latxa says in one line that it cannot be trained so.
- `failed`: an error that latxa does not know.
- `not made`: no tiny model comes of the sizes here, which says nothing of latxa.

Goals: 50 families, and none that failed.
"""

from __future__ import annotations

import argparse
import signal
import tempfile
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import torch
from timing import table, verdict
from transformers import CONFIG_MAPPING, AutoModelForCausalLM
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES as KINDS
from transformers.utils import logging

from latxa_cli.stream.errors import LatxaError, UsageError
from latxa_cli.training import loop
from latxa_cli.training.config import TrainConfig
from latxa_cli.training.data.packing import best_fit
from latxa_cli.training.data.rows import PreparedRows, RowWriter
from latxa_cli.training.network import isolation

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
# No families for the answers of an assistant: encoders, translators, speech, and models that read bytes alone.
OTHERS = {
    "bart", "bert", "bert-generation", "big_bird", "bigbird_pegasus", "blenderbot", "blenderbot-small", "blt",
    "camembert", "cpmant", "ctrl", "data2vec-text", "electra", "ernie", "git", "marian", "mbart", "megatron-bert",
    "moshi", "musicgen", "musicgen_melody", "mvp", "pegasus", "plbart", "prophetnet", "reformer", "rembert", "roberta",
    "roberta-prelayernorm", "roc_bert", "roformer", "trocr", "whisper", "xlm", "xlm-roberta", "xlm-roberta-xl", "xlnet",
    "xmod",
}  # fmt: skip
LEFT_OPEN = ("head_dim", "num_key_value_heads")  # sizes that a configuration may have as None, until a model is made


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
    default = CONFIG_MAPPING[kind]()
    text = default.get_text_config()
    own = text.to_dict()
    sizes = {name: size for name, size in SMALL.items() if name in own and (name in LEFT_OPEN or own[name] is not None)}
    if "qk_rope_head_dim" in sizes:  # multi-head latent attention: heads of two parts, none of them shared
        sizes = {name: size for name, size in sizes.items() if name != "head_dim"} | {"num_key_value_heads": 2}
    small = type(text)(**sizes, **ENDS)
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(small if text is default else type(default)(text_config=small))
    if (numbers := sum(parameter.numel() for parameter in model.parameters())) > LARGEST:
        raise ValueError(f"{numbers:,} parameters")
    return model


def tried(kind: str, rows: PreparedRows) -> tuple[str, str]:
    """Return what is found of a family, and the details."""
    try:
        model = tiny_model(kind)
    except Exception as error:  # whatever a family asks of its sizes
        return "not made", _line(error)
    config = TrainConfig(sequence_length=LENGTH, sequences_per_step=2, batch_size=2, max_steps=4, learning_rate=1e-3)
    try:
        trainer = loop.Trainer(model, rows, config)
        difference = isolation.check(trainer.network, rows)
        for step in range(3):
            trainer.step(step)
    except (LatxaError, UsageError) as error:
        return "refused", _line(error)
    except Exception as error:  # what this is to find
        return "failed", _line(error)
    return "packed", f"{difference:.0e}, {trainer.network.attention}"


def _line(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:90]}"


def _too_slow(*_: object) -> None:
    raise TimeoutError(f"more than {SECONDS} s")


def main() -> None:
    parser = argparse.ArgumentParser(description="Train tiny models of all families.")
    parser.add_argument("kinds", nargs="*", metavar="KIND")
    kinds = parser.parse_args().kinds or sorted(set(KINDS) - OTHERS)
    warnings.simplefilter("ignore")
    logging.set_verbosity_error()
    torch.set_num_threads(1)
    signal.signal(signal.SIGALRM, _too_slow)
    found = []
    with tempfile.TemporaryDirectory() as scratch:
        rows = random_rows(Path(scratch))
        for kind in kinds:
            signal.alarm(SECONDS)
            found.append((kind, *tried(kind, rows)))
            signal.alarm(0)
    table([("family", "found", "details"), *found])
    counts = Counter(what for _, what, _ in found)
    print(", ".join(f"{what} {count}" for what, count in counts.most_common()))
    verdict(f"{GOAL} families or more, and none that failed", counts["packed"] >= GOAL and not counts["failed"])


if __name__ == "__main__":
    main()
