"""What `latxa corpus` costs: against rensa, datatrove and a bare parse, against its own steps, with workers, in memory.

    python tests/bench/corpus.py [--peers PYTHON] [--folder DIR] [--megabytes 300] [--rounds 3] [PART ...]

PYTHON has the peers: `pip install rensa "datatrove[processing]" spacy`. DIR keeps the corpora of `mess.py` for the next
time. Parts (default: all):

    exact     `--only exact`, end to end, against parsing each line with orjson: at least half its speed
    near      `--only near` against rensa (1.8 x its speed) and datatrove (50 x); how many of the injected near
              duplicates are found (0.99 at a Jaccard index of 0.8), how many of those dropped are ones (0.95 at 0.7)
    whole     all steps on, against the sum of its steps measured alone (at most 1.2 x)
    workers   wall time with one worker and with two (1.5 x)
    memory    of all processes together, at MEGABYTES and at ten times that (under `--memory`)

Every contestant runs in processes of its own, by turns in one run. Speeds are MB of JSON lines a CPU second on one
thread. Our start-up, measured as a run on one document, is not counted in `exact` and `near`; the peers' clocks start
when their libraries are loaded. datatrove works on a part of the file that holds whole families of near-duplicates,
once; its time grows with the bytes.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import mess
import orjson
import psutil
from near import near
from setting import Setting, Verdict
from timing import Cost, by_turns, table

from latxa_cli.corpus.steps import CHANGING, STEPS

SECONDS_BETWEEN_LOOKS = 0.2
MEMORY = 2e9  # the default of `--memory`


# --- exact


def exact(setting: Setting) -> list[Verdict]:
    path = setting.joined("all", set(mess.KINDS))
    size = path.stat().st_size / 1e6
    command = [sys.executable, __file__, "--child", str(path)]

    def bare() -> Cost:
        done = subprocess.run(command, stderr=subprocess.PIPE, text=True, check=True)
        wall, cpu = map(float, done.stderr.split())
        return Cost(wall, cpu)

    costs = by_turns({"bare": bare, "ours": lambda: setting.latxa(path, "--only", "exact")}, setting.rounds)
    peer, ours, start = costs["bare"], costs["ours"], setting.startup("--only", "exact")
    rows = {
        "orjson.loads of each line": peer,
        "latxa corpus --only exact": ours,
        "  without start-up": Cost(ours.wall - start.wall, ours.cpu - start.cpu),
    }
    shown = [
        (name, f"{cost.cpu:.2f}", f"{cost.wall:.2f}", f"{size / cost.cpu:.0f}", f"{peer.cpu / cost.cpu:.2f}")
        for name, cost in rows.items()
    ]
    table([(f"exact, {size:.0f} MB", "cpu s", "wall s", "MB/s cpu", "x bare"), *shown])
    ratio = peer.cpu / (ours.cpu - start.cpu)
    return [(f"exact: {ratio:.2f} x the speed of a bare parse, start-up not counted (goal 0.5)", ratio >= 0.5)]


def parse(path: Path) -> None:
    """The peer of `exact`; says what it took on stderr."""
    wall, cpu = time.perf_counter(), time.process_time()
    with path.open("rb") as file:
        for line in file:
            orjson.loads(line)
    sys.stderr.write(f"{time.perf_counter() - wall} {time.process_time() - cpu}\n")


# --- the whole run


def whole(setting: Setting) -> list[Verdict]:
    """Each step runs alone on what the steps before it left; what it takes is the difference to a run without it."""
    path = setting.joined("all", set(mess.KINDS))
    against = ["--against", str(setting.built.items)]
    now, following = setting.folder / "now.jsonl", setting.folder / "following.jsonl"
    now.write_bytes(path.read_bytes())
    rows = [("step, alone", "documents", "cpu s", "more than without")]
    total = _median(setting, [path, "--only", "split"])
    rows.append(("read, parse and write", str(_count(path)), f"{total:.2f}", f"{total:.2f}"))
    for step in STEPS:
        if step == "split":
            continue
        idle = ["--only", "split"] if step in CHANGING else [word for name in STEPS for word in ("--skip", name)]
        words = ["--only", step, *(against if step == "contamination" else [])]
        without, alone = (_median(setting, [now, *given]) for given in (idle, words))
        more = alone - without
        total += more
        rows.append((f"+ {step}", str(_count(now)), f"{alone:.2f}", f"{more:.2f}"))
        setting.output.replace(following)
        following.replace(now)
    whole_run = _median(setting, [path, *against])
    rows.append(("sum", "", "", f"{total:.2f}"))
    size = path.stat().st_size / 1e6
    rows.append((f"all at once: {size / whole_run:.1f} MB/s cpu", str(_count(setting.output)), f"{whole_run:.2f}", ""))
    table(rows)
    ratio = whole_run / total
    return [(f"whole: {ratio:.2f} x the CPU time of its steps alone (goal 1.2)", ratio <= 1.2)]


def _median(setting: Setting, words: list[str | Path]) -> float:
    return sorted(setting.latxa(*words).cpu for _ in range(setting.rounds))[setting.rounds // 2]


def _count(path: Path) -> int:
    with path.open("rb") as file:
        return sum(block.count(b"\n") for block in iter(lambda: file.read(1 << 20), b""))


# --- workers and memory


def workers(setting: Setting) -> list[Verdict]:
    files = [f"{name}={path}" for name, path in setting.built.files.items()]
    costs = by_turns({str(n): lambda n=n: setting.latxa(*files, workers=n) for n in (1, 2)}, setting.rounds)
    rows = [(number, f"{cost.wall:.2f}", f"{cost.cpu:.2f}") for number, cost in costs.items()]
    table([(f"workers, {setting.built.bytes / 1e6:.0f} MB", "wall s", "cpu s"), *rows])
    ratio = costs["1"].wall / costs["2"].wall
    return [(f"workers: two are {ratio:.2f} x as fast as one by wall time (goal 1.5)", ratio >= 1.5)]


def memory(setting: Setting) -> list[Verdict]:
    rows, peaks = [("memory, 2 workers", "MB in", "wall s", "peak MB (PSS)", "peak MB (RSS)")], []
    for times in (1, 10):
        size = setting.built.bytes / 1e6 * times
        built = setting.built if times == 1 else mess.build(setting.folder / "ten", round(size), seed=1)
        files = [f"{name}={path}" for name, path in built.files.items()]
        wall, shared, resident = _watched(setting.command(*files, workers=2))
        rows.append((f"{times} x", f"{built.bytes / 1e6:.0f}", f"{wall:.0f}", f"{shared:.0f}", f"{resident:.0f}"))
        peaks.append(shared)
    table(rows)
    return [(f"memory: {peaks[1]:.0f} MB at ten times the input (goal {MEMORY / 1e6:.0f})", peaks[1] * 1e6 <= MEMORY)]


def _watched(command: list[str]) -> tuple[float, float, float]:
    """Run a command; return its wall seconds and the peak over time, in MB, of the memory of all its processes: shared
    pages counted once (PSS), and counted for each process that has them (RSS)."""
    started, peak, resident = time.perf_counter(), 0, 0
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    root = psutil.Process(process.pid)
    while process.poll() is None:
        now = [0, 0]
        for one in [root, *_children(root)]:
            try:
                found = one.memory_full_info()
            except psutil.Error:
                continue
            now[0] += found.pss
            now[1] += found.rss
        peak, resident = max(peak, now[0]), max(resident, now[1])
        time.sleep(SECONDS_BETWEEN_LOOKS)
    if process.returncode:
        raise SystemExit(f"`{' '.join(command)}` failed with exit code {process.returncode}")
    return time.perf_counter() - started, peak / 1e6, resident / 1e6


def _children(root: psutil.Process) -> list[psutil.Process]:
    try:
        return root.children(recursive=True)
    except psutil.Error:
        return []


PARTS = {"exact": exact, "near": near, "whole": whole, "workers": workers, "memory": memory}


def main() -> None:
    options = argparse.ArgumentParser(usage=(__doc__ or "").split("\n\n")[1].strip())
    options.add_argument("--peers")
    options.add_argument("--folder", type=Path)
    options.add_argument("--megabytes", type=int, default=300)
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("parts", nargs="*", choices=[*PARTS, []], default=list(PARTS))
    given = options.parse_args()
    if not given.peers:
        sys.stdout.write("without `--peers PYTHON` rensa and datatrove are not measured\n")
    with tempfile.TemporaryDirectory() as temporary:
        folder = given.folder or Path(temporary)
        built = mess.build(folder / "one", given.megabytes)
        setting = Setting(built, folder, given.peers, given.rounds)
        verdicts = []
        for part in given.parts:
            verdicts += PARTS[part](setting)
            sys.stdout.write("\n")
            sys.stdout.flush()
    for text, reached in verdicts:
        sys.stdout.write(f"{'reached' if reached else 'MISSED'}: {text}\n")
    if not all(reached for _, reached in verdicts):
        raise SystemExit(1)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        parse(Path(sys.argv[2]))
    else:
        main()
