"""JSON that is not in lines: arrays of records, and records over many lines."""

from __future__ import annotations

import json
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from latxa_cli.stream.errors import LatxaError
from latxa_cli.stream.json_text import is_json_text, json_lines

TEXTS = st.text(alphabet='a"\\{}[],: \n\té', max_size=8)
VALUES = st.recursive(
    TEXTS | st.none() | st.booleans() | st.integers(-99, 99),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)
RECORDS = st.lists(st.dictionaries(TEXTS, VALUES, max_size=4), max_size=5)


def lines(text: bytes, size: int = 1 << 16) -> list[tuple[int, Any]]:
    """Return (number, value) of the lines made of `text` when it comes in blocks of `size` bytes."""
    blocks = [text[start : start + size] for start in range(0, len(text), size)]
    made = b"".join(json_lines(blocks, "in.json")).split(b"\n")
    return [(number, orjson.loads(line)) for number, line in enumerate(made, 1) if line]


@given(RECORDS, st.sampled_from([None, 0, 2]), st.integers(1, 40))
def test_an_array_gives_its_records_however_it_is_cut(records: list[Any], indent: int | None, size: int) -> None:
    text = json.dumps(records, indent=indent, ensure_ascii=False).encode()
    assert [value for _, value in lines(text, size)] == records


@given(RECORDS, st.integers(1, 40))
def test_records_over_many_lines_keep_the_numbers_of_their_first_lines(records: list[Any], size: int) -> None:
    texts = [json.dumps(record, indent=1) for record in records]
    numbers = [1 + sum(text.count("\n") + 1 for text in texts[:place]) for place in range(len(texts))]
    assert lines("\n".join(texts).encode(), size) == list(zip(numbers, records, strict=True))


def test_an_array_of_one_record_a_line_keeps_its_line_numbers() -> None:
    assert lines(b'[\n{"a": 1},\n\n{"a": 2}\n]\n') == [(2, {"a": 1}), (4, {"a": 2})]


def test_where_a_line_holds_several_records_numbers_are_right_again_as_soon_as_they_can_be() -> None:
    assert lines(b"[1, 2,\n3,\n\n4,\n5]") == [(1, 1), (2, 2), (3, 3), (4, 4), (5, 5)]


@pytest.mark.parametrize("text", [b'[{"a": 1},', b'[{"a": 1}', b'{\n"a": "x', b'{\n"a": [1'])
def test_a_file_that_was_cut_is_told_of(text: bytes) -> None:
    with pytest.raises(LatxaError, match=r"in\.json: ends in the middle of a JSON value"):
        list(json_lines([text], "in.json"))


def test_nothing_that_is_wrong_is_mended_or_lost() -> None:
    made = b"".join(json_lines([b'{"a": "1\n2"}} [3, "x"] junk {"b": 1}'], "in.json")).split(b"\n")
    assert made == [b'{"a": "1\t2"}', b"}", b"3", b'"x"', b'junk {"b": 1}', b""]


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (b"[1]", True),
        (b' \n[{"a": 1}', True),
        (b'{\n  "a"', True),
        (b"{\r\n", True),
        (b'{"a": 1}\n', False),
        (b"{", False),
        (b"", False),
        (b'{"a":\n', False),
    ],
)
def test_what_is_not_in_lines_is_seen_at_its_head(head: bytes, expected: bool) -> None:
    assert is_json_text(head) is expected
