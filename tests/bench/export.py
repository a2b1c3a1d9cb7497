"""What `latxa export` takes, against the size of the model that it writes; and what others read in such a model.

    python tests/bench/export.py [MEGABYTES] [DIR]
    python tests/bench/export.py --readers [--transformers-4 PYTHON] [--vllm PYTHON]

A run that trained all parameters and one that trained adapters (LoRA), both of a Llama of random float32 weights (as
many layers as make MEGABYTES, default 1000), in DIR or in a temporary folder; with the result they take three times
MEGABYTES. Each is exported in float32 and in bfloat16, with one thread. Start-up (an export of a few kB) is taken off
the times, and shown; it is the import of libraries. The peer is a copy of the weights by `cp`, synchronised.
Goal: at most 100 MB of memory beyond mapped files (`RssAnon`) more than at start-up, whatever the size.

`--readers`: tiny base models (Llama 3.1 with its RoPE, Qwen3, Gemma 3 of text, Mistral, Phi 3.5 with long RoPE, OLMo
2), each with the kind of tokenizer and the class that it has on the hub, are trained with a chat template to give one
answer. transformers of this environment and of another, and vLLM read what `latxa train` exported.
Goal: the logits of the trained weights within 1e-4, and an answer that ends where it should.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from contextlib import nullcontext
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import readers
from merge import LATXA, Contestant
from timing import by_turns, table, verdict

GOAL = 100  # MB more than at start-up
GOAL_OF_LOGITS = 1e-4
ROUNDS = 1
RANK = 16
LARGE = {"hidden_size": 1024, "intermediate_size": 4096, "num_attention_heads": 16, "num_key_value_heads": 8}
LITTLE = {"hidden_size": 8, "intermediate_size": 32, "num_attention_heads": 2, "num_key_value_heads": 1}


def build(folder: Path, sizes: dict[str, int], megabytes: int) -> int:
    """Write `start`, a model of random weights, and the runs `whole` and `adapters`; return the bytes of the model."""
    import torch
    from saved_run import write_checkpoint, write_run
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast

    from latxa_cli.weights import Entry, ShardWriter

    width, inner, rows = sizes["hidden_size"], sizes["intermediate_size"], 32_000 if megabytes else 100
    narrow = width // sizes["num_attention_heads"] * sizes["num_key_value_heads"]
    layer = {
        "self_attn.q_proj": (width, width), "self_attn.k_proj": (narrow, width), "self_attn.v_proj": (narrow, width),
        "self_attn.o_proj": (width, width), "mlp.gate_proj": (inner, width), "mlp.up_proj": (inner, width),
        "mlp.down_proj": (width, inner), "input_layernorm": (width,), "post_attention_layernorm": (width,),
    }  # fmt: skip
    planned = [Entry("model.embed_tokens.weight", "F32", (rows, width)), Entry("model.norm.weight", "F32", (width,))]
    layers = 0
    while not layers or sum(entry.bytes for entry in planned) < megabytes * 1e6:
        planned += [Entry(f"model.layers.{layers}.{name}.weight", "F32", shape) for name, shape in layer.items()]
        layers += 1
    start = folder / "start"
    PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.WordLevel({"a": 0}, "a"))).save_pretrained(start)
    config = {"model_type": "llama", "num_hidden_layers": layers, "vocab_size": rows, "tie_word_embeddings": True}
    (start / "config.json").write_text(json.dumps(config | sizes))
    weights = {entry.name: torch.randn(entry.shape).mul_(0.02) for entry in planned}
    with ShardWriter(start, planned) as writer:
        for name, value in weights.items():
            writer.write(name, [value])
        writer.finish()
    adapters = {}
    for entry in planned:
        if "_proj." in entry.name:
            place = entry.name.removesuffix(".weight")
            adapters[f"{place}.lora_A.default.weight"] = torch.randn(RANK, entry.shape[1])
            adapters[f"{place}.lora_B.default.weight"] = torch.randn(entry.shape[0], RANK)
    for name, parameters, rank in (("whole", weights, 0), ("adapters", adapters, RANK)):
        run = write_run(folder / name, start, parameters, lora_rank=rank)
        for moments in write_checkpoint(run, 1, parameters).glob("moments-*"):
            moments.unlink()
    return sum(entry.bytes for entry in planned)


def contestants(folder: Path, output: Path) -> dict[str, Contestant]:
    copy = f"mkdir {output} && cp {folder}/start/*.safetensors {output} && sync {output}/*"
    found = {"cp": Contestant(["sh", "-c", copy], output)}
    for run in ("whole", "adapters"):
        for dtype in ("float32", "bfloat16"):
            command = [LATXA, "export", "-q", str(folder / run), "--dtype", dtype, "-o", str(output)]
            found[f"{run}, {dtype}"] = Contestant(command, output)
    return found


def measure(megabytes: int, place: str | None) -> None:
    costs, memory, size = {}, {}, 0
    with nullcontext(place) if place else tempfile.TemporaryDirectory() as place:
        for what, sizes, wanted in (("start-up", LITTLE, 0), ("model", LARGE, megabytes)):
            folder = Path(place) / what
            folder.mkdir(parents=True)
            size = build(folder, sizes, wanted)
            running = contestants(folder, Path(place) / "out")
            costs[what] = by_turns(dict(running), ROUNDS)
            memory[what] = {name: contestant.memory for name, contestant in running.items()}
            shutil.rmtree(folder)
            shutil.rmtree(Path(place) / "out")
    rows = [("", "MB", "start-up s cpu", "s cpu", "s wall", "start-up peak MB", "peak MB")]
    for name, start in costs["start-up"].items():
        whole = costs["model"][name]
        seconds = [start.cpu, whole.cpu - start.cpu, whole.wall - start.wall]
        peaks = [memory[what][name] for what in ("start-up", "model")]
        rows.append((name, f"{size / 1e6:.0f}", *(f"{second:.1f}" for second in seconds), *(f"{p:.0f}" for p in peaks)))
    table(rows)
    more = max(memory["model"][name] - at_start for name, at_start in memory["start-up"].items())
    verdict(f"{more:.0f} MB more than at start-up for a model of {size / 1e6:.0f} MB (goal {GOAL})", more <= GOAL)


def compare(transformers_4: str | None, vllm: str | None) -> None:
    """Print for each reader and kind of model the largest difference of logits, and whether its answer ends."""
    asked = {"transformers": (sys.executable, readers.TRANSFORMERS, "5.")}
    if transformers_4:
        asked["transformers, another"] = (transformers_4, readers.TRANSFORMERS, "4.")
    if vllm:
        asked["vLLM"] = (vllm, readers.VLLM, "")
    rows = [("", "version", *(column for kind in readers.KINDS for column in (kind, "stops")))]
    largest, failed = 0.0, 0
    with tempfile.TemporaryDirectory() as temporary:
        models = {kind: readers.learnt(kind, Path(temporary) / kind, latxa) for kind in readers.KINDS}
        logits = {kind: readers.as_trained(directory) for kind, directory in models.items()}
        for name, (python, reader, version) in asked.items():
            found = readers.read(python, reader, models, version=version)
            cells = []
            for kind, one in found.items():
                largest = max(largest, difference := readers.difference(one, logits[kind]))
                failed += not (stops := readers.stops(one, kind, models[kind]))
                cells += [f"{difference:.1g}", "yes" if stops else "NO"]
            rows.append((name, found["llama"]["version"], *cells))
    table(rows)
    said = f"logits within {largest:.1g} (goal {GOAL_OF_LOGITS:.0e}); {failed} answers do not end (goal 0)"
    verdict(said, largest <= GOAL_OF_LOGITS and not failed)


def latxa(*words: str, cwd: Path) -> subprocess.CompletedProcess[bytes]:
    """Run the command in a folder."""
    return subprocess.run([LATXA, *words], cwd=cwd, capture_output=True, check=False)


def main() -> None:
    options = argparse.ArgumentParser(usage=(__doc__ or "").split("\n\n")[1].strip())
    options.add_argument("megabytes", type=int, nargs="?", default=1000)
    options.add_argument("directory", nargs="?")
    options.add_argument("--readers", action="store_true")
    options.add_argument("--transformers-4")
    options.add_argument("--vllm")
    given = options.parse_args()
    if given.readers:
        compare(given.transformers_4, given.vllm)
    else:
        measure(given.megabytes, given.directory)


if __name__ == "__main__":
    main()
