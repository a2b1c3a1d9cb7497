"""Make lessons for models that reverse and judge: what `latxa` asks them, and what they should reply.

    python lessons.py reverse Basque=seed.jsonl                      from a text to its instruction (`latxa reverse`)
    python lessons.py judge --rubric curate --texts texts.jsonl seed.jsonl kept.jsonl
                                                                     from a pair to its level (`latxa judge`)
    python lessons.py grade --rubric llm-eval graded.jsonl           from a response to its `scores` (`latxa judge`)

Levels are learnt from pairs that are known to be good, and from native texts. Each pair becomes three lessons. This is
ours: the paper does not say where its first labels come from.

    highest    the pair itself
    middle     the instruction with half of its answer, or with another answer added
    lowest     the instruction with a native text, which hardly ever answers it, or with its answer in disorder

The native texts must be others than those that will be judged: a text that was shown as a bad answer stays one. The
levels are those of the rubric's one criterion. Lessons go to stdout.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from latxa_cli.generation.engine import Decoding
from latxa_cli.judging.panel import THAT_OF_THE_PROMPT
from latxa_cli.judging.rubric import load_rubric
from latxa_cli.sampling.filters import Filters
from latxa_cli.sampling.reverse import Reversal

SAMPLED = 8  # pairs, of which one gives another answer
NATIVE = 0.8  # share of the worst answers that are native texts; the others are in disorder

Pair = tuple[str, str]  # an instruction and its answer
Lesson = tuple[list[dict[str, str]], str]  # what is asked, and the reply


def records_of(path: str) -> Iterator[dict[str, Any]]:
    with Path(path).open(encoding="utf-8") as file:
        yield from map(json.loads, file)


def turns_of(record: dict[str, Any]) -> Pair:
    turns = {message["role"]: message["content"] for message in reversed(record["messages"])}
    return turns["user"], turns["assistant"]


def of_reversal(files: list[str]) -> Iterator[Lesson]:
    for named in files:
        language, _, path = named.partition("=")
        reversal = Reversal(Decoding(1), Filters(frozenset()), language, "English", [], 0, 0, "")
        for instruction, answer in map(turns_of, records_of(path)):
            yield list(reversal.request(answer, "").messages or ()), instruction


def of_judging(files: list[str], texts: list[str], rubric: str, seed: int) -> Iterator[Lesson]:
    known = load_rubric(rubric)
    (criterion,) = known.criteria
    assert known.sheet is not None and known.compares == "one"
    draw = random.Random(f"lessons {seed}")
    pairs = [turns_of(record) for path in files for record in records_of(path)]
    native = [record["text"] for path in texts for record in records_of(path)]
    highest, lowest = criterion.highest, criterion.lowest
    for instruction, answer in pairs:
        drawn = draw.sample(pairs, min(len(pairs), SAMPLED))
        another = draw.choice([pair[1] for pair in drawn if pair[0] != instruction] or native)
        partly = draw.choice((f"{answer} {another}", f"{another} {answer}", half(answer)))
        wrong = draw.choice(native) if draw.random() < NATIVE else disorder(answer, draw)
        for level, response in zip((highest, (highest + lowest) // 2, lowest), (answer, partly, wrong), strict=True):
            filled = {"prompt": instruction, "response": response, "language": THAT_OF_THE_PROMPT, "reference": ""}
            yield list(known.sheet.messages(filled)), f"<{criterion.tag}>{level}</{criterion.tag}>"


def of_grading(files: list[str], rubric: str) -> Iterator[Lesson]:
    known = load_rubric(rubric)
    assert known.sheet is not None and known.compares == "one"
    for record in (record for path in files for record in records_of(path)):
        prompt, response = turns_of(record)
        texts = {
            "prompt": prompt,
            "response": response,
            "language": THAT_OF_THE_PROMPT,
            "reference": record.get("reference", ""),
        }
        grades = [f"<{one.tag}>{record['scores'][one.name]}</{one.tag}>" for one in known.criteria]
        yield list(known.sheet.messages(texts)), "\n".join(grades)


def half(text: str) -> str:
    words = text.split(" ")
    return " ".join(words[: (len(words) + 1) // 2])


def disorder(text: str, draw: random.Random) -> str:
    words = text.split(" ")
    return " ".join(draw.sample(words, len(words)))


def main() -> None:
    parser = argparse.ArgumentParser(description="Make lessons of pairs of an instruction and its answer.")
    parser.add_argument("of", choices=("reverse", "judge", "grade"))
    parser.add_argument("files", nargs="+", metavar="FILE", help="conversations; for `reverse` LANGUAGE=FILE")
    parser.add_argument("--rubric", default="curate")
    parser.add_argument("--texts", action="append", default=[], metavar="FILE", help="native texts; for `judge`")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    lessons = {
        "reverse": lambda: of_reversal(given.files),
        "judge": lambda: of_judging(given.files, given.texts, given.rubric, given.seed),
        "grade": lambda: of_grading(given.files, given.rubric),
    }[given.of]()
    for number, (asked, reply) in enumerate(lessons):
        messages = [*asked, {"role": "assistant", "content": reply}]
        sys.stdout.write(json.dumps({"id": f"{given.of}-{number}", "messages": messages}, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
