"""What `latxa sample` costs around the engine: microseconds of CPU a record, with an engine that answers at once.

    python tests/bench/sample.py [--records 20000]

Instructions and answers are real ones, of `../shared/data/instructions_en.jsonl`, one in ten an instruction of before.
They pass what they would in a run: the flow, the filters, the search for repeats, ids and metadata, the writer. The
goal is 100 microseconds a record at most.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import orjson
from timing import table

from latxa_cli.chat.pre_query import PreQuery
from latxa_cli.generation.engine import Completion, Request
from latxa_cli.sampling.distinct import Distinct
from latxa_cli.sampling.filters import FILTERS, Filters
from latxa_cli.sampling.magpie import Magpie, draw
from latxa_cli.sampling.tasks import load_tasks
from latxa_cli.stream.writer import Writer

DATA = Path(__file__).resolve().parents[3] / "shared" / "data" / "instructions_en.jsonl"
GOAL = 100.0  # microseconds
ROUNDS = 5


class Instant:
    """Answers each request with the next text of its kind; its own time is not counted."""

    tokenizer: Any = None
    window = 256

    def __init__(self, texts: Iterable[tuple[str, str]]) -> None:
        self.texts = iter(texts)
        self.answers: dict[str, str] = {}
        self.seconds, self.kept = 0.0, 0

    def generate(self, requests: Iterable[Request | None]) -> Iterator[tuple[int, Completion]]:
        place = 0
        for request in requests:
            if request is None:
                continue
            started = time.process_time()
            assert request.prompt is not None
            if request.prompt == "<user>":
                text, answer = next(self.texts)
                self.answers[text.strip()] = answer
            else:
                text = self.answers[request.prompt.removeprefix("<user>").removesuffix("<assistant>")]
            self.seconds += time.process_time() - started
            yield place, Completion(text, "stop", 10, 20)
            place += 1

    def facts(self) -> dict[str, Any]:
        return {}


def pairs(count: int) -> list[tuple[str, str]]:
    found = []
    with DATA.open("rb") as file:
        for line in islice(file, count):
            turns = {message["role"]: message["content"] for message in orjson.loads(line)["messages"]}
            found.append((turns["user"], turns["assistant"]))
    draw, many = random.Random(0), []
    for place, (text, answer) in enumerate(islice(cycle(found), count)):
        words = text.split(" ")
        if place >= len(found):  # another instruction of the same length
            draw.shuffle(words)
            words.insert(0, "Now")
        many.append((f"{' '.join(words)} {place}" if place % 10 else found[0][0], answer))
    return many


def microseconds(texts: list[tuple[str, str]], skip: frozenset[str]) -> float:
    """Return what a record costs."""
    engine = Instant(texts)
    filters = Filters(frozenset(("<|eot_id|>", "<|end_of_text|>")), skip)
    how = Magpie(
        lambda messages, system: PreQuery("<user>", "<assistant>"), load_tasks(["general"]), filters, 0, "bench"
    )
    outcomes = draw(range(len(texts)), engine, how)
    if filters.does("duplicate"):
        outcomes = Distinct(near=filters.does("near")).filter(outcomes)
    with tempfile.TemporaryDirectory() as folder:
        writer = Writer(Path(folder) / "out.jsonl")
        started = time.process_time()
        for outcome in outcomes:
            if isinstance(outcome, dict):
                writer.write(outcome)
                engine.kept += 1
        writer.flush()
        cost = (time.process_time() - started - engine.seconds) / len(texts) * 1e6
    if engine.kept < len(texts) / 2:
        raise SystemExit(f"only {engine.kept} of {len(texts)} conversations were kept: this measures something else")
    return cost


def main() -> None:
    options = argparse.ArgumentParser(usage=(__doc__ or "").split("\n\n")[1].strip())
    options.add_argument("--records", type=int, default=20_000)
    texts = pairs(options.parse_args().records)
    ways = {"all filters": frozenset[str](), "no near": frozenset(("near",)), "no filters": frozenset(FILTERS)}
    microseconds(texts[:500], frozenset())  # kernels are loaded
    rounds = [{way: microseconds(texts, skip) for way, skip in ways.items()} for _ in range(ROUNDS)]
    medians = {way: sorted(one[way] for one in rounds)[ROUNDS // 2] for way in ways}
    table(
        [(f"sample, {len(texts):,} records", "µs a record"), *((way, f"{cost:.1f}") for way, cost in medians.items())]
    )
    reached = medians["all filters"] <= GOAL
    sys.stdout.write(
        f"{'reached' if reached else 'MISSED'}: {medians['all filters']:.0f} µs a record (goal {GOAL:.0f})\n"
    )
    raise SystemExit(0 if reached else 1)


if __name__ == "__main__":
    main()
