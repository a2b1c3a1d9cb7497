"""Records lost, doubled or reordered when `respond`, `sample` and `translate` are killed and resumed: none.

    python tests/bench/kills.py [--kills 180] [--real 20] [--verb translate] [--quickstart quickstart]

`--kills` times a verb with a server of the tests (an engine that answers at once, a process like any other around it):
`respond`, and `translate` with checks, retries, drafts and rejects. `--real` times a verb with the transformers engine
and models of the quickstart: `sample` (Magpie, with all filters) and `translate`. A run is killed at a moment drawn
from the time that a whole one takes, then resumed; one that comes to its end is compared with the uninterrupted run,
output and rejects byte by byte, and the next begins anew.
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
sys.path.append(str(REPOSITORY / "tests"))

from openai_server import MODEL, WORDS, OpenAIServer  # noqa: E402

BINARY = str(Path(sys.executable).with_name("latxa"))
RECORDS = 800
TO_ISLAND = ("--from", "en", "--to", "qaa", "--to-name", "Island")


def outputs(folder: Path, name: str) -> tuple[list[str], list[Path]]:
    """Return the flags for an output and its rejects, and the two files."""
    files = [folder / f"{name}.jsonl", folder / f"{name}.rejects.jsonl"]
    return ["-o", str(files[0]), "--rejects", str(files[1])], files


def contents(files: list[Path]) -> list[bytes]:
    return [path.read_bytes() if path.exists() else b"" for path in files]


def whole(command: list[str], folder: Path) -> tuple[list[bytes], float]:
    """Return what an uninterrupted run writes, and its seconds."""
    flags, files = outputs(folder, "whole")
    started = time.monotonic()
    subprocess.run([*command, *flags], check=True)
    return contents(files), time.monotonic() - started


def killed(command: list[str], folder: Path, times: int, draw: random.Random) -> tuple[int, int, str]:
    """Return how often a run came to its end over so many kills, how often it was another than the whole, and sizes."""
    expected, seconds = whole(command, folder)
    flags, files = outputs(folder, "out")
    kills = completed = wrong = 0
    while kills < times or not completed:
        process = subprocess.Popen([*command, *flags, "--resume"])
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
        wrong += contents(files) != expected
        for path in folder.glob("out*.jsonl*"):
            path.unlink()
    kept, rejected = (data.count(b"\n") for data in expected)
    return completed, wrong, f"{kept} kept and {rejected} rejected in {seconds:.1f} s"


def write(path: Path, records: list[dict[str, object]]) -> str:
    path.write_bytes(b"".join(orjson.dumps(record) + b"\n" for record in records))
    return str(path)


def with_server(folder: Path, url: str) -> dict[str, list[str]]:
    """Return a command for each verb that a server of the tests answers."""
    draw = random.Random(0)
    prompts: list[dict[str, object]] = [{"id": str(n), "prompt": f"What is {n}?"} for n in range(RECORDS)]
    texts = [" ".join(draw.choices(WORDS, k=draw.randint(3, 9))) + "." for _ in range(RECORDS // 2)]
    texts[::9] = [f"{text}\n- A list.\n- Of two." for text in texts[::9]]  # which the server makes a line of: rejected
    roles = ("user", "assistant")
    chats: list[dict[str, object]] = [
        {"id": str(n), "messages": [{"role": roles[i], "content": texts[2 * n + i]} for i in (0, 1)]}
        for n in range(RECORDS // 4)
    ]
    shots = write(folder / "shots.jsonl", [{"source": f"the {word}", "target": word[::-1]} for word in WORDS])
    common = ["-q", "--model", MODEL, "--base-url", url]
    return {
        "respond": [BINARY, "respond", *common, write(folder / "prompts.jsonl", prompts)],
        "translate": [
            BINARY, "translate", *common, *TO_ISLAND, "--shots", shots, "--retries", "1", "--candidates", "2",
            write(folder / "chats.jsonl", chats),
        ],
    }  # fmt: skip


def with_models(quickstart: Path) -> dict[str, list[str]]:
    """Return a command for each verb that models of the quickstart do."""
    models, data = quickstart / "models", quickstart / "data"
    return {
        "sample": [BINARY, "sample", "-q", "-m", str(models / "instruct_en"), "-n", "600", "--max-tokens", "60"],
        "translate": [
            BINARY, "translate", "-q", "-m", str(models / "base_eu"), "--from", "en", "--to", "eu", "--shots",
            str(data / "shots.jsonl"), "--max-tokens", "60", "--take", "400", str(data / "instructions_en.jsonl"),
        ],
    }  # fmt: skip


def main() -> None:
    options = argparse.ArgumentParser(usage=(__doc__ or "").split("\n\n")[1].strip())
    options.add_argument("--kills", type=int, default=180)
    options.add_argument("--real", type=int, default=20)
    options.add_argument("--verb", choices=("respond", "sample", "translate"))
    options.add_argument("--quickstart", type=Path, default=REPOSITORY / "quickstart")
    options.add_argument("--seed", type=int, default=random.randrange(10**6))
    given = options.parse_args()
    draw, faults = random.Random(given.seed), 0
    sys.stdout.write(f"seed {given.seed}\n")
    with tempfile.TemporaryDirectory() as temporary, OpenAIServer() as server:
        runs = [("server", verb, command) for verb, command in with_server(Path(temporary), server.url).items()]
        runs += [("model", verb, command) for verb, command in with_models(given.quickstart).items()]
        for engine, verb, command in runs:
            times = given.kills if engine == "server" else given.real
            if not times or given.verb not in (None, verb):
                continue
            with tempfile.TemporaryDirectory() as folder:
                completed, wrong, sizes = killed(command, Path(folder), times, draw)
            ends = f"{completed} runs came to their end, {wrong} wrong"
            sys.stdout.write(f"{verb} with a {engine}: {times} kills, {ends} ({sizes})\n")
            sys.stdout.flush()
            faults += wrong
    verdict(f"{faults} runs of which records were lost, doubled or changed (goal 0)", faults == 0)


if __name__ == "__main__":
    main()
