"""How fast the engines are inside `latxa`, against the libraries that they stand on.

    python tests/bench/engines.py [ROUNDS]

A model of 0.8 million parameters with random weights goes on with PROMPTS prompts. Both sides use the same loaded
model, get texts and give texts; tokens are those up to the one that ends a text.

- `vllm`, through `converse` as the verbs do, against one call of `LLM.generate` with all prompts and the same sampling
  parameters, seeds included. Where vLLM is installed: `recipes/test-vllm.sh` makes such an environment.
- `transformers`, on prompts of one length, against transformers' `generate` at the batch size that is its best; and on
  mixed lengths against `generate` on batches in the order of arrival.

Goals, in tokens a second of CPU time: at least 0.95 x the library, and 1.3 x batches in the order of arrival.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

os.environ |= {"OMP_NUM_THREADS": "1", "VLLM_ENABLE_V1_MULTIPROCESSING": "0"}  # all in this process, to be measured
import torch
from timing import Cost, by_turns, table, verdict

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import tiny

from latxa_cli.generation.engine import Decoding, Engine, EngineOptions, Request, open_engine
from latxa_cli.generation.flow import Exchange, converse

GOAL, GOAL_MIXED = 0.95, 1.3
PROMPTS = 256
BATCH_SIZES = (16, 32, 64, 128, 256)
CONFIG = tiny.CONFIG | {
    "hidden_size": 128, "intermediate_size": 384, "num_hidden_layers": 4, "max_position_embeddings": 1024,
}  # fmt: skip


class Made(NamedTuple):
    """What a side made, and what it took."""

    tokens: int
    cost: Cost


def measured(make: Callable[[], int]) -> Made:
    wall, cpu = time.perf_counter(), time.process_time()
    tokens = make()
    return Made(tokens, Cost(time.perf_counter() - wall, time.process_time() - cpu))


def compare(sides: dict[str, Callable[[], int]], rounds: int) -> list[float]:
    """Return the tokens a second of CPU time of each side."""
    tokens: dict[str, int] = {}

    def run(name: str) -> Cost:
        made = measured(sides[name])
        tokens[name] = made.tokens
        return made.cost

    costs = by_turns({name: lambda name=name: run(name) for name in sides}, rounds)
    return [tokens[name] / costs[name].cpu for name in sides]


def build(folder: Path) -> Path:
    (folder / "config.json").write_text(json.dumps(CONFIG))
    tiny.write_jsonl(folder / "train.jsonl", tiny.training_records())
    subprocess.run([str(tiny.BINARY), *tiny.INIT, "-q", "-o", "base"], cwd=folder, check=True)
    return folder / "base"


def prompts(shortest: int, longest: int) -> list[str]:
    """Return prompts of so many words each, the lengths spread evenly on a logarithmic scale."""
    draw = random.Random(0)
    lengths = [round(shortest * (longest / shortest) ** draw.random()) for _ in range(PROMPTS)]
    return [tiny.sentence(draw, length) for length in lengths]


def ours(engine: Engine, texts: Sequence[str], decoding: Decoding) -> int:
    """Have the engine go on with the texts, as a verb does; return how many tokens it makes."""

    def begin(number: int) -> Exchange:
        (completion,) = yield [Request(decoding, number, texts[number])]
        return {"tokens": completion.completion_tokens, "text": completion.text}

    return sum(made["tokens"] for made in converse(engine, range(len(texts)), begin) if isinstance(made, dict))


# --- transformers ----------------------------------------------------------------------------------------------------


@torch.inference_mode()
def generate(engine: Any, texts: Sequence[str], decoding: Decoding, batch_size: int) -> int:
    """Do the same by transformers' `generate`, on batches in the order of arrival."""
    tokenizer, ends, total = engine.tokenizer, engine.codec.ends, 0
    for start in range(0, len(texts), batch_size):
        batch = tokenizer(
            list(texts[start : start + batch_size]), add_special_tokens=False, padding=True, padding_side="left",
            return_tensors="pt", return_token_type_ids=False,
        )  # fmt: skip
        grown = engine.network.generate(
            **batch,
            max_new_tokens=decoding.max_tokens,
            do_sample=False,
            eos_token_id=ends,
            pad_token_id=engine.codec.pad,
        )[:, batch["input_ids"].shape[1] :]
        tokenizer.batch_decode(grown, skip_special_tokens=True)
        ended = torch.isin(grown, torch.tensor(ends)).int()
        total += int(torch.where(ended.any(1), ended.argmax(1) + 1, grown.shape[1]).sum())
    return total


