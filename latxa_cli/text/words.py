"""The words of a text: where each starts and ends, and a hash by which it is known whatever its case.

Words are runs of letters, marks and digits, joined by an apostrophe or a middle dot inside (`l'home`, `col·lega`). In
scripts that are written without spaces (Han, kana, Thai, Lao, Khmer, Myanmar …) each letter with its marks is one,
since finding their words needs a dictionary. Near duplicates, contamination and the quality rules all stand on this.
"""

from __future__ import annotations

import unicodedata
from functools import cache

import numpy as np

from latxa_cli.native import words as kernels
from latxa_cli.native.words import ALONE, CLASS_BITS, INNER, LETTER, MARK

_JOINERS = "\u200c\u200d"  # they shape the letters beside them, as marks do
_INSIDE = "'’·"
# Letters of line breaking class SA, ID or CJ (Unicode Standard Annex 14) have no spaces between words.
_WITHOUT_SPACES = (
    (0x0E00, 0x0EFF), (0x1000, 0x109F), (0x1780, 0x17FF), (0x1950, 0x19DF), (0x1A20, 0x1AAF),  # Thai … Tai Tham
    (0x2E80, 0x2FDF), (0x3005, 0x3007), (0x3021, 0x3029), (0x3038, 0x30FF), (0x31F0, 0x31FF),  # radicals, kana
    (0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xA9E0, 0xA9FF), (0xAA60, 0xAADF), (0xF900, 0xFAFF),  # Han, Myanmar, Tai Viet
    (0xFF66, 0xFF9F), (0x11700, 0x1174F), (0x1AFF0, 0x1B16F),  # halfwidth kana, Ahom, historic kana
)  # fmt: skip


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
    return Words(codepoints, *kernels.segment(codepoints, table()))


def words(text: str) -> list[str]:
    """Return the words of `text` as they stand in it."""
    found = segment(text)
    return [text[start:end] for start, end in zip(found.starts.tolist(), found.ends.tolist(), strict=True)]


@cache
def table() -> np.ndarray:
    """Return u32 [0x110000]: of each code point its class, above `CLASS_BITS`, and what it is hashed as, below.

    Built once a process, in 25 ms: the categories of the first two planes come from `unicodedata`.
    """
    characters = list(map(chr, range(0x20000)))
    categories = np.frombuffer("".join(map(unicodedata.category, characters)).encode(), dtype="S2")
    initials = categories.view("S1")[::2]
    classes = np.zeros(0x110000, dtype=np.uint32)
    first_planes = classes[:0x20000]
    first_planes[initials == b"M"] = MARK
    first_planes[(initials == b"L") | (initials == b"N")] = LETTER
    for first, last in _WITHOUT_SPACES:
        numbers = (categories[first : last + 1] == b"Nd") | (categories[first : last + 1] == b"No")
        first_planes[first : last + 1][(first_planes[first : last + 1] == LETTER) & ~numbers] = ALONE
    classes[0x20000:0x40000] = ALONE  # nothing but Han
    classes[0xE0100:0xE01F0] = MARK  # they choose among variants of a character
    classes[list(map(ord, _JOINERS))] = MARK
    classes[list(map(ord, _INSIDE))] = INNER

    folded = np.arange(0x110000, dtype=np.uint32)
    for position in np.flatnonzero(np.isin(categories, [b"Lu", b"Ll", b"Lt", b"Nl"])).tolist():
        character = characters[position]
        forms = [form for form in (character.casefold(), character.lower()) if len(form) == 1]
        folded[position] = ord(forms[0]) if forms else position
    folded[ord("’")] = ord("'")
    return classes << CLASS_BITS | folded
