"""Memory by its address, in plain Python."""

from __future__ import annotations

import ctypes

WORD = (1 << 64) - 1  # what hashes are taken modulo


def read(start: int, end: int) -> bytes:
    """Return the bytes from an address to before another."""
    return ctypes.string_at(start, max(0, end - start))


def write(data: bytes, to: int) -> int:
    """Write bytes to an address; return the one behind them."""
    ctypes.memmove(to, data, len(data))
    return to + len(data)


def line(start: int) -> bytes:
    """Return the bytes from an address to the line's end: a line break, or a zero, which no line holds."""
    return ctypes.string_at(start).partition(b"\n")[0]
