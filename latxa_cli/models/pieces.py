"""The pieces of a BPE tokenizer, and the rules by which they may join to new ones.

Two kinds of tokenizer can be extended.

- Byte-level (GPT-2, Llama 3, Qwen): text is written as bytes, and the pre-tokenizer says where words end.
- From SentencePiece (Llama 2, Mistral, Gemma): a space is written as `▁`, and a character without a piece as bytes.
  The rule for the ends of words belongs to the training of the tokenizer, which does not keep it.
"""

from __future__ import annotations

import json
import unicodedata
from array import array
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any

import numpy as np

from latxa_cli.stream.errors import LatxaError
from latxa_cli.stream.records import JsonObject

if TYPE_CHECKING:
    from tokenizers import Tokenizer

SPACE = "▁"
DIGITS = frozenset("0123456789")
# A vocabulary follows a rule if fewer pieces than this share break it.
RARE = 0.001
# A character without a piece is two symbols, from this number on, which is above all ids. The pair joins to its piece.
_HALVES = 1 << 30
SymbolCounts = Counter[bytes]  # of words: their symbols as i32


@dataclass(frozen=True)
class Piece:
    """A new piece: its text in the vocabulary, the old tokens that make it up, and its merge."""

    text: str
    parts: tuple[int, ...]
    merge: tuple[str, str] | None  # None for a single character, which no merge makes


class Pieces:
    """The old pieces of a tokenizer, and up to `most` new ones.

    Attributes:
        first: the id of the first new piece.
        new: the new pieces, in the order of their ids.
        cuts_before: bool [ids], whether a token always begins a word.
        cuts_behind: bool [ids], whether a token always ends a word.
    """

    def __init__(self, described: JsonObject, most: int) -> None:
        model = described["model"]
        self.most = most
        self.texts: dict[int, str] = {number: text for text, number in model["vocab"].items()}
        self.added: dict[int, str] = {token["id"]: token["content"] for token in described["added_tokens"]}
        self.first = max([*self.texts, *self.added]) + 1
        self.fixed = {*self.added, model["vocab"].get(model.get("unk_token"), -1)} - {-1}  # they join nothing
        self.new: list[Piece] = []
        self.cuts_before = np.zeros(self.first, bool)
        self.cuts_before[list(self.fixed)] = True
        self.cuts_behind = self.cuts_before.copy()
        self._known = set(model["vocab"])
        self._contents = sorted(set(self.added.values()))
        self._steps: dict[int, tuple[int, int]] = {}  # new pieces that only lead to others, which are not there yet

    @property
    def is_full(self) -> bool:
        """Whether all `most` pieces are learnt; steps that lead to no other piece yet do not count."""
        return len(self.new) - len(self._steps) == self.most

    def join(self, left: int, right: int) -> int | None:
        """Join two pieces; return the symbol of the new one, or None for two that must not be joined."""
        text = self.texts[left] + self.texts[right]
        if text in self._known or not self.fit(left, right):
            return None
        shown = self.spelled(text)
        if any(content in shown or content in text for content in self._contents):
            return None  # the tokenizer takes added tokens out of the text first, so that this piece never applies
        is_step, needed = self.is_step(text), self._needed(left, right)
        if not is_step and len(self.new) - len(self._steps) + len(needed) >= self.most:
            return None  # there is no room for the steps that lead to it
        number = self._add(Piece(text, self.parts(left) + self.parts(right), (self.texts[left], self.texts[right])))
        if is_step:
            self._steps[number] = (left, right)
        for step in () if is_step else needed:
            del self._steps[step]
        return number

    def _needed(self, *numbers: int) -> set[int]:
        """Return the steps among these pieces, and the steps that lead to them."""
        steps = {number for number in numbers if number in self._steps}
        return steps.union(*(self._needed(*self._steps[step]) for step in steps))

    def finish(self) -> dict[int, int]:
        """Drop steps that lead nowhere; return {symbol of a step: the number of tokens that stand for it instead}."""
        kept = [piece for number, piece in enumerate(self.new, self.first) if number not in self._steps]
        left_out: dict[int, int] = {}
        for step, halves in sorted(self._steps.items()):
            left_out[step] = sum(left_out.get(half, 1) for half in halves)
        self.new = kept
        self._steps = {}
        return left_out

    def parts(self, number: int) -> tuple[int, ...]:
        """Return the old tokens that make up a token."""
        return self.new[number - self.first].parts if number >= self.first else (number,)

    def _add(self, piece: Piece) -> int:
        number = self.first + len(self.new)
        self.texts[number] = piece.text
        self._known.add(piece.text)
        self.new.append(piece)
        return number

    def is_step(self, text: str) -> bool:
        """Whether a piece is useful only as a step to others."""
        return False

    def fit(self, left: int, right: int) -> bool:
        """Whether this kind of tokenizer may hold the two as one piece."""
        raise NotImplementedError

    def spelled(self, text: str) -> str:
        """Return a piece as a reader would see it."""
        raise NotImplementedError

    def cut(self, counts: SymbolCounts) -> SymbolCounts:
        """Return counts of words from counts of stretches of tokens between `cuts_before` and `cuts_behind`."""
        return counts

    def sizes(self, symbols: np.ndarray) -> np.ndarray:
        """Return i32 [symbols], the number of old tokens that each symbol of `cut` stands for."""
        return np.ones(len(symbols), np.int32)


