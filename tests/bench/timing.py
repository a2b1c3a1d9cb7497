"""What the benchmarks share: running commands by turns, medians, and a small table."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from statistics import median
from typing import NamedTuple


class Cost(NamedTuple):
    """Seconds that one run took; `cpu` is that of the process and of the children that it waited for."""

    wall: float
    cpu: float


def run(command: Sequence[str]) -> Cost:
    """Run `command` to its end, its output thrown away; raises CalledProcessError when it fails."""
    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, list(command))
    return Cost(wall, usage.ru_utime + usage.ru_stime)


def by_turns(contestants: dict[str, Callable[[], Cost]], rounds: int) -> dict[str, Cost]:
    """Run every contestant once in each round (A B A B …, after one round that does not count); return the medians."""
    costs: dict[str, list[Cost]] = {name: [] for name in contestants}
    for number in range(rounds + 1):
        for name, measure in contestants.items():
            cost = measure()
            if number:
                costs[name].append(cost)
    return {name: Cost(median(c.wall for c in found), median(c.cpu for c in found)) for name, found in costs.items()}


def table(rows: Sequence[Sequence[str]]) -> None:
    """Print rows in aligned columns, the first to the left and the others to the right."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        cells = [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        sys.stdout.write("  ".join(cells).rstrip() + "\n")


def verdict(text: str, reached: bool) -> None:
    """Print whether a goal was reached, and leave with exit code 1 when it was not."""
    sys.stdout.write(f"{'reached' if reached else 'MISSED'}: {text}\n")
    if not reached:
        raise SystemExit(1)
