"""Lines that a source repeats are found in a sample of it."""

from __future__ import annotations

import json
from pathlib import Path

from latxa_cli.corpus.boilerplate import MINIMUM, count_lines, find_lines, line_hash, remove_lines, samples
from latxa_cli.stream.cutting import Part

COOKIES = "We use cookies on this site"


def part(folder: Path, texts: list[str], number: int = 0, source: int = 0) -> Part:
    path = folder / f"{number}.jsonl"
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    return Part(number, source, path.name, str(path), 0, path.stat().st_size, 1, "jsonl")


def test_a_line_of_many_documents_is_boilerplate(tmp_path: Path) -> None:
    rare = ["A line that a few of them have"] * (MINIMUM - 1) + [""] * 200
    texts = [f"Text number {n} is its own.\n  {COOKIES}\n{rare[n]}\n# Notes" for n in range(200)]
    found = find_lines([count_lines(sample) for sample in samples([part(tmp_path, texts)])], 0)
    assert found == {COOKIES: 1.0}


def test_lines_of_three_words_count_and_shorter_ones_are_headings(tmp_path: Path) -> None:
    texts = [f"Text number {n} is its own.\nSee also here\n3 Further reading\n{'long ' * 61}" for n in range(MINIMUM)]
    found = find_lines([count_lines(sample) for sample in samples([part(tmp_path, texts)])], 0)
    assert found == {"See also here": 1.0}


def test_sources_are_counted_apart(tmp_path: Path) -> None:
    half = MINIMUM // 2 + 1
    parts = [part(tmp_path, [f"{COOKIES}\nText {n} here" for n in range(half)], source, source) for source in (0, 1)]
    counts = [count_lines(sample) for sample in samples(parts)]
    assert find_lines(counts, 0) == find_lines(counts, 1) == {}
    texts = [f"{COOKIES}\nText {n} there" for n in range(half)]
    counts[1] = count_lines(samples([part(tmp_path, texts, 1)])[0])
    assert find_lines(counts, 0) == {COOKIES: 1.0}


def test_copies_of_a_document_count_once(tmp_path: Path) -> None:
    poem = "\n".join(f"A verse of it, the number {n}" for n in range(9))
    parts = [part(tmp_path, [poem] * 30 + [f"Text {n} of {number}" for n in range(9)], number) for number in (0, 1)]
    assert find_lines([count_lines(sample) for sample in samples(parts)], 0) == {}


def test_repeated_within_one_document_is_not_boilerplate(tmp_path: Path) -> None:
    counts = [count_lines(sample) for sample in samples([part(tmp_path, ["\n".join([COOKIES] * 100), "Other text."])])]
    assert find_lines(counts, 0) == {}


def test_lines_go_wherever_they_stand() -> None:
    text = f"{COOKIES}\n\nOne.\n{COOKIES}\n\n{COOKIES}\n\nTwo.\n  {COOKIES}"
    assert remove_lines(text, frozenset({line_hash(COOKIES)})) == "One.\n\nTwo."


def test_code_in_fences_is_never_boilerplate(tmp_path: Path) -> None:
    main = 'if __name__ == "__main__":'
    code = f"```python\nimport numpy as np\n\n{main}\n    print(1)\n```"
    texts = [f"Text number {n} says it.\n{code}\nSo much of it, {n}.\n{COOKIES}" for n in range(2 * MINIMUM)]
    found = find_lines([count_lines(sample) for sample in samples([part(tmp_path, texts)])], 0)
    assert found == {COOKIES: 1.0}
    lines = frozenset({line_hash(COOKIES), line_hash("import numpy as np"), line_hash(main)})
    assert remove_lines(f"{main}\n{texts[0]}", lines) == f"Text number 0 says it.\n{code}\nSo much of it, 0."


def test_lines_in_scripts_without_spaces_have_words(tmp_path: Path) -> None:
    footer, heading = "版权所有，未经许可不得转载", "常见问题"
    texts = [f"{heading}\n第{n}篇文章说的是别的事。\n{footer}" for n in range(2 * MINIMUM)]
    found = find_lines([count_lines(sample) for sample in samples([part(tmp_path, texts)])], 0)
    assert found == {footer: 1.0}
