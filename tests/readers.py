"""What other programs read in models that were trained: transformers of any version, and vLLM.

Each reads in an environment of its own, which is named by its Python. `learnt` makes a base model as the hub has it and
trains it to give one answer. `as_trained` gives the logits of the trained weights, and `read` those of a reader, with
what it answers.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import tiny
import tokenizer_kinds
from chat_families import FAMILIES, tokenizer_of
from tokenizers import processors

LLAMA_31 = {
    "factor": 8.0, "high_freq_factor": 4.0, "low_freq_factor": 1.0, "original_max_position_embeddings": 32,
    "rope_type": "llama3",
}  # fmt: skip
LONG_ROPE = {"type": "longrope", "short_factor": 12 * [1.0], "long_factor": [1.0 + n / 4 for n in range(12)]}
# As version 4 of transformers spells them, and the hub has them.
KINDS: dict[str, dict[str, Any]] = {
    "llama": {"model_type": "llama", "rope_theta": 500000.0, "rope_scaling": LLAMA_31},
    "qwen3": {"model_type": "qwen3", "rope_theta": 1000000.0, "rope_scaling": None},
    "gemma3": {
        "model_type": "gemma3_text", "rope_theta": 1000000.0, "rope_local_base_freq": 10000.0, "rope_scaling": None,
        "sliding_window": 16, "layer_types": ["sliding_attention", "full_attention"], "query_pre_attn_scalar": 16,
    },
    "mistral": {"model_type": "mistral", "rope_theta": 1000000.0, "sliding_window": None},
    "phi3": {
        "model_type": "phi3", "rope_theta": 10000.0, "rope_scaling": LONG_ROPE, "partial_rotary_factor": 0.75,
        "original_max_position_embeddings": 256, "sliding_window": 262144, "resid_pdrop": 0.0, "embd_pdrop": 0.0,
    },
    "olmo2": {"model_type": "olmo2", "rope_theta": 500000.0, "rope_scaling": None},
}  # fmt: skip
FAMILY = {
    "llama": "Llama 3.1", "qwen3": "Qwen 3", "gemma3": "Gemma 3", "mistral": "Mistral", "phi3": "Phi 3.5",
    "olmo2": "OLMo 2",
}  # fmt: skip
# The tokenizers, and the classes that their settings name on the hub.
TOKENIZERS = {
    "llama": ("llama_3", "PreTrainedTokenizerFast"), "qwen3": ("qwen_2", "Qwen2Tokenizer"),
    "gemma3": ("gemma", "GemmaTokenizer"), "mistral": ("mistral", "LlamaTokenizer"),
    "phi3": ("llama_2", "LlamaTokenizer"), "olmo2": ("gpt_2", "GPT2Tokenizer"),
}  # fmt: skip
BEGIN_TEXTS = ("LlamaTokenizer", "GemmaTokenizer")  # classes whose files say so too
SIZES = {  # vLLM takes heads of 32 and more on a CPU
    "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 2, "head_dim": 32,
    "num_key_value_heads": 1, "max_position_embeddings": 512, "initializer_range": 0.1, "tie_word_embeddings": True,
}  # fmt: skip
CHAT = [{"role": "user", "content": "Zer?"}, {"role": "assistant", "content": "Hori da."}]
TRAIN = (
    "train", "chats.jsonl", "--model", "base", "--chat-template", "template.jinja", "--sequence-length", "256",
    "--sequences-per-step", "1", "--max-steps", "40", "--learning-rate", "1e-2", "--keep", "1", "--threads", "1",
)  # fmt: skip
IDS = list(range(20, 80))
LONGEST = 24  # tokens; the answer and its end have 9

TRANSFORMERS = """
import json, sys
import torch, transformers
from transformers import AutoModelForCausalLM, AutoTokenizer
transformers.logging.set_verbosity_error()
asked = json.load(sys.stdin)
found = {}
for name, path in asked["models"].items():
    model = AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(path)
    chat = tokenizer.apply_chat_template(asked["chat"], add_generation_prompt=True, tokenize=False)
    prompt = tokenizer(chat, add_special_tokens=False)["input_ids"]
    with torch.no_grad():
        logits = model(torch.tensor([asked["ids"]])).logits[0]
        written = model.generate(torch.tensor([prompt]), max_new_tokens=asked["longest"], do_sample=False)[0]
    written = written[len(prompt):].tolist()
    found[name] = {
        "logits": logits.tolist(), "prompt": prompt, "written": written, "version": transformers.__version__,
        "tokens": tokenizer(asked["words"])["input_ids"], "special": sorted(tokenizer.all_special_ids),
    }
json.dump(found, sys.stdout)
"""

VLLM = """
import json, os, sys
answers = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)  # its libraries write there
os.environ.update(VLLM_ENABLE_V1_MULTIPROCESSING="0", VLLM_LOGGING_LEVEL="ERROR")
import vllm
asked = json.load(sys.stdin)
found = {}
for name, path in asked["models"].items():
    engine = vllm.LLM(
        path, dtype="float32", enforce_eager=True, kv_cache_memory_bytes=64 << 20, max_model_len=256, max_logprobs=-1,
        logprobs_mode="raw_logits",
    )
    one = vllm.SamplingParams(max_tokens=1, prompt_logprobs=-1, logprobs=-1, temperature=0.0)
    (answer,) = engine.generate([{"prompt_token_ids": asked["ids"]}], one, use_tqdm=False)
    rows = [*answer.prompt_logprobs[1:], answer.outputs[0].logprobs[0]]
    logits = [[row[token].logprob for token in range(len(row))] for row in rows]
    greedy = vllm.SamplingParams(max_tokens=asked["longest"], temperature=0.0)
    (said,) = engine.chat(asked["chat"], greedy, use_tqdm=False)
    prompt, written = list(said.prompt_token_ids), list(said.outputs[0].token_ids)
    found[name] = {"logits": logits, "prompt": prompt, "written": written, "version": vllm.__version__}
