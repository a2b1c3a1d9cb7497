"""The kernel that reads one token of JSON: a string, a number, `true`, `false` or `null`.

It accepts the one spelling in which `orjson` writes a token. For any other it returns 0, and its caller leaves the line
to the reader of records.
"""

from __future__ import annotations

import numpy as np

from latxa_cli.native.kernel import kernel
from latxa_cli.native.vectors import WIDTH, bits, byte_at, equal, lowest, special, word_at

_QUOTE, _BACKSLASH, _SPACE = (ord(character) for character in '"\\ ')
_MINUS, _POINT, _ZERO, _NINE, _U = (ord(character) for character in "-.09u")
_A, _B, _E, _F, _N, _R, _T = (ord(character) for character in "abefnrt")
_BLOCK = 1 << WIDTH  # the bit behind a mask
_TRUE, _FALSE, _NULL, _FOUR_ZEROS = (
    np.uint64(int.from_bytes(word, "little")) for word in (b"true", b"false", b"null", b"0000")
)
_FOUR_BYTES, _FIVE_BYTES = np.uint64(2**32 - 1), np.uint64(2**40 - 1)


@kernel
def scalar(at: int) -> int:
    """Read a value that is neither an object nor a list; return the address behind it, or 0."""
    byte = byte_at(at)
    if byte == _QUOTE:
        return string(at + 1)[0]
    if byte == _MINUS or _ZERO <= byte <= _NINE:
        return _number(at)
    word = word_at(at)
    if word & _FOUR_BYTES == _TRUE or word & _FOUR_BYTES == _NULL:
        return at + 4
    return at + 5 if word & _FIVE_BYTES == _FALSE else 0


@kernel
def _number(at: int) -> int:
    """Read a number without exponent; a decimal of more than 15 digits might be written again with others."""
    first = at + (byte_at(at) == _MINUS)
    point = first
    while _ZERO <= byte_at(point) <= _NINE:
        point += 1
    whole = point - first
    if not whole or (byte_at(first) == _ZERO and whole > 1):
        return 0
    end = point
    if byte_at(point) == _POINT:
        end += 1
        while _ZERO <= byte_at(end) <= _NINE:
            end += 1
        digits = end - point - 1
        if not digits or whole + digits > 15 or (digits > 1 and byte_at(end - 1) == _ZERO):
            return 0
        if byte_at(first) == _ZERO and word_at(point + 1) & _FOUR_BYTES == _FOUR_ZEROS:
            return 0  # `orjson` would write it with an exponent
    elif whole > 18 or (first > at and byte_at(first) == _ZERO):
        return 0
    return 0 if byte_at(end) | 32 == _E else end


@kernel
def string(at: int) -> tuple[int, int, int]:
    """Read a string from behind its opening quote; return (address behind it, words, surplus bytes of escapes).

    Words are counted as by `str.split`. The surplus is the number of bytes by which escapes are longer than the
    characters that they stand for. Where the address is 0, the counts have no meaning.
    """
    words, surplus = 0, 0
    between = 1  # whether the last character separates words
    while True:
        spaces = equal(at, _SPACE)
        run = lowest(special(at) | _BLOCK)
        behind = spaces << 1 | between
        words += bits(~spaces & behind & ((1 << run) - 1))
        between = behind >> run & 1
        at += run
        if run == WIDTH:
            continue
        byte = byte_at(at)
        if byte == _QUOTE:
            return at + 1, words, surplus
        if byte == _BACKSLASH:
            size, is_space = _escape(at)
            surplus += size - 1
        elif byte >= 128:
            size, is_space = _character(at)
        else:
            return 0, 0, 0
        if not size:
            return 0, 0, 0
        words += between & (is_space ^ 1)
        between = is_space
        at += size


@kernel
def _escape(at: int) -> tuple[int, int]:
    """Return the size of an escape and whether it stands for a space; (0, 0) for one that JSON does not require."""
    byte = byte_at(at + 1)
    if byte in (_QUOTE, _BACKSLASH, _B):
        return 2, 0
    if byte in (_N, _T, _R, _F):
        return 2, 1
    if byte != _U or byte_at(at + 2) != _ZERO or byte_at(at + 3) != _ZERO:
        return 0, 0
    high, low = byte_at(at + 4) - _ZERO, byte_at(at + 5)
    low = low - _ZERO if _ZERO <= low <= _NINE else low - _A + 10 if _A <= low <= _F else -1
    if high < 0 or high > 1 or low < 0:
        return 0, 0
    code = high * 16 + low
    if 8 <= code <= 13 and code != 11:
        return 0, 0  # `orjson` writes these with a letter, as `\n`
    return 6, int(code == 11 or code >= 28)


@kernel
def _character(at: int) -> tuple[int, int]:
    """Return the size of a character of more than one byte, and whether it is a space; (0, 0) for invalid UTF-8.

    Well-formed sequences: The Unicode Standard, table 3-7.
    """
    first, second = byte_at(at), byte_at(at + 1)
    if 0xC2 <= first <= 0xDF:
        if second & 0xC0 != 0x80:
            return 0, 0
        return 2, int(first == 0xC2 and (second == 0x85 or second == 0xA0))
    third = byte_at(at + 2)
    if 0xE0 <= first <= 0xEF:
        low = 0xA0 if first == 0xE0 else 0x80
        high = 0x9F if first == 0xED else 0xBF
        if not low <= second <= high or third & 0xC0 != 0x80:
            return 0, 0
        code = (first & 15) << 12 | (second & 63) << 6 | third & 63
        return 3, int(0x2000 <= code <= 0x200A or code in (0x1680, 0x2028, 0x2029, 0x202F, 0x205F, 0x3000))
    low = 0x90 if first == 0xF0 else 0x80
    high = 0x8F if first == 0xF4 else 0xBF
    if not 0xF0 <= first <= 0xF4 or not low <= second <= high:
        return 0, 0
    return (4, 0) if third & 0xC0 == 0x80 and byte_at(at + 3) & 0xC0 == 0x80 else (0, 0)
