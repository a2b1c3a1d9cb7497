"""How fast records with ids are read, checked and written, against a bare `orjson.loads`/`orjson.dumps` loop.

    python tests/bench/records.py [FILE.jsonl] [MEGABYTES]

FILE (default: `../shared/data/instructions_en.jsonl`, conversations) is repeated to 300 MB. Both read it in a process
of their own and write to the same kind of place: stdout at the null device, and a file. Ours goes through a whole run
of a verb: checks, counts, input hash, and for the file also checkpoints (an fsync each second) and the manifest.
Start-up is not counted. Goals: at least 0.5 x the speed of the loop by CPU time, and the same peak memory at a tenth
of the input.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from timing import Cost, by_turns, table, verdict

GOAL = 0.5
DATA = Path(__file__).resolve().parents[3] / "shared" / "data" / "instructions_en.jsonl"


def bare(source: str, output: str) -> None:
    """The peer: parse each line and write it again."""
    import orjson

    with open(source, "rb") as lines, open(output, "wb") as out:  # noqa: PTH123
        for line in lines:
            out.write(orjson.dumps(orjson.loads(line), option=orjson.OPT_APPEND_NEWLINE))


def latxa(source: str, output: str) -> None:
    """A verb that passes conversations on as they are."""
    from latxa_cli.stream.outputs import Destination
    from latxa_cli.stream.run import Run

    path = None if output == "/dev/stdout" else Path(output)
    with Run("pass", Destination(output=path, quiet=True), {}) as run:
        run.write(run.read([source], "conversation"))


def child(name: str, source: str, output: str) -> None:
    """Do the work of one process and print its wall seconds, CPU seconds and peak memory in KiB on stderr."""
    import orjson  # noqa: F401  # loaded before the clock starts

    import latxa_cli.stream.run  # noqa: F401

    work = {"bare": bare, "latxa": latxa}[name]
    wall, cpu = time.perf_counter(), time.process_time()
    work(source, output)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    status = Path("/proc/self/status").read_text()
    peak = status.partition("VmHWM:")[2].split()[0]
    sys.stderr.write(f"{wall} {cpu} {peak}\n")


def measure(name: str, source: Path, output: str) -> tuple[Cost, float]:
    """Return what one process took, and its peak memory in MB."""
    command = [sys.executable, __file__, "--child", name, str(source), output]
    done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=True)
    wall, cpu, peak = done.stderr.split()
    return Cost(float(wall), float(cpu)), int(peak) * 1024 / 1e6


def repeat(source: Path, target: Path, size: float) -> Path:
    """Write `source` again and again until `target` has `size` bytes or more."""
    with target.open("wb") as out:
        while out.tell() < size:
            with source.open("rb") as data:
                shutil.copyfileobj(data, out)
    return target


def main(source: Path, megabytes: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        whole = repeat(source, Path(folder) / "whole.jsonl", megabytes * 1e6)
        tenth = repeat(source, Path(folder) / "tenth.jsonl", megabytes * 1e5)
        size = whole.stat().st_size / 1e6
        rows = [
            ("written to", "bare MB/s cpu", "latxa MB/s cpu", "ratio", "bare MB/s wall", "latxa MB/s wall", "ratio")
        ]
        ratios = []
        for place, output in (("null device", "/dev/stdout"), ("file", str(Path(folder) / "out.jsonl"))):
            contestants = {
                name: lambda name=name, output=output: measure(name, whole, output)[0] for name in ("bare", "latxa")
            }
            costs = by_turns(contestants, 5)
            a, b = costs["bare"], costs["latxa"]
            figures = [size / a.cpu, size / b.cpu, a.cpu / b.cpu, size / a.wall, size / b.wall, a.wall / b.wall]
            rows.append((place, *(f"{x:.2f}" if column % 3 == 2 else f"{x:.0f}" for column, x in enumerate(figures))))
            ratios.append(a.cpu / b.cpu)
        table(rows)
        small, large = (measure("latxa", file, "/dev/stdout")[1] for file in (tenth, whole))
    sys.stdout.write(f"peak memory: {small:.1f} MB at {size / 10:.0f} MB of input, {large:.1f} MB at {size:.0f} MB\n")
    reached = min(ratios) >= GOAL and large < small * 1.1
    verdict(f"{min(ratios):.2f} x the bare loop's speed by CPU time (goal {GOAL}); memory flat within a tenth", reached)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        child(*sys.argv[2:])
    else:
        main(Path(sys.argv[1]) if len(sys.argv) > 1 else DATA, int(sys.argv[2]) if len(sys.argv) > 2 else 300)
