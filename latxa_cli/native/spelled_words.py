"""The words of a text as it is spelled in a JSON line that `json_lines` takes: the text is not made."""

from __future__ import annotations

import numpy as np

from latxa_cli.native.hashing import fmix64
from latxa_cli.native.kernel import kernel
from latxa_cli.native.vectors import byte_at
from latxa_cli.native.words import INNER, START, class_of, joined, step

_BACKSLASH, _U, _ZERO, _NINE, _A = (ord(character) for character in "\\u09a")
_ESCAPED = np.zeros(128, np.int64)  # what the letter behind a backslash stands for
for _letter, _character in zip('"\\bfnrt', '"\\\b\f\n\r\t', strict=True):
    _ESCAPED[ord(_letter)] = ord(_character)


@kernel
def hash_words(at: int, size: int, table: np.ndarray, hashes: np.ndarray) -> int:
    """Write the hashes of the words to `hashes` and return how many there are; see `text.words.Words.hashes`.

    Args:
        at, size: the address and the bytes of what is between the quotes.
        table: see `text.words.table`.
        hashes: u64, more than `size`; what lies behind the words' is overwritten.
    """
    end = at + size
    # Places are unsigned: a signed one could count from the end, and to look whether it does takes as long as the rest.
    count, nowhere, run, value = np.uint64(0), np.uint64(0), 0, START
    while at < end:
        code, length = _code_point(at)
        at += length
        entry = table[np.uint64(code)]
        kind = class_of(entry)
        if kind == INNER:
            kind = joined(run, table[np.uint64(_code_point(at)[0])]) if at < end else 0
        begins, run, value = step(entry, kind, run, value)
        count += np.uint64(begins)
        hashes[count if run else nowhere] = value  # entry 0 is for what is outside of words
    words = np.int64(count)
    for word in range(words):
        hashes[word] = fmix64(hashes[word + 1])
    return words  # type: ignore[return-value]


@kernel
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


@kernel
def _escape(at: int) -> tuple[int, int]:
    letter = byte_at(at + 1)
    if letter != _U:
        return _ESCAPED[letter], 2
    high, low = byte_at(at + 4) - _ZERO, byte_at(at + 5)  # it is a control: \u0000 to \u001f
    return high * 16 + (low - _ZERO if low <= _NINE else low - _A + 10), 6
