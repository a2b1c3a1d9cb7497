"""The clean form of a text, its words, and the fingerprint by which exact duplicates are found.

Nothing here depends on a language. Clean text, which is most text, is only searched and never rebuilt: each step
stands behind a cheap test whether there is anything to do.
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache
from itertools import islice

# What becomes a plain line end: vertical tab, form feed, carriage return, next line, line and paragraph separator.
_LINE_ENDS = "\x0b\x0c\r\x85\u2028\u2029"
# What becomes a plain space: every space separator (category Zs) but the space itself.
_SPACES = "\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000"
# What goes: controls, the soft hyphen and the byte order mark, which only tear words apart, lone surrogates, which no
# UTF-8 file can hold, and noncharacters. Joiners (U+200C, U+200D) and the zero-width space stay: in Persian, Hindi
# or Khmer they carry meaning.
_CONTROLS = "".join(map(chr, [*range(0x20), *range(0x7F, 0xA0)]))
_DROPPED = set(_CONTROLS) - set("\t\n" + _LINE_ENDS) | set("\xad\ufeff\ufffe\uffff")

_TABLE: dict[int, str | None] = (
    {ord(c): None for c in _DROPPED} | dict.fromkeys(map(ord, _LINE_ENDS), "\n") | dict.fromkeys(map(ord, _SPACES), " ")
)
_UNUSUAL = re.compile(f"[{''.join(map(re.escape, map(chr, sorted(_TABLE))))}\ud800-\udfff]")
_SURROGATES = re.compile("[\ud800-\udfff]+")
_INNER_RUNS = re.compile(r"(?<=\S)[ \t]{2,}")
_BLANK_LINES = re.compile(r"\n{3,}")


def normalise(text: str) -> str:
    """Return `text` in its clean form; doing it twice changes nothing more.

    Line ends become `\\n` and unusual spaces plain ones, controls go, Unicode is composed (NFC), runs of spaces and
    tabs inside a line become one space, no line ends in a space, at most one empty line separates paragraphs, and the
    whole is stripped. The indentation of a line stays, since code depends on it.
    """
    if _UNUSUAL.search(text):
        text = _SURROGATES.sub("", text.replace("\r\n", "\n")).translate(_TABLE)
    # After the removals, which can bring a letter and its accent together.
    text = unicodedata.normalize("NFC", text)
    if " \n" in text or "\t\n" in text:
        text = "\n".join([line.rstrip(" \t") for line in text.split("\n")])
    if "  " in text or "\t" in text:
        text = _INNER_RUNS.sub(" ", text)
    if "\n\n\n" in text:
        text = _BLANK_LINES.sub("\n\n", text)
    return text.strip()


@cache
def _word_pattern() -> re.Pattern[str]:
    """Return the pattern of a word. Python's `\\w` lacks combining marks, without which Hindi or Tamil falls apart."""
    joiners = "\u200c\u200d"
    separators = [
        re.escape(c)
        for c in map(chr, range(0x10000))
        if not (c.isalnum() or unicodedata.category(c)[0] == "M" or c in joiners)
    ]
    # Beyond the first plane only symbols and emoji separate: with more ranges the search is ten times slower.
    word = f"[^{''.join(separators)}\U0001f000-\U0001faff]+"
    return re.compile(f"{word}(?:['’·]{word})*")


def words(text: str) -> list[str]:
    """Return the words of `text`: runs of letters, marks and digits, joined by an apostrophe or a middle dot inside.

    Scripts that put no space between words (Thai, Chinese, Japanese) come out as the runs between punctuation.
    """
    return _word_pattern().findall(text)


def has_words(text: str, minimum: int) -> bool:
    """Say whether `text` has at least `minimum` words, without reading further than needed."""
    return minimum <= 0 or next(islice(_word_pattern().finditer(text), minimum - 1, None), None) is not None


def fingerprint(text: str) -> bytes:
    """Return 16 bytes (XXH3, 128 bits) that are the same for texts which differ in case and white space alone.

    `text` is expected in its clean form. Among 10^10 texts an accidental match has a chance below 10^-18.
    """
    import xxhash

    return xxhash.xxh3_128_digest(" ".join(text.casefold().split()).encode("utf-8", "surrogatepass"))
