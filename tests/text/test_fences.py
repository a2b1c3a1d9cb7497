"""Which lines are code in fences, by examples in the style of CommonMark, section 4.5."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from latxa_cli.text.fences import code_lines, prose, prose_lines


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("a\n```\nb\n```\nc", "01110"),
        ("a\n```python title=x\nb\n\n```\nc", "011110"),
        ("~~~\nb\n```\nc\n~~~\nd", "111110"),
        ("````\n```\nb\n```\n````\nd", "111110"),
        ("```\nb\n`````\nd", "1110"),
        ("```\nb\n``` c\nd\n```", "11111"),
        ("1. a\n\n   ```sh\n   b\n   ```\nc", "001110"),
        ("- ```sh\n  b\n  ```\nc", "1110"),
        ("> ```\n> b\n> ```\nc", "1110"),
        ("a\n```\nb\nc", "0111"),
        ("a ``` b\n``` c ``` d\n``b\ne", "0000"),
        ("Izenburua\n~~~~~~~~~\nTestua.\n~~~~~~~~~", "0000"),
        ("", "0"),
    ],
)
def test_lines_of_code(text: str, code: str) -> None:
    assert "".join(str(int(is_code)) for is_code in code_lines(text.split("\n"))) == code


def test_prose_is_what_remains() -> None:
    text = "Hona:\n```\nlet x = 1;\n```\nHorra."
    assert prose(text) == "Hona:\nHorra." and prose_lines(text) == ["Hona:", "Horra."]
    plain = "Hona.\n\nHorra."
    assert prose(plain) is plain and prose_lines(plain) == ["Hona.", "", "Horra."]


def test_code_alone_is_all_that_a_text_has_to_say() -> None:
    text = "```\nlet x = 1;\n```\n---"
    assert prose(text) is text and prose_lines(text) == ["---"]


@given(st.text("a`~ >-\n1.", max_size=60))
def test_prose_has_no_more_code(text: str) -> None:
    lines = prose_lines(text)
    assert not any(code_lines(lines))
    assert len(lines) + sum(code_lines(text.split("\n"))) == text.count("\n") + 1
