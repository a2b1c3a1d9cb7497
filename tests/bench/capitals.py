"""How often the language of texts in capitals is recognised.

    python tests/bench/capitals.py

800 texts of three sentences of NTREX-128 (`../shared/data/parallel.jsonl`) in five languages, of whose letters 80 % to
100 % are capitals: letters at random, whole words, or all but the end of the text. Goal: 97 % recognised.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from pathlib import Path

from timing import verdict

from latxa_cli.text.language import identify

GOAL = 0.97
LANGUAGES = ("eu", "es", "ca", "gl", "ga")
TEXTS = 160  # of each language
SENTENCES = 3
DATA = Path(__file__).resolve().parents[3] / "shared" / "data"


def letters(text: str, share: float, draw: random.Random) -> str:
    return "".join(letter.upper() if draw.random() < share else letter for letter in text)


def words(text: str, share: float, draw: random.Random) -> str:
    return " ".join(word.upper() if draw.random() < share else word for word in text.split())


def beginning(text: str, share: float, _: random.Random) -> str:
    end = round(len(text) * share)
    return text[:end].upper() + text[end:]


def main() -> None:
    rows = [json.loads(line) for line in (DATA / "parallel.jsonl").read_bytes().split(b"\n")[:-1]]
    draw, right = random.Random(0), Counter[tuple[str, str]]()
    kinds = (letters, words, beginning)
    for language in LANGUAGES:
        for number in range(TEXTS):
            start = draw.randrange(len(rows) - SENTENCES)
            text = " ".join(row[language] for row in rows[start : start + SENTENCES])
            kind = kinds[number % len(kinds)]
            found, _ = identify(kind(text, draw.uniform(0.8, 1), draw))
            right[language, kind.__name__] += found == language
    for (language, kind), count in right.items():
        print(f"{language}  {kind:<10}  {count}")
    share = right.total() / (TEXTS * len(LANGUAGES))
    verdict(f"{share:.1%} of {TEXTS * len(LANGUAGES)} texts are recognised (goal: {GOAL:.0%})", share >= GOAL)


if __name__ == "__main__":
    main()
