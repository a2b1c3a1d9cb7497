"""Hashes, by Python's integers and by the xxhash library."""

from __future__ import annotations

from xxhash import xxh64_intdigest

from latxa_cli.native.plain.memory import WORD, read

FACTOR = 0x9E3779B97F4A7C15  # 2^64 divided by the golden ratio


def fmix64(value: int) -> int:
    value = int(value)
    for factor in (0xFF51AFD7ED558CCD, 0xC4CEB9FE1A85EC53):
        value = (value ^ value >> 33) * factor & WORD
    return value ^ value >> 33


def xxh64(at: int, size: int, seed: int) -> int:
    return xxh64_intdigest(read(at, at + size), int(seed))
