"""exp_2_111 on the models of the quickstart, with both backends and one or two processes: losses and time.

    python tests/bench/backends.py QUICKSTART      the folder that `recipes/quickstart.sh QUICKSTART` has made

The mix of the quickstart is prepared once and trained with the quickstart's settings on torch and on DeepSpeed's ZeRO
stages, by one process and by two. In its first steps every run must show the losses of torch on one process, step by
step; at its end, the mean of its last ones. In between the least difference of rounding grows, as it does between two
runs of torch that only add up in another order, so that single late losses differ more. The models must load.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from timing import run, table, verdict

ROOT = Path(__file__).resolve().parents[2]
BINARY = Path(sys.executable).with_name("latxa")
SETTINGS = ROOT / "recipes" / "quickstart" / "exp_2_111.toml"
FIRST, LAST = 50, 100  # steps
GOAL, GOAL_AT_END = 1e-3, 1e-2  # largest difference of a loss in the first steps, and of the mean of the last ones
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
        worst = worst_at_end = 0.0
        heads = ["", "processes", "steps", f"largest difference in {FIRST}", "in all", f"mean of the last {LAST}"]
        rows = [[*heads, "CPU seconds"]]
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
            differences = [abs(one - other) for one, other in zip(losses, expected, strict=True)]
            ends = [statistics.mean(found[-LAST:]) for found in (losses, expected)]
            worst, worst_at_end = max(worst, *differences[:FIRST]), max(worst_at_end, abs(ends[0] - ends[1]))
            rows.append([
                name, str(processes), str(len(losses)), f"{max(differences[:FIRST]):.1e}", f"{max(differences):.1e}",
                f"{ends[0]:.4f}", f"{cost.cpu:.0f}",
            ])  # fmt: skip
            check(out)
        table(rows)
        verdict(f"losses of the first {FIRST} steps differ by at most {worst:.1e} (goal: {GOAL:.0e})", worst <= GOAL)
        verdict(f"at the end by {worst_at_end:.1e} (goal: {GOAL_AT_END:.0e})", worst_at_end <= GOAL_AT_END)


def check(directory: Path) -> None:
    """See that transformers reads the model."""
    code = "import sys; from transformers import AutoModelForCausalLM as M; M.from_pretrained(sys.argv[1])"
    subprocess.run([sys.executable, "-c", code, directory], check=True, stderr=subprocess.DEVNULL)


if __name__ == "__main__":
    main()
