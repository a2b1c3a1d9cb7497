"""Turns that begin inside a text: lines that are the name of a role."""

from __future__ import annotations

import re

# A line that is the name of a role. Some names are those of chapters too, and count with a colon alone. Possessive, and
# within the line, so that no text takes long.
_BLANK = r"\t\r \xa0\u3000"
_ROLE = re.compile(
    rf"^[*<\[|{_BLANK}]*+(?:user|assistant|human)[*>\]|{_BLANK}]*+:?+[*{_BLANK}]*+$"
    rf"|^[#*<\[|{_BLANK}]*+(?:user|assistant|human|system|instruction|response|model)[*>\]|{_BLANK}]*+:[*{_BLANK}]*+$",
    re.IGNORECASE | re.MULTILINE,
)
_BLANK_LINES = re.compile(rf"(?:[{_BLANK}]*+\n)*+")
_CODE = re.compile(r"^ *(```|~~~).*?(?:^ *\1`*\s*$|\Z)", re.DOTALL | re.MULTILINE)


def begins_a_turn(text: str) -> bool:
    """Whether a line is the name of a role, as where a model goes on with the next turn; code and YAML may have one."""
    plain = _CODE.sub("", text).rstrip()
    for found in _ROLE.finditer(plain):
        following = _BLANK_LINES.match(plain, found.end())
        indent = len(found[0]) - len(found[0].lstrip(" "))
        # What is indented below a key is its value.
        if not (following and plain.startswith(" " * (indent + 1), following.end())):
            return True
    return False
