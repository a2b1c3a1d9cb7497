"""The page of a poll under load: voters who open it, get a pair and vote, all at once, on this machine.

    python tests/bench/vote_load.py [VOTERS [SECONDS]]

Each voter waits two seconds on average between a pair and the vote on it, which is faster than anybody reads. Measured:
milliseconds until the page, a pair and the answer to a vote are there (median, and 95 of 100), and the server's memory
at rest and in the end.
"""

from __future__ import annotations

import asyncio
import random
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

import aiohttp

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from poll_server import MODELS, Served, serving, votes_in, write_responses
from timing import verdict

PROMPTS = 500
THINKING = 2.0  # seconds

Times = defaultdict[str, list[float]]


def megabytes(served: Served) -> float:
    status = Path(f"/proc/{served.process.pid}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1]) / 1000


async def voter(address: str, end: float, times: Times) -> None:
    jar = aiohttp.CookieJar(unsafe=True)  # of an address that is a number
    async with aiohttp.ClientSession(address, cookie_jar=jar) as session:

        async def timed(name: str, method: str, path: str, **options: object) -> bytes:
            started = time.monotonic()
            async with session.request(method, path, **options) as answer:
                body = await answer.read()
                assert answer.status == 200, (answer.status, body)
            times[name].append(1000 * (time.monotonic() - started))
            return body

        await asyncio.sleep(random.random() * THINKING)
        while time.monotonic() < end:
            await timed("page", "GET", "/")
            slip = (await timed("pair", "GET", "/ballot")).split(b'"ballot":"')[1].split(b'"')[0].decode()
            await asyncio.sleep(random.expovariate(1 / THINKING))
            cast = {"ballot": slip, "content": "tie", "language": "first", "seconds": 2, "seen": True}
            await timed("vote", "POST", "/votes", json=cast)


async def all_voters(voters: int, address: str, seconds: float) -> Times:
    times: Times = defaultdict(list)
    end = time.monotonic() + seconds
    await asyncio.gather(*(voter(address, end, times) for _ in range(voters)))
    return times


def main(voters: int = 50, seconds: int = 30) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        files = write_responses(folder, MODELS, PROMPTS)
        with serving(folder, *files, "-o", "votes.jsonl", "--votes-per-minute", "10000") as served:
            at_rest = megabytes(served)
            times = asyncio.run(all_voters(voters, served.address, seconds))
            busy = megabytes(served)
            served.stop()
        stored = len(votes_in(folder / "votes.jsonl"))
    for name, taken in times.items():
        high = statistics.quantiles(taken, n=20)[-1]
        print(f"{name}: {len(taken):,} times, median {statistics.median(taken):.1f} ms, 95 of 100 within {high:.1f} ms")
    print(f"{voters} voters, {stored:,} votes stored, {len(times['vote']):,} told")
    print(f"{at_rest:.0f} MB at rest, {busy:.0f} MB in the end")
    page = statistics.median(times["page"])
    words = f"median page {page:.1f} ms, goal 50; {at_rest:.0f} MB at rest, goal 120"
    verdict(words, page < 50 and at_rest <= 120 and stored == len(times["vote"]))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
