"""exp_2_111 on the models of the quickstart, with both backends and one or two processes: losses and time.

    python tests/bench/backends.py QUICKSTART      the folder that `recipes/quickstart.sh QUICKSTART` has made

The mix of the quickstart is prepared once and trained with the quickstart's settings on torch and on DeepSpeed's ZeRO
stages, by one process and by two. Every run must show the losses of torch on one process, step by step, and its model
must load.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from timing import run, table, verdict

ROOT = Path(__file__).resolve().parents[2]
BINARY = Path(sys.executable).with_name("latxa")
SETTINGS = ROOT / "recipes" / "quickstart" / "exp_2_111.toml"
GOAL = 1e-3  # largest difference of a loss
RUNS = [
    ("torch", 0, 1), ("torch", 0, 2), ("deepspeed", 0, 1), ("deepspeed", 1, 2), ("deepspeed", 2, 1),
    ("deepspeed", 2, 2), ("deepspeed", 3, 1), ("deepspeed", 3, 2),
]  # fmt: skip


def main() -> None:
    quickstart = Path(sys.argv[1]).resolve()
    model = quickstart / "models" / "instruct_en"
    os.environ["OMP_NUM_THREADS"] = "1"
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        length = next(line for line in SETTINGS.read_text().splitlines() if line.startswith("sequence_length"))
        mix = quickstart / "text" / "exp_2_111.jsonl"
        prepare = [BINARY, "prepare", mix, "--model", model, "--sequence-length", length.split("=")[1].strip()]
        subprocess.run([*prepare, "-o", folder / "rows", "-q"], check=True)
        expected: list[float] = []
        worst = 0.0
        rows = [["", "processes", "steps", "last loss", "largest difference", "CPU seconds"]]
        for backend, stage, processes in RUNS:
            name = f"{backend} {f'ZeRO {stage}' if backend == 'deepspeed' else ''}".strip()
            out = folder / f"{backend}-{stage}-{processes}"
            settings = folder / f"{backend}-{stage}.toml"
            settings.write_text(SETTINGS.read_text() + f'\nbackend = "{backend}"\nzero_stage = {stage}\n')
            command = [
                str(BINARY),
                "train",
                str(folder / "rows"),
                "--model",
                str(model),
                "--config",
                str(settings),
                "-q",
            ]
            starter = [
                str(BINARY.with_name("torchrun")),
                "--standalone",
                "--nproc-per-node",
                str(processes),
                "--no-python",
            ]
            cost = run([*(starter if processes > 1 else []), *command, "--threads", "1", "-o", str(out)])
            losses = [json.loads(line)["loss"] for line in (out / "metrics.jsonl").read_text().splitlines()]
            expected = expected or losses
            difference = max(abs(one - other) for one, other in zip(losses, expected, strict=True))
            worst = max(worst, difference)
            rows.append(
                [name, str(processes), str(len(losses)), f"{losses[-1]:.5f}", f"{difference:.1e}", f"{cost.cpu:.0f}"]
            )
            check(out)
        table(rows)
        verdict(f"losses differ by at most {worst:.1e} (goal: {GOAL:.0e})", worst <= GOAL)


def check(directory: Path) -> None:
    """See that transformers reads the model."""
    code = "import sys; from transformers import AutoModelForCausalLM as M; M.from_pretrained(sys.argv[1])"
    subprocess.run([sys.executable, "-c", code, directory], check=True, stderr=subprocess.DEVNULL)


if __name__ == "__main__":
    main()
