"""Objects of texts in one line of JSON, as a regular expression made from their schema.

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


def constraint(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return what tells vLLM to keep a text to a schema, by name."""
    line = line_of(schema)
    return {"json": dict(schema)} if line is None else {"regex": line}


def line_of(schema: Mapping[str, Any]) -> str | None:
    """Return an expression for the objects of `schema` in one line; None where it allows other than texts by keys."""
    properties = schema.get("properties")
    if schema.get("type") != "object" or schema.get("additionalProperties") is not False or not properties:
        return None
    if list(properties) != list(schema.get("required", ())):
        return None
    if any(value.get("type") != "string" or value.keys() - {"type", "maxLength"} for value in properties.values()):
        return None
    pairs = [f"{_literal(json.dumps(key, ensure_ascii=False))}: {_text(value)}" for key, value in properties.items()]
    return rf" ?\{{{', '.join(pairs)}\}}"


def _text(value: Mapping[str, Any]) -> str:
    """Return an expression for a string of a schema."""
    times = f"{{0,{value['maxLength']}}}" if "maxLength" in value else "*"
    return f'"{_LETTER}{times}"'


def _literal(text: str) -> str:
    """Return an expression for `text` itself; `re.escape` puts a backslash before spaces too, which not all read."""
    return "".join(f"\\{sign}" if sign in _SPECIAL else sign for sign in text)
