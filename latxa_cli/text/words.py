"""The words of a text: the start and end of each, and a hash that does not depend on case.

Words are runs of letters, marks and digits; an apostrophe or a middle dot may be inside (`l'home`, `col·lega`). In
scripts without spaces (Han, kana, Thai, Lao, Khmer, Myanmar …) each letter with its marks is a word, since finding real
words needs a dictionary. Near duplicates, contamination and the quality rules all use these words.

Limits in words are about lengths, so that they mean as much text in every script: there `DENSE_LETTERS` letters of Han
or kana are as long as a word, and `ALONE_LETTERS` letters of the other scripts without spaces. In the news of NTREX-128
(arXiv 2210.05210; 42,500 words of English) there are about 1.8 letters in Chinese for each word of the English, 2.4 in
Japanese, and 4 in Thai, Lao, Khmer and Burmese.
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache, cached_property

import numpy as np

from latxa_cli.native import words as kernels
from latxa_cli.native.words import ALONE, CLASS_BITS, DENSE, INNER, LETTER, MARK

_JOINERS = "\u200c\u200d"  # they change the shape of the letters beside them, as marks do
_INSIDE = "'’·"
# Letters of line breaking class SA, ID or CJ (Unicode Standard Annex 14) have no spaces between words.
_ALONE = (
    (0x0E00, 0x0EFF), (0x1000, 0x109F), (0x1780, 0x17FF), (0x1950, 0x19DF), (0x1A20, 0x1AAF),  # Thai … Tai Tham
    (0xA9E0, 0xA9FF), (0xAA60, 0xAADF), (0x11700, 0x1174F),  # Myanmar, Tai Viet, Ahom
)  # fmt: skip
_DENSE = (
    (0x2E80, 0x2FDF), (0x3005, 0x3007), (0x3021, 0x3029), (0x3038, 0x30FF), (0x31F0, 0x31FF),  # radicals, kana
    (0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xF900, 0xFAFF), (0xFF66, 0xFF9F), (0x1AFF0, 0x1B16F),  # Han, more kana
)  # fmt: skip
_OF_HAN_ALONE = (0x20000, 0x3FFFF)  # planes
_WITHOUT_SPACES = re.compile(
    "[" + "".join(f"{chr(first)}-{chr(last)}" for first, last in (*_ALONE, *_DENSE, _OF_HAN_ALONE)) + "]"
)


class Words:
    """The words of one text.

    - codepoints: u32, the text.
    - starts, ends: i64, the positions of each word in the text, the end excluded.
    - hashes: u64, of each word casefolded and with plain apostrophes.
    """

    def __init__(self, codepoints: np.ndarray, starts: np.ndarray, ends: np.ndarray, hashes: np.ndarray) -> None:
        self.codepoints = codepoints
        self.starts = starts
        self.ends = ends
        self.hashes = hashes

    def __len__(self) -> int:
        return len(self.starts)

    @cached_property
    def length(self) -> int:
        """The number of words in a text as long as this one in scripts with spaces."""
        return int(kernels.whole(self.exact_length))

    @cached_property
    def exact_length(self) -> float:
        kinds = table()[self.codepoints[self.starts]] >> CLASS_BITS
        return float(kernels.length_of(len(kinds), int((kinds == ALONE).sum()), int((kinds == DENSE).sum())))


def segment(text: str) -> Words:
    """Return the words of any string; lone surrogates separate words."""
    codepoints = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
    return Words(codepoints, *kernels.segment(codepoints, table()))


def words(text: str) -> list[str]:
    """Return the words of `text` as strings."""
    found = segment(text)
    return [text[start:end] for start, end in zip(found.starts.tolist(), found.ends.tolist(), strict=True)]


def length(text: str, *, lettered: bool = False) -> int:
    """Return the length of `text` in words as `wc -w` counts them, without regard to signs inside them.

    - In scripts without spaces it is that of `Words.length`.
    - lettered: only words with a letter count.
    """
    pieces = text.split()
    if lettered:
        pieces = [piece for piece in pieces if any(map(str.isalpha, piece))]
    if not _WITHOUT_SPACES.search(text):
        return len(pieces)
    others = [piece for piece in pieces if _WITHOUT_SPACES.search(piece)]
    return len(pieces) - len(others) + segment(" ".join(others)).length


@cache
def table() -> np.ndarray:
    """Return u32 [0x110000]: for each code point its class above `CLASS_BITS`, and below them its value in hashes.

    It is built once per process, in 25 ms, since `unicodedata` is asked only about the first two planes.
    """
    characters = list(map(chr, range(0x20000)))
    categories = np.frombuffer("".join(map(unicodedata.category, characters)).encode(), dtype="S2")
    initials = categories.view("S1")[::2]
    classes = np.zeros(0x110000, dtype=np.uint32)
    first_planes = classes[:0x20000]
    first_planes[initials == b"M"] = MARK
    first_planes[(initials == b"L") | (initials == b"N")] = LETTER
    blocks = [(*block, ALONE) for block in _ALONE] + [(*block, DENSE) for block in _DENSE]
    for first, last, kind in blocks:
        numbers = (categories[first : last + 1] == b"Nd") | (categories[first : last + 1] == b"No")
        first_planes[first : last + 1][(first_planes[first : last + 1] == LETTER) & ~numbers] = kind
    classes[_OF_HAN_ALONE[0] : _OF_HAN_ALONE[1] + 1] = DENSE
    classes[0xE0100:0xE01F0] = MARK  # variation selectors
    classes[list(map(ord, _JOINERS))] = MARK
    classes[list(map(ord, _INSIDE))] = INNER

    folded = np.arange(0x110000, dtype=np.uint32)
    for position in np.flatnonzero(np.isin(categories, [b"Lu", b"Ll", b"Lt", b"Nl"])).tolist():
        character = characters[position]
        forms = [form for form in (character.casefold(), character.lower()) if len(form) == 1]
        folded[position] = ord(forms[0]) if forms else position
    folded[ord("’")] = ord("'")
    return classes << CLASS_BITS | folded
