"""Which findings of arXiv 2506.07597 appear in a miniature, over several seeds, and which do not.

    python recipes/study/findings.py study1 study2 study3

Each finding is a difference between models that differ in one thing, in points of accuracy, averaged over such pairs.
The seeds are the sample: a finding is shown where the 90 % interval of its mean over seeds, by Student's t, leaves out
zero. Says too what Magpie drew. Standard library only.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import mean, stdev

from check import Study, drawn

T = {
    2: 6.314,
    3: 2.920,
    4: 2.353,
    5: 2.132,
    6: 2.015,
    7: 1.943,
    8: 1.895,
    9: 1.860,
    10: 1.833,
}  # by the number of seeds

Scores = dict[tuple[str, str], float]  # (model without `exp_`, task): points


def scores(study: Path) -> Scores:
    found = {}
    for name in ("variants", "adapted"):
        with (study / "results" / f"{name}.jsonl").open(encoding="utf-8") as file:
            for result in map(json.loads, file):
                found[result["model"].removeprefix("exp_"), result["task"]] = 100 * result["value"]
    return found


def pairs(place: int, high: str, low: str, where: Callable[[str], bool]) -> list[tuple[str, str]]:
    """Return pairs of variants that differ in one digit, the backbone's (0) or one of the three others (2, 3, 4)."""
    codes = [f"{b}_{c}{t}{e}" for b in "012" for c in "01" for t in "01" for e in "01"]
    return [
        (code, code[:place] + low + code[place + 1 :]) for code in codes if code[place] == high and where(code)
    ]  # fmt: skip


def has_chats(code: str) -> bool:
    return code[3:] != "00"


# The adapted base has read the corpus before its variants do; so has the instructed model that is called `adapted`.
EQUAL = [(f"adapted_{data}", f"1_{data}") for data in ("101", "110", "111")]
FINDINGS: list[tuple[str, str, list[tuple[str, str]]]] = [
    ("with the corpus, Basque is better", "eu", pairs(2, "1", "0", lambda c: c[0] != "1" and has_chats(c))),
    ("with the corpus, English is worse", "en", pairs(2, "1", "0", lambda c: c[0] != "1" and has_chats(c))),
    ("Basque beside English instructions: Basque is better", "eu", pairs(3, "1", "0", lambda c: c[4] == "1")),
    ("English beside Basque instructions: English is better", "en", pairs(4, "1", "0", lambda c: c[3] == "1")),
    ("English beside Basque instructions: Basque stays", "eu", pairs(4, "1", "0", lambda c: c[3] == "1")),
    ("the instructed backbone beats the base, with the corpus: Basque", "eu",
     pairs(0, "2", "0", lambda c: c[2] == "1" and has_chats(c))),
    ("the instructed backbone beats the base, with the corpus: English", "en",
     pairs(0, "2", "0", lambda c: c[2] == "1" and has_chats(c))),
    ("the instructed backbone beats the adapted base, with the corpus: Basque", "eu",
     pairs(0, "2", "1", lambda c: c[2] == "1" and has_chats(c))),
    ("the same at equal exposure to the corpus: Basque", "eu", EQUAL),
    ("the same at equal exposure to the corpus: English", "en", EQUAL),
]  # fmt: skip


def lines(studies: list[Scores]) -> Iterator[str]:
    for name, language, compared in FINDINGS:
        for task in (f"world_{language}", f"world_{language}_written"):
            by_seed = []
            for found in studies:
                met = [(high, low) for high, low in compared if (high, task) in found and (low, task) in found]
                by_seed.append(mean(found[high, task] - found[low, task] for high, low in met))
            middle = mean(by_seed)
            seeds = " ".join(f"{value:+.1f}" for value in by_seed)
            if len(by_seed) < 2:
                yield f"{name}, {task}: {middle:+.1f} (one seed)"
                continue
            half = T[len(by_seed)] * stdev(by_seed) / math.sqrt(len(by_seed))
            verdict = "higher" if middle - half > 0 else "lower" if middle + half < 0 else "not shown"
            yield f"{name}, {task}: {middle:+.1f} ± {half:.1f}, {verdict} ({seeds}; {len(met)} pairs)"


def main() -> None:
    parser = argparse.ArgumentParser(description="Findings of miniature studies with several seeds.")
    parser.add_argument("studies", nargs="+", type=Path, metavar="STUDY")
    studies = parser.parse_args().studies
    print("\n".join(lines([scores(study) for study in studies])))
    for study in studies:
        well_formed, right = drawn(Study(study))
        print(f"Magpie, {study}: {well_formed:.1%} are questions, {right:.1%} are answered right")


if __name__ == "__main__":
    main()
