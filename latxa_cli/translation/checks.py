"""What a translated message must pass; the first failure is the reason why its conversation is rejected."""

from __future__ import annotations

from latxa_cli.generation.engine import Completion

# Shorter texts (a name, a number, "OK") may well be the same in both languages.
WORDS_THAT_MUST_CHANGE = 3


def failure(source: str, completion: Completion) -> str:
    """Return why `completion` is no translation of `source`, or the empty string."""
    translation = completion.text.strip()
    if completion.finish_reason == "too long":
        return "message longer than the context"
    if completion.finish_reason == "length":
        return "unfinished translation"
    if not translation:
        return "empty translation"
    if _plain(translation) == _plain(source) and _prose_words(source) >= WORDS_THAT_MUST_CHANGE:
        return "copied source"
    return ""


def _plain(text: str) -> str:
    return " ".join(text.casefold().split())


def _prose_words(text: str) -> int:
    return sum(any(character.isalpha() for character in word) for word in text.split())
