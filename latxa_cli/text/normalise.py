"""The clean form of a text, and the fingerprint by which exact duplicates are found.

Nothing here depends on a language. Most texts are clean already: they are scanned once and returned as they are.
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache

import numpy as np

from latxa_cli.native.normal_form import (
    BLANK,
    COMPOSABLE,
    CONTINUATION,
    GAPS,
    LEAD_2,
    LEAD_3,
    LEAD_4,
    LINE_END,
    LOOSE_ENDS,
    MOJIBAKE,
    RUNS,
    STRANGE,
    UNCOMPOSED,
    UNUSUAL,
    defects,
)
from latxa_cli.text.fences import code_lines, may_have_fences

# These become a line end: vertical tab, form feed, carriage return, next line, line and paragraph separator.
_LINE_ENDS = "\x0b\x0c\r\x85\u2028\u2029"
# These become a space: all space separators (category Zs) except the space itself.
_SPACES = "\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000"
# These are removed: controls, the soft hyphen and the byte order mark, which split words, lone surrogates, which no
# UTF-8 file can hold, and noncharacters. Joiners (U+200C, U+200D) and the zero-width space stay, since they carry
# meaning in Persian, Hindi or Khmer.
_CONTROLS = "".join(map(chr, [*range(0x20), *range(0x7F, 0xA0)]))
_DROPPED = set(_CONTROLS) - set("\t\n" + _LINE_ENDS) | set("\xad\ufeff\ufffe\uffff")

_TABLE: dict[int, str | None] = (
    {ord(c): None for c in _DROPPED} | dict.fromkeys(map(ord, _LINE_ENDS), "\n") | dict.fromkeys(map(ord, _SPACES), " ")
)
_SURROGATES = re.compile("[\ud800-\udfff]+")
_INNER_RUNS = re.compile(r"[ \t][ \t](?<=\S[ \t][ \t])[ \t]*")  # it tests two blanks first, since they are rare
_BLANK_LINES = re.compile(r"\n{3,}")


def normalise(text: str) -> str:
    """Return `text` in its clean form; a second call changes nothing.

    - Mojibake is repaired (by ftfy): UTF-8 that was decoded as another encoding, as in `Ã±`.
    - Line ends become `\\n`, unusual spaces become plain ones, and controls are removed.
    - Unicode is composed (NFC).
    - Runs of spaces and tabs inside a line become one space, and blanks at the end of a line are removed. Indentation
      stays, since code depends on it.
    - At most one empty line separates paragraphs, and the text is stripped.
    - Spaces and empty lines of code in fences stay.
    """
    while True:
        found = defects(np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32), _kinds())
        # The repair comes first and alone, since wrongly decoded bytes may look like spaces and controls.
        clean = _repaired(text) if found & MOJIBAKE else text
        if clean == text:
            clean = _clean(text, found)
        # A removal can join characters that another step acts on, such as a letter and its accent: so try again.
        if clean == text:
            return clean
        text = clean


def _clean(text: str, found: int) -> str:
    """Return `text` after the steps for the defects in `found`."""
    if found & STRANGE:
        text = _SURROGATES.sub("", text.replace("\r\n", "\n")).translate(_TABLE)
    if found & UNCOMPOSED:
        text = unicodedata.normalize("NFC", text)
    if found & (LOOSE_ENDS | RUNS | GAPS) and may_have_fences(text):
        text = _spaced_around_code(text)
    else:
        if found & LOOSE_ENDS:
            text = "\n".join([line.rstrip(" \t") for line in text.split("\n")])
        if found & RUNS:
            text = _INNER_RUNS.sub(" ", text)
        if found & GAPS:
            text = _BLANK_LINES.sub("\n\n", text)
    return text.strip()


def _spaced_around_code(text: str) -> str:
    lines = text.split("\n")
    spaced: list[str] = []
    for line, is_code in zip(lines, code_lines(lines), strict=True):
        if is_code:
            spaced.append(line)
        elif (clean := _INNER_RUNS.sub(" ", line.rstrip(" \t"))) or spaced[-1:] != [""]:
            spaced.append(clean)
    return "\n".join(spaced)


def _repaired(text: str) -> str:
    """Undo wrong decodings of the whole text where possible, else of each line, since only some lines may be wrong."""
    from ftfy import fix_encoding
    from ftfy.badness import is_bad

    if not is_bad(text):
        return text
    for encoding in ("latin-1", "sloppy-windows-1252"):
        try:
            return text.encode(encoding).decode("utf-8")
        except UnicodeError:
            continue
    return "\n".join([line if line.isascii() else fix_encoding(line) for line in text.split("\n")])


@cache
def _kinds() -> np.ndarray:
    """Return u8 [0x110000]: the kinds of each code point, as a sum of flags."""
    kinds = np.zeros(0x110000, dtype=np.uint8)
    kinds[0x300:] = COMPOSABLE  # below, every character is its own composed form
    kinds[list(_TABLE)] |= UNUSUAL
    kinds[0xD800:0xE000] |= UNUSUAL
    kinds[[ord(" "), ord("\t")]] |= BLANK
    kinds[ord("\n")] |= LINE_END
    kinds[0xC2:0xE0] |= LEAD_2
    kinds[0xE0:0xF0] |= LEAD_3
    kinds[0xF0:0xF5] |= LEAD_4
    kinds[0x80:0xC0] |= CONTINUATION
    kinds[list(map(ord, bytes(range(0x80, 0xA0)).decode("windows-1252", "ignore")))] |= CONTINUATION
    return kinds


def fingerprint(text: str) -> bytes:
    """Return the XXH3 hash (128 bits) of a text; the probability of any collision among 10^10 texts is below 10^-18."""
    import xxhash

    return xxhash.xxh3_128_digest(text.encode("utf-8", "surrogatepass"))
