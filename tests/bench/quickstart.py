"""How long a recipe for a laptop takes after installation, and how much memory all its processes hold together.

    python tests/bench/quickstart.py [DIR]
    python tests/bench/quickstart.py [DIR] --study [--seed 1]

The quickstart, or the miniature of the study, runs in a new temporary folder, or in DIR, which is kept. Memory is the
sum of the resident sets of the script and all processes below it, looked at four times a second: pages that processes
share count more than once, so the true figure is lower. Goals on 2 cores: 6 minutes and 3 GB; the study 25 and 4.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
from timing import table, verdict

SECONDS_BETWEEN_LOOKS = 0.25
RECIPES = Path(__file__).resolve().parents[2] / "recipes"


def resident(root: psutil.Process) -> int:
    """Return the bytes that `root` and its descendants hold in memory; one that just ended holds none."""
    total = 0
    try:
        for process in [root, *root.children(recursive=True)]:
            try:
                total += process.memory_info().rss
            except psutil.Error:
                continue
    except psutil.Error:
        pass
    return total


def measure(command: list[str]) -> tuple[float, float, float]:
    """Run a recipe; return wall seconds, CPU seconds and peak memory in GB."""
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    before, started, peak = os.times(), time.perf_counter(), 0
    process = subprocess.Popen(command, env=environment, stdout=sys.stderr)
    root = psutil.Process(process.pid)
    while process.poll() is None:
        peak = max(peak, resident(root))
        time.sleep(SECONDS_BETWEEN_LOOKS)
    wall, after = time.perf_counter() - started, os.times()
    if process.returncode:
        raise SystemExit(f"{command[0]} failed with exit code {process.returncode}")
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return wall, cpu, peak / 1e9


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure a recipe for a laptop.")
    parser.add_argument("directory", type=Path, nargs="?", metavar="DIR")
    parser.add_argument("--study", action="store_true", help="the miniature of the study")
    parser.add_argument("--seed", default="1", help="of the study")
    arguments = parser.parse_args()
    minutes, gigabytes = (25, 4) if arguments.study else (6, 3)
    script = (
        [str(RECIPES / "study.sh"), "--seed", arguments.seed] if arguments.study else [str(RECIPES / "quickstart.sh")]
    )
    with tempfile.TemporaryDirectory() as temporary:
        wall, cpu, memory = measure([*script, str((arguments.directory or Path(temporary)).resolve())])
    table(
        [
            ("", "measured", "limit", "ratio"),
            ("wall minutes", f"{wall / 60:.2f}", str(minutes), f"{wall / 60 / minutes:.2f}"),
            ("CPU minutes", f"{cpu / 60:.2f}", "", ""),
            ("peak memory, GB", f"{memory:.2f}", str(gigabytes), f"{memory / gigabytes:.2f}"),
        ]
    )
    verdict(f"{wall / 60:.1f} minutes and {memory:.1f} GB", wall <= minutes * 60 and memory <= gigabytes)


if __name__ == "__main__":
    main()
