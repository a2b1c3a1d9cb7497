"""Values in documents of other tools, where any field may be missing or of another type."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import msgspec
import orjson

from latxa_cli.stream.records import JsonObject

Parts = dict[str, bytes]  # the fields of an object, each as JSON

# What Python writes for numbers that JSON has not.
NO_NUMBERS = (b"NaN", b"-Infinity", b"Infinity")
_PARTS = msgspec.json.Decoder(dict[str, msgspec.Raw])


def parts(content: bytes) -> Parts | None:
    """Return the fields of a JSON object without looking into them; None for what is no JSON object in UTF-8.

    Numbers that are none (NaN) become null.
    """
    try:
        if not content.isascii():
            content.decode()
        try:
            fields = _PARTS.decode(content)
        except msgspec.DecodeError:
            if not any(word in content for word in NO_NUMBERS):
                return None
            fields = _PARTS.decode(_with_nulls(content))
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return {name: bytes(value) for name, value in fields.items()}


def _with_nulls(content: bytes) -> bytes:
    """Return JSON as Python writes it with null for numbers that are none."""
    for word in NO_NUMBERS:
        pieces = content.split(word)
        made = pieces[:1]
        for before, after in pairwise(pieces):
            is_value = before[-9:].rstrip()[-1:] in (b":", b"[", b",") and after[:9].lstrip()[:1] in (b",", b"]", b"}")
            made += (b"null" if is_value else word, after)
        content = b"".join(made)
    return content


def raw_members(content: bytes) -> dict[str, msgspec.Raw]:
    """Return the fields of a JSON object without looking into them; none for what is no object."""
    try:
        return _PARTS.decode(content)
    except msgspec.DecodeError:
        return {}


def members(content: bytes) -> JsonObject:
    """Return a JSON object; an empty one for what is none."""
    try:
        value = orjson.loads(content)
    except orjson.JSONDecodeError:  # too deep, or no JSON behind the first level
        return {}
    return value if type(value) is dict else {}


def member(document: JsonObject, name: str) -> JsonObject:
    """Return the object in the field `name`; an empty one where there is none."""
    value = document.get(name)
    return value if type(value) is dict else {}


def text(document: JsonObject, *names: str) -> str:
    """Return the first of the fields `names` that is a string with something in it; else the empty string."""
    for name in names:
        value = document.get(name)
        if type(value) is str and value:
            return value
    return ""


def number(value: Any) -> float | int | None:
    """Return a value that is a number, else None; booleans are none."""
    return value if type(value) in (int, float) else None


def iso_date(seconds: float | None) -> str | None:
    """Return seconds since 1970 as a date with its time (UTC); None for what is none."""
    try:
        return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds") if seconds is not None else None
    except (ValueError, OverflowError, OSError):
        return None
