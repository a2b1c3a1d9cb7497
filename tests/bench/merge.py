"""What `latxa merge` takes, against a bare loop that reads, adds and writes the same tensors with safetensors.

    python tests/bench/merge.py [MEGABYTES] [DIR]

Three models of random bfloat16 weights in the shapes of Llama 3.2 1B (a vocabulary of 128,256 tokens, tied; as many
layers as make MEGABYTES, default 2000), in shards of 500 MB, lie in DIR or in a temporary folder; with the result they
take four times MEGABYTES. The loop takes whole tensors and holds a shard until it writes it; `merge` also measures
norms and looks for what is not finite. Both use one thread. Start-up (a run on models of a few MB, with tokenizers of
the same size) is taken off; most of it is the import of libraries. Goals: at least 0.8 x the speed of the loop by CPU
time, and at most 1 GB of memory beyond mapped files (`RssAnon`), start-up included.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path

from timing import Cost, by_turns, table, verdict

GOAL, LIMIT = 0.8, 1000  # x the speed of the loop; MB
ROUNDS = 3
VOCABULARY = 128_256
SHARD = 500 * 10**6  # bytes
ROLES = ("base", "plus", "minus")
LATXA = str(Path(sys.executable).with_name("latxa"))
ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1"}
LARGE = {"hidden_size": 2048, "intermediate_size": 8192, "num_attention_heads": 32, "num_key_value_heads": 8}
LITTLE = {"hidden_size": 8, "intermediate_size": 32, "num_attention_heads": 2, "num_key_value_heads": 1}


def build(folder: Path, sizes: dict[str, int], megabytes: int) -> list[Path]:
    """Write three models of random weights, and return where they lie."""
    import torch
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast

    from latxa_cli.weights import Entry, ShardWriter

    width, inner = sizes["hidden_size"], sizes["intermediate_size"]
    narrow = width // sizes["num_attention_heads"] * sizes["num_key_value_heads"]
    layer = {
        "self_attn.q_proj": (width, width), "self_attn.k_proj": (narrow, width), "self_attn.v_proj": (narrow, width),
        "self_attn.o_proj": (width, width), "mlp.gate_proj": (inner, width), "mlp.up_proj": (inner, width),
        "mlp.down_proj": (width, inner), "input_layernorm": (width,), "post_attention_layernorm": (width,),
    }  # fmt: skip
    planned = [
        Entry("model.embed_tokens.weight", "BF16", (VOCABULARY, width)),
        Entry("model.norm.weight", "BF16", (width,)),
    ]
    layers = 0
    while not layers or sum(entry.bytes for entry in planned) < megabytes * 1e6:
        planned += [Entry(f"model.layers.{layers}.{name}.weight", "BF16", shape) for name, shape in layer.items()]
        layers += 1
    config = {"model_type": "llama", "vocab_size": VOCABULARY, "num_hidden_layers": layers, "tie_word_embeddings": True}
    words = {f"word{number}": number for number in range(VOCABULARY)}
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.WordLevel(words, unk_token="word0")))
    made = [folder / role for role in ROLES]
    for seed, directory in enumerate(made):
        tokenizer.save_pretrained(directory)
        (directory / "config.json").write_text(json.dumps(config | sizes))
        random = torch.Generator().manual_seed(seed)
        with ShardWriter(directory, planned, shard_bytes=SHARD) as writer:
            for entry in planned:
                writer.write(entry.name, [torch.randn(entry.shape, generator=random).mul_(0.02).bfloat16()])
            writer.finish()
    return made


def bare(base: Path, plus: Path, minus: Path, output: Path) -> None:
    """The loop to compare with: `base + (plus - minus)`, tensor by tensor and shard by shard."""
    from safetensors import safe_open
    from safetensors.torch import save_file

    output.mkdir()
    for path in sorted(base.glob("*.safetensors")):
        merged = {}
        with (
            safe_open(path, "pt") as ours,
            safe_open(plus / path.name, "pt") as more,
            safe_open(minus / path.name, "pt") as less,
        ):
            for name in ours.keys():  # noqa: SIM118  # it is no dictionary
                delta = more.get_tensor(name).float() - less.get_tensor(name).float()
                merged[name] = (ours.get_tensor(name).float() + delta).bfloat16()
        save_file(merged, output / path.name, metadata={"format": "pt"})


class Contestant:
    """A command that writes a directory, and the most memory beyond mapped files that it has taken, in MB."""

    def __init__(self, command: Sequence[str], output: Path) -> None:
        self.command, self.output, self.memory = command, output, 0.0

    def __call__(self) -> Cost:
        shutil.rmtree(self.output, ignore_errors=True)
        started = time.perf_counter()
        process = subprocess.Popen(self.command, env=ENVIRONMENT)
        while (ended := os.wait4(process.pid, os.WNOHANG))[0] == 0:
            self.memory = max(self.memory, anonymous(process.pid))
            time.sleep(0.01)
        wall, usage = time.perf_counter() - started, ended[2]
        process.returncode = os.waitstatus_to_exitcode(ended[1])
        if process.returncode:
            raise SystemExit(f"`{' '.join(self.command)}` failed")
        return Cost(wall, usage.ru_utime + usage.ru_stime)


def anonymous(process: int) -> float:
    """Return the memory of a process that no file stands behind, in MB."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return next((int(line.split()[1]) * 1024 / 1e6 for line in lines if line.startswith("RssAnon")), 0.0)


def contestants(models: list[Path], output: Path) -> dict[str, Contestant]:
    base, plus, minus = map(str, models)
    loop = [sys.executable, __file__, "bare", base, plus, minus, str(output)]
    merge = [LATXA, "merge", "-q", base, "--plus", plus, "--minus", minus, "-o", str(output)]
    return {"loop": Contestant(loop, output), "merge": Contestant(merge, output)}


def main(megabytes: int, arguments: list[str]) -> None:
    with nullcontext(arguments[0]) if arguments else tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        costs, memory = {}, {}
        for what, sizes, size in (("start-up", LITTLE, 0), ("models", LARGE, megabytes)):
            (folder / what).mkdir()
            running = contestants(build(folder / what, sizes, size), folder / "out")
            costs[what] = by_turns(dict(running), ROUNDS)
            memory = {name: contestant.memory for name, contestant in running.items()}
            written = sum(file.stat().st_size for file in (folder / "out").glob("*.safetensors")) / 1e6
            shutil.rmtree(folder / what)
            shutil.rmtree(folder / "out")
    rows = [("", "MB", "start-up s cpu", "s cpu", "MB/s cpu", "s wall", "MB/s wall", "peak MB")]
    speeds = {}
    for name in ("loop", "merge"):
        start, whole = costs["start-up"][name], costs["models"][name]
        cpu, wall = whole.cpu - start.cpu, whole.wall - start.wall
        speeds[name] = written / cpu
        figures = [start.cpu, cpu, written / cpu, wall, written / wall, memory[name]]
        rows.append((name, f"{written:.0f}", *(f"{figure:.1f}" for figure in figures)))
    table(rows)
    ratio = speeds["merge"] / speeds["loop"]
    said = f"{ratio:.2f} x the speed of the loop by CPU time (goal {GOAL}); {memory['merge']:.0f} MB (goal {LIMIT})"
    verdict(said, ratio >= GOAL and memory["merge"] <= LIMIT)


if __name__ == "__main__":
    if sys.argv[1:2] == ["bare"]:
        bare(*map(Path, sys.argv[2:]))
    else:
        main(int(sys.argv[1]) if len(sys.argv) > 1 else 2000, sys.argv[2:])
