"""The steps of `latxa corpus`: clean form, length, exact duplicates, language; every loss has its reason.

latxa corpus dump.jsonl --language eu > clean.jsonl
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from latxa_cli.stream.records import Record, Reject
from latxa_cli.text.language import identify
from latxa_cli.text.normalise import fingerprint, has_words, normalise


@dataclass(frozen=True, slots=True)
class Settings:
    """What a document must be to be kept: in `language` with `minimum_probability`, `minimum_words` long."""

    language: str
    minimum_words: int = 5
    minimum_probability: float = 0.5


def clean(documents: Iterable[Record], settings: Settings, seen: set[bytes]) -> Iterator[Record | Reject]:
    """Yield one outcome for each of `documents`, in their order.

    A kept record has its text in clean form, `language` set and `metadata.language_probability` added; a rejected one
    is as it came. `seen` holds the fingerprints of the texts kept so far and grows by 16 bytes (about 100 in memory)
    a kept document; an interrupted run goes on with the fingerprints of what it had kept.
    """
    for document in documents:
        yield _examine(document, settings, seen)


def _examine(document: Record, settings: Settings, seen: set[bytes]) -> Record | Reject:
    text = normalise(document["text"])
    if not text:
        return Reject(document, "empty")
    if not has_words(text, settings.minimum_words):
        return Reject(document, "too short", f"fewer than {settings.minimum_words} words")
    mark = fingerprint(text)
    if mark in seen:
        return Reject(document, "exact duplicate")
    language, probability = identify(text)
    found = f"{language} {probability:.3f}"
    if language != settings.language:
        return Reject(document, "wrong language", found)
    if probability < settings.minimum_probability:
        return Reject(document, "uncertain language", found)
    # Only now: what is not kept must not stand in the way of a later document, in a resumed run as in a whole one.
    seen.add(mark)
    return _kept(document, text, language, probability)


def _kept(document: Record, text: str, language: str, probability: float) -> Record:
    metadata = document.get("metadata")
    if not isinstance(metadata, dict):
        # A file may hold anything there; it is kept, under a name of its own.
        metadata = {} if metadata is None else {"original": metadata}
    metadata = metadata | {"language_probability": round(probability, 4)}
    return document | {"text": text, "language": language, "metadata": metadata}
