"""Records lost or doubled when `latxa respond` and `latxa sample` are killed at random moments and resumed: none.

    python tests/bench/kills.py [--kills 180] [--real 20] [--model quickstart/models/instruct_en]

`--kills` times with a server of the tests (an engine that answers at once, a process like any other around it), and
`--real` times with the transformers engine and MODEL (Magpie, with all filters). A run is killed at a moment drawn from
the time that a whole one takes, then resumed; one that comes to its end is compared with the uninterrupted run, byte by
byte, and the next begins anew.
"""

from __future__ import annotations

import argparse
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import orjson
from timing import verdict

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.append(str(REPOSITORY / "tests" / "generation"))

from openai_server import MODEL, OpenAIServer  # noqa: E402

BINARY = str(Path(sys.executable).with_name("latxa"))
PROMPTS = 800


def whole(command: list[str], output: Path) -> tuple[bytes, float]:
    """Return what an uninterrupted run writes, and its seconds."""
    started = time.monotonic()
    subprocess.run([*command, "-o", str(output)], check=True)
    return output.read_bytes(), time.monotonic() - started


def killed(command: list[str], folder: Path, times: int, draw: random.Random) -> tuple[int, int]:
    """Return how often a run came to its end over so many kills, and how often it was another than the whole."""
    expected, seconds = whole(command, folder / "whole.jsonl")
    output = folder / "out.jsonl"
    kills = completed = wrong = 0
    while kills < times or not completed:
        process = subprocess.Popen([*command, "-o", str(output), "--resume"])
        try:
            process.wait(draw.random() * seconds if kills < times else None)
        except subprocess.TimeoutExpired:
            process.kill()
        code = process.wait()
        if code == -signal.SIGKILL:
            kills += 1
            continue
        if code:
            raise SystemExit(f"`{' '.join(command)}` ended with {code}")
        completed += 1
        wrong += output.read_bytes() != expected
        for path in folder.glob("out.jsonl*"):
            path.unlink()
    return completed, wrong


def main() -> None:
    options = argparse.ArgumentParser(usage=(__doc__ or "").split("\n\n")[1].strip())
    options.add_argument("--kills", type=int, default=180)
    options.add_argument("--real", type=int, default=20)
    options.add_argument("--model", type=Path, default=REPOSITORY / "quickstart" / "models" / "instruct_en")
    options.add_argument("--seed", type=int, default=random.randrange(10**6))
    given = options.parse_args()
    draw, faults = random.Random(given.seed), 0
    sys.stdout.write(f"seed {given.seed}\n")
    with tempfile.TemporaryDirectory() as temporary, OpenAIServer() as server:
        folder = Path(temporary)
        prompts = folder / "prompts.jsonl"
        prompts.write_bytes(
            b"".join(orjson.dumps({"id": str(n), "prompt": f"What is {n}?"}) + b"\n" for n in range(PROMPTS))
        )
        command = [BINARY, "respond", "-q", "--model", MODEL, "--base-url", server.url]
        if given.kills:
            completed, wrong = killed([*command, str(prompts)], folder, given.kills, draw)
            sys.stdout.write(f"server: {given.kills} kills, {completed} runs came to their end, {wrong} wrong\n")
            faults += wrong
    if given.real:
        command = [BINARY, "sample", "-q", "--model", str(given.model), "-n", "600", "--max-tokens", "60"]
        with tempfile.TemporaryDirectory() as temporary:
            completed, wrong = killed(command, Path(temporary), given.real, draw)
        sys.stdout.write(f"model: {given.real} kills, {completed} runs came to their end, {wrong} wrong\n")
        faults += wrong
    verdict(f"{faults} runs of which records were lost, doubled or changed (goal 0)", faults == 0)


if __name__ == "__main__":
    main()