# --- byte-level


class ByteLevelPieces(Pieces):
    """Pieces of bytes, written in the alphabet of GPT-2.

    A part of a character is learnt only as a step to the whole character, which has no other way to become a piece.
    """

    def __init__(self, described: JsonObject, most: int) -> None:
        super().__init__(described, most)
        self._bytes = {character: byte for byte, character in enumerate(alphabet())}

    def fit(self, left: int, right: int) -> bool:
        """Whether the two make whole characters, or the right one continues a character that the left one begins."""
        before, behind = self._encoded(self.texts[left]), self._encoded(self.texts[right])
        if before is None or behind is None:
            return False
        return _is_whole(before + behind) or (_is_open(before) and behind[0] & 0xC0 == 0x80)

    def is_step(self, text: str) -> bool:
        return not _is_whole(self._encoded(text) or b"")

    def spelled(self, text: str) -> str:
        return (self._encoded(text) or b"").decode("utf-8", "replace")

    def _encoded(self, text: str) -> bytes | None:
        numbers = [self._bytes.get(character, -1) for character in text]
        return bytes(numbers) if numbers and min(numbers) >= 0 else None


def alphabet() -> list[str]:
    """Return the character that GPT-2 writes for each byte; printable characters of Latin-1 stand for themselves."""
    printable = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = iter(range(0x100, 0x200))
    return [chr(byte if byte in printable else next(others)) for byte in range(256)]


def _is_whole(data: bytes) -> bool:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _is_open(data: bytes) -> bool:
    """Whether the last character of the UTF-8 in `data` is incomplete."""
    for place, byte in enumerate(reversed(data[-3:]), 1):
        if byte & 0xC0 != 0x80:
            return byte >= 0xC0 and place < (2 if byte < 0xE0 else 3 if byte < 0xF0 else 4)
    return False


# --- from SentencePiece


class SentencePieces(Pieces):
    """Pieces of characters, with bytes for characters that the tokenizer lacks.

    Words end where they ended when the vocabulary was learnt:

    - before every `▁`, always;
    - where the script changes (punctuation is a script of its own), if the old pieces keep to that;
    - around digits, if the old pieces keep to that.

    The bytes of a character that the tokenizer lacks never join, so that the character itself can become a piece.
    """

    def __init__(self, described: JsonObject, most: int) -> None:
        super().__init__(described, most)
        self._bytes = {
            number: int(text[3:5], 16) for number, text in self.texts.items() if text in BYTE_PIECES
        }  # fmt: skip
        self._script = Scripts()
        self._characters: dict[str, int] = {}  # that the tokenizer lacks, in the order of first appearance
        self._runs: list[tuple[int, ...]] = []  # the bytes of each, as ids
        for number, text in self.texts.items():
            self.cuts_before[number] |= text.startswith(SPACE)
            self.cuts_behind[number] |= text.startswith(2 * SPACE)
        self._read_habits()
        self._edges: dict[int, tuple[str, str]] = {}

    def _read_habits(self) -> None:
        """Set whether digits stand alone, and scripts apart, in the old pieces."""
        mixed = joined = 0
        for number, text in self.texts.items():
            if number not in self.fixed and number not in self._bytes and len(text) > 1:
                joined += not DIGITS.isdisjoint(text)
                mixed += len({self._script.of(character) for character in text} - {0}) > 1
        limit = RARE * len(self.texts)
        self._digits_alone, self._scripts_apart = joined < limit, mixed < limit

    def fit(self, left: int, right: int) -> bool:
        return left not in self._bytes and right not in self._bytes

    def join(self, left: int, right: int) -> int | None:
        if left < _HALVES and right < _HALVES:
            return super().join(left, right)
        if left % 2 or right != left + 1:  # only the two halves of one character join
            return None
        number = (left - _HALVES) // 2
        return self._add(Piece(list(self._characters)[number], self._runs[number], None))

    def spelled(self, text: str) -> str:
        return text.replace(SPACE, " ")

    def cut(self, counts: SymbolCounts) -> SymbolCounts:
        words: SymbolCounts = Counter()
        for stretch, count in counts.items():
            for word in self._words(array("i", stretch)):
                words[word.tobytes()] += count
        return words

    def sizes(self, symbols: np.ndarray) -> np.ndarray:
        lengths = np.array([[len(run), 0] for run in self._runs] or [[0, 0]], np.int32).reshape(-1)
        halves = symbols >= _HALVES
        return np.where(halves, lengths[np.where(halves, symbols - _HALVES, 0)], 1).astype(np.int32)

    def _words(self, stretch: array[int]) -> Iterator[array[int]]:
        """Cut a stretch of tokens into words of symbols; a byte outside a whole character is a word of its own."""
        word, last = array("i"), ""
        for symbols, first, end in self._symbols(stretch):
            if word and (not first or not last or self._is_apart(last, first)):
                yield word
                word = array("i")
            word.extend(symbols)
            last = end
        yield word

    def _symbols(self, stretch: array[int]) -> Iterator[tuple[tuple[int, ...], str, str]]:
        """Yield (symbols of one unit, first character, last character); both are empty where nothing may join."""
        for is_byte, group in groupby(stretch, self._bytes.__contains__):
            if is_byte:
                yield from self._from_bytes(tuple(group))
                continue
            for number in group:
                if number not in self._edges:
                    text = self.texts.get(number, "")
                    ending = text.rstrip("".join(filter(_is_mark, text))) or text
                    self._edges[number] = ("", "") if number in self.fixed else (text[:1], ending[-1:])
                yield ((number,), *self._edges[number])

    def _from_bytes(self, run: tuple[int, ...]) -> Iterator[tuple[tuple[int, ...], str, str]]:
        """Yield each character of a run of bytes as two symbols, but stray bytes and white space unchanged."""
        data = bytes(self._bytes[number] for number in run)
        place = 0
        for character in data.decode("utf-8", "replace") if _is_whole(data) else "\0" * len(run):
            length = len(character.encode())
            numbers = run[place : place + length]
            place += length
            if length == 1 or not character.isprintable():
                yield from (((number,), "", "") for number in numbers)
                continue
            if character not in self._characters:
                self._characters[character] = _HALVES + 2 * len(self._runs)
                self._runs.append(numbers)
            half = self._characters[character]
            yield (half, half + 1), character, character

    def _is_apart(self, last: str, first: str) -> bool:
        """Whether a word ends between two characters."""
        if last.isspace() or first.isspace():  # SentencePiece learns from single lines
            return True
        if self._digits_alone and (last in DIGITS or first in DIGITS):
            return True
        return self._scripts_apart and 0 != self._script.of(last) != self._script.of(first) != 0


