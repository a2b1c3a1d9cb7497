"""Long texts in parts, and whole again."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from latxa_cli.translation.segments import Budget, budget_of, segments


def words(most: int) -> Budget:
    return Budget(most, lambda text: len(text.split()))


def parts(text: str, most: int) -> list[str]:
    found = segments(text, words(most))
    assert "".join(part + gap for part, gap in found) == text
    assert all(not gap.strip() for _, gap in found)
    return [part for part, _ in found]


def test_a_text_within_the_budget_stays_whole() -> None:
    assert segments("a b\n\nc d", words(4)) == [("a b\n\nc d", "")]
    assert segments("", words(4)) == [("", "")]


def test_paragraphs_come_first_then_items_then_lines() -> None:
    assert parts("a b\n\nc d\n \n\ne f", 4) == ["a b\n\nc d", "e f"]
    assert parts("one two:\n- a b\n- c d\n- e f", 6) == ["one two:\n- a b", "- c d\n- e f"]
    assert parts("a b c\nd e f\ng h i", 3) == ["a b c", "d e f", "g h i"]
    assert parts("x\n\na b c\nd e f\n\ny", 4) == ["x\n\na b c", "d e f\n\ny"]
    assert parts("a b\n## c d\ne f", 4) == ["a b", "## c d\ne f"] or parts("a b\n## c d\ne f", 5) == [
        "a b",
        "## c d\ne f",
    ]


def test_a_line_stays_whole() -> None:
    assert parts("a b c d e f", 2) == ["a b c d e f"]
    assert parts("a b c d e f\n\ng", 2) == ["a b c d e f", "g"]


def test_what_is_masked_stays_whole() -> None:
    code = "```python\na = 1\n\nb = 2\n- c\n```"
    assert parts(f"one two\n\n{code}\n\nthree four", 3) == ["one two", code, "three four"]
    assert parts("a b\n\n$$\nx\ny\n$$\n\nc", 2) == ["a b", "$$\nx\ny\n$$", "c"]


def test_white_space_at_the_ends_stays() -> None:
    assert parts("\n\n  a b\n\nc d\n\n", 2) == ["\n\n  a b", "c d"]


@given(st.text(st.sampled_from("ab -1.\n\t#`$"), max_size=60), st.integers(1, 9))
def test_any_text_is_joined_back_exactly(text: str, most: int) -> None:
    budget = words(most)
    found = segments(text, budget)
    assert "".join(part + gap for part, gap in found) == text
    for part, _ in found:
        assert budget.measure(part) <= most or "\n" not in part.strip("\n \t") or "`" in part or "$" in part


def test_real_documents(shared_data: Path) -> None:
    for line in (shared_data / "corpus_en.jsonl").read_bytes().splitlines()[:200]:
        text = orjson.loads(line)["text"]
        found = segments(text, words(100))
        assert "".join(part + gap for part, gap in found) == text
        joined = [len(part.split()) for part, _ in found]
        assert all(a + b > 100 for a, b in pairwise(joined)), "no more parts than needed"


class Letters:
    """A tokenizer of letters."""

    def __call__(self, text: str, **_: Any) -> dict[str, list[int]]:
        return {"input_ids": [0] * len(text)}


@pytest.mark.parametrize(
    ("max_tokens", "context", "pairs", "most"),
    [
        (100, None, (), 50),
        (100, None, (("ab", "abcd"),), 38),  # twice as long, and a margin
        (100, None, (("abcd", "a"),), 100),
        (100, 60, (), 10),
        (1, 60, (), 1),
    ],
)
def test_the_budget_leaves_room_for_the_translation(
    max_tokens: int, context: int | None, pairs: tuple[tuple[str, str], ...], most: int
) -> None:
    budget = budget_of(Letters(), max_tokens, context, pairs)
    assert budget.most == most and budget.measure("abc") == 3
    assert budget_of(None, max_tokens, context, ()).measure("abcdef") == 3
