"""Real models behind real servers: in a live poll, and one of them as a judge of both; all votes are rated.

    python tests/bench/vote_vllm.py MODEL OTHER [PROMPTS]

Needs vLLM (`recipes/test-vllm.sh` makes the environment). MODEL and OTHER are model directories with chat templates
and room for 4,096 tokens; they may be the same. Both answer English questions in a live poll, with a second message
behind each, and the votes are cast in HTTP. Then both answer the same questions alone, and MODEL judges the answers by
`pairwise`. Measured: verdicts of the judge that can be read, answers that fail, seconds of an answer and until voters
see it, and whether `arena-score` rates both.
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
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import tiny
from poll_server import Voter, serving, talk, votes_in
from timing import verdict
from vllm_server import serving as serving_vllm

QUESTIONS = ("What is {}?", "Describe {} in one sentence.", "Why do people like {}?")
THINGS = ("the sea", "bread", "a lighthouse", "rain", "music", "a bicycle", "winter", "an island", "a map", "a boat")
TOKENS = "40"
TOKENS_OF_JUDGE = "200"
ROOM = ("--kv-cache-memory-bytes", "512M", "--max-model-len", "4096")


def latxa(folder: Path, *words: str) -> None:
    done = subprocess.run([str(tiny.BINARY), *words], cwd=folder, capture_output=True, text=True, check=False)
    print(done.stderr.strip(), flush=True)
    assert done.returncode == 0 or "nothing was kept" in done.stderr


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


def main(model: str, other: str, prompts: str = "8") -> None:
    questions = [question.format(thing) for thing in THINGS for question in QUESTIONS][: int(prompts)]
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        tiny.write_jsonl(folder / "prompts.jsonl", [{"id": f"q{n}", "prompt": q} for n, q in enumerate(questions)])
        urls = {
            served: stack.enter_context(
                serving_vllm(Path(path).resolve(), folder / f"{served}.log", "--served-model-name", served, *ROOM)
            )
            for served, path in (("real", model), ("other", other))
        }
        flags = [word for served, url in urls.items() for word in ("--model", f"{served}={url}")]
        limits = ("--max-tokens", TOKENS, "--timeout", "300")
        with serving(folder, *flags, "-o", "votes.jsonl", *limits) as poll:
            voters = [Voter.of(poll) for _ in questions]
            with ThreadPoolExecutor(4) as pool:
                waits = list(pool.map(talk_and_vote, voters, questions))
            poll.stop()
        latxa(folder, "arena-score", "votes.jsonl", "--prior", "1", "-o", "voted.jsonl")
        votes, rated = votes_in(folder / "votes.jsonl"), [votes_in(folder / "voted.jsonl")]
        failures = sum(
            sum(one["failures"].values())
            for one in json.loads((folder / "votes.jsonl.manifest.json").read_bytes())["models"]
        )
        tell_times(votes, waits)
        judge(folder, urls)
        battles = votes_in(folder / "battles.jsonl")
        if battles:
            latxa(folder, "arena-score", "battles.jsonl", "--prior", "1", "-o", "judged.jsonl")
            rated.append(votes_in(folder / "judged.jsonl"))
    print(f"judge: {len(battles)} of {len(questions)} verdicts can be read")
    are_rated = all({"real", "other"} <= names(rows) for rows in rated)
    reached = len(votes) == len(questions) and failures == 0 and are_rated
    verdict(f"{len(votes)} votes are rated; {failures} answers failed", reached)
    verdict(f"{len(battles)} verdicts of the judge are rated", bool(battles) and are_rated)


def judge(folder: Path, urls: dict[str, str]) -> None:
    """Have both models answer the questions, and the first of them judge the answers."""
    for served, url in urls.items():
        answers = ("--max-tokens", TOKENS, "-o", f"{served}.jsonl")
        latxa(folder, "respond", "prompts.jsonl", "-m", served, "--base-url", url, *answers)
    asked = ("--rubric", "pairwise", "--judge", "real", "--base-url", urls["real"], "--max-tokens", TOKENS_OF_JUDGE)
    latxa(folder, "judge", "real.jsonl", "other.jsonl", *asked, "-o", "battles.jsonl", "--rejects", "rejects.jsonl")


def tell_times(votes: list[Any], waits: list[float]) -> None:
    for served in ("real", "other"):
        sides = [(vote, side) for vote in votes for side in ("model_a", "model_b") if vote[side] == served]
        taken = [seconds for vote, side in sides for seconds in vote["metadata"]["answer_seconds"][side]]
        print(f"{served}: {len(taken)} answers to voters, median {statistics.median(taken):.1f} s")
    print(f"voters saw both answers after {statistics.median(waits):.1f} s (median)", flush=True)


def names(ratings: list[Any]) -> set[str]:
    return {str(row.get("model")) for row in ratings}


if __name__ == "__main__":
    main(*sys.argv[1:])
