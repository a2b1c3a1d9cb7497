"""The intrinsics, byte by byte."""

from __future__ import annotations

import ctypes
from collections.abc import Callable

from latxa_cli.native.plain.memory import read, write

WIDTH = 32


def _mask(at: int, test: Callable[[int], bool]) -> int:
    return sum(1 << place for place, byte in enumerate(read(at, at + WIDTH)) if test(byte))


def byte_at(at: int) -> int:
    return read(at, at + 1)[0]


def word_at(at: int) -> int:
    return int.from_bytes(read(at, at + 8), "little")


def equal(at: int, byte: int) -> int:
    return _mask(at, lambda other: other == byte)


def special(at: int) -> int:
    return _mask(at, lambda byte: byte < 32 or byte > 127 or chr(byte) in '"\\')


def copy(at: int, to: int) -> None:
    ctypes.memmove(to, at, WIDTH)


def put(byte: int, to: int) -> None:
    write(bytes([byte]), to)


def bits(mask: int) -> int:
    return mask.bit_count()


def lowest(mask: int) -> int:
    return next((place for place in range(64) if mask >> place & 1), 64)
