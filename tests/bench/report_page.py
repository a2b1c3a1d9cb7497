"""The page of a report at the size of the whole study: its bytes, the time to make it, and to open it in Chromium.

    python tests/bench/report_page.py [MODELS [ITEMS [TASKS]]]

Texts are random words with the frequencies of a natural text (Zipf), in five-shot prompts whose shots come from a pool
of other items, so that they compress no better than real ones. Half of the models are asked through a chat template.
The page has the tables and figures of results too.
Measured: the page's size, seconds and memory of making it, seconds until the first items stand in the browser (median
of five), and until those of another task do.
"""

from __future__ import annotations

import random
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import accumulate
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from chromium import chromium

from latxa_cli.report.pages.answers import Answers
from latxa_cli.report.pages.report_page import page_of
from latxa_cli.report.report import Report
from latxa_cli.stream.records import Record

SHOTS, WORDS = 5, 30_000
LARGEST, SLOWEST = 15, 2  # MB, seconds
READY = "document.body.dataset.ready"


class Texts:
    """Sentences of made-up words, the n-th of which is drawn with a frequency of 1/n."""

    def __init__(self) -> None:
        self.random = random.Random(0)
        self.words = [
            "".join(self.random.choices("aeioubdgkltzrnsx", k=self.random.randint(2, 11))) for _ in range(WORDS)
        ]
        self.sums = list(accumulate(1 / n for n in range(1, WORDS + 1)))

    def some(self, words: int) -> str:
        return " ".join(self.random.choices(self.words, cum_weights=self.sums, k=words))

    def item(self) -> str:
        return (
            f"Galdera: {self.some(20)}?\nA: {self.some(4)}\nB: {self.some(4)}\nC: {self.some(4)}\nD: {self.some(4)}\n"
        )


def answers(models: int, items: int, tasks: int) -> Iterator[Record]:
    texts = Texts()
    for task in range(tasks):
        questions = [texts.item() for _ in range(items // tasks)]
        for place, question in enumerate(questions):
            shots = texts.random.sample(questions, SHOTS)
            plain = "\n\n".join(f"{one}Erantzuna:" for one in (*shots, question))
            chat = "".join(f"<|user|>\n{one}Erantzuna:<|end|>\n<|model|>\nA<|end|>\n" for one in (*shots, question))
            for model in range(models):
                answer, target = texts.random.randrange(4), texts.random.randrange(4)
                yield {
                    "id": f"{task}-{place}", "task": f"task_{task}", "model": f"model-{model}", "chat": model % 2 == 0,
                    "prompt": plain if model % 2 else chat, "choices": ["A", "B", "C", "D"], "answer": answer,
                    "target": place % 4, "correct": answer == place % 4, "loglikelihoods": [-1.0, -2.0, -3.0, -4.0],
                    "metrics": {"acc": float(answer == target)},
                }  # fmt: skip


def results(models: int, tasks: int) -> Iterator[Record]:
    draw = random.Random(1)
    for model in range(models):
        for task in range(tasks):
            measured = {"metric": "acc", "value": draw.random(), "stderr": 0.01, "n": 1000}
            yield {
                "model": f"model-{model}",
                "task": f"task_{task}",
                "language": ("eu", "en", "es")[task % 3],
                **measured,
            }


def main() -> None:
    models, items, tasks = [*map(int, sys.argv[1:]), *(20, 40_000, 29)[len(sys.argv) - 1 :]]
    collected, taken = Answers(), 0.0
    for record in answers(models, items, tasks):
        started = time.perf_counter()
        assert not list(collected.add(record))
        taken += time.perf_counter() - started
    started = time.perf_counter()
    report = Report(answers=collected)
    assert not list(report.take(results(models, tasks), run="run", count=lambda battles: ()))
    page = page_of(report, report.tables())
    made = time.perf_counter() - started
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{models} models, {tasks} tasks, {items:,} items, {collected.count:,} answers")
    size = len(page.encode()) / 1e6
    print(f"page {size:.1f} MB; answers taken in {taken:.1f} s, page made in {made:.1f} s, {memory:,.0f} MB of memory")
    with tempfile.TemporaryDirectory() as folder, chromium() as browser:
        file = Path(folder) / "page.html"
        file.write_text(page, encoding="utf-8")
        browser.look()
        times = [browser.open(file, READY) for _ in range(5)]
        started = time.perf_counter()
        browser.choose("task", str(tasks - 1))
        browser.wait(f"document.querySelector('article h3').textContent.startsWith('{tasks - 1}-')")
        other = time.perf_counter() - started
        started = time.perf_counter()
        browser.choose("model-b", str(models - 1))
        browser.wait("document.querySelector('article')")
        pair = time.perf_counter() - started
        asked = [one for one in browser.requests if not one.startswith(("file:", "data:"))]
        assert not browser.complaints and not asked, (browser.complaints, asked)
    middle = statistics.median(times)
    print(f"opened in {middle:.2f} s, at most {max(times):.2f}; another task {other:.2f} s, another model {pair:.2f} s")
    reached = size <= LARGEST and middle <= SLOWEST
    print(f"goal: {LARGEST} MB and {SLOWEST} s: {'reached' if reached else 'NOT reached'}")
    sys.exit(not reached)


main()
