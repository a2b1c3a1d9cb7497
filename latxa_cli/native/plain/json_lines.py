"""The grammar of the lines that the scanner accepts, as a parser by recursive descent."""

from __future__ import annotations

import re
from typing import NamedTuple

import numpy as np
import orjson

from latxa_cli.native import json_lines as places
from latxa_cli.native.plain.json_tokens import LITERAL, STRING, number_size
from latxa_cli.native.plain.memory import line, read

_BLANKS = re.compile(rb"[ \t\r]*")
_COMPARED = 8  # bytes of a name that are compared


def count_lines(start: int, end: int) -> int:
    return read(start, end).count(b"\n") + 1


def line_end(at: int, end: int) -> int:
    place = read(at, end).find(b"\n")
    return end if place < 0 else at + place


def blank(at: int, found: np.ndarray) -> int:
    size = _BLANKS.match(line(at)).end()  # type: ignore[union-attr]
    found[places.BLANKS] |= size > 0
    return at + size


def ends_line(at: int, end: int) -> bool:
    return at >= end or read(at, at + 1) == b"\n"


def record(at: int, found: np.ndarray, names: np.ndarray) -> int:
    """Read a record; `names` is not used, and the slots of `found` have no meaning where 0 is returned."""
    found[: places.SLOTS] = 0
    scanner = _Scanner(line(at), at, found)
    try:
        scanner.record()
    except (_RefusedError, UnicodeDecodeError):
        return 0
    return at + scanner.at


class _RefusedError(Exception):
    """The line is left to the reader."""


class _String(NamedTuple):
    start: int  # behind the quote
    spelled: bytes
    text: str

    @property
    def is_plain(self) -> bool:
        return b"\\" not in self.spelled


class _Scanner:
    def __init__(self, line: bytes, start: int, found: np.ndarray) -> None:
        self.line, self.start, self.at, self.found = line, start, 0, found
        self.open_names: list[list[bytes]] = []  # of each object that is open

    # --- tokens

    def blanks(self) -> None:
        size = _BLANKS.match(self.line, self.at).end() - self.at  # type: ignore[union-attr]
        self.found[places.BLANKS] |= size > 0
        self.at += size

    def next(self) -> bytes:
        return self.line[self.at : self.at + 1]

    def skip(self, sign: bytes) -> None:
        if self.next() != sign:
            raise _RefusedError
        self.at += 1

    def string(self) -> _String:
        token = STRING.match(self.line, self.at)
        if not token:
            raise _RefusedError
        token[0].decode()
        self.at = token.end()
        return _String(token.start(1), token[1], orjson.loads(token[0]))

    def plain(self, slot: int) -> None:
        """Read a string without escapes, and note where it is."""
        string = self.string()
        if not string.is_plain:
            raise _RefusedError
        self.found[slot], self.found[slot + 1] = self.start + string.start, len(string.spelled)

    def text(self) -> _String:
        string = self.string()
        self.found[places.WORDS] += len(string.text.split())
        self.found[places.BYTES] += len(string.text.encode())
        return string

    def number(self) -> None:
        size = number_size(self.line[self.at :])
        if not size:
            raise _RefusedError
        self.at += size

    # --- objects and lists

    def key(self) -> bytes:
        """Read a name without escapes, and the colon."""
        string = self.string()
        if not string.is_plain:
            raise _RefusedError
        self.blanks()
        self.skip(b":")
        self.blanks()
        return string.spelled

    def new_key(self) -> bytes:
        """Read a name; no other of the same object may begin with the same bytes."""
        name = self.key()
        beginning = name[:_COMPARED]
        if beginning in self.open_names[-1] or sum(map(len, self.open_names)) == places.NAMES_AT_MOST:
            raise _RefusedError
        self.open_names[-1].append(beginning)
        return name

    def goes_on(self, closing: bytes) -> bool:
        """Read the comma behind a member, or stop at the closing bracket; return whether another member follows."""
        self.blanks()
        if self.next() == closing:
            return False
        self.skip(b",")
        self.blanks()
        return True

    def value(self, depth: int = 0) -> None:
        sign = self.next()
        if sign in (b"{", b"["):
            if depth == places.DEEPEST:
                raise _RefusedError
            self.members(sign, depth)
        elif sign == b'"':
            self.string()
        elif literal := LITERAL.match(self.line, self.at):
            self.at = literal.end()
        else:
            self.number()

    def members(self, opening: bytes, depth: int) -> None:
        closing = b"}" if opening == b"{" else b"]"
        self.skip(opening)
        self.open_names.append([])
        self.blanks()
        more = self.next() != closing
        while more:
            if opening == b"{":
                self.new_key()
            self.value(depth + 1)
            more = self.goes_on(closing)
        self.open_names.pop()
        self.skip(closing)

    # --- records

    def record(self) -> None:
        self.skip(b"{")
        self.open_names.append([])
        self.blanks()
        more = True
        while more:
            self.field(self.new_key())
            more = self.goes_on(b"}")
        self.skip(b"}")
        if not self.found[places.ID_SIZE] or self.found[places.KIND] not in (places.DOCUMENT, places.CONVERSATION):
            raise _RefusedError

    def field(self, name: bytes) -> None:
        is_string = self.next() == b'"'
        if name == b"id":
            self.plain(places.ID)
        elif name == b"source":
            self.plain(places.SOURCE)
        elif name == b"text":
            text = self.text()
            self.found[places.TEXT], self.found[places.TEXT_SIZE] = self.start + text.start, len(text.spelled)
            self.found[places.KIND] |= places.DOCUMENT
        elif name == b"messages":
            self.messages()
            self.found[places.KIND] |= places.CONVERSATION
        elif name == b"metadata":
            self.metadata()
        elif name.startswith((b"messages", b"metadata", b"conversa", b"instruct")) or name == b"system":
            raise _RefusedError
        elif name == b"url" and is_string:
            self.plain(places.URL)
        elif name in (b"licence", b"license") and is_string:
            if self.found[places.LICENCE]:
                raise _RefusedError
            self.plain(places.LICENCE)
        else:
            self.value()

    def messages(self) -> None:
        self.skip(b"[")
        self.blanks()
        self.message()
        while self.goes_on(b"]"):
            self.message()
            self.found[places.BYTES] += 1
        self.skip(b"]")

    def message(self) -> None:
        self.skip(b"{")
        self.blanks()
        fields = set()
        more = True
        while more:
            name = self.key()
            if name == b"content" and name not in fields:
                self.text()
            elif name == b"role" and name not in fields:
                if self.string().spelled not in (b"user", b"assistant", b"system"):
                    raise _RefusedError
            else:
                raise _RefusedError
            fields.add(name)
            more = self.goes_on(b"}")
        if len(fields) < 2:
            raise _RefusedError
        self.skip(b"}")

    def metadata(self) -> None:
        self.skip(b"{")
        self.open_names.append([])
        self.blanks()
        more = self.next() != b"}"
        while more:
            name = self.new_key()
            self.found[places.EPOCH] |= name == b"epoch"
            if name == b"split":
                self.plain(places.SPLIT)
            else:
                self.value()
            more = self.goes_on(b"}")
        self.found[places.METADATA], self.found[places.FIELDS] = self.start + self.at, len(self.open_names.pop())
        self.skip(b"}")
