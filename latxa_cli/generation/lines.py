"""Objects in one line of JSON, made from their schema: as a regular expression, or as a choice of texts.

Engines that decode by a schema allow white space between the signs of JSON, without an end: a weak model writes line
breaks there until its tokens are used up. By this expression it writes what `json.dumps` would, keys in their order.
A space may come before: a base model writes one behind the colon of a prompt, and goes on worse without.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

# A string of JSON (RFC 8259, section 7). Half of a surrogate pair is no character, so that none may be escaped.
_ESCAPED = r"(?:[0-9A-CEFa-cef][0-9A-Fa-f]{3}|[Dd][0-7][0-9A-Fa-f]{2})"
_LETTER = rf'(?:[^"\\\x00-\x1f]|\\["\\/bfnrt]|\\u{_ESCAPED})'
_SPECIAL = frozenset(r"\.^$|?*+()[]{}")
Choices = tuple[tuple[str, ...], ...]  # texts that are made of one of each


def constraint(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return what tells vLLM to keep a text to a schema, by name."""
    line = line_of(schema)
    return {"json": dict(schema)} if line is None else {"regex": line}


def line_of(schema: Mapping[str, Any]) -> str | None:
    """Return an expression for the objects of `schema` in one line; None where it allows other than texts and
    enumerations by keys."""
    values = [_text(value) or _one_of(map(_literal, _options(value))) for value in _properties(schema).values()]
    if not values or not all(values):
        return None
    pairs = [f"{_literal(_key(key))}: {value}" for key, value in zip(_properties(schema), values, strict=True)]
    return rf" ?\{{{', '.join(pairs)}\}}"


def choices_of(schema: Mapping[str, Any]) -> Choices | None:
    """Return what the objects of `schema` in one line are made of; None where it allows other than enumerations."""
    parts: list[tuple[str, ...]] = [("", " ")]
    for key, value in _properties(schema).items():
        parts += [(f"{', ' if parts[1:] else '{'}{_key(key)}: ",), _options(value)]
    return (*parts, ("}",)) if parts[1:] and all(parts) else None


def _properties(schema: Mapping[str, Any]) -> Mapping[str, Mapping[str, Any]]:
    """Return the values of the objects of a schema by key; nothing where their keys may be others."""
    properties = schema.get("properties") or {}
    if schema.get("type") != "object" or schema.get("additionalProperties") is not False:
        return {}
    return properties if list(properties) == list(schema.get("required", ())) else {}


def _options(value: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the values of an enumeration as JSON writes them; nothing where a value is no enumeration."""
    return tuple(json.dumps(one, ensure_ascii=False) for one in value.get("enum", ()))


def _text(value: Mapping[str, Any]) -> str:
    """Return an expression for a string of a schema; nothing where a value is none."""
    if value.get("type") != "string" or value.keys() - {"type", "maxLength"}:
        return ""
    times = f"{{0,{value['maxLength']}}}" if "maxLength" in value else "*"
    return f'"{_LETTER}{times}"'


def _one_of(options: Any) -> str:
    texts = "|".join(options)
    return f"(?:{texts})" if texts else ""


def _key(key: str) -> str:
    return json.dumps(key, ensure_ascii=False)


def _literal(text: str) -> str:
    """Return an expression for `text` itself; `re.escape` puts a backslash before spaces too, which not all read."""
    return "".join(f"\\{sign}" if sign in _SPECIAL else sign for sign in text)
