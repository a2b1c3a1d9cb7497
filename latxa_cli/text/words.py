"""The words of a text: where each starts and ends, and a hash by which it is known whatever its case.

Words are runs of letters, marks and digits, joined by an apostrophe or a middle dot inside (`l'home`, `col·lega`). In
scripts that are written without spaces (Han, kana, Thai, Lao, Khmer, Myanmar …) each letter with its marks is one,
since finding their words needs a dictionary. Near duplicates, contamination and the quality rules all stand on this.
"""

from __future__ import annotations

import unicodedata
from functools import cache
from typing import Any

import numpy as np

from latxa_cli.text.kernel import kernel

# The classes of code points: the highest byte of an entry of the table. The rest is what the code point is hashed as.
_LETTER, _MARK, INNER, _ALONE = 1, 2, 3, 4
_CLASS_BITS = np.uint32(24)  # of the type of the entries: numba would widen them for another

_JOINERS = "\u200c\u200d"  # they shape the letters beside them, as marks do
_INSIDE = "'’·"
# Letters of line breaking class SA, ID or CJ (Unicode Standard Annex 14) have no spaces between words.
_WITHOUT_SPACES = (
    (0x0E00, 0x0EFF), (0x1000, 0x109F), (0x1780, 0x17FF), (0x1950, 0x19DF), (0x1A20, 0x1AAF),  # Thai … Tai Tham
    (0x2E80, 0x2FDF), (0x3005, 0x3007), (0x3021, 0x3029), (0x3038, 0x30FF), (0x31F0, 0x31FF),  # radicals, kana
    (0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xA9E0, 0xA9FF), (0xAA60, 0xAADF), (0xF900, 0xFAFF),  # Han, Myanmar, Tai Viet
    (0xFF66, 0xFF9F), (0x11700, 0x1174F), (0x1AFF0, 0x1B16F),  # halfwidth kana, Ahom, historic kana
)  # fmt: skip

START = np.uint64(0x243F6A8885A308D3)
_FACTOR = np.uint64(0x9E3779B97F4A7C15)


class Words:
    """The words of one text. `codepoints`: u32, the text. Of word i: `starts[i]` and `ends[i]` (i64, positions in the
    text, the end excluded), `hashes[i]` (u64, of the word casefolded and with plain apostrophes)."""

    __slots__ = ("codepoints", "ends", "hashes", "starts")

    def __init__(self, codepoints: np.ndarray, starts: np.ndarray, ends: np.ndarray, hashes: np.ndarray) -> None:
        self.codepoints = codepoints
        self.starts = starts
        self.ends = ends
        self.hashes = hashes

    def __len__(self) -> int:
        return len(self.starts)


def segment(text: str) -> Words:
    """Return the words of `text`. Any string will do; lone surrogates separate words."""
    codepoints = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
    return Words(codepoints, *_segment(codepoints, table()))


def words(text: str) -> list[str]:
    """Return the words of `text` as they stand in it."""
    found = segment(text)
    return [text[start:end] for start, end in zip(found.starts.tolist(), found.ends.tolist(), strict=True)]


@cache
def table() -> np.ndarray:
    """Return u32 [0x110000]: of each code point its class, above `_CLASS_BITS`, and what it is hashed as, below.

    Built once a process, in 25 ms: the categories of the first two planes come from `unicodedata`.
    """
    characters = list(map(chr, range(0x20000)))
    categories = np.frombuffer("".join(map(unicodedata.category, characters)).encode(), dtype="S2")
    initials = categories.view("S1")[::2]
    classes = np.zeros(0x110000, dtype=np.uint32)
    first_planes = classes[:0x20000]
    first_planes[initials == b"M"] = _MARK
    first_planes[(initials == b"L") | (initials == b"N")] = _LETTER
    for first, last in _WITHOUT_SPACES:
        numbers = (categories[first : last + 1] == b"Nd") | (categories[first : last + 1] == b"No")
        first_planes[first : last + 1][(first_planes[first : last + 1] == _LETTER) & ~numbers] = _ALONE
    classes[0x20000:0x40000] = _ALONE  # nothing but Han
    classes[0xE0100:0xE01F0] = _MARK  # they choose among variants of a character
    classes[list(map(ord, _JOINERS))] = _MARK
    classes[list(map(ord, _INSIDE))] = INNER

    folded = np.arange(0x110000, dtype=np.uint32)
    for position in np.flatnonzero(np.isin(categories, [b"Lu", b"Ll", b"Lt", b"Nl"])).tolist():
        character = characters[position]
        forms = [form for form in (character.casefold(), character.lower()) if len(form) == 1]
        folded[position] = ord(forms[0]) if forms else position
    folded[ord("’")] = ord("'")
    return classes << _CLASS_BITS | folded


@kernel
def _segment(codepoints: np.ndarray, table: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
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
        kind = class_of(entry)
        if kind == INNER:
            kind = joined(run, table[np.uint64(codepoints[position + 1])]) if position + 1 < size else 0
        begins, run, value = step(entry, kind, run, value)
        count += np.uint64(begins)
        starts[count if begins else nowhere] = position
        word = count if run else nowhere
        ends[word] = position + 1
        hashes[word] = value
    behind = np.int64(count) + 1
    for entry in range(1, behind):
        hashes[entry] = mix(hashes[entry])
    return starts[1:behind], ends[1:behind], hashes[1:behind]


@kernel
def class_of(entry: Any) -> int:
    """Return the class of a code point, given its entry of the table."""
    return np.int64(entry >> _CLASS_BITS)  # type: ignore[return-value]


@kernel
def joined(run: int, follower: Any) -> int:
    """Return the class that a code point of class `INNER` acts as in a run of letters of a class, given the entry of
    the next one: a mark, if letters go on behind it."""
    return _MARK if run == _LETTER and follower >> _CLASS_BITS == _LETTER else 0


@kernel
def step(entry: Any, kind: int, run: int, value: np.uint64) -> tuple[bool, int, np.uint64]:
    """Read a code point with this entry and class: return whether a word begins there, the class of the run of letters
    that it is in (0: none), and the hash of the word so far, still to be mixed.

    run, value: as returned for the one before; at first 0 and `START`.
    """
    begins = (kind == _ALONE) | ((kind == _LETTER) & (run != _LETTER))
    run = run if kind == _MARK else kind
    return begins, run, ((START if begins else value) ^ np.uint64(entry)) * _FACTOR


@kernel
def mix(value: np.uint64) -> np.uint64:
    """Spread 64 bits over one another: the finaliser of MurmurHash3 (Appleby), which is a bijection."""
    value ^= value >> np.uint64(33)
    value *= np.uint64(0xFF51AFD7ED558CCD)
    value ^= value >> np.uint64(33)
    value *= np.uint64(0xC4CEB9FE1A85EC53)
    return value ^ (value >> np.uint64(33))
