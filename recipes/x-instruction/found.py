"""Say what the miniature of X-Instruction found, by the truth about the island.

    python recipes/x-instruction/found.py DIR …        DIR: folders of recipes/x-instruction.sh --size mini

Prints a line for each figure: its value in each folder and, of several, the mean and its 90 % interval by Student's t.
A pair is right if its text answers its instruction and holds nothing else, an answer if it is the reference or says
the same in the corpus's other wording. Standard library only.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Iterator
from pathlib import Path
from statistics import mean, stdev
from typing import Any

T = {2: 6.314, 3: 2.920, 4: 2.353, 5: 2.132, 6: 2.015}  # by the number of folders
MODELS = ("generated", "refined", "diversified")

Record = dict[str, Any]


def records(path: Path) -> list[Record]:
    with path.open(encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def instruction(pair: Record) -> str:
    text = str(pair["messages"][0]["content"])
    return text.removesuffix(" Answer in Basque.").removeprefix("Hello! ")


def right(pair: Record) -> bool:
    return instruction(pair) == pair["metadata"]["question"]


def share(of: list[bool]) -> float:
    return 100 * mean(map(float, of)) if of else math.nan


def figures(folder: Path) -> Iterator[tuple[str, float]]:
    """Yield the name and the value of each figure, in percent where it is a share."""
    pairs = {pair["id"]: pair for pair in records(folder / "pairs" / "generated.eu.jsonl")}
    yield "pairs", len(pairs)
    yield "pairs that are right", share([right(pair) for pair in pairs.values()])
    for scores in sorted((folder / "scores").glob("[0-9]*.eu.jsonl")):
        levels = {score["id"]: score["scores"]["level"] for score in records(scores)}
        kept = [right(pairs[name]) for name, level in levels.items() if level == 3]
        left = [right(pairs[name]) for name, level in levels.items() if level < 3]
        number = scores.name.partition(".")[0]
        yield f"round {number}: pairs kept", len(kept)
        yield f"round {number}: kept pairs that are right", share(kept)
        yield f"round {number}: right pairs that are kept", 100 * sum(kept) / max(sum(kept) + sum(left), 1)
        agreed = [right(pairs[name]) == (level == 3) for name, level in levels.items()]
        yield f"round {number}: verdicts that are true", share(agreed)
    for model in MODELS:
        mixed = records(folder / "mixes" / f"{model}.jsonl")
        yield f"{model}: pairs trained on", len(mixed)
        yield f"{model}: of them right", share([right(pair) for pair in mixed])
        yield f"{model}: different instructions", len({instruction(pair) for pair in mixed})
    for model in MODELS:
        answers = records(folder / "responses" / f"{model}.jsonl")
        for language, words in (("en", "asked in English"), ("eu", "asked in Basque")):
            for name in ("told", "untold"):
                correct = [
                    answer["messages"][-1]["content"].strip().removeprefix("Kaixo! ") in accepted(answer)
                    for answer in answers if answer["id"].startswith(f"{name}-{language}-")
                ]  # fmt: skip
                yield f"{model}: right answers, {words}, {name} by a text", share(correct)


def accepted(answer: Record) -> set[str]:
    one, also = answer["reference"], answer["metadata"]["also"]
    return {one, also, f"{one} {also}", f"{also} {one}"}


def lines(folders: list[dict[str, float]]) -> Iterator[str]:
    for name in folders[0]:
        values = [found[name] for found in folders if name in found]
        each = " ".join(f"{value:.1f}" for value in values)
        if len(values) == 1:
            yield f"{name}: {each}"
        else:
            half = T[len(values)] * stdev(values) / math.sqrt(len(values))
            yield f"{name}: {mean(values):.1f} ± {half:.1f} ({each})"


def main() -> None:
    parser = argparse.ArgumentParser(description="What the miniature of X-Instruction found.")
    parser.add_argument("folders", nargs="+", type=Path, metavar="DIR")
    folders = parser.parse_args().folders
    found = [{name: value for name, value in figures(folder) if not math.isnan(value)} for folder in folders]
    print("\n".join(lines(found)))


if __name__ == "__main__":
    main()
