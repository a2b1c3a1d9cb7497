"""The tokens of a text, found in each piece between spaces."""

from __future__ import annotations

import re
from statistics import median
from typing import NamedTuple

import numpy as np

from latxa_cli.native.tokens import CAPITAL, LETTER, LETTERS_BELOW, LONGEST

_RULES = ".-|/\\^~@•"
_SPACES = "\x00-\x20\xa0\u2000-\u200b\u2028\u3000"
_PIECE = re.compile(f"[^{_SPACES}]+")
_SIGN = re.compile(f"[{re.escape(_RULES)}]+|.", re.DOTALL)

Span = tuple[int, int]


class Token(NamedTuple):
    """A token: its text, whether it is a word, and a key that equal tokens share."""

    text: str
    is_word: bool
    key: object


def text_of(codepoints: np.ndarray) -> str:
    return codepoints.tobytes().decode("utf-32-le", "surrogatepass")


def is_space(code: int) -> bool:
    return not _PIECE.match(chr(code))


def among(codes: np.ndarray, code: int) -> bool:
    return code in codes.tolist()


def most_tokens(codepoints: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> int:
    text = text_of(codepoints)
    return len(text) - int((ends - starts).sum()) + len(starts) + text.count("'") + text.count("’")


def tokenise(
    codepoints: np.ndarray,
    starts: np.ndarray,
    ends: np.ndarray,
    hashes: np.ndarray,
    letters: np.ndarray,
    lengths: np.ndarray,
    marks: np.ndarray,
) -> tuple[int, tuple[float, ...]]:
    """Write the tokens; the marks are other numbers than the kernel's, and only agree in which of them are equal."""
    found = tokens(text_of(codepoints), list(zip(starts.tolist(), ends.tolist(), strict=True)), letters)
    numbers: dict[object, int] = {}
    for place, token in enumerate(found):
        lengths[place], marks[place] = len(token.text), numbers.setdefault(token.key, len(numbers))
    words = [token.text for token in found if token.is_word]
    sizes = [len(word) for word in words]
    alphabetic = sum(any(_kind(sign, letters) for sign in word) for word in words)
    of = max(len(words), 1)
    middle = float(median([min(size, LONGEST) for size in sizes] or [0]))
    return len(found), (float(len(words)), sum(sizes) / of, middle, alphabetic / of, alphabetic / max(len(found), 1))


def tokens(text: str, words: list[Span], letters: np.ndarray) -> list[Token]:
    """Return the tokens of a text whose words are at the given spans."""
    found: list[Token] = []
    for start, end in (match.span() for match in _PIECE.finditer(text)):
        found += _of_piece(text, start, end, [word for word in words if start <= word[0] < end], letters)
    return found


def _of_piece(text: str, start: int, end: int, words: list[Span], letters: np.ndarray) -> list[Token]:
    found: list[Token] = []
    groups: list[list[Span]] = []  # words that signs join into one
    for word in words:
        if groups and _are_joined(text, groups[-1][-1][1], word[0], letters):
            groups[-1].append(word)
        else:
            groups.append([word])
    position = start
    for group in [*groups, []]:
        first, last = (group[0][0], group[-1][1]) if group else (end, end)
        signs = _SIGN.findall(text[position:first])
        leads = ""
        sticks = signs and signs[-1][-1] in _RULES.replace(".", "")
        if group and sticks and not (found and found[-1].is_word and len(signs) == 1 and position > start):
            leads = signs.pop()
        found += [Token(sign, False, sign) for sign in signs]
        if group:
            whole = leads + text[first:last]
            key = whole.casefold().replace("’", "'")
            parts = re.findall("[^'’]*['’]|[^'’]+", whole)  # `l'aigua`
            found += [Token(part, True, (key, place)) for place, part in enumerate(parts)]
        position = last
    return found


def _kind(sign: str, letters: np.ndarray) -> int:
    """Return `LETTER`, `CAPITAL`, or 0 for a sign that is no letter."""
    return int(letters[ord(sign)]) if ord(sign) < LETTERS_BELOW else LETTER


def _are_joined(text: str, end: int, start: int, letters: np.ndarray) -> bool:
    signs, before, after = text[end:start], _kind(text[end - 1], letters), _kind(text[start], letters)
    if not signs or not all("!" <= sign <= "~" for sign in signs):
        return False
    if len(signs) > 1:
        return signs[0] != signs[-1] or signs[0] not in ".-"
    if signs == "-":
        return bool(before) and not after
    if signs == ",":
        return not (before and after)
    if signs == ".":
        return not (before == LETTER and after == CAPITAL)
    return not (after and signs in "~:<>=/")