BYTE_PIECES = frozenset(f"<0x{byte:02X}>" for byte in range(256))


class Scripts:
    """The script of a character, as a number; 0 goes with any script, and Han and kana are one, as in SentencePiece.

    The tokenizers library has no names of scripts: it only tells whether two characters share one.
    """

    def __init__(self) -> None:
        from tokenizers.pre_tokenizers import UnicodeScripts

        self._splits = UnicodeScripts().pre_tokenize_str
        self._examples: list[str] = []
        self._known: dict[str, int] = {SPACE: 0}

    def of(self, character: str) -> int:
        """Return the number of a character's script."""
        if character not in self._known:
            self._known[character] = 0 if _is_mark(character) else self._compared(character)
        return self._known[character]

    def _compared(self, character: str) -> int:
        for number, example in enumerate(self._examples, 1):
            if len(self._splits(example + character)) == 1:
                return number
        self._examples.append(character)
        return len(self._examples)


def _is_mark(character: str) -> bool:
    return unicodedata.category(character).startswith("M")


# --- which kind


def read_pieces(backend: Tokenizer, model: str, most: int) -> Pieces:
    """Return the pieces of `backend`, the tokenizer of `model`, with room for `most` new ones.

    Raises:
        LatxaError: a tokenizer of its kind cannot be extended.
    """
    described = json.loads(backend.to_str())
    settings = described["model"]
    refused = ""
    if settings["type"] != "BPE":
        refused = f"is of the kind `{settings['type']}`"
    elif setting := next((name for name in _REFUSED if settings.get(name)), ""):
        refused = f"has `{setting}`"
    elif _has(described["pre_tokenizer"], "ByteLevel") or _has(described["normalizer"], "ByteLevel"):
        return ByteLevelPieces(described, most)
    elif not settings["byte_fallback"] or not settings["vocab"].keys() >= BYTE_PIECES:
        refused = "cannot write every byte"
    else:
        return SentencePieces(described, most)
    raise LatxaError(
        f"`{model}`: its tokenizer {refused}, and cannot be extended",
        hint="a BPE tokenizer must be byte-level (Llama 3, Qwen) or fall back to bytes (Llama 2, Mistral, Gemma)",
    )


_REFUSED = ("dropout", "continuing_subword_prefix", "end_of_word_suffix")


def _has(part: Any, kind: str) -> bool:
    """Whether a normalizer or pre-tokenizer is of this kind, or is a sequence with one of this kind."""
    if isinstance(part, list):
        return any(_has(each, kind) for each in part)
    return isinstance(part, dict) and (
        part.get("type") == kind or _has(part.get("pretokenizers"), kind) or _has(part.get("normalizers"), kind)
    )
