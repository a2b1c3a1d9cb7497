"""Boilerplate: lines that a source repeats in many documents (menus, cookie notices, footers), found in a sample of it.

A line is boilerplate if it is in at least the share `SHARE` of the sampled documents of one source, and in at least
`MINIMUM` of them. It is removed from all documents of the source. Only lines of `FEWEST_WORDS` or more count, so that
rules, numbers, headings and brackets of code stay. Lines of code in fences are never boilerplate. Lines that a single
website repeats are too rare for this test; `paragraphs` finds those at the beginning and end of documents.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from xxhash import xxh3_64_intdigest

from latxa_cli.stream.cutting import Part, lines_of
from latxa_cli.stream.reader import parser
from latxa_cli.stream.records import JsonObject
from latxa_cli.text.fences import code_lines, prose_lines
from latxa_cli.text.normalise import normalise
from latxa_cli.text.words import length

SAMPLE_BYTES = 16 << 20  # of each source
SHARE = 0.005
MINIMUM = 20
LONGEST = 300  # characters; longer lines are text
FEWEST_WORDS = 3  # words with a letter


@dataclass(frozen=True)
class LineSample:
    """Every `stride`-th line of a part."""

    part: Part
    stride: int


def samples(parts: Iterable[Part]) -> list[LineSample]:
    """Return the sample of each part, such that each source gives about `SAMPLE_BYTES`, or everything."""
    parts = list(parts)
    sizes: Counter[int] = Counter()
    for part in parts:
        sizes[part.source] += part.size
    return [LineSample(part, max(1, round(sizes[part.source] / SAMPLE_BYTES))) for part in parts]


def count_lines(sample: LineSample) -> JsonObject:
    """Return {`source`, `texts`: hashes of distinct texts, `lines`: {line: places in `texts` of those that have it}}.

    Malformed records are skipped; `examine` will report them.
    """
    parse = parser("document")
    texts: dict[int, int] = {}  # {hash: place}
    lines: dict[str, list[int]] = defaultdict(list)
    for row, _, raw in lines_of(sample.part):
        if row % sample.stride:
            continue
        try:
            text = normalise(parse(raw)["text"])
        except ValueError:
            continue
        digest = line_hash(text)
        if digest not in texts:
            place = texts[digest] = len(texts)
            for line in {line for line in map(str.strip, prose_lines(text)) if _may_be_boilerplate(line)}:
                lines[line].append(place)
    return {"source": sample.part.source, "texts": list(texts), "lines": lines}


def _may_be_boilerplate(line: str) -> bool:
    return len(line) <= LONGEST and length(line, lettered=True) >= FEWEST_WORDS


def find_lines(counts: Iterable[JsonObject], source: int) -> dict[str, float]:
    """Return the boilerplate of `source` as {line: share of the sampled texts}, most frequent first.

    Equal texts count once, since otherwise every line of a document with many copies would be boilerplate.
    """
    seen: set[int] = set()
    lines: Counter[str] = Counter()
    for count in counts:
        if count["source"] == source:
            new = [text not in seen for text in count["texts"]]
            seen.update(count["texts"])
            lines.update({line: sum(new[place] for place in places) for line, places in count["lines"].items()})
    least = max(MINIMUM, SHARE * len(seen))
    found = sorted((-number, line) for line, number in lines.items() if number >= least)
    return {line: round(-number / len(seen), 4) for number, line in found}


def line_hash(line: str) -> int:
    """Return the 64-bit hash of a stripped line."""
    return xxh3_64_intdigest(line.encode("utf-8", "surrogatepass"))


def line_hashes(text: str) -> list[int]:
    """Return the hashes of the non-blank lines of `text`, in order."""
    return [line_hash(line) for line in map(str.strip, text.split("\n")) if line]


def remove_lines(text: str, lines: frozenset[int]) -> str:
    """Return the clean form of `text` without the lines whose hashes are in `lines`; code in fences stays."""
    all_lines = text.split("\n")
    kept = [
        line
        for line, is_code in zip(all_lines, code_lines(all_lines), strict=True)
        if is_code or line_hash(line.strip()) not in lines
    ]
    return normalise("\n".join(kept))
