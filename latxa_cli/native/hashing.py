"""Hashes of 64 bits: a finaliser for one value, and XXH64 of bytes at an address."""

from __future__ import annotations

import numpy as np

from latxa_cli.native.kernel import kernel
from latxa_cli.native.vectors import byte_at, word_at

_FOUR_BYTES = np.uint64(2**32 - 1)


@kernel
def fmix64(value: np.uint64) -> np.uint64:
    """Mix 64 bits so that each depends on all others; the finaliser of MurmurHash3 (Appleby), a bijection."""
    value ^= value >> np.uint64(33)
    value *= np.uint64(0xFF51AFD7ED558CCD)
    value ^= value >> np.uint64(33)
    value *= np.uint64(0xC4CEB9FE1A85EC53)
    return value ^ (value >> np.uint64(33))


_P1, _P2, _P3, _P4, _P5 = map(
    np.uint64, (0x9E3779B185EBCA87, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0x85EBCA77C2B2AE63, 0x27D4EB2F165667C5)
)


@kernel
def _rotated(value: np.uint64, by: int) -> np.uint64:
    return value << np.uint64(by) | value >> np.uint64(64 - by)


@kernel
def _round(value: np.uint64, word: np.uint64) -> np.uint64:
    return _rotated(value + word * _P2, 31) * _P1


@kernel
def xxh64(at: int, size: int, seed: np.uint64) -> np.uint64:
    """Return XXH64 (Collet, xxHash specification 0.1.1) of the `size` bytes at an address."""
    end = at + size
    if size >= 32:
        a, b, c, d = seed + _P1 + _P2, seed + _P2, seed, seed - _P1
        while at + 32 <= end:
            a, b = _round(a, word_at(at)), _round(b, word_at(at + 8))
            c, d = _round(c, word_at(at + 16)), _round(d, word_at(at + 24))
            at += 32
        value = _rotated(a, 1) + _rotated(b, 7) + _rotated(c, 12) + _rotated(d, 18)
        for lane in (a, b, c, d):
            value = (value ^ _round(np.uint64(0), lane)) * _P1 + _P4
    else:
        value = seed + _P5
    value += np.uint64(size)
    while at + 8 <= end:
        value = _rotated(value ^ _round(np.uint64(0), word_at(at)), 27) * _P1 + _P4
        at += 8
    if at + 4 <= end:
        value = _rotated(value ^ (word_at(at) & _FOUR_BYTES) * _P1, 23) * _P2 + _P3
        at += 4
    while at < end:
        value = _rotated(value ^ np.uint64(byte_at(at)) * _P5, 11) * _P1
        at += 1
    value = (value ^ value >> np.uint64(33)) * _P2
    value = (value ^ value >> np.uint64(29)) * _P3
    return value ^ value >> np.uint64(32)
