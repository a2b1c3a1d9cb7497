"""The contract of the verbs as one table: which of its points apply to which verb, and how the verb is called.

The points, each tested for every verb that has an `x` there:

    pipe        FILE, `-`, nothing (a pipe) and `-o FILE` give the same bytes, twice the same; stdout is JSONL alone
    packed      `.gz`, `.zst` and Parquet in, `.gz` and `.zst` out hold the same records
    closed      a reader that closes the pipe early: exit 0 and no complaint
    empty       nothing in, nothing out, exit 0
    terminal    a terminal as stdin is a usage error, never a hang
    malformed   a broken line ends the run at FILE:LINE; with `--rejects` the run goes on and the line is set aside
    shards      `--shard 0/2` and `1/2` joined hold what one run does
    killed      after SIGKILL, `--resume` ends with the bytes of an uninterrupted run, rejects included
    complete    `--resume` on a complete output does nothing; with other settings or input it is a usage error
    manifest    written last, with counts that add up and hashes of what was read
    quiet       `-q` says nothing
    unkept      input, and nothing kept: exit 1
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tiny import WORDS

Records = list[dict[str, Any]]

GRID = """
                pipe  packed  closed  empty  terminal  malformed  shards  killed  complete  manifest  quiet  unkept
init             x      .       .       .       x          x        .       .        x          x       x      .
extend           x      .       .       .       x          x        .       .        x          x       x      .
corpus           x      x       x       x       x          x        .       x        x          x       x      x
profile          .      .       .       .       x          x        .       .        x          x       x      .
sample           .      .       x       .       .          .        x       x        x          x       x      x
respond          x      .       .       x       x          x        x       x        x          x       x      .
reverse          x      .       .       x       x          x        x       x        x          x       x      x
translate        x      .       x       x       x          x        x       x        x          x       x      x
audit            x      x       x       x       x          x        .       x        x          x       x      x
variants         .      .       .       .       .          .        .       .        .          .       x      .
mix              x      x       x       x       x          x        .       x        x          x       x      .
prepare          x      .       .       .       x          x        .       .        x          x       x      .
train            x      .       .       .       x          x        .       x        x          x       .      .
export           .      .       .       .       .          .        .       .        x          x       x      .
merge            .      .       .       .       .          .        .       .        x          x       .      .
eval             .      .       .       .       .          .        x       x        x          x       x      .
judge            x      x       x       x       x          x        x       x        x          x       x      x
vote             .      .       .       .       x          .        .       .        .          .       .      .
publish          x      x       x       x       x          x        .       x        x          x       x      x
arena-score      x      x       x       x       x          x        .       x        x          x       x      .
arena-next       x      x       x       x       x          x        .       x        x          x       x      .
preferences      x      x       x       x       x          x        .       x        x          x       x      x
compare          x      x       x       x       x          x        .       x        x          x       x      .
report           x      x       x       x       x          x        .       x        x          x       x      .
"""


@dataclass(frozen=True)
class Case:
    """How a verb is called. In `command`, `IN` is its input: a FILE or `-`."""

    command: str
    make: Callable[[int], Records] | None = None  # as many valid records as asked for
    count: int = 12  # of them in a small input
    directory: bool = False  # makes a directory
    model: bool = False  # loads torch and a model: seconds a run, so the tests call it seldom
    stdin_is_default: bool = True  # without FILE it reads stdin
    cannot_resume_midway: bool = False  # must see everything first: `--resume` starts again
    serves: bool = False  # goes on until it is stopped, and what it writes comes from people: see tests/voting
    unkept: str = ""  # more arguments that leave nothing to keep

    @property
    def verb(self) -> str:
        return self.command.split()[0]

    def words(self, source: str | Path | None) -> list[str]:
        """Return the arguments with `source` for `IN`; None leaves it out."""
        if source is None:
            return [word for word in self.command.split() if word != "IN"]
        return [word.replace("IN", str(source)) if "IN" in word else word for word in self.command.split()]


# --- valid records of each kind, the same ones for the same number ---------------------------------------------------


def _sentence(*key: object, length: int = 3) -> str:
    return " ".join(random.Random(repr(key)).choices(WORDS[:16], k=length))


def documents(count: int) -> Records:
    return [{"id": f"d{n}", "text": f"{_sentence(n, length=12)}, number {n} – of\u2028many."} for n in range(count)]


def conversations(count: int) -> Records:
    return [
        {
            "id": f"c{n}",
            "messages": [
                {"role": "user", "content": _sentence(n, "q")},
                {"role": "assistant", "content": _sentence(n, "a")},
            ],
            "task": "talk",
        }
        for n in range(count)
    ]


def originals(count: int) -> Records:
    """What `conversations` are translations of: every word backwards."""
    records = conversations(count)
    for message in (message for record in records for message in record["messages"]):
        message["content"] = " ".join(word[::-1] for word in message["content"].split())
    return records


def prompts(count: int) -> Records:
    return [{"id": f"p{n}", "prompt": _sentence(n, "p"), "reference": _sentence(n, "r")} for n in range(count)]


def responses(count: int, model: str = "ours") -> Records:
    return [
        {
            "id": f"r{n}",
            "messages": [
                {"role": "user", "content": _sentence(n, "q")},
                {"role": "assistant", "content": _sentence(n, model, length=5)},
            ],
            "model": model,
            "reference": _sentence(n, "reference", length=5),
        }
        for n in range(count)
    ]


def battles(count: int) -> Records:
    models = ("gull", "lamp", "roof")
    winners = ("model_a", "model_b", "tie")
    return [
        {"model_a": models[n % 3], "model_b": models[(n + 1) % 3], "winner": winners[random.Random(n).randrange(3)]}
        for n in range(count)
    ]


def judged(count: int) -> Records:
    turns = [
        [{"role": "user", "content": _sentence(n, "q")}, {"role": "assistant", "content": _sentence(n, side, length=5)}]
        for n in range(count)
        for side in "ab"
    ]
    given = zip(battles(count), turns[::2], turns[1::2], strict=True)
    return [
        battle | {"id": f"b{n}", "conversation_a": a, "conversation_b": b} for n, (battle, a, b) in enumerate(given)
    ]


def votes(count: int) -> Records:
    return [
        battle | {"user": f"voter-{n % 5}", "timestamp": f"2026-03-{1 + n % 28:02}"}
        for n, battle in enumerate(judged(count))
    ]


def results(count: int) -> Records:
    return [{"model": f"m{n}", "task": "towns", "metric": "acc", "value": n / count, "n": 10} for n in range(count)]


def answers(count: int) -> Records:
    """Answers of several models to the same twenty items of every task."""
    return [
        {
            "id": f"i{n % 20}",
            "task": f"towns{n // 60}",
            "model": ("gull", "lamp", "roof")[n // 20 % 3],
            "correct": random.Random(n).random() < 0.5,
            "prompt": f"{_sentence(n % 20)} is",
            "target": n % 2,
        }
        for n in range(count - count % 60)
    ]


TASK = """\
task: NAME
dataset_path: json
dataset_kwargs: {data_files: {test: NAME.jsonl}}
test_split: test
output_type: multiple_choice
doc_to_text: "{{question}}"
doc_to_choice: "{{choices}}"
doc_to_target: "{{answer}}"
metric_list:
  - {metric: acc, aggregation: mean, higher_is_better: true}