json.dump(found, answers)
answers.close()
os._exit(0)
"""


def on_the_hub(folder: Path, kind: str, sizes: dict[str, Any]) -> None:
    """Write weights and configuration of a model as the hub has it: RoPE is spelt as version 4 of transformers does."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    torch.manual_seed(0)
    config = deepcopy(sizes | KINDS[kind])
    for name in ("short_factor", "long_factor"):
        if factors := (config.get("rope_scaling") or {}).get(name):
            del factors[int(config["head_dim"] * config["partial_rotary_factor"]) // 2 :]
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model(**deepcopy(config)))  # which writes into it
    model.save_pretrained(folder)
    settings = {**config, "architectures": [type(model).__name__], "torch_dtype": "float32"}
    (folder / "config.json").write_text(json.dumps(settings))


def learnt(kind: str, folder: Path, latxa: Callable[..., Any]) -> Path:
    """Train a base model to answer `CHAT[0]` with `CHAT[1]`, which `latxa(*words, cwd=…)` does; return its directory.

    The base has no chat template, and its end of text does not end a turn.
    """
    family = FAMILIES[FAMILY[kind]]
    kind_of_tokenizer, name = TOKENIZERS[kind]
    texts = [*tokenizer_kinds.ENGLISH, *8 * [turn["content"] for turn in CHAT]]
    tokenizer = tokenizer_of(family, tokenizer_kinds.KINDS[kind_of_tokenizer](texts))
    if begin := name in BEGIN_TEXTS and tokenizer.bos_token:
        written = processors.TemplateProcessing(f"{begin} $A", special_tokens=[(begin, tokenizer.bos_token_id)])
        tokenizer.backend_tokenizer.post_processor = written
    if family.eos == family.end and "eos_token" not in family.template:
        tokenizer.add_special_tokens({"eos_token": "<|end of document|>", "additional_special_tokens": [family.eos]})
    tokenizer.chat_template = None
    folder.mkdir(exist_ok=True)
    base = folder / "base"
    ends = {"bos_token_id": tokenizer.bos_token_id, "eos_token_id": tokenizer.eos_token_id}
    on_the_hub(base, kind, SIZES | ends | {"vocab_size": len(tokenizer), "pad_token_id": tokenizer.eos_token_id})
    tokenizer.save_pretrained(base)
    settings = json.loads((base / "tokenizer_config.json").read_text())
    (base / "tokenizer_config.json").write_text(json.dumps({**settings, "tokenizer_class": name}))
    (folder / "template.jinja").write_text(family.template, encoding="utf-8")
    tiny.write_jsonl(folder / "chats.jsonl", [{"id": "one", "messages": CHAT}, {"id": "two", "messages": CHAT}])
    made = latxa(*TRAIN, "-o", "out", cwd=folder)
    assert made.returncode == 0, made.stderr.decode()
    return folder / "out"


def as_trained(directory: Path) -> Any:
    """Return the logits [tokens, vocabulary] of `IDS` by the base's network with the weights of the last checkpoint."""
    import torch
    from safetensors.torch import load_file
    from transformers import AutoModelForCausalLM

    network = AutoModelForCausalLM.from_pretrained(directory.parent / "base", dtype=torch.float32).eval()
    (step,) = (directory / "checkpoints").glob("step-*")
    for part in step.glob("weights-*.safetensors"):
        assert not network.load_state_dict(load_file(part), strict=False).unexpected_keys
    with torch.no_grad():
        return network(torch.tensor([IDS])).logits[0]


def read(python: str, reader: str, models: dict[str, Path], *, version: str = "") -> dict[str, Any]:
    """Return {name: what a reader (`TRANSFORMERS`, `VLLM`) finds in the model}; its version begins with `version`."""
    found: dict[str, Any] = {}
    together = [models] if reader == TRANSFORMERS else [{name: path} for name, path in models.items()]  # vLLM holds one
    for some in together:
        asked = {"ids": IDS, "chat": CHAT[:1], "longest": LONGEST, "words": "mendi eta ibai gorri"}
        asked["models"] = {name: str(path) for name, path in some.items()}
        done = subprocess.run(
            [python, "-c", reader], input=json.dumps(asked), capture_output=True, text=True, check=False,
            env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr[-3000:]
        found |= json.loads(done.stdout)
    assert all(one["version"].startswith(version) for one in found.values()), found
    return found


def difference(found: dict[str, Any], logits: Any) -> float:
    """Return the largest difference between the logits that a reader found and those of the trained weights."""
    import torch

    return float((torch.tensor(found["logits"]) - logits).abs().max())


def stops(found: dict[str, Any], kind: str, directory: Path) -> bool:
    """Whether a model of a kind wrote the answer that it has learnt and the token that ends it, and no more."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(directory)
    asked = tokenizer.apply_chat_template(CHAT[:1], add_generation_prompt=True, tokenize=False)
    family = FAMILIES[FAMILY[kind]]
    learnt = family.lead.lstrip() + CHAT[1]["content"] + family.end
    prompt = tokenizer(asked, add_special_tokens=False)["input_ids"]
    return (found["prompt"], tokenizer.decode(found["written"]).lstrip()) == (prompt, learnt)
