"""Whether a vote has the shape that `latxa vote` gives it: files are edited by hand, or come from elsewhere."""

from __future__ import annotations

from collections.abc import Callable

from latxa_cli.stream.records import Record

SIDES = {"model_a": "conversation_a", "model_b": "conversation_b"}


def odd_part(vote: Record) -> str:
    """Return what part of a vote has another shape; empty for none."""
    for name in SIDES.values():
        if not _are(vote.get(name), _is_message):
            return f"`{name}` are no messages"
    suspicion = (vote.get("metadata") or {}).get("suspicion")
    if not _are(suspicion, _is_text):
        return "`metadata.suspicion` are no words"
    reasons, errors = vote.get("reasons"), vote.get("errors")
    if reasons is not None and not (isinstance(reasons, dict) and all(_are(one, _is_text) for one in reasons.values())):
        return "`reasons` are no words by side"
    if errors is not None and not all(side in SIDES and _are_marks(errors[side], vote, side) for side in errors):
        return "`errors` are no places in the conversations"
    return ""


def _are(given: object, is_one: Callable[[object], bool]) -> bool:
    """Whether this is a list of something; or nothing."""
    return given is None or (isinstance(given, list) and all(map(is_one, given)))


def _is_text(given: object) -> bool:
    return isinstance(given, str)


def _is_message(given: object) -> bool:
    return isinstance(given, dict) and isinstance(given.get("role"), str) and isinstance(given.get("content"), str)


def _are_marks(spans: object, vote: Record, side: str) -> bool:
    conversation = vote.get(SIDES[side]) or []

    def is_mark(span: object) -> bool:
        if not isinstance(span, dict):
            return False
        turn, start, end = (span.get(name) for name in ("turn", "start", "end"))
        if not (type(turn) is int and type(start) is int and type(end) is int) or not 0 <= turn < len(conversation):
            return False
        return 0 <= start <= end <= len(conversation[turn]["content"])

    return isinstance(spans, list) and all(map(is_mark, spans))