metadata: {version: 1.0}
"""


def items(task: str) -> Records:
    return [
        {"question": f"{_sentence(task, n)} {n} is", "choices": ["a harbour", "the storm"], "answer": n % 2}
        for n in range(6)
    ]


def shots() -> Records:
    texts = [_sentence("shot", n) for n in range(2)]
    return [{"source": text, "target": " ".join(word[::-1] for word in text.split())} for text in texts]


# --- how each verb is called -----------------------------------------------------------------------------------------

CASES = {
    "init": Case("init config.json IN --vocabulary-size 400", documents, 40, directory=True, model=True),
    "extend": Case("extend base IN --tokens 40", documents, 40, directory=True, model=True),
    "corpus": Case(
        "corpus IN --language en --skip quality", documents, 300, cannot_resume_midway=True, unkept="--language cy"
    ),
    "profile": Case("profile IN --language en", documents, 300, cannot_resume_midway=True),
    "sample": Case(
        "sample --model trained -n 16 --max-tokens 16 --batch-size 2 --skip beginning --skip short --skip duplicate",
        model=True,
        unkept="--max-tokens 1 -n 2",
    ),
    "respond": Case("respond --model trained IN --max-tokens 16 --batch-size 2", prompts, 16, model=True),
    "reverse": Case(
        "reverse --model trained --from Basque IN --max-tokens 16 --batch-size 2 --skip beginning --skip short "
        "--skip duplicate",
        documents,
        16,
        model=True,
        unkept="--max-tokens 1",
    ),
    "translate": Case(
        "translate IN --model trained --shots shots.jsonl --from en --to qaa --to-name Euskara --max-tokens 16 "
        "--batch-size 2",
        conversations,
        16,
        model=True,
        unkept="--max-tokens 1",
    ),
    "audit": Case(
        "audit IN --source originals.jsonl --to qaa",
        conversations,
        300,
        cannot_resume_midway=True,
        unkept="--source none.jsonl",
    ),
    "variants": Case("variants"),
    "mix": Case("mix docs=IN", documents, 300, stdin_is_default=False, cannot_resume_midway=True),
    "prepare": Case(
        "prepare IN --model base --sequence-length 64",
        conversations,
        80,
        directory=True,
        model=True,
        cannot_resume_midway=True,
    ),
    "train": Case(
        "train IN --model base --sequence-length 64 --batch-size 2 --epochs 4 --learning-rate 5e-3 "
        "--checkpoint-every 10 --threads 1",
        conversations,
        80,
        directory=True,
        model=True,
    ),
    "export": Case("export run", directory=True, model=True),
    "merge": Case("merge base --plus trained --minus base --scale 0.5", directory=True, model=True),
    "eval": Case("eval base trained --task towns --task ports --task-folder tasks", model=True),
    "judge": Case("judge IN theirs.jsonl", responses, 300, stdin_is_default=False, unkept="--references none.jsonl"),
    "vote": Case("vote IN theirs.jsonl -o votes.jsonl", responses, stdin_is_default=False, serves=True),
    "publish": Case("publish IN --date 2026-04-20", votes, 300, cannot_resume_midway=True, unkept="--delay 900"),
    "arena-score": Case("arena-score IN --rounds 20", battles, 60, cannot_resume_midway=True),
    "arena-next": Case("arena-next IN -n 300", battles, 60, cannot_resume_midway=True),
    "preferences": Case("preferences IN", judged, 300, unkept="--exclude model=gull --exclude model=roof"),
    "compare": Case("compare IN --baseline lamp", answers, 60, cannot_resume_midway=True),
    "report": Case("report IN --format jsonl", results, 12, cannot_resume_midway=True),
}


def _marked() -> dict[str, set[str]]:
    """Return {point: the cases that it applies to}."""
    head, *rows = [line for line in GRID.strip("\n").split("\n") if line.strip()]
    points = head.split()
    marked: dict[str, set[str]] = {point: set() for point in points}
    for row in rows:
        name = row[:16].strip()
        for point, mark in zip(points, row[16:].split(), strict=True):
            if mark == "x":
                marked[point].add(name)
    return marked


POINTS = _marked()


def cases(point: str, *, model: bool | None = None) -> list[str]:
    """Return the names of the cases that `point` applies to, those with or without a model if `model` says which."""
    return [name for name, case in CASES.items() if name in POINTS[point] and model in (None, case.model)]
