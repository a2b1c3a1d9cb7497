"""How fast `latxa mix` shuffles, against GNU `shuf`; and its memory on files that do not fit.

    python tests/bench/mix.py [MEGABYTES] [DIR]

Documents and chats from `../shared/data`, each with an id of its own, are repeated to MEGABYTES (default 1200, which
fits in the default `--memory`). Both programs read the file and write another, start-up included. `shuf` moves lines;
`mix` also parses and checks every record, hashes the input, looks for duplicates, names sources, and counts words.
Files lie in DIR, or in a temporary folder; the second part needs 16 GB there for a short time. Goals: at least 0.7 x
the speed of `shuf` by CPU time, and a peak below `--memory 500MB` at 0.4 and at 4 GB of input.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import orjson
from timing import Cost, by_turns, table, verdict

GOAL = 0.7
ROUNDS = 5
LIMIT, SMALL, LARGE = 500, 400, 4000  # MB: `--memory`, and two inputs that do not fit in it
DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
SOURCES = {"documents": ["corpus_eu.jsonl", "corpus_en.jsonl", "corpus_es.jsonl"], "chats": ["instructions_en.jsonl"]}
LATXA = str(Path(sys.executable).with_name("latxa"))


class Run(NamedTuple):
    """What a run took, and its peak memory in MB."""

    cost: Cost
    memory: float


def build(path: Path, files: list[str], megabytes: float) -> Path:
    """Write the records of `files` again and again, as `latxa` writes them, each time with other ids."""
    records = {}
    for name in files:
        for line in (DATA / name).read_bytes().split(b"\n")[:-1]:
            record = orjson.loads(line)
            records[f"{name}/{record['id']}"] = record
    with path.open("wb") as out:
        number = 0
        while out.tell() < megabytes * 1e6:
            out.writelines(
                orjson.dumps(record | {"id": f"{name}/{number}"}, option=orjson.OPT_APPEND_NEWLINE)
                for name, record in records.items()
            )
            number += 1
    return path


def run(command: list[str], output: Path) -> Run:
    """Run `command` with its stdout in a file; raises SystemExit when it fails."""
    output.unlink(missing_ok=True)
    with output.open("wb") as out:
        started = time.perf_counter()
        process = subprocess.Popen(command, stdout=out)
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"`{' '.join(command)}` failed")
    return Run(Cost(wall, usage.ru_utime + usage.ru_stime), usage.ru_maxrss * 1024 / 1e6)


def mix(source: Path, *more: str) -> list[str]:
    return [LATXA, "mix", "-q", f"docs={source}", *more]


def against_shuf(folder: Path, megabytes: int) -> list[float]:
    """Print how `mix` with one and two workers compares with `shuf`; return the ratios of CPU time with one."""
    rows = [("", "MB", "shuf s cpu", "mix s cpu", "ratio", "shuf s wall", "1 worker", "ratio", "2 workers", "ratio")]
    ratios = []
    for what, files in SOURCES.items():
        source, output = build(folder / f"{what}.jsonl", files, megabytes), folder / "out.jsonl"
        commands = {
            "shuf": ["shuf", str(source)], "one": mix(source, "--workers", "1"), "two": mix(source, "--workers", "2"),
        }  # fmt: skip
        contestants = {
            name: lambda command=command, output=output: run(command, output).cost for name, command in commands.items()
        }
        costs = by_turns(contestants, ROUNDS)
        shuf, one, two = costs["shuf"], costs["one"], costs["two"]
        ratios.append(shuf.cpu / one.cpu)
        figures = [shuf.cpu, one.cpu, ratios[-1], shuf.wall]
        figures += [one.wall, shuf.wall / one.wall, two.wall, shuf.wall / two.wall]
        rows.append((what, str(megabytes), *(f"{figure:.2f}" for figure in figures)))
        source.unlink()
        output.unlink()
    table(rows)
    little = build(folder / "little.jsonl", SOURCES["chats"], 9)
    start = by_turns({"mix": lambda: run(mix(little, "--workers", "1"), folder / "out.jsonl").cost}, 3)["mix"]
    sys.stdout.write(f"of which {start.cpu:.2f} s are what a mix of 9 MB takes\n\n")
    return ratios


def memory(folder: Path) -> tuple[float, float]:
    """Print the peak memory of mixes that go through files; return it for the smaller and the larger input."""
    rows = [("--memory 500MB", "MB", "s cpu", "MB/s cpu", "s wall", "peak MB")]
    peaks = []
    for megabytes in (SMALL, LARGE):
        source = build(folder / "in.jsonl", SOURCES["documents"], megabytes)
        cost, peak = run(
            mix(source, "--workers", "1", "--memory", f"{LIMIT}MB", "--work", str(folder / "work")),
            folder / "out.jsonl",
        )
        size = source.stat().st_size / 1e6
        rows.append(
            ("documents", f"{size:.0f}", f"{cost.cpu:.1f}", f"{size / cost.cpu:.0f}", f"{cost.wall:.1f}", f"{peak:.0f}")
        )
        peaks.append(peak)
        source.unlink()
    table(rows)
    return peaks[0], peaks[1]


@contextmanager
def place(arguments: list[str]) -> Iterator[Path]:
    if arguments:
        yield Path(arguments[0])
        return
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


def main(megabytes: int, arguments: list[str]) -> None:
    with place(arguments) as folder:
        ratios = against_shuf(folder, megabytes)
        small, large = memory(folder)
    reached = min(ratios) >= GOAL and max(small, large) <= LIMIT
    said = f"{min(ratios):.2f} x the speed of shuf by CPU time (goal {GOAL}); memory {small:.0f} and {large:.0f} MB"
    verdict(said, reached)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1200, sys.argv[2:])
