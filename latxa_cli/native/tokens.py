"""The tokens of a text, as the quality rules count them: words, and signs outside of words.

- Signs between two words of `text.words` join them into one (`3,5`, `a.eus`, `x@y`), except those that separate words,
  such as a hyphen, a slash or a comma between letters.
- Every other sign is a token by itself, except that a run of signs which draw rules and tables is one token (`...`,
  `|---|`).
- Such a run sticks to a word that follows it (`--help`, `/etc`).
"""

from __future__ import annotations

import numpy as np
from numba import njit

from latxa_cli.native.hashing import fmix64
from latxa_cli.native.kernel import kernel

LETTER, CAPITAL = 1, 2  # in the table of letters
LETTERS_BELOW = 0x20000  # the end of the table; code points beyond count as letters, since nearly all are Han letters

_RULES = np.array(sorted(map(ord, ".-|/\\^~@•")), np.uint32)  # signs whose runs are one token
_SEPARATORS = np.array(sorted(map(ord, "-~:<>=/")), np.uint32)  # signs that separate words before a letter
_POINT, _COMMA, _HYPHEN, _APOSTROPHE, _QUOTE = map(ord, ".,-'’")
LONGEST = 64  # characters; for the median, longer words count as this long
_MIX = np.uint64(0x9E3779B97F4A7C15)


@kernel
def most_tokens(codepoints: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> int:
    """Return an upper bound of a text's tokens: its words, its apostrophes, and its characters outside of words."""
    apostrophes = 0
    for code in codepoints:
        apostrophes += (code == _APOSTROPHE) | (code == _QUOTE)
    return len(codepoints) - (ends - starts).sum() + len(starts) + apostrophes


@kernel
def tokenise(
    codepoints: np.ndarray,
    starts: np.ndarray,
    ends: np.ndarray,
    hashes: np.ndarray,
    letters: np.ndarray,
    lengths: np.ndarray,
    marks: np.ndarray,
) -> tuple[int, tuple[float, ...]]:
    """Return the number of tokens, and the figures of the words.

    - codepoints, starts, ends, hashes: a text's `Words`.
    - letters: the table of `corpus.quality.letter_classes`.
    - lengths (i32), marks (u64): get the length and the hash of each token; `most_tokens` gives their size.

    The figures are those of `corpus.quality.Figures` from `words` to `alphabetic_tokens`.
    """
    by_length = np.zeros(LONGEST + 1, np.int64)
    count = word = position = words = alphabetic = characters = 0
    word_end = -1
    while position < len(codepoints):
        if is_space(codepoints[position]):
            position += 1
            continue
        first, mark = position, np.uint64(0)
        if word == len(starts) or position < starts[word]:
            position = _sign(codepoints, position, starts[word] if word < len(starts) else len(codepoints))
            mark = _hash(codepoints[first:position])
        at_word = word < len(starts) and position == starts[word]
        if at_word and (position == first or _sticks(codepoints, first, position, word_end)):
            mark ^= hashes[word]
            while word + 1 < len(starts) and _joined(codepoints, ends[word], starts[word + 1], letters):
                word += 1
                mark = fmix64(mark ^ _hash(codepoints[ends[word - 1] : starts[word]])) ^ hashes[word]
            position = word_end = ends[word]
            word += 1
            while first < position:  # an apostrophe ends a word, as in `l'aigua`
                end, has_letter = _piece(codepoints, first, position, letters)
                words += 1
                alphabetic += has_letter
                characters += end - first
                by_length[min(end - first, LONGEST)] += 1
                lengths[count] = end - first
                marks[count] = mark
                count += 1
                mark = fmix64(mark + _MIX)
                first = end
        else:
            lengths[count] = position - first
            marks[count] = mark
            count += 1
    of = max(words, 1)
    shares = (characters / of, _median(by_length, of), alphabetic / of, alphabetic / max(count, 1))
    return count, (float(words), *shares)


@njit(inline="always")
def is_space(code: int) -> bool:
    """Whether a code point is white space; other spaces and controls do not occur in clean text."""
    return code <= 32 or code == 0xA0 or code == 0x3000 or 0x2000 <= code <= 0x200B or code == 0x2028


@kernel
def _sign(codepoints: np.ndarray, position: int, limit: int) -> int:
    """Return the end of the token that begins with a sign, `limit` at most."""
    end = position + 1
    if among(_RULES, codepoints[position]):
        while end < limit and among(_RULES, codepoints[end]):
            end += 1
    return end


@kernel
def _hash(signs: np.ndarray) -> np.uint64:
    value = _MIX
    for code in signs:
        value = (value ^ np.uint64(code)) * _MIX
    return fmix64(value)


@kernel
def _sticks(codepoints: np.ndarray, first: int, end: int, word_end: int) -> bool:
    """Whether the signs from `first` to `end` belong to the word that begins at `end`."""
    last = codepoints[end - 1]
    return first != word_end and last != _POINT and among(_RULES, last)


@kernel
def _joined(codepoints: np.ndarray, end: int, start: int, letters: np.ndarray) -> bool:
    """Whether the signs between two words, from `end` to `start`, join them into one."""
    for code in codepoints[end:start]:
        if code <= 32 or code > 126:
            return False
    code = codepoints[end]
    before, after = _letter(codepoints[end - 1], letters), _letter(codepoints[start], letters)
    if start - end == 1:
        if code == _HYPHEN and not before and not after:
            return False
        if code == _COMMA:
            return not (before and after)
        if code == _POINT:
            return not (before == LETTER and after == CAPITAL)
        return not (after and among(_SEPARATORS, code))
    part = code == codepoints[start - 1] and code in (_POINT, _HYPHEN)  # `...`, `--`
    return start > end and not part


@njit(inline="always")
def _letter(code: int, letters: np.ndarray) -> int:
    return letters[code] if code < LETTERS_BELOW else LETTER


@kernel
def _piece(codepoints: np.ndarray, start: int, end: int, letters: np.ndarray) -> tuple[int, bool]:
    """Return the end of the piece that begins at `start`, `end` at most, and whether it holds a letter."""
    has_letter = False
    for position in range(start, end):
        code = codepoints[position]
        if code in (_APOSTROPHE, _QUOTE):
            return position + 1, has_letter
        has_letter = has_letter or _letter(code, letters) > 0
    return end, has_letter


@njit(inline="always")
def among(codes: np.ndarray, code: int) -> bool:
    """Whether `code` is in the sorted array `codes`."""
    place = np.searchsorted(codes, code)
    return bool(place < len(codes) and codes[place] == code)


@kernel
def _median(by_length: np.ndarray, words: int) -> float:
    """Return the median length of words, given the number of words of each length."""
    below, middle, lower = 0, 0.0, -1
    for length in range(len(by_length)):
        below += by_length[length]
        if lower < 0 and 2 * below >= words:
            lower = length
        if 2 * below > words:
            middle = (lower + length) / 2
            break
    return middle
