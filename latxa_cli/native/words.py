"""The words of a text: the start, end and hash of each (see `text.words`).

A text in a JSON line that `json_lines` accepts is hashed in the line itself, without a Python object.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from latxa_cli.native.hashing import fmix64
from latxa_cli.native.kernel import kernel
from latxa_cli.native.vectors import byte_at

# An entry of the table of code points has the class in its highest byte. The rest is the code point's value in hashes.
LETTER, MARK, INNER, ALONE, DENSE = 1, 2, 3, 4, 5  # ALONE, DENSE: letters that are words by themselves
# So many ALONE or DENSE letters are as long as a word of other scripts (see `text.words`).
ALONE_LETTERS, DENSE_LETTERS = 4, 2
CLASS_BITS = np.uint32(24)  # the type of the entries, which numba would widen if it differed

START = np.uint64(0x243F6A8885A308D3)
_FACTOR = np.uint64(0x9E3779B97F4A7C15)

_BACKSLASH, _U, _ZERO, _NINE, _A = (ord(character) for character in "\\u09a")
_ESCAPED = np.zeros(128, np.int64)  # the character for each letter behind a backslash
for _letter, _character in zip('"\\bfnrt', '"\\\b\f\n\r\t', strict=True):
    _ESCAPED[ord(_letter)] = ord(_character)


@kernel
def segment(codepoints: np.ndarray, table: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the starts, ends and hashes of the words."""
    size = len(codepoints)
    starts, ends = np.empty(size + 1, np.int64), np.empty(size + 1, np.int64)
    hashes = np.empty(size + 1, np.uint64)
    # A processor cannot predict where words end, and a mispredicted branch costs more than the work itself. So there is
    # no branch: each code point writes its position and the hash so far to the entry of its word, or outside of words
    # to entry 0, which is thrown away.
    # Places are unsigned, since numba tests whether a signed index counts from the end; with that, words take twice the
    # time.
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
def hash_words(at: int, size: int, table: np.ndarray, hashes: np.ndarray) -> tuple[int, int]:
    """Write the hashes of the words to `hashes` (as in `text.words.Words.hashes`); return their number and length.

    - at, size: the address and the size in bytes of the text between the quotes.
    - table: see `text.words.table`.
    - hashes: u64, more than `size` entries; those behind the words' are overwritten too.
    """
    end = at + size
    # Places are unsigned, as in `segment`.
    count, nowhere, run, value = np.uint64(0), np.uint64(0), 0, START
    alone = dense = 0
    while at < end:
        code, length = _code_point(at)
        at += length
        entry = table[np.uint64(code)]
        kind = _class_of(entry)
        if kind == INNER:
            kind = _joined(run, table[np.uint64(_code_point(at)[0])]) if at < end else 0
        begins, run, value = _step(entry, kind, run, value)
        count += np.uint64(begins)
        alone += kind == ALONE
        dense += kind == DENSE
        hashes[count if run else nowhere] = value
    words = np.int64(count)
    for word in range(words):
        hashes[word] = fmix64(hashes[word + 1])
    return words, whole(length_of(words, alone, dense))  # type: ignore[arg-type,return-value]


@kernel
def length_of(words: int, alone: int, dense: int) -> float:
    """Return the length of so many words, of which so many are `ALONE` and `DENSE` letters."""
    return words - alone - dense + alone / ALONE_LETTERS + dense / DENSE_LETTERS  # type: ignore[no-any-return]


@kernel
def whole(length: float) -> int:
    """Return a length in whole words, at least 1 of what is not empty."""
    return max(np.int64(length), 1) if length else 0  # type: ignore[return-value]


# --- one code point after the other -----------------------------------------------------------------------------------


@kernel
def _class_of(entry: Any) -> int:
    """Return the class in an entry of the table."""
    return np.int64(entry >> CLASS_BITS)  # type: ignore[return-value]


@kernel
def _joined(run: int, follower: Any) -> int:
    """Return the class of an `INNER` code point in its context: a mark between two letters, else none (0).

    run: the class of the current run of letters; follower: the entry of the next code point.
    """
    return MARK if run == LETTER and follower >> CLASS_BITS == LETTER else 0


@kernel
def _step(entry: Any, kind: int, run: int, value: np.uint64) -> tuple[bool, int, np.uint64]:
    """Read a code point; return whether it begins a word, the class of its run of letters (0: none), and a hash.

    - entry, kind: its entry and its class.
    - run, value: as returned for the code point before; at first 0 and `START`.
    - The hash is that of the word so far, before the final mixing.
    """
    begins = (kind >= ALONE) | ((kind == LETTER) & (run != LETTER))
    run = run if kind == MARK else kind
    return begins, run, ((START if begins else value) ^ np.uint64(entry)) * _FACTOR


# --- texts as they are spelled ----------------------------------------------------------------------------------------


@kernel
def _code_point(at: int) -> tuple[int, int]:
    """Return the code point at an address, and the number of bytes of its spelling."""
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
    high, low = byte_at(at + 4) - _ZERO, byte_at(at + 5)  # only controls are spelled so: \u0000 to \u001f
    return high * 16 + (low - _ZERO if low <= _NINE else low - _A + 10), 6
