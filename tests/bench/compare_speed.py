"""How fast `latxa compare` is on the answers of 20 models to 40,000 items each, with prompts of 600 characters.

    python tests/bench/compare_speed.py [MODELS] [ITEMS]

Goal: at most 12 x the CPU time of `orjson.loads` of each line, with either interval; half of it goes into the checked
reading of records that all verbs share.
"""

from __future__ import annotations

import random
import subprocess
import sys
import tempfile
from pathlib import Path

import orjson
from timing import by_turns, run, table, verdict

GOAL = 12.0
READ = "import sys, orjson\nfor line in open(sys.argv[1], 'rb'):\n    orjson.loads(line)"
TASKS = 29


def write(path: Path, models: int, items: int) -> None:
    draw = random.Random(0)
    ease = [draw.random() for _ in range(items)]
    prompt = "Question: which of these is it, and why would it be that one rather than another one? " * 7
    with path.open("wb") as file:
        for model in range(models):
            for item in range(items):
                task = item * TASKS // items
                record = {
                    "id": f"item-{item}", "task": f"task{task}", "model": f"model{model}",
                    "correct": 0.7 * ease[item] + 0.3 * draw.random() > 0.5 - model / 200, "metrics": {"acc": 1.0},
                    "filter": "none", "prompt": f"{prompt}{item}", "choices": ["A", "B", "C", "D"],
                    "loglikelihoods": [-1.5, -2.5, -3.5, -4.5], "answer": 0, "target": 1,
                    "group": "all" if task < 9 else None,
                }  # fmt: skip
                file.write(orjson.dumps(record) + b"\n")


def main(models: int, items: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "answers.jsonl"
        write(path, models, items)
        command = ["latxa", "compare", str(path), "--baseline", "model0", "-q"]
        costs = by_turns(
            {
                "orjson.loads of each line": lambda: run([sys.executable, "-c", READ, str(path)]),
                "compare": lambda: run(command),
                "compare --interval bootstrap": lambda: run([*command, "--interval", "bootstrap"]),
            },
            2,
        )
        rows = subprocess.run(command, capture_output=True, check=True).stdout.count(b"\n")
        base = costs["orjson.loads of each line"].cpu
        head = (
            f"{models} models, {items:,} items, {path.stat().st_size >> 20} MB, {rows} rows",
            "wall",
            "CPU",
            "ratio",
        )
        shown = [
            (name, f"{one.wall:.1f} s", f"{one.cpu:.1f} s", f"{one.cpu / base:.2f}") for name, one in costs.items()
        ]
        table([head, *shown])
        most = max(cost.cpu for cost in costs.values()) / base
        verdict(f"at most {most:.2f} x the CPU time of reading (goal {GOAL})", most <= GOAL)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:3])) if len(sys.argv) > 2 else main(20, 40_000)
