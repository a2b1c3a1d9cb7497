"""The words of a text as it is spelled in a JSON line that `latxa_cli.text.json_lines` takes: the text is not made."""

from __future__ import annotations

import numpy as np
from numba import njit

from latxa_cli.text.vectors import byte_at
from latxa_cli.text.words import START, is_inner, mix, step

_BACKSLASH, _U, _ZERO, _NINE, _A = (ord(character) for character in "\\u09a")
_ESCAPED = np.zeros(128, np.int64)  # what the letter behind a backslash stands for
for _letter, _character in zip('"\\bfnrt', '"\\\b\f\n\r\t', strict=True):
    _ESCAPED[ord(_letter)] = ord(_character)


@njit(cache=True, nogil=True)
def hash_words(at: int, size: int, table: np.ndarray, hashes: np.ndarray) -> int:
    """Write the hashes of the words to `hashes` and return how many there are; see `words.Words.hashes`.

    Args:
        at, size: the address and the bytes of what is between the quotes.
        table: see `words.table`.
        hashes: u64, more than `size`; what lies behind the words' is overwritten.
    """
    end = at + size
    count, run, value = 0, 0, START
    while at < end:
        code, length = _code_point(at)
        at += length
        entry = table[code]
        follower = table[_code_point(at)[0]] if is_inner(entry) and at < end else np.uint32(0)
        begins, run, value = step(entry, follower, run, value)
        count += begins
        hashes[count if run else 0] = value  # entry 0 is for what is outside of words
    for word in range(count):
        hashes[word] = mix(hashes[word + 1])
    return count


@njit(cache=True, nogil=True)
def _code_point(at: int) -> tuple[int, int]:
    """Return the code point that begins at an address, and by how many bytes it is spelled."""
    first = byte_at(at)
    if first < 128:
        return (first, 1) if first != _BACKSLASH else _escape(at)
    second = byte_at(at + 1) & 63
    if first < 0xE0:
        return (first & 31) << 6 | second, 2
    third = byte_at(at + 2) & 63
    if first < 0xF0:
        return (first & 15) << 12 | second << 6 | third, 3
    return (first & 7) << 18 | second << 12 | third << 6 | byte_at(at + 3) & 63, 4


@njit(cache=True, nogil=True)
def _escape(at: int) -> tuple[int, int]:
    letter = byte_at(at + 1)
    if letter != _U:
        return _ESCAPED[letter], 2
    high, low = byte_at(at + 4) - _ZERO, byte_at(at + 5)  # it is a control: \u0000 to \u001f
    return high * 16 + (low - _ZERO if low <= _NINE else low - _A + 10), 6
