"""Make the lexicons of `latxa_cli/judging/lexicons` anew: which words a language has, and how frequent they are.

The sources are packages of Debian 12, and no text of them is kept:

- `tesseract-ocr-LANG` 4.1.0 (tessdata_fast, Apache-2.0), whose models hold a list of words without their frequencies;
- `libreoffice-help-LANG` 7.4.7 (MPL-2.0), whose pages give the frequencies of common words. Paragraphs that were left
  in English are not counted.

    apt-get download tesseract-ocr-glg libreoffice-help-gl      # likewise spa es, cat ca, por pt, ita it, fra fr
    for package in *.deb; do dpkg-deb -x $package packages; done
    apt-get install tesseract-ocr                               # for combine_tessdata and dawg2wordlist
    python tests/make_lexicons.py packages
"""

from __future__ import annotations

import html
import lzma
import math
import re
import subprocess
import sys
import tempfile
from collections import Counter, defaultdict
from pathlib import Path

from latxa_cli.judging.lexicon import FOLDER, LEVELS
from latxa_cli.text.words import words

NAMES = {"ca": "cat", "es": "spa", "fr": "fra", "gl": "glg", "it": "ita", "pt": "por"}  # as Tesseract has them
ENGLISH = re.compile(r"\b(?:the|is|to|are)\b")
NOT_PROSE = re.compile(r"<(script|style|pre|code|footer|nav)\b.*?</\1>", re.DOTALL)
PARAGRAPH = re.compile(r"<p\b[^>]*>(.*?)</p>", re.DOTALL)
SHORTEST, SELDOM = 4, 1  # words in a paragraph that counts; a count so low says nothing


def listed(packages: Path, name: str) -> set[str]:
    """Return the words of a model that are in lower case."""
    [model] = packages.rglob(f"{name}.traineddata")
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["combine_tessdata", "-u", model, f"{folder}/{name}."], check=True, capture_output=True)
        parts = [f"{folder}/{name}.lstm-{part}" for part in ("unicharset", "word-dawg")]
        subprocess.run(["dawg2wordlist", *parts, f"{folder}/words"], check=True, capture_output=True)
        return {word for word in Path(folder, "words").read_text().split("\n") if lower(word)}


def counted(packages: Path, language: str) -> Counter[str]:
    """Return how often each word in lower case is in the help pages."""
    paragraphs = set()
    for page in packages.glob(f"usr/share/libreoffice/help/{language}/text/**/*.html"):
        body = NOT_PROSE.sub(" ", page.read_text().partition('<div id="DisplayArea"')[2])
        paragraphs.update(html.unescape(re.sub(r"<[^>]+>", "", found)) for found in PARAGRAPH.findall(body))
    counts: Counter[str] = Counter()
    for paragraph in paragraphs:
        found = words(paragraph)
        if len(found) >= SHORTEST and not ENGLISH.search(paragraph):
            counts.update(filter(lower, found))
    return counts


def lower(word: str) -> bool:
    return word.isalpha() and word == word.lower() and words(word) == [word]


def main(packages: Path) -> None:
    for language, name in NAMES.items():
        known, counts = listed(packages, name), counted(packages, language)
        total = counts.total()
        by_level = defaultdict(list)
        for word in sorted(known | {word for word, count in counts.items() if count > SELDOM}):
            count = counts[word] if counts[word] > SELDOM else 0
            by_level[round(LEVELS * math.log(1e6 * count / total + (word in known)))].append(word)
        lines = [f"{level} {' '.join(found)}\n" for level, found in sorted(by_level.items())]
        (FOLDER / f"{language}.txt.xz").write_bytes(
            lzma.compress("".join(lines).encode(), preset=9 | lzma.PRESET_EXTREME)
        )
        print(language, f"{sum(map(len, by_level.values())):,} words, {total:,} counted")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
