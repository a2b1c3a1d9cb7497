"""The miniature of the study, started twice at once, killed and started again: same results, and nothing made twice.

    python tests/bench/study_kills.py STUDY [--kills 20] [--seed 1]       STUDY: a complete miniature, of this seed

Two runs of `recipes/study.sh` share a new folder beside STUDY, which is kept. Some seconds after a job that was drawn
has ended, all their processes are killed (SIGKILL), or only those of one study, whose jobs go on; and two runs start
again. The last two come to their end. Then the mixes, models, results, battles and tables are those of STUDY, byte by
byte but for dates, times and folders, and no job was reported as made twice.
"""

from __future__ import annotations

import argparse
import collections
import os
import random
import re
import subprocess
import sys
import time
from pathlib import Path

import psutil
from timing import verdict

SCRIPT = Path(__file__).resolve().parents[2] / "recipes" / "study.sh"
JOBS = 70  # fewer than a miniature has
SECONDS = (0, 15)  # from the end of a job to the kill
MADE = re.compile(r"^study: \S+ +(\S+)  \d+ s$", re.M)
COMPARED = ("text/*.jsonl", "mixes/*.jsonl", "models/*/model.safetensors", "responses/*.jsonl", "battles.jsonl",
            "ratings.jsonl", "results/*.jsonl", "tables.md", "checked.txt")  # fmt: skip
CHANGING = re.compile(rb'"(date|seconds|time|created_at|duration)": ?("[^"]*"|[0-9.e+-]+)')


def start(folder: Path, seed: int, said: Path) -> subprocess.Popen[bytes]:
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    with said.open("ab") as file:
        command = [str(SCRIPT), "--seed", str(seed), str(folder)]
        return subprocess.Popen(command, env=environment, stdout=file, stderr=file)


def kill(process: subprocess.Popen[bytes], *, jobs: bool) -> None:
    """Kill a study, with its jobs or without."""
    root = psutil.Process(process.pid)
    tree = [root, *root.children(recursive=True)]
    studies = [each for each in tree if jobs or "jobs.py" in " ".join(each.cmdline())] or tree[:1]
    for each in studies:
        try:
            each.kill()
        except psutil.NoSuchProcess:
            continue
    process.wait()


def differences(one: Path, other: Path) -> list[str]:
    found = []
    for pattern in COMPARED:
        names = {path.relative_to(root) for root in (one, other) for path in root.glob(pattern)}
        for name in sorted(names):
            contents = [CHANGING.sub(b"", (root / name).read_bytes()) if (root / name).exists() else None
                        for root in (one, other)]  # fmt: skip
            if contents[0] != contents[1]:
                found.append(str(name))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description="Kill a miniature study again and again.")
    parser.add_argument("study", type=Path, metavar="STUDY")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1, help="of STUDY")
    parser.add_argument("--draw", type=int, default=7, help="seed of the moments")
    arguments = parser.parse_args()
    study = arguments.study.resolve()
    folder, said = study.with_name(f"{study.name}_killed"), study.with_name(f"{study.name}_killed.log")
    draw = random.Random(arguments.draw)
    waiting = sorted(draw.sample(range(JOBS), arguments.kills), reverse=True)
    while True:
        both = [start(folder, arguments.seed, said) for _ in range(2)]
        while (
            waiting and len(MADE.findall(said.read_text())) < waiting[-1] and any(each.poll() is None for each in both)
        ):
            time.sleep(0.2)
        if not waiting or all(each.poll() is not None for each in both):
            break
        waiting.pop()
        time.sleep(draw.uniform(*SECONDS))
        for each in both:
            if each.poll() is None:
                kill(each, jobs=draw.random() < 0.7)
        print(f"killed after {len(MADE.findall(said.read_text()))} jobs", flush=True)
    for each in both:
        each.wait()
    codes = [each.returncode for each in both]
    made = collections.Counter(MADE.findall(said.read_text()))
    twice = [name for name, count in made.items() if count > 1]
    other = differences(study, folder)
    print(f"{arguments.kills} kills; exit codes {codes}; {len(made)} jobs reported")
    print(f"made twice: {twice or 'nothing'}; with other contents: {other or 'nothing'}")
    verdict("nothing made twice, and the same in the end", codes == [0, 0] and not twice and not other)


if __name__ == "__main__":
    main()