def transformers(model: Path, rounds: int) -> list[tuple[str, float, float, float]]:
    from latxa_cli.generation.transformers import TransformersEngine

    loaded: Any = open_engine(str(model), EngineOptions(engine="transformers", device="cpu"))
    decoding, alike, mixed = Decoding(64), prompts(40, 40), prompts(4, 160)
    best = max(BATCH_SIZES, key=lambda size: 1 / measured(lambda: generate(loaded, alike, decoding, size)).cost.cpu)
    engine = TransformersEngine(loaded.name, loaded.tokenizer, loaded.network, best)
    rows = []
    for what, texts, goal in (("prompts alike", alike, GOAL), ("mixed lengths", mixed, GOAL_MIXED)):
        sides = {
            "library": lambda texts=texts: generate(engine, texts, decoding, best),
            "ours": lambda texts=texts: ours(engine, texts, decoding),
        }
        rows.append((f"transformers, {what}, batches of {best}", *compare(sides, rounds), goal))
    return rows


# --- vLLM ------------------------------------------------------------------------------------------------------------


def vllm(model: Path, rounds: int) -> list[tuple[str, float, float, float]]:
    from vllm import LLM, SamplingParams

    from latxa_cli.generation.vllm import VllmEngine
    from latxa_cli.tokenizer import load_tokenizer

    library = LLM(
        str(model),
        dtype="float32",
        enforce_eager=True,
        kv_cache_memory_bytes=1 << 30,
        log_level="ERROR",
        enable_chunked_prefill=False,
    )
    engine = VllmEngine(str(model), load_tokenizer(str(model)), library.llm_engine, sys.stderr)
    texts, rows = prompts(4, 160), []

    def bare(decoding: Decoding) -> int:
        library.reset_prefix_cache()
        parameters = [
            SamplingParams(
                max_tokens=decoding.max_tokens, temperature=decoding.temperature, seed=seed, skip_special_tokens=False,
                stop=list(decoding.stop), stop_token_ids=engine.codec.ends,
            )
            for seed in range(len(texts))
        ]  # fmt: skip
        outputs = library.generate(list(texts), parameters, use_tqdm=False)
        return sum(len(output.outputs[0].token_ids) for output in outputs)

    def inside(decoding: Decoding) -> int:
        library.reset_prefix_cache()
        return ours(engine, texts, decoding)

    for what, decoding in (
        ("greedy", Decoding(64)), ("drawn", Decoding(64, 1.0)), ("stop strings", Decoding(64, 1.0, stop=("\n\n",))),
    ):  # fmt: skip
        sides = {
            "library": lambda decoding=decoding: bare(decoding),
            "ours": lambda decoding=decoding: inside(decoding),
        }
        rows.append((f"vllm, mixed lengths, {what}", *compare(sides, rounds), GOAL))
    return rows


def main(rounds: int) -> None:
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        model = build(Path(folder))
        rows = transformers(model, rounds)
        if find_spec("vllm"):
            rows += vllm(model, rounds)
    shown = [
        (what, f"{library:,.0f}", f"{latxa:,.0f}", f"{latxa / library:.2f}", f"{goal}")
        for what, library, latxa, goal in rows
    ]
    table([("tokens a second of CPU time", "library", "latxa", "ratio", "goal"), *shown])
    missed = [what for what, library, latxa, goal in rows if latxa / library < goal]
    verdict(f"engines inside `latxa`{': ' + '; '.join(missed) if missed else ''}", not missed)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
