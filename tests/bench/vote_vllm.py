"""Real models behind real servers: in a live poll, and one of them as a judge of both; all votes are rated.

    python tests/bench/vote_vllm.py MODEL OTHER [PROMPTS]

Needs vLLM (`recipes/test-vllm.sh` makes the environment). MODEL and OTHER are model directories with chat templates.
Both answer English questions, and MODEL judges the answers by `pairwise`; then both answer the same questions in a live
poll, with a second message behind each, and the votes are cast in HTTP. Measured: verdicts of the judge that can be
read, answers that fail, seconds of an answer and until voters see it, and whether `arena-score` rates both.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import tiny
from poll_server import Voter, serving, talk, votes_in
from timing import verdict
from vllm_server import serving as serving_vllm

QUESTIONS = ("What is {}?", "Describe {} in one sentence.", "Why do people like {}?")
THINGS = ("the sea", "bread", "a lighthouse", "rain", "music", "a bicycle", "winter", "an island", "a map", "a boat")
TOKENS = "60"
ROOM = ("--kv-cache-memory-bytes", "512M", "--max-model-len", "4096")


def latxa(folder: Path, *words: str) -> str:
    done = subprocess.run([str(tiny.BINARY), *words], cwd=folder, capture_output=True, text=True, check=False)
    print(f"latxa {words[0]}: {done.stderr.strip().splitlines()[-1]}", flush=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def talk_and_vote(voter: Voter, question: str) -> float:
    """Have a conversation of two messages and vote on it; return the seconds until the first answers were there."""
    started = time.monotonic()
    status, shown = voter.say(question)
    seconds = time.monotonic() - started
    assert status == 200, shown
    status, shown = voter.say("Why?", shown)
    assert status == 200, shown
    sent = talk(shown)
    assert voter.cast(sent["ballot"], conversations=sent["conversations"])[0] == 200
    return seconds


def main(model: str, other: str, prompts: str = "24") -> None:
    questions = [question.format(thing) for thing in THINGS for question in QUESTIONS][: int(prompts)]
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        tiny.write_jsonl(folder / "prompts.jsonl", [{"id": f"q{n}", "prompt": q} for n, q in enumerate(questions)])
        urls = {
            served: stack.enter_context(
                serving_vllm(Path(path).resolve(), folder / f"{served}.log", "--served-model-name", served, *room)
            )
            for served, path, room in (("real", model, ROOM), ("other", other, ()))
        }
        for served, url in urls.items():
            latxa(folder, "respond", "prompts.jsonl", "-m", served, "--base-url", url, "--max-tokens", TOKENS,
                  "-o", f"{served}.jsonl")  # fmt: skip
        latxa(folder, "judge", "real.jsonl", "other.jsonl", "--rubric", "pairwise", "--judge", "real", "--base-url",
              urls["real"], "-o", "battles.jsonl", "--rejects", "rejects.jsonl")  # fmt: skip
        latxa(folder, "arena-score", "battles.jsonl", "--prior", "1", "-o", "judged.jsonl")
        flags = [word for served, url in urls.items() for word in ("--model", f"{served}={url}")]
        with serving(folder, *flags, "-o", "votes.jsonl", "--max-tokens", TOKENS) as poll:
            voters = [Voter.of(poll) for _ in questions]
            with ThreadPoolExecutor(4) as pool:
                waits = list(pool.map(talk_and_vote, voters, questions))
            poll.stop()
        latxa(folder, "arena-score", "votes.jsonl", "--prior", "1", "-o", "voted.jsonl")
        votes, battles = votes_in(folder / "votes.jsonl"), votes_in(folder / "battles.jsonl")
        ratings = [votes_in(folder / path) for path in ("judged.jsonl", "voted.jsonl")]
        models = json.loads((folder / "votes.jsonl.manifest.json").read_bytes())["models"]
    for served in urls:
        taken = [
            seconds
            for vote in votes
            for side in ("model_a", "model_b")
            if vote[side] == served
            for seconds in vote["metadata"]["answer_seconds"][side]
        ]
        print(f"{served}: {len(taken)} answers to voters, median {statistics.median(taken):.1f} s")
    print(f"voters saw both answers after {statistics.median(waits):.1f} s (median)")
    print(f"judge: {len(battles)} of {len(questions)} verdicts can be read")
    failures = sum(sum(one["failures"].values()) for one in models)
    rated = all({row.get("model") for row in rows} >= set(urls) for rows in ratings)
    reached = rated and failures == 0 and len(votes) == len(questions) and len(battles) > 0
    verdict(f"{len(votes)} votes and {len(battles)} verdicts are rated; {failures} answers failed", reached)


if __name__ == "__main__":
    main(*sys.argv[1:])
