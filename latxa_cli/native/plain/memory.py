"""Reading and writing memory at an address, in plain Python."""

from __future__ import annotations

import ctypes

WORD = (1 << 64) - 1  # the mask of a 64-bit number


def read(start: int, end: int) -> bytes:
    """Return the bytes from one address up to, but without, another."""
    return ctypes.string_at(start, max(0, end - start))


def write(data: bytes, to: int) -> int:
    """Write bytes to an address, and return the address behind them."""
    ctypes.memmove(to, data, len(data))
    return to + len(data)


def line(start: int) -> bytes:
    """Return the bytes from an address to the end of its line: a line break, or a zero, which no line contains."""
    return ctypes.string_at(start).partition(b"\n")[0]
