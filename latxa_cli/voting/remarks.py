"""What voters say of an answer besides the verdict: reasons, words that are wrong, and the better answer corrected.

Positions are those of characters (Unicode code points) in the content of a turn; a turn is counted from 0 among those
that the voter sees, which are all but the system's.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from latxa_cli.stream.records import JsonObject, Record

SIDES = {"first": "model_a", "second": "model_b"}
REASONS = ("useful", "complete", "wrong", "ignored", "unnatural", "grammar", "mixed", "register")
MOST_SPANS = 1000  # of a side
LONGEST_CORRECTION = 20_000  # characters; the page has the same limit
# A word is what white space separates; in scripts without spaces (Thai … Khmer, kana, Han), each character is one.
_ALONE = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
)
_WORD = re.compile(rf"[{_ALONE}]|[^\s{_ALONE}]+")

Span = tuple[int, int, int]  # a turn, and the places in it of the first character and of the one behind the last
Messages = list[Record]


class BadVoteError(ValueError):
    """What came is no vote."""


@dataclass(frozen=True)
class Remarks:
    """What a voter said of the answers.

    reasons: by side, some of `REASONS`. errors: by side, what was marked as wrong; None where the page did not ask.
    correction: the side that was corrected, and how it should be.
    """

    reasons: Mapping[str, list[str]]
    errors: Mapping[str, list[Span]] | None = None
    correction: tuple[str, str] | None = None

    @classmethod
    def of(cls, body: JsonObject, winner: str) -> Remarks:
        """Return the remarks in a request; winner: the side that is better, or another verdict; raises BadVoteError."""
        return cls(_reasons(body.get("reasons", {})), _errors(body.get("errors")), _correction(body, winner))

    def fields(self, conversations: Mapping[str, Messages]) -> JsonObject:
        """Return the fields of a battle that say so; raises BadVoteError for what is not in the conversations.

        conversations: by side.
        """
        fields: JsonObject = {"reasons": {SIDES[side]: reasons for side, reasons in self.reasons.items()}}
        if self.errors is not None:
            found = {side: _placed(self.errors.get(side, []), conversations[side]) for side in SIDES}
            fields["errors"] = {SIDES[side]: spans for side, spans in found.items()}
            fields["errors_per_100_words"] = {
                SIDES[side]: _rate(spans, conversations[side]) for side, spans in found.items()
            }
        if self.correction is not None:
            side, content = self.correction
            if content != conversations[side][-1]["content"]:
                fields["correction"] = {"side": SIDES[side], "content": content}
        return fields


def seen_turns(messages: Messages) -> list[int]:
    """Return the places of the turns that a voter sees: what a model was told about itself would tell who it is."""
    return [place for place, turn in enumerate(messages) if turn["role"] != "system"]


def words_in(text: str) -> int:
    """Return the number of words of a text, as errors are counted by."""
    return sum(1 for _ in _WORD.finditer(text))


def _placed(spans: list[Span], messages: Messages) -> list[JsonObject]:
    """Return {turn, start, end, text} of each span, where `turn` is a place in the whole conversation."""
    seen, placed, before = seen_turns(messages), [], (0, 0)
    for turn, start, end in sorted(spans):
        place = seen[turn] if turn < len(seen) else -1
        if place < 0 or messages[place]["role"] != "assistant" or (turn, start) < before:
            raise BadVoteError("a mark where there is no answer, or two marks on one place")
        text = messages[place]["content"]
        if not start < end <= len(text):
            raise BadVoteError("a mark beyond the text")
        before = (turn, end)
        placed.append({"turn": place, "start": start, "end": end, "text": text[start:end]})
    return placed


def _rate(spans: list[JsonObject], messages: Messages) -> float:
    """Return the marked words per 100 words that the model wrote."""
    words = sum(words_in(turn["content"]) for turn in messages if turn["role"] == "assistant")
    return round(100 * sum(words_in(span["text"]) for span in spans) / words, 2) if words else 0.0


def _reasons(given: object) -> dict[str, list[str]]:
    if not isinstance(given, dict) or not given.keys() <= SIDES.keys():
        raise BadVoteError("no reasons")
    for reasons in given.values():
        if not isinstance(reasons, list) or any(reason not in REASONS for reason in reasons):
            raise BadVoteError("no reasons")
    return {side: [reason for reason in REASONS if reason in reasons] for side, reasons in given.items() if reasons}


def _errors(given: object) -> dict[str, list[Span]] | None:
    if given is None:
        return None
    if not isinstance(given, dict) or not given.keys() <= SIDES.keys():
        raise BadVoteError("no marks")
    found: dict[str, list[Span]] = {}
    for side, spans in given.items():
        if not isinstance(spans, list) or len(spans) > MOST_SPANS or not all(map(_is_span, spans)):
            raise BadVoteError("no marks")
        found[side] = [(turn, start, end) for turn, start, end in spans]
    return found


def _is_span(span: object) -> bool:
    return isinstance(span, list) and len(span) == 3 and all(type(place) is int and place >= 0 for place in span)


def _correction(body: JsonObject, winner: str) -> tuple[str, str] | None:
    given = body.get("correction")
    if given is None:
        return None
    if not isinstance(given, str) or not given.strip() or len(given) > LONGEST_CORRECTION:
        raise BadVoteError("no correction")
    if winner not in SIDES:
        raise BadVoteError("a correction where no answer is better")
    return winner, given
