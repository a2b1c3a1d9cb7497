"""Several texts in one request: a JSON object of one line, with a key for each text.

    {"user_1": "What is a ship?", "assistant_2": "A vessel."}

Engines that decode by a schema cannot but write such an object. Others are checked: `decoded` gives None for any other.
The keys are flat, since strict modes of servers know neither fixed lists nor fixed roles.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from latxa_cli.translation.fields import MESSAGES, Part
from latxa_cli.translation.layouts import Pair

_SURROGATE = re.compile("[\ud800-\udfff]")


def keys_of(parts: Sequence[Part]) -> list[str]:
    """Return a key for each part: `user_1`, `assistant_2`, `question`, `choices_1` …, all different."""
    keys: list[str] = []
    for part in parts:
        if part.path[0] == MESSAGES:
            key = f"{part.role}_{int(part.path[1]) + 1}"
        else:
            key = "_".join(str(step + 1) if isinstance(step, int) else step for step in part.path)
        while key in keys:
            key += "_"
        keys.append(key)
    return keys


def encoded(keys: Sequence[str], texts: Sequence[str]) -> str:
    """Return the object of texts by key, in one line."""
    return json.dumps(dict(zip(keys, texts, strict=True)), ensure_ascii=False)


def decoded(text: str, keys: Sequence[str]) -> list[str] | None:
    """Return the texts in what a model wrote, in the order of the keys; None where it is no object of these keys."""
    text = text.strip()
    if text.startswith("```") and text.endswith("```"):  # as instruct models write JSON
        text = text.strip("`").removeprefix("json")
    try:
        found = json.loads(text, object_pairs_hook=list, strict=False)
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, list) or not all(isinstance(pair, tuple) and isinstance(pair[1], str) for pair in found):
        return None
    if len(found) != len(keys) or {key for key, _ in found} != set(keys):
        return None
    texts = dict(found)
    if any(map(_SURROGATE.search, texts.values())):  # an escape may be half of a pair, which no file can hold
        return None
    return [texts[key] for key in keys]


def schema_of(keys: Sequence[str]) -> dict[str, Any]:
    """Return the JSON schema of such an object."""
    return {
        "type": "object",
        "properties": {key: {"type": "string"} for key in keys},
        "required": list(keys),
        "additionalProperties": False,
    }


def structured(pairs: Sequence[Pair], keys: Sequence[str]) -> list[Pair]:
    """Return pairs as such objects on both sides: as many as the pairs fill, one at least."""
    size = len(keys)
    groups = (
        [
            [pairs[(start + place) % len(pairs)] for place in range(size)]
            for start in range(0, max(len(pairs) // size, 1) * size, size)
        ]
        if pairs
        else []
    )
    return [
        (encoded(keys, [source for source, _ in group]), encoded(keys, [target for _, target in group]))
        for group in groups
    ]
