"""The tokens of JSON, by regular expressions."""

from __future__ import annotations

import re

import orjson

from latxa_cli.native.plain.memory import line

STRING = re.compile(rb'"((?:[^"\\\x00-\x1f]|\\["\\bfnrt]|\\u00(?:0[0-7bef]|1[0-9a-f]))*)"')
FOLLOWING = frozenset((b"e", b"E", b".", *(b"%d" % digit for digit in range(10))))  # a digit: behind a leading zero
_NUMBER = re.compile(rb"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?")
LITERAL = re.compile(rb"true|false|null")


def string(at: int) -> tuple[int, int, int]:
    token = STRING.match(b'"' + line(at))
    if not token:
        return 0, 0, 0
    try:
        text = orjson.loads(token[0])
    except orjson.JSONDecodeError:  # invalid UTF-8
        return 0, 0, 0
    return at + token.end() - 1, len(text.split()), len(token[1]) - len(text.encode())


def scalar(at: int) -> int:
    data = line(at)
    if data[:1] == b'"':
        return string(at + 1)[0]
    literal = LITERAL.match(data)
    size = literal.end() if literal else number_size(data)
    return at + size if size else 0


def number_size(data: bytes) -> int:
    """Return the size of the number that begins `data`, or 0 for one that is left to the reader."""
    token = _NUMBER.match(data)
    if not token or data[token.end() : token.end() + 1] in FOLLOWING:
        return 0
    whole, _, decimals = token[0].lstrip(b"-").partition(b".")
    if decimals:
        refused = len(whole + decimals) > 15 or (len(decimals) > 1 and decimals.endswith(b"0"))
        refused = refused or (whole == b"0" and decimals.startswith(b"0000"))  # `orjson` would write an exponent
    else:
        refused = len(whole) > 18 or token[0] == b"-0"
    return 0 if refused else token.end()
