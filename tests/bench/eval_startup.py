"""How soon `latxa eval` asks a tiny model for its first log-likelihoods, against importing torch and a model class.

    python tests/bench/eval_startup.py [ROUNDS]

The peer is `from transformers import LlamaForCausalLM`, which imports torch. Ours is the whole way from the command
line to the first request: tasks of our own with their data, the model, prompts. Goal: at most 1.3 x the CPU time.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from scorer import LONG, TASK, build, questions
from timing import by_turns, run, table, verdict

GOAL = 1.3
PEER = "import torch; from transformers import LlamaForCausalLM"
OURS = """import os, sys
from latxa_cli.evaluation import model

load = model.load


def loaded(*given, **how):
    made = load(*given, **how)
    made.loglikelihood = lambda requests: os._exit(0)
    return made


model.load = loaded
from latxa_cli.cli import main

sys.argv[0] = "latxa"
main()
sys.exit(9)
"""


def main(rounds: int) -> None:
    import json

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        directory = build(folder, 128, 2)
        for file in ("items", "shots"):
            lines = "".join(json.dumps(item) + "\n" for item in questions()[:50])
            (folder / f"{file}.jsonl").write_text(lines, encoding="utf-8")
        task = TASK.format(sampler="default", text=LONG[1], choices=LONG[2], shots=1)
        (folder / "exams.yaml").write_text(task, encoding="utf-8")
        (folder / "ours.py").write_text(OURS, encoding="utf-8")
        command = [
            sys.executable,
            str(folder / "ours.py"),
            "eval",
            str(directory),
            "--task",
            str(folder / "exams.yaml"),
        ]
        costs = by_turns(
            {"import": lambda: run([sys.executable, "-c", PEER]), "latxa eval": lambda: run([*command, "--quiet"])},
            rounds,
        )
    table([("", "cpu s", "wall s"), *((name, f"{cost.cpu:.2f}", f"{cost.wall:.2f}") for name, cost in costs.items())])
    ratio = costs["latxa eval"].cpu / costs["import"].cpu
    verdict(f"the first request comes after {ratio:.2f} x the peer's CPU time (goal {GOAL})", ratio <= GOAL)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
