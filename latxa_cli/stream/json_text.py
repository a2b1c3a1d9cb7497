"""JSON that is not in lines (an array of records, or records that span several lines), turned into JSON lines.

Values are found by brackets alone, and the reader of lines checks whether each is JSON. Blank lines are put in for
lines that a value spans, so that it keeps the number of its first line, unless a line holds two values.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from latxa_cli.stream.errors import LatxaError

_MARK = re.compile(rb'["{}\[\],\n]')  # the bytes with a meaning outside strings
_REST_OF_STRING = re.compile(rb'[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
_TAB = b"\t"  # replaces line breaks: it is white space between tokens too, and inside a string it is an error too


def is_json_text(head: bytes) -> bool:
    """Whether a file that begins with `head` is not in lines: an array, or a bracket with nothing else on its line."""
    head = head.lstrip()
    return head.startswith(b"[") or (head.partition(b"\n")[0].rstrip() == b"{" and b"\n" in head)


class _Lines:
    """JSON lines that are built piece by piece, so that no value is ever in memory as a whole."""

    def __init__(self) -> None:
        self.made: list[bytes] = []
        self.line = 1  # of the input
        self.number = 1  # of the output
        self.is_open = False  # a value has begun

    def add(self, piece: bytes) -> None:
        if not self.is_open:
            piece = piece.lstrip()
            if not piece:
                return
            self.made.append(b"\n" * (self.line - self.number))
            self.number = max(self.line, self.number)
            self.is_open = True
        self.made.append(piece.replace(b"\n", _TAB))

    def end(self) -> None:
        if self.is_open:
            while self.made and not self.made[-1].strip():
                self.made.pop()
            self.made.append(b"\n")
            self.number += 1
            self.is_open = False

    def take(self) -> bytes:
        made, self.made = b"".join(self.made), []
        return made


def json_lines(blocks: Iterable[bytes], label: str) -> Iterator[bytes]:
    """Yield the values of the JSON text `blocks` as lines; raises LatxaError when it ends inside brackets."""
    lines = _Lines()
    depth = base = 0  # open brackets, and 1 for the array's own, which is no part of a value
    quoted = False
    skipped = 0  # bytes at the start of a block that a backslash at the end of the last one escapes
    for block in blocks:
        start, place, skipped = 0, skipped, 0
        while found := _REST_OF_STRING.match(block, place) if quoted else _MARK.search(block, place):
            mark, place = found[0], found.end()
            if quoted or mark == b'"':
                quoted = not quoted
            elif mark == b"\n":
                lines.add(block[start : place - 1])
                start = place
                lines.line += 1
                if depth:
                    lines.add(_TAB)
                else:
                    lines.end()
            elif mark == b"[" and depth == 0 and not lines.is_open and not block[start : place - 1].strip():
                start, depth, base = place, 1, 1
            elif mark in b"[{":
                depth += 1
            elif mark == b",":
                if depth == base == 1:
                    lines.add(block[start : place - 1])
                    lines.end()
                    start = place
            elif depth == base == 1:  # the array's own bracket
                lines.add(block[start : place - 1])
                lines.end()
                start, depth, base = place, 0, 0
            else:
                depth = max(depth - 1, 0)
                if depth == 0:
                    lines.add(block[start:place])
                    lines.end()
                    start = place
        if quoted:
            rest = block[place:]
            skipped = (len(rest) - len(rest.rstrip(b"\\"))) % 2
        lines.add(block[start:])
        yield lines.take()
    if depth or quoted:
        raise LatxaError(f"{label}: ends in the middle of a JSON value")
    lines.end()
    yield lines.take()
