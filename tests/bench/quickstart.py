"""How long `recipes/quickstart.sh` takes after installation, and how much memory all its processes hold together.

    python tests/bench/quickstart.py [DIR]

It runs in a new temporary folder, or in DIR, which is kept. Memory is the sum of the resident sets of the script and
all processes below it, looked at four times a second: pages that processes share count more than once, so the true
figure is lower. Goals: at most 6 minutes on 2 cores and 3 GB.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
from timing import table, verdict

MINUTES, GIGABYTES = 6, 3
SECONDS_BETWEEN_LOOKS = 0.25
SCRIPT = Path(__file__).resolve().parents[2] / "recipes" / "quickstart.sh"


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


def measure(folder: Path) -> tuple[float, float, float]:
    """Run the script in `folder`; return wall seconds, CPU seconds and peak memory in GB."""
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    before, started, peak = os.times(), time.perf_counter(), 0
    process = subprocess.Popen([str(SCRIPT), str(folder)], env=environment)
    root = psutil.Process(process.pid)
    while process.poll() is None:
        peak = max(peak, resident(root))
        time.sleep(SECONDS_BETWEEN_LOOKS)
    wall, after = time.perf_counter() - started, os.times()
    if process.returncode:
        raise SystemExit(f"{SCRIPT.name} failed with exit code {process.returncode}")
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return wall, cpu, peak / 1e9


def main(folder: Path) -> None:
    wall, cpu, memory = measure(folder)
    table(
        [
            ("", "measured", "limit", "ratio"),
            ("wall minutes", f"{wall / 60:.2f}", str(MINUTES), f"{wall / 60 / MINUTES:.2f}"),
            ("CPU minutes", f"{cpu / 60:.2f}", "", ""),
            ("peak memory, GB", f"{memory:.2f}", str(GIGABYTES), f"{memory / GIGABYTES:.2f}"),
        ]
    )
    verdict(f"{wall / 60:.1f} minutes and {memory:.1f} GB", wall <= MINUTES * 60 and memory <= GIGABYTES)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        main(Path(sys.argv[1]).resolve())
    else:
        with tempfile.TemporaryDirectory() as temporary:
            main(Path(temporary))
