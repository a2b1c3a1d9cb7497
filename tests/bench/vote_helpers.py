"""A live poll whose helpers fail at random: votes that are lost, doubled or wrong.

    python tests/bench/vote_helpers.py [VOTES [VOTERS]]

Of all answers of four models, a fifth are errors, broken connections, rubbish, or never come. At random moments the
disk is full for votes and rejects. Voters write and vote until they are answered, and know what they were shown. A
shorter form is `python tests/bench/vote_helpers.py 50 10`.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "voting"))
from failing_helpers import faults, under_failures
from timing import verdict

SHARE = 0.2


def main(votes: int = 1000, voters: int = 40) -> None:
    started, told_at = time.monotonic(), 0.0

    def tell(number: int) -> None:
        nonlocal told_at
        if time.monotonic() - told_at > 10:
            told_at = time.monotonic()
            print(f"{number:,} votes, {told_at - started:,.0f} s", flush=True)

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        voted = under_failures(folder, votes=votes, voters=voters, share=SHARE, tell=tell)
        found = faults(voted, folder / "votes.jsonl")
        manifest = json.loads((folder / "votes.jsonl.manifest.json").read_bytes())
    answers = sum(model["answers"] for model in manifest["models"])
    failures = sum(sum(model["failures"].values()) for model in manifest["models"])
    print(f"{len(voted.told):,} votes told, {answers:,} answers, {failures:,} failures of models")
    print(f"no answer for a voter {voted.refused[503]:,} times, the disk full {voted.refused[507]:,} times")
    words = ", ".join(f"{what} {count}" for what, count in found.items())
    verdict(f"{words}: none", not any(found.values()) and len(voted.told) >= votes)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
