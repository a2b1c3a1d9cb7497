"""How long `latxa report` reads a folder of results files of lm-evaluation-harness, against parsing them alone.

    python tests/bench/report_folder.py [FOLDER] [FILES]

FOLDER (default: `../shared/reference/eval/native`) holds results files; FILES (default: 2,000) of some 200 KB are made
of them: the tasks of a model's files in one, with other values, pretty-printed as the harness does. A fifth holds NaN.

    json     reads each file and parses it with Python's json, which takes NaN, as scripts around the harness do
    orjson   the same with orjson, the fastest parser; Python's json where there is NaN
    records  reads all files as a verb does, into checked records: expands the folder, hashes, converts, keeps
    report   the whole command, start-up and table included (`--format csv`)

Goal: `records` at most 1.5 x `json` by CPU time. What the other ratios are is printed.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from timing import Cost, by_turns, table, verdict

GOAL = 1.5
SIZE = 200_000  # bytes of a file
DATA = Path(__file__).resolve().parents[3] / "shared" / "reference" / "eval" / "native"
BY_TASK = ("results", "group_subtasks", "configs", "versions", "n-shot", "higher_is_better", "n-samples", "task_hashes")


def make(source: Path, folder: Path, count: int) -> int:
    """Write `count` files, and return their bytes."""
    draw = random.Random(0)
    models = [
        [json.loads(path.read_text()) for path in sorted(model.glob("results_*.json"))] for model in source.iterdir()
    ]
    models = [draw.sample(documents, len(documents)) for documents in models if len(documents) > 20]
    written = 0
    for number in range(count):
        documents = draw.choice(models)
        merged = documents[0] | {name: {} for name in BY_TASK}
        for document in documents:
            for part in BY_TASK:
                merged[part] |= json.loads(json.dumps(document[part]))
            if len(json.dumps(merged, indent=2)) > SIZE:
                break
        merged |= {"model_name": f"org/model_{number}", "model_name_sanitized": f"org__model_{number}"}
        for figures in merged["results"].values():
            figures |= {name: value * draw.random() for name, value in figures.items() if isinstance(value, float)}
        if number % 5 == 0:
            next(iter(merged["results"].values()))["f1,none"] = float("nan")
        path = folder / f"org__model_{number}" / "results_2025-02-26T03-22-59.956799.json"
        path.parent.mkdir()
        path.write_text(json.dumps(merged, indent=2))
        written += path.stat().st_size
    return written


def parse(folder: str, loads: Callable[[bytes], Any] = json.loads) -> int:
    found = 0
    for path in sorted(Path(folder).rglob("results_*.json")):
        data = path.read_bytes()
        try:
            document = loads(data)
        except ValueError:
            document = json.loads(data)
        found += len(document["results"])
    return found


def fast_parse(folder: str) -> int:
    import orjson

    return parse(folder, orjson.loads)


def records(folder: str) -> int:
    from latxa_cli.report.reading.files import ResultInput, expand
    from latxa_cli.stream.outputs import Destination
    from latxa_cli.stream.run import Run

    kept = []
    with Run("report", Destination(quiet=True), {}, makes="whole") as run:
        run.intake.open = ResultInput
        for file in expand([folder], run.say):
            kept += run.read([file], ("result", "rating", "battle"))
    return len(kept)


def child(name: str, folder: str) -> None:
    """Do the work of one process; print its wall and CPU seconds, memory in KiB and what it found, on stderr."""
    import orjson  # noqa: F401  # loaded before the clock starts

    import latxa_cli.report.reading.files
    import latxa_cli.stream.run  # noqa: F401

    before = _peak()
    wall, cpu = time.perf_counter(), time.process_time()
    found = {"json": parse, "orjson": fast_parse, "records": records}[name](folder)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    sys.stderr.write(f"{wall} {cpu} {_peak() - before} {found}\n")


def _peak() -> int:
    return int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0])


def measure(name: str, folder: str) -> tuple[Cost, float, int]:
    """Return what one process took, the memory in MB that the work added, and what it found."""
    command = [sys.executable, __file__, "--child", name, folder]
    done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=True)
    wall, cpu, peak, found = done.stderr.split()
    return Cost(float(wall), float(cpu)), int(peak) * 1024 / 1e6, int(found)


def report(folder: str) -> Cost:
    from timing import run

    latxa = str(Path(sys.executable).parent / "latxa")
    return run([latxa, "report", folder, "--format", "csv", "--rejects", f"{folder}/../rejects", "-q"])


def main(source: Path, count: int) -> None:
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "out"
        folder.mkdir()
        size = make(source, folder, count) / 1e6
        costs = by_turns(
            {
                "json": lambda: measure("json", str(folder))[0],
                "orjson": lambda: measure("orjson", str(folder))[0],
                "records": lambda: measure("records", str(folder))[0],
                "report": lambda: report(str(folder)),
            },
            3,
        )
        _, memory, found = measure("records", str(folder))
    rows = [("", "cpu s", "wall s", "x json", "x orjson")]
    for name, cost in costs.items():
        ratios = (f"{cost.cpu / costs[peer].cpu:.2f}" for peer in ("json", "orjson"))
        rows.append((name, f"{cost.cpu:.2f}", f"{cost.wall:.2f}", *ratios))
    sys.stdout.write(f"{count:,} files, {size:.0f} MB, {found:,} records; {memory:.0f} MB for the records\n")
    table(rows)
    ratio = costs["records"].cpu / costs["json"].cpu
    verdict(f"{ratio:.2f} x the time of parsing (goal {GOAL})", ratio <= GOAL)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        child(*sys.argv[2:])
    else:
        main(Path(sys.argv[1]) if len(sys.argv) > 1 else DATA, int(sys.argv[2]) if len(sys.argv) > 2 else 2000)
