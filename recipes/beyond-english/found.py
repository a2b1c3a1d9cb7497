"""Say what the miniature of LLaMA Beyond English found, by its judge and by the truth about the island.

    python recipes/beyond-english/found.py DIR …        DIR: folders of recipes/beyond-english.sh --size mini

Prints a table, a row a model: bits per byte in both languages, and by the number of instructions how fluent the judge
finds the answers, which are right to the letter, and which have words of another language. Of several folders, values
are means over them. Standard library only.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from statistics import mean
from typing import Any

Record = dict[str, Any]
Table = dict[tuple[str, str], list[float]]  # {(backbone, column): values}


def records(path: Path) -> list[Record]:
    with path.open(encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def right(response: Record) -> bool:
    one, also = response["reference"], response["metadata"]["also"]
    return response["messages"][-1]["content"].strip() in (one, also, f"{one} {also}", f"{also} {one}")


def add(table: Table, row: str, column: str, values: list[float]) -> None:
    if values:
        table.setdefault((row, column), []).append(mean(values))


def read(folder: Path, table: Table) -> None:
    """Add a folder's values to the table."""
    for result in records(folder / "results" / "perplexity.jsonl"):
        if result["metric"] == "bits_per_byte":
            add(table, result["model"], f"bits per byte, {result['task']}", [result["value"]])
    responses = {
        path.stem: {one["id"]: one for one in records(path)} for path in (folder / "responses").glob("*.jsonl")
    }
    for model, answers in sorted(responses.items(), key=lambda one: int(one[0].rpartition("_")[2])):
        backbone, _, count = model.rpartition("_")
        scores = [score for score in records(folder / "scores.jsonl") if score["model"] == model]
        add(table, backbone, f"fluency, {count}", [score["scores"]["fluency"] for score in scores])
        add(table, backbone, f"right %, {count}", [100 * right(answer) for answer in answers.values()])
        switched = [score for score in records(folder / "switches.jsonl") if score["model"] == model]
        add(table, backbone, f"switched %, {count}", [100 * score["scores"]["switched"] for score in switched])


def main() -> None:
    parser = argparse.ArgumentParser(description="What the miniature of LLaMA Beyond English found.")
    parser.add_argument("folders", nargs="+", type=Path, metavar="DIR")
    table: Table = {}
    for folder in parser.parse_args().folders:
        read(folder, table)
    rows, columns = (list(dict.fromkeys(key[place] for key in table)) for place in (0, 1))
    print("| |", " | ".join(columns), "|")
    print("|---|" + "--:|" * len(columns))
    for row in rows:
        cells = [f"{mean(table[row, column]):.2f}" if (row, column) in table else "-" for column in columns]
        print(f"| {row} |", " | ".join(cells), "|")


if __name__ == "__main__":
    main()
