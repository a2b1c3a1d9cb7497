"""Lines that a source repeats from document to document (menus, cookie notices, footers), found in a sample of it.

A line is boilerplate where it stands in at least `SHARE` of the sampled documents of one source, and in at least
`MINIMUM` of them. It is removed wherever it stands. Only lines of `FEWEST_WORDS` or more count, so that rules, numbers,
headings and brackets of code stay. What a single website repeats is too rare for this; `paragraphs` finds what of it
stands at the ends of documents.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from xxhash import xxh3_64_intdigest

from latxa_cli.stream.parts import Part, lines_of
from latxa_cli.stream.reader import parser
from latxa_cli.text.normalise import normalise

SAMPLE_BYTES = 16 << 20  # of each source
SHARE = 0.005
MINIMUM = 20
LONGEST = 300  # characters; what is longer is text
FEWEST_WORDS = 3  # with a letter


@dataclass(frozen=True)
class LineSample:
    """Every `stride`-th line of a part."""

    part: Part
    stride: int


def strides(parts: Iterable[Part]) -> list[LineSample]:
    """Return what to sample of each part, so that each source gives about `SAMPLE_BYTES`, or all that it has."""
    parts = list(parts)
    sizes: Counter[int] = Counter()
    for part in parts:
        sizes[part.source] += part.size
    return [LineSample(part, max(1, round(sizes[part.source] / SAMPLE_BYTES))) for part in parts]


def count_lines(sample: LineSample) -> dict[str, Any]:
    """Return {`texts`: hashes of the distinct texts sampled, `lines`: {line: places of those that it stands in}}.

    Malformed lines are left for `examine` to tell of.
    """
    parse = parser("document")
    texts: dict[int, int] = {}  # hash: place
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
            for line in {line for line in map(str.strip, text.split("\n")) if _may_be_boilerplate(line)}:
                lines[line].append(place)
    return {"source": sample.part.source, "texts": list(texts), "lines": lines}


def _may_be_boilerplate(line: str) -> bool:
    return len(line) <= LONGEST and sum(any(map(str.isalpha, word)) for word in line.split()) >= FEWEST_WORDS


def find(counts: Iterable[dict[str, Any]], source: int) -> dict[str, float]:
    """Return {line: share of the sampled texts of `source`} of its boilerplate, most frequent first.

    Texts count once however often they are copied: else every line of a document with many copies were boilerplate.
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
    """Return the 64-bit hash by which a stripped line is known."""
    return xxh3_64_intdigest(line.encode("utf-8", "surrogatepass"))


def line_hashes(text: str) -> list[int]:
    """Return the hashes of the non-blank lines of `text`, in their order."""
    return [line_hash(line) for line in map(str.strip, text.split("\n")) if line]


def without(text: str, lines: frozenset[int]) -> str:
    """Return `text` without the lines whose hashes are in `lines`, in clean form."""
    kept = [line for line in text.split("\n") if line_hash(line.strip()) not in lines]
    return normalise("\n".join(kept))
