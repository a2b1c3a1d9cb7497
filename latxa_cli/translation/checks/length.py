"""The length of a translation: far from what its source lets expect, cut off, or that of an answer."""

from __future__ import annotations

import re

from latxa_cli.translation.calibration import LengthRatio, extent
from latxa_cli.translation.checks.limits import Limits
from latxa_cli.translation.checks.pair import Pair, Text

_ENDS = frozenset(".!?…。！？।؟۔։።።|:;：")
_CLOSERS = "\"'“”’»›«‹„)]}*_ \u00a0\u202f`~>」』）"
_CASED = re.compile("[A-Za-z\u00c0-\u052f\u1e00-\u1fff]")  # other scripts may end sentences without a sign
MARKER_END = re.compile(r"\[#[0-9]+\]\W*\Z")
QUESTION_MARKS = "?？؟՞፧᥅⳺⳻⸮꘏꛷𑅃𞥟"  # of all scripts; Greek has a semicolon
_QUESTIONS = frozenset(QUESTION_MARKS)
# Thai, Lao, Tibetan, Burmese, Khmer
_WITHOUT_QUESTION_MARKS = re.compile("[\u0e00-\u0fff\u1000-\u109f\u1780-\u17ff]")
_GREEK = re.compile("[\u0370-\u03ff]")


def unfinished(pair: Pair) -> str | None:
    """Find a text that breaks off: its source's line ends with a full stop or a like sign, and its last line does not.

    A code block that is never closed, as that of its source is, breaks off too.
    """
    before, after = pair.source, pair.translation
    if not before.lines or not after.lines:
        return None
    if is_open(after) and not is_open(before):
        return "a code block is not closed"
    # Where lines are lost, the last one may be the translation of the source's last one or of an earlier one.
    sources = {
        before.lines[-1].rstrip(_CLOSERS),
        before.lines[min(len(after.lines), len(before.lines)) - 1].rstrip(_CLOSERS),
    }
    text = after.lines[-1].rstrip()
    if not all(line and line[-1] in _ENDS for line in sources) or MARKER_END.search(text):
        return None
    text = text.rstrip(_CLOSERS)
    if not text or text[-1] in _ENDS or not (_CASED.search(before.text) and _CASED.search(text)):
        return None
    return f"it ends in “{text[-30:]}”" if text[-1].isalnum() or text[-1] in ",-–—(" else None


def is_open(text: Text) -> bool:
    """Whether the last code block of a text is never closed."""
    blocks = [part.text for part in text.masked.parts if part.kind == "fenced"]
    if not blocks or not text.text.rstrip().endswith(blocks[-1].rstrip()):
        return False
    last = blocks[-1].rstrip().rsplit("\n", 1)
    return len(last) < 2 or not last[1].strip(" \t>").startswith(blocks[-1][:3])


def answered(pair: Pair, limits: Limits, ratio: LengthRatio) -> str | None:
    """Find an answer to a request: the question is gone, or the text is many times longer."""
    if pair.role == "assistant":
        return None
    source, text = pair.source.prose.rstrip(_CLOSERS + "\n"), pair.translation.prose
    if source and source[-1] in _QUESTIONS and not _may_ask(text):
        return "the question is gone"
    if ratio.distance(extent(source), extent(text)) > limits.answered_longer:
        return "many times longer than the request"
    return None


def _may_ask(text: str) -> bool:
    """Whether a text has a question mark, or is in a script where questions need none or another one."""
    if not _QUESTIONS.isdisjoint(text) or _WITHOUT_QUESTION_MARKS.search(text):
        return True
    return ";" in text and bool(_GREEK.search(text))  # Greek asks with a semicolon


def other_length(pair: Pair, limits: Limits, ratio: LengthRatio) -> tuple[bool, str] | None:
    """Return whether a translation is too long (else it is too short), and how far from the expected length."""
    before, after = extent(pair.source.prose), extent(pair.translation.prose)
    distance = ratio.distance(before, after)
    if -limits.length_shorter <= distance <= limits.length_longer:
        return None
    return distance > 0, f"{after:.0f} characters where {ratio.expected(before):.0f} are expected"
