"""Texts that are odd and allowed: nested fences, unbalanced formulas, writing from the right, emoji, odd spaces."""

from __future__ import annotations

import pytest
from backwards import backwards, read_backwards, translation
from fake_engine import FakeEngine
from hypothesis import given
from hypothesis import strategies as st

from latxa_cli.stream.records import Record
from latxa_cli.translation.masks import mask
from latxa_cli.translation.segments import Budget
from latxa_cli.translation.translate import translate

ODD = {
    "nested fences": "Look here:\n\n````md\n```py\nprint(1)\n```\n````\n\nand there.",
    "a fence that never ends": "Look here:\n\n```py\nprint(1)\n\nand so on",
    "a fence in a list": "1. Look here:\n   ```sh\n   ls\n   ```\n2. And there.",
    "unbalanced LaTeX": r"Solve $x^2 = 4 for me, or \(y = 2 or \begin{align} x",
    "balanced LaTeX": r"Solve $x^2 = 4$ for me, or \(y = 2\) for all.",
    "from the right": "שלום לכולם, מה שלומכם היום? \u200fכן",
    "both directions": "Say \u2067مرحبا\u2069 to all of them",
    "emoji": "Good 🐇👩‍👩‍👧‍👦 day 🇪🇺 to you",
    "combining letters": "Ar\u0303osa e\u0301 one",
    "line separators": "one line\u2028and another\u2029and one more",
    "carriage returns": "one line\r\nand another\r\n",
    "zero width": "ab\u200bcd\u200cef\u200dgh\ufeffij",
    "tabs": "\tone\ttwo\n\t\tthree",
    "markers of its own": "Write [#1] and [#2], then [#1] again",
    "braces": "{source} and {{target}} and {0} and %s",
    "quotation marks in JSON": 'He said: "{\\"a\\": \\"b\\"}" \\n',
}


def expected(text: str) -> str:
    """Return the text with its words read backwards, but for what must not change."""
    masked = mask(text.strip())
    restored = masked.restore(read_backwards(masked.text))
    assert restored is not None
    return text.replace(text.strip(), restored, 1)


def chat(*contents: str) -> Record:
    roles = ("user", "assistant")
    return {"id": "a", "messages": [{"role": roles[n % 2], "content": text} for n, text in enumerate(contents)]}


@pytest.mark.parametrize("unit", ["turn", "conversation"])
@pytest.mark.parametrize("name", ODD)
def test_odd_texts_come_back_whole(name: str, unit: str) -> None:
    text = ODD[name]
    (outcome,) = translate([chat(text, text)], FakeEngine(backwards), translation(unit=unit))
    assert isinstance(outcome, dict), outcome
    assert [message["content"] for message in outcome["messages"]] == [expected(text), expected(text)]


@pytest.mark.parametrize("name", ODD)
def test_odd_texts_in_segments(name: str) -> None:
    text = "\n\n".join([ODD[name].strip()] * 3)
    budget = Budget(4, lambda text: len(text.split()))
    (outcome,) = translate(
        [{"id": "a", "text": text}], FakeEngine(backwards), translation(fields=("text",), budget=budget)
    )
    assert isinstance(outcome, dict), outcome
    if name not in ("unbalanced LaTeX", "a fence that never ends"):  # which are masked otherwise when repeated
        assert outcome["text"] == "\n\n".join([expected(ODD[name].strip())] * 3)


@given(st.text(max_size=80))
def test_any_text_is_translated_or_rejected_for_a_reason(text: str) -> None:
    (outcome,) = translate([chat(text)], FakeEngine(backwards), translation())
    if isinstance(outcome, dict):
        content = outcome["messages"][0]["content"]
        assert sorted(content) == sorted(text)
    else:
        assert getattr(outcome, "reason", "")
