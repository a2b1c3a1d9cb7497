"""What translations by people are good for: examples, lengths, documents in two languages, and questions.

    python3 recipes/new-language/pairs.py cy pairs.jsonl DIR

A pair has a `source` in English and a `target` in the language; an `id` is kept. Written to DIR:

    shots.jsonl              a fifth of the pairs, 20 to 200: examples for `translate`, lengths for `audit`
    en.jsonl, cy.jsonl       the others as documents, which have the same ids
    questions.jsonl          which of four texts is the translation? The others stand near it and are about as long
    translations_cy.yaml     the task that asks so

Pairs keep their order, so that those of one article stay together. Standard library only.
"""

import json
import random
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

Record = dict[str, str]

FEWEST, MOST, SHARE = 20, 200, 5  # shots: `audit` learns lengths from 20 on; one pair in so many is one
AROUND = 20  # pairs before and behind, among which wrong choices are looked for: they are about the same
WRONG = 3

TASK = """\
# Which of four texts is the translation? Two others show what is asked for, whatever the language is called.
task: translations_{code}
dataset_path: json
dataset_kwargs:
  data_files:
    test: questions.jsonl
test_split: test
fewshot_split: test
num_fewshot: 2
output_type: multiple_choice
doc_to_text: "en: {{{{question}}}}\\n{code}:"
doc_to_choice: choices
doc_to_target: answer
metric_list:
  - metric: acc
    aggregation: mean
    higher_is_better: true
metadata:
  version: 1.0
  language: {code}
"""


def read(path: Path) -> list[Record]:
    """Return the pairs, each with an id, without those whose source or target is empty or was there before."""
    pairs: dict[tuple[str, str], Record] = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").split("\n"), 1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
            source, target = str(record["source"]).strip(), str(record["target"]).strip()
        except (ValueError, LookupError, TypeError):
            sys.exit(f"pairs: {path}:{number}: not a pair {{source, target}}")
        if source and target:
            pairs.setdefault(
                (source, target), {"id": str(record.get("id", number)), "source": source, "target": target}
            )
    if len(pairs) < 2 * FEWEST:
        sys.exit(f"pairs: {path}: {len(pairs)} pairs are too few; {2 * FEWEST} will do, some hundred are better")
    return list(pairs.values())


def questions(pairs: Sequence[Record]) -> Iterator[dict[str, object]]:
    for place, pair in enumerate(pairs):
        near = [*pairs[max(0, place - AROUND) : place], *pairs[place + 1 : place + 1 + AROUND]]
        others = list(dict.fromkeys(other["target"] for other in near if other["target"] != pair["target"]))
        others.sort(key=lambda text: abs(len(text) - len(pair["target"])))
        choices = [pair["target"], *others[:WRONG]]
        random.Random(pair["id"]).shuffle(choices)
        yield {
            "id": pair["id"], "question": pair["source"], "choices": choices, "answer": choices.index(pair["target"]),
        }  # fmt: skip


def write(path: Path, records: Sequence[object]) -> None:
    path.write_text("".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records), encoding="utf-8")


def main(code: str, given: Path, folder: Path) -> None:
    pairs = read(given)
    count = min(MOST, max(FEWEST, len(pairs) // SHARE))
    folder.mkdir(parents=True, exist_ok=True)
    write(folder / "shots.jsonl", pairs[:count])
    for name, field in (("en", "source"), (code, "target")):
        write(folder / f"{name}.jsonl", [{"id": pair["id"], "text": pair[field]} for pair in pairs[count:]])
    write(folder / "questions.jsonl", list(questions(pairs[count:])))
    (folder / f"translations_{code}.yaml").write_text(TASK.format(code=code), encoding="utf-8")


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
