"""The words of a text: where each starts and ends, and its hash (see `text.words`).

Of a text in a JSON line that `json_lines` takes, the hashes are found as it is spelled: the text is not made.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from latxa_cli.native.hashing import fmix64
from latxa_cli.native.kernel import kernel
from latxa_cli.native.vectors import byte_at

# The classes of code points: the highest byte of an entry of the table. The rest is what the code point is hashed as.
LETTER, MARK, INNER, ALONE = 1, 2, 3, 4
CLASS_BITS = np.uint32(24)  # of the type of the entries: numba would widen them for another

START = np.uint64(0x243F6A8885A308D3)
_FACTOR = np.uint64(0x9E3779B97F4A7C15)

_BACKSLASH, _U, _ZERO, _NINE, _A = (ord(character) for character in "\\u09a")
_ESCAPED = np.zeros(128, np.int64)  # what the letter behind a backslash stands for
for _letter, _character in zip('"\\bfnrt', '"\\\b\f\n\r\t', strict=True):
    _ESCAPED[ord(_letter)] = ord(_character)


@kernel
def segment(codepoints: np.ndarray, table: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the starts, ends and hashes of the words.

    Where a word ends cannot be foreseen, so that a branch there costs more than the work itself: every code point
    writes its position and the hash so far to the entry of its word, and to entry 0, which is none, outside of words.
    """
    size = len(codepoints)
    starts, ends = np.empty(size + 1, np.int64), np.empty(size + 1, np.int64)
    hashes = np.empty(size + 1, np.uint64)
    # Places are unsigned: a signed one could count from the end, and to look whether it does takes as long as the rest.
    count, nowhere, run, value = np.uint64(0), np.uint64(0), 0, START
    for position in range(size):
        entry = table[np.uint64(codepoints[position])]
        kind = _class_of(entry)
        if kind == INNER:
            kind = _joined(run, table[np.uint64(codepoints[position + 1])]) if position + 1 < size else 0
        begins, run, value = _step(entry, kind, run, value)
        count += np.uint64(begins)
        starts[count if begins else nowhere] = position
        word = count if run else nowhere
        ends[word] = position + 1
        hashes[word] = value
    behind = np.int64(count) + 1
    for entry in range(1, behind):
        hashes[entry] = fmix64(hashes[entry])
    return starts[1:behind], ends[1:behind], hashes[1:behind]


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
        kind = _class_of(entry)
        if kind == INNER:
            kind = _joined(run, table[np.uint64(_code_point(at)[0])]) if at < end else 0
        begins, run, value = _step(entry, kind, run, value)
        count += np.uint64(begins)
        hashes[count if run else nowhere] = value  # entry 0 is for what is outside of words
    words = np.int64(count)
    for word in range(words):
        hashes[word] = fmix64(hashes[word + 1])
    return words  # type: ignore[return-value]


# --- one code point after the other -----------------------------------------------------------------------------------


@kernel
def _class_of(entry: Any) -> int:
    """Return the class of a code point, given its entry of the table."""
    return np.int64(entry >> CLASS_BITS)  # type: ignore[return-value]


@kernel
def _joined(run: int, follower: Any) -> int:
    """Return the class that a code point of class `INNER` acts as in a run of letters of a class, given the entry of
    the next one: a mark, if letters go on behind it."""
    return MARK if run == LETTER and follower >> CLASS_BITS == LETTER else 0


@kernel
def _step(entry: Any, kind: int, run: int, value: np.uint64) -> tuple[bool, int, np.uint64]:
    """Read a code point with this entry and class: return whether a word begins there, the class of the run of letters
    that it is in (0: none), and the hash of the word so far, still to be mixed.

    run, value: as returned for the one before; at first 0 and `START`.
    """
    begins = (kind == ALONE) | ((kind == LETTER) & (run != LETTER))
    run = run if kind == MARK else kind
    return begins, run, ((START if begins else value) ^ np.uint64(entry)) * _FACTOR


# --- texts as they are spelled ----------------------------------------------------------------------------------------


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
