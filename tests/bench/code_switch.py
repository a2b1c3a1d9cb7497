"""What the rubric `code-switch` finds: planted runs of words, clean text, and its speed.

    python tests/bench/code_switch.py [-n 1000] [--part dev]

- Text is that of Common Voice, Tatoeba and NTREX-128 (`../shared/data`). It is cut in two by a hash of each sentence,
  or of each document of NTREX-128. Limits were set on the part `dev`; the part `held` counts.
- A planted run is 5, 3, 2 or 1 words that follow each other in a sentence of the other language, all in lower case. It
  is put between two words of a sentence without quotation marks. It counts as found if a run touches it.
- borders: the share of words in found runs that were planted (precision), and of planted words in found runs (recall).
- clean: the share of sentences, and of whole documents of NTREX-128, in which anything is found.
- other scripts: sentences of the file's own, in Russian, Chinese, Greek and Arabic.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from latxa_cli.judging.code_switch import Switches, find_switches

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
PAIRS = [("eu", "es"), ("eu", "en"), ("eu", "fr"), ("ca", "es"), ("gl", "es")]
MORE = [("cy", "en"), ("ga", "en"), ("is", "en"), ("ca", "en"), ("gl", "en"), ("ca", "fr")]
CLEAN = {"eu": 0.02, "ca": 0.05, "gl": 0.05, "cy": None, "ga": None, "is": None}
LENGTHS = (5, 3, 2, 1)
RECALL, SPEED = 0.95, 1000
OTHER_SCRIPTS = [
    "вчера мы долго гуляли по старому городу", "она никогда не была на море", "это зависит от многих причин",
    "你可以先把水烧开", "这个问题没有简单的答案", "我们明天再讨论",
    "δεν ξέρω ακόμη την απάντηση", "το φαγητό είναι έτοιμο", "هذا الكتاب مفيد جدا", "لا أعرف ماذا أقول",
]  # fmt: skip
WORD = re.compile(r"[^\W\d_]+(?:['’·-][^\W\d_]+)*,?")
QUOTE = re.compile(r"[“”„«»\"‘]|\B'|'\B")
Text = tuple[str, int, int]  # and where the planted run is


class Part:
    """One half of the text."""

    def __init__(self, name: str) -> None:
        self.number = {"dev": 0, "held": 1}[name]
        self.draw = random.Random(name)
        self.news = [row for row in rows("parallel.jsonl") if self.has(row["doc"])]
        self._sentences: dict[str, list[str]] = {}

    def has(self, text: str) -> bool:
        return hashlib.sha256(text.encode()).digest()[0] % 2 == self.number

    def sentences(self, language: str) -> list[str]:
        """Return single sentences, in random order."""
        if language not in self._sentences:
            path = f"sentences_{language}.jsonl"
            found = [row["text"] for row in rows(path)] if (DATA / path).exists() else []
            for row in rows("lid_tatoeba.jsonl"):
                found += [row["text"]] if row["lang"] == language else [row["en"]] if language == "en" else []
            found = sorted(set(filter(self.has, found)))
            self.draw.shuffle(found)
            self._sentences[language] = found
        return self._sentences[language]

    def documents(self, language: str) -> list[str]:
        names = sorted({row["doc"] for row in self.news})
        return ["\n".join(row[language] for row in self.news if row["doc"] == name) for name in names]

    def runs(self, language: str, length: int, count: int) -> list[str]:
        """Return runs of so many words, one of a sentence."""
        sentences = self.sentences(language) + [row[language] for row in self.news if language in row]
        found = []
        for sentence in self.draw.sample(sentences, len(sentences)):
            words = sentence.split()
            places = [place for place in range(len(words) - length + 1) if fits(words[place : place + length])]
            if places and len(found) < count:
                place = self.draw.choice(places)
                found.append(" ".join(words[place : place + length]).rstrip(","))
        return found

    def planted(self, language: str, runs: list[str]) -> Iterator[Text]:
        hosts = [sentence for sentence in self.sentences(language) if not QUOTE.search(sentence)]
        for number, run in enumerate(runs):
            words = hosts[number % len(hosts)].split()
            place = self.draw.randrange(len(words) + 1)
            before = "".join(word + " " for word in words[:place])
            yield " ".join([before.rstrip(), run, *words[place:]]).strip(), len(before), len(before) + len(run)


def fits(words: list[str]) -> bool:
    return all(WORD.fullmatch(word) and word == word.lower() for word in words)


def rows(name: str) -> list[dict[str, str]]:
    return [json.loads(line) for line in (DATA / name).read_bytes().split(b"\n")[:-1]]


def found_in(text: Text, language: str) -> tuple[bool, int, int, int]:
    """Return whether a run touches the planted one, and the characters that are found, planted, and both."""
    whole, start, end = text
    runs = find_switches(whole, language).runs
    both = sum(max(0, min(end, run.end) - max(start, run.start)) for run in runs)
    return both > 0, sum(run.end - run.start for run in runs), end - start, both


def plant(part: Part, language: str, runs: list[str]) -> tuple[float, float, float, int]:
    """Return recall, the precision and recall of borders, and how many there were."""
    found = [found_in(text, language) for text in part.planted(language, runs)]
    hits = [one for one in found if one[0]]
    both = sum(one[3] for one in hits)
    return (
        len(hits) / max(len(found), 1),
        both / max(sum(one[1] for one in hits), 1),
        both / max(sum(one[2] for one in hits), 1),
        len(found),
    )


def flagged(texts: list[str], language: str) -> float:
    return sum(bool(find_switches(text, language).runs) for text in texts) / max(len(texts), 1)


def main() -> bool:
    parser = argparse.ArgumentParser()
    parser.add_argument("-n", type=int, default=1000)
    parser.add_argument("--part", choices=("dev", "held"), default="held")
    options = parser.parse_args()
    part, reached = Part(options.part), []

    print(f"planted runs, part {options.part}: recall by length in words; borders at 5 words")
    print("  pair      5 words  3 words  2 words  1 word   borders: precision  recall      n")
    for language, other in PAIRS + MORE:
        results = [plant(part, language, part.runs(other, length, options.n)) for length in LENGTHS]
        goal = ""
        if (language, other) in PAIRS:
            reached.append(results[0][0] >= RECALL)
            goal = f"  goal {RECALL:.0%}: {'reached' if reached[-1] else 'NOT REACHED'}"
        shares = "  ".join(f"{result[0]:7.1%}" for result in results)
        print(f"  {language} + {other}  {shares}  {results[0][1]:18.1%}  {results[0][2]:6.1%}  {results[0][3]:5}{goal}")

    print("planted runs in other scripts: recall of whole runs, and of their first word")
    for language in CLEAN:
        whole, first = ([*OTHER_SCRIPTS] * 20, [run.split()[0] for run in OTHER_SCRIPTS] * 20)
        print(f"  {language}  {plant(part, language, whole)[0]:7.1%}  {plant(part, language, first)[0]:7.1%}")

    print("clean text in which something is found: sentences, documents")
    for language, limit in CLEAN.items():
        sentences, documents = part.sentences(language)[: 3 * options.n], part.documents(language)
        share, of_documents = flagged(sentences, language), flagged(documents, language)
        goal = ""
        if limit is not None:
            reached.append(share <= limit)
            goal = f"  goal {limit:.0%} of sentences: {'reached' if reached[-1] else 'NOT REACHED'}"
        print(f"  {language}  {share:6.1%} of {len(sentences):5}  {of_documents:6.1%} of {len(documents)}{goal}")

    words = " ".join(part.documents("eu")).split()
    answers = [" ".join(words[at : at + 200]) for at in range(0, len(words) - 200, 200)] * 5
    began = time.process_time()
    results: list[Switches] = [find_switches(answer, "eu", ["Zer gertatu da gaur?"]) for answer in answers]
    speed = len(results) / (time.process_time() - began)
    print(f"speed: {speed:,.0f} answers of 200 words a second on one core (wanted: {SPEED:,})")
    return all(reached)


if __name__ == "__main__":
    sys.exit(0 if main() else 1)
