"""Answers lost, doubled or changed when `latxa eval` is killed (SIGKILL) at random moments and resumed: none.

    python tests/bench/eval_kills.py [--kills 100] [--items 300] [--seed N]

A random Llama of 1.4 million parameters answers real multiple-choice questions. A run is killed at a moment drawn from
the time that a whole one takes, then resumed; one that comes to its end is compared with the uninterrupted run, results
and answers byte by byte, and the next begins anew. Runs are made by forking a process that has the libraries loaded,
so that kills come while requests are answered, and not while libraries are imported.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import sys
import tempfile
import time
from pathlib import Path

from scorer import LONG, TASK, build, questions
from timing import verdict


def start(arguments: list[str]) -> int:
    """Run `latxa` in a forked process, and return its number."""
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        from latxa_cli.cli import main

        sys.argv = ["latxa", *arguments]
        main()
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    finally:
        os._exit(code)


def ended(child: int, seconds: float) -> int | None:
    """Return the exit code of a process that ends within so many seconds; else kill it and return None."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        number, status = os.waitpid(child, os.WNOHANG)
        if number:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.005)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return None


def outcome(folder: Path) -> list[bytes]:
    """Return the outputs, and remove them; a folder of kept answers that is left is a fault of its own."""
    files = [folder / "out.jsonl", folder / "answers.jsonl"]
    read = [path.read_bytes() for path in files] + [b"left"] * (folder / "out.jsonl.work").exists()
    for path in [*files, folder / "out.jsonl.manifest.json"]:
        path.unlink(missing_ok=True)
    return read


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--items", type=int, default=300)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    given = parser.parse_args()
    import torch
    from lm_eval.evaluator import evaluate  # noqa: F401

    import latxa_cli.evaluation.scoring.scorer  # noqa: F401

    torch.set_num_threads(1)
    draw = random.Random(given.seed)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ["HF_DATASETS_CACHE"] = str(folder / "cache")
        directory = build(folder, 128, 2)
        for file, items in (("shots", questions()[:50]), ("items", questions()[50 : 50 + given.items])):
            (folder / f"{file}.jsonl").write_text("".join(json.dumps(one) + "\n" for one in items), encoding="utf-8")
        task = TASK.format(sampler="default", text=LONG[1], choices=LONG[2], shots=5)
        (folder / "exams.yaml").write_text(task, encoding="utf-8")
        arguments = ["eval", str(directory), "--task", str(folder / "exams.yaml"), "-o", str(folder / "out.jsonl")]
        arguments += ["--answers", str(folder / "answers.jsonl"), "--resume", "--quiet"]
        started = time.monotonic()
        assert ended(start(arguments), 600) == 0
        seconds, expected = time.monotonic() - started, outcome(folder)
        kills = completed = wrong = amid = 0
        while kills < given.kills or not completed:
            code = ended(start(arguments), draw.random() * seconds if kills < given.kills else 600)
            if code is None:
                kills += 1
                amid += any((folder / "out.jsonl.work").glob("*.jsonl"))
                continue
            assert code == 0, code
            completed += 1
            wrong += outcome(folder) != expected
    sys.stdout.write(f"seed {given.seed}: {kills} kills, {amid} with answers kept, {completed} runs to their end\n")
    verdict(f"{wrong} runs with answers lost, doubled or changed (goal 0)", wrong == 0)


if __name__ == "__main__":
    main()
