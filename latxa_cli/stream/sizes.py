"""Amounts of memory and disk as people write them: `2GB`, `800 MB`, `1.5GiB`."""

from __future__ import annotations

import re

_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12, "ki": 2**10, "mi": 2**20, "gi": 2**30, "ti": 2**40}
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kmgt]i?)?b?", re.IGNORECASE)


def parse_size(text: str) -> int:
    """Return the number of bytes in a `text` such as `2GB`; raises ValueError."""
    match = _SIZE.fullmatch(text.strip())
    if not match:
        raise ValueError(f"`{text}` is not a size such as `2GB` or `800MB`")
    return int(float(match[1]) * _UNITS[(match[2] or "").lower()])


def show_size(count: float) -> str:
    """Return a number of bytes as a text for people, such as `950 kB` or `1.4 GB`."""
    for unit, size in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= size:
            return f"{count / size:.3g} {unit}"
    return f"{count:.0f} bytes"
