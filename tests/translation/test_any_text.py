"""Checks and marks of any two texts: they end, and lose nothing."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from latxa_cli.translation.audit.audit import Example
from latxa_cli.translation.audit.marks import marked
from latxa_cli.translation.checks.checks import Checks, Fault
from latxa_cli.translation.checks.pair import Pair, Text

CHECKS = Checks("eu", source="en", labels=("English", "Euskara"))
LISTED = [
    "The boat left at 7:55. ", "Itsasontzia 07:55ean irten zen. ", "What is it? ", "```\ncode\n```\n", "`x`", "$x^2$",
    "\n", "- item\n", "| a | b |\n|---|---|\n", "A) yes\n", "B) no\n", "→ B)", "English: ", "User:\n", "<|eot|>",
    "</a>", "{x}", "null", "\"", "«", "»", "{\"a\": \"b\"}", "١٢٣", "二月", "ж", "\ud800", "🐑", "\u202e",
    "مرحبا", "…", ".",
    "12,000.50", " ", "\r\n", "\x00", "same same same same ", "# head\n", "**b**\n", ":", "note: ",
    "https://a.org ", "İ", "ß", "ſ",
]  # fmt: skip
PIECES = st.sampled_from(LISTED)
TEXTS = st.lists(PIECES, max_size=14).map("".join)


@given(TEXTS, TEXTS)
def test_any_two_texts(source: str, translation: str) -> None:
    fault = CHECKS.fault(source, translation, shots=(("The boat left at noon, I think.", "Eguerdian irten zen."),))
    assert fault is None or fault.reason
    pieces = marked(Example("a", "", Pair(Text(source), Text(translation)), fault or Fault("x", source[:40])))
    for text, of in zip((source, translation), pieces, strict=True):
        assert "".join(piece for piece, _ in of) == text, "short texts are shown whole"


@pytest.mark.parametrize("piece", [*LISTED, "C:\\", "[#1]", "a ", "<a ", "A ", "&amp;", "Ã±", "a b c. ", "x: ", "[a]"])
def test_time_is_linear(piece: str) -> None:
    """Four times the text may take about four times as long; a check that went back would take sixteen times."""
    short, long = (piece * (size // len(piece)) for size in (5_000, 20_000))
    for pair in ((1, 1), (0, 1), (1, 0)):
        seconds = []
        for text in (short, long):
            source, translation = (text + " end" if side else "A word or two." for side in pair)
            best = []
            for _ in range(2):
                started = time.process_time()
                CHECKS.fault(source, translation)
                best.append(time.process_time() - started)
            seconds.append(min(best))
        assert seconds[1] < 10 * seconds[0] + 0.05, (pair, seconds)


@given(TEXTS)
def test_a_text_is_never_another_structure_than_itself(text: str) -> None:
    fault = Checks().fault(text, text)
    assert fault is None or fault.reason == "copied source", (text, fault)
