"""The words of an answer among which other languages are searched for, and what else is known of each.

Not searched are:

- code, formulas, addresses, paths, placeholders and tags (see `text.spans`), and words with digits;
- quotations between quotation marks within a line, lines of block quotes, and glosses: some words in another script
  between brackets, `(北京)`;
- names: words that have a capital, but do not begin a sentence, and short words between two of them (`Bank of the
  West`). Where a quarter of all letters or more are capitals, these tell no names.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from latxa_cli.text.language import CAPITALS
from latxa_cli.text.scripts import script_of
from latxa_cli.text.spans import spans
from latxa_cli.text.words import Words, segment

# A quotation ends in its line, and is not endless, so that a search takes linear time. Single quotation marks are told
# from apostrophes by what stands beside them.
_QUOTATION = re.compile(
    r"“[^“”\n]{0,1000}+”|„[^„“”\n]{0,1000}+[“”]|«[^«»\n]{0,1000}+»|‹[^‹›\n]{0,1000}+›"
    r"|「[^「」\n]{0,1000}+」|『[^『』\n]{0,1000}+』|(?<!\w)\"[^\"\n]{0,1000}+\""
    r"|(?<!\w)[‘'](?=\w)(?:[^\n'’‘]|(?<=\w)[’'](?=\w)){1,1000}+['’](?!\w)"
    r"|^[ \t]*+>[^\n]*+",
    re.MULTILINE,
)
_BRACKET = re.compile(r"[(\[（][^()\[\]（）\n]{1,60}[)\]）]")
_GLOSS = 5  # words, at most
# Between a word and one before it in the same sentence.
_WITHIN = re.compile(r"[ \t,;/&+*_)(\]’'·–-]*")
_PARTICLES, _PARTICLE = 2, 3  # so many short words between two names belong to a name, and so long they are
_WHOLE = frozenset(("CJK", "HIRAGANA", "KATAKANA", "HANGUL"))  # scripts in which a letter may be a word

OTHER, SEARCHED, OWN, FOREIGN = range(4)


@dataclass(frozen=True)
class Searched:
    """The words of a text, in order.

    - kinds: i8, of each word: `SEARCHED`; `OWN`, which may show that the text is in its own language, but not that it
      is in another one; `FOREIGN`, in a script that the language does not have; `OTHER`, not searched.
    """

    words: Words
    kinds: np.ndarray

    @property
    def count(self) -> int:
        """The number of words that are searched."""
        return int((self.kinds != OTHER).sum())


def searched(text: str, scripts: frozenset[str], known: np.ndarray) -> Searched:
    """Return the words of `text`.

    - scripts: those of its language, by `text.scripts`.
    - known: u64, the sorted hashes of words (`Words.hashes`) that stand in the prompt.
    """
    words = segment(text)
    found = [text[start:end] for start, end in zip(words.starts.tolist(), words.ends.tolist(), strict=True)]
    kinds = np.full(len(found), SEARCHED, np.int8)
    foreign = _foreign(text, found, scripts)
    kinds[foreign] = FOREIGN
    _mark_names(text, words, found, kinds)
    if len(known) and len(found):
        at = np.minimum(np.searchsorted(known, words.hashes), len(known) - 1)
        in_prompt = known[at] == words.hashes
        kinds[in_prompt & (kinds == SEARCHED)] = OWN
        kinds[in_prompt & (kinds == FOREIGN)] = OTHER
    hidden = np.zeros(len(text) + 1, bool)
    for start, end in _not_prose(text):
        hidden[start:end] = True
    if foreign:
        _hide_glosses(text, words, kinds, hidden)
    kinds[hidden[words.starts]] = OTHER
    return Searched(words, kinds)


def _not_prose(text: str) -> list[tuple[int, int]]:
    quoted = [found.span() for found in _QUOTATION.finditer(text)]
    return quoted + [(span.start, span.end) for span in spans(text) if span.kind != "rule"]


def _foreign(text: str, found: list[str], scripts: frozenset[str]) -> list[int]:
    """Return the numbers of the words whose letters are all in other scripts."""
    if not scripts or (text.isascii() and "LATIN" in scripts):
        return []
    strange = {letter for letter in set(text) if letter.isalpha() and script_of(letter) not in {"", *scripts}}
    if not strange:
        return []
    return [number for number, word in enumerate(found) if _is_foreign(word, strange)]


def _is_foreign(word: str, strange: set[str]) -> bool:
    """Whether a word has only strange letters; one alone is a sign as in formulas, unless it may be a word."""
    letters = [letter for letter in word if letter.isalpha()]
    if not letters or not strange.issuperset(letters):
        return False
    return len(letters) > 1 or script_of(letters[0]) in _WHOLE


def _mark_names(text: str, words: Words, found: list[str], kinds: np.ndarray) -> None:
    """Mark words with digits and names as `OTHER`, and capitalised words at the beginning of a sentence as `OWN`."""
    capitals = sum(map(str.isupper, text))
    shouted = capitals > CAPITALS * sum(map(str.isalpha, text))
    names: list[int] = []
    end = 0
    for number, word in enumerate(found):
        start = int(words.starts[number])
        if any(map(str.isnumeric, word)):
            kinds[number] = OTHER
        elif not shouted and word != word.lower():
            within = number > 0 and _WITHIN.fullmatch(text, end, start)
            if within or word[1:] != word[1:].lower():
                kinds[number] = OTHER
                if names and number - names[-1] <= _PARTICLES + 1:
                    between = range(names[-1] + 1, number)
                    if all(len(found[middle]) <= _PARTICLE for middle in between):
                        kinds[list(between)] = OTHER
                names.append(number)
            elif kinds[number] == SEARCHED:
                kinds[number] = OWN
                names.append(number)
        end = int(words.ends[number])


def _hide_glosses(text: str, words: Words, kinds: np.ndarray, hidden: np.ndarray) -> None:
    """Hide what stands between brackets if all of its words are in another script, and are not many."""
    for bracket in _BRACKET.finditer(text):
        first, behind = np.searchsorted(words.starts, bracket.span())
        inside = kinds[first:behind]
        if 0 < len(inside) <= _GLOSS and (inside == FOREIGN).any() and not np.isin(inside, (SEARCHED, OWN)).any():
            hidden[bracket.start() : bracket.end()] = True
