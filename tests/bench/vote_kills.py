"""Votes under SIGKILLs: voters who send each vote until they hear that it is stored, and a server that is killed.

    python tests/bench/vote_kills.py [KILLS [VOTERS]]

Measured: votes that a voter was told are stored and are not (lost), and votes that are stored twice (doubled). A
shorter form is `python tests/bench/vote_kills.py 10 5`.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "voting"))
from killed_server import under_kills
from poll_server import votes_in, write_responses
from timing import verdict

PROMPTS = 5000  # more than anybody reaches


def main(kills: int = 100, voters: int = 20) -> None:
    started = time.monotonic()

    def tell(number: int, votes: int) -> None:
        if number % 10 == 0:
            print(f"{number} kills, {votes:,} votes, {time.monotonic() - started:,.0f} s", flush=True)

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_responses(folder, prompts=PROMPTS)
        words = ("0.jsonl", "1.jsonl", "-o", "votes.jsonl")
        told = under_kills(folder, words, voters=voters, kills=kills, votes_between=voters, tell=tell)
        stored = [vote["id"] for vote in votes_in(folder / "votes.jsonl")]
    lost, doubled = len(told - set(stored)), len(stored) - len(set(stored))
    print(f"{kills} kills, {voters} voters, {len(told):,} votes told, {len(stored):,} stored")
    verdict(f"lost {lost}, doubled {doubled}: none", lost == doubled == 0 and len(told) >= kills * voters)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
