"""The kernel that reads JSON lines: checks each record, measures its text, and finds where `mix` is to insert.

It takes records in the spelling that nearly all have: a document or a conversation with an `id` that is a string, no
field twice in any object, characters escaped only where they must be, decimals of at most 15 digits. Those it accepts
are JSON and what the reader of records accepts; written again they would have the same bytes but for blanks between
tokens. Every other line is left to the reader itself (`latxa_cli.mixing.rows`), which decides whether it is sound and
what is wrong with it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from latxa_cli.mixing.rows import EMPTY_METADATA, EMPTY_SOURCE, OTHER_SPLIT, SPACED, UNREAD
from latxa_cli.mixing.vectors import WIDTH, bits, byte_at, equal, lowest, special, word_at

_DEEPEST = 60  # levels that `_value` follows

_QUOTE, _BACKSLASH, _COMMA, _COLON, _NEWLINE = (ord(character) for character in '"\\,:\n')
_OPEN, _CLOSE, _OPEN_LIST, _CLOSE_LIST = (ord(character) for character in "{}[]")
_MINUS, _POINT, _ZERO, _NINE, _U = (ord(character) for character in "-.09u")
_SPACE, _TAB, _RETURN = (ord(character) for character in " \t\r")
_A, _B, _E, _F, _N, _R, _T = (ord(character) for character in "abefnrt")
_BLOCK = 1 << WIDTH  # the bit behind a mask

# What `_record` finds in a line; addresses, and sizes in bytes.
_ID, _ID_SIZE, _SOURCE, _SOURCE_SIZE, _METADATA, _FIELDS, _SPLIT, _KIND, _WORDS, _BYTES, _BLANKS, _SLOTS = range(12)
_DOCUMENT, _CONVERSATION = 1, 2
_FIELDS_AT_MOST = 128  # names that are compared, those of the objects around a field included


def _packed(name: str) -> np.uint64:
    """Return the first eight bytes of a name as `_name` gives them."""
    return np.uint64(int.from_bytes(name[:8].encode(), "little"))


_NAME_ID, _NAME_TEXT, _NAME_SOURCE, _NAME_MESSAGES, _NAME_METADATA = map(
    _packed, ("id", "text", "source", "messages", "metadata")
)
_NAME_CONVERSATIONS, _NAME_INSTRUCTION = map(_packed, ("conversations", "instruction"))
_NAME_SPLIT, _NAME_EPOCH, _NAME_ROLE, _NAME_CONTENT = map(_packed, ("split", "epoch", "role", "content"))
_NAME_USER, _NAME_ASSISTANT, _NAME_SYSTEM = map(_packed, ("user", "assistant", "system"))
_TRUE, _FALSE, _NULL, _FOUR_ZEROS = map(_packed, ("true", "false", "null", "0000"))
_FOUR_BYTES, _FIVE_BYTES = np.uint64(2**32 - 1), np.uint64(2**40 - 1)


@njit(cache=True, nogil=True)
def count_lines(start: int, end: int) -> int:
    """Return how many lines the bytes from `start` to `end` have at most."""
    count = 1
    at = start
    while at + WIDTH <= end:
        count += bits(equal(at, _NEWLINE))
        at += WIDTH
    return count + end - at


@njit(cache=True, nogil=True)
def scan(start: int, end: int, seeds: np.ndarray, split: np.ndarray, unsaid: int, rows: np.ndarray) -> int:
    """Read lines into `rows`, and return how many rows there are; blank lines have none.

    Args:
        start, end: addresses; behind `end`, which is the end of a line, are 2 `WIDTH` zeros.
        seeds: u64 [2], what the two hashes of a record's key start from.
        split: u8, the split that is wanted.
        unsaid: 1 where it is another than that of records that do not say theirs, else 0.
        rows: as many as `count_lines` says, zeros of `latxa_cli.mixing.rows.ROW`; their offsets count from `start`.
            Those of lines left to the reader are `UNREAD` and have no more than an offset and a length.
    """
    found = np.empty(_SLOTS + _DEEPEST + 1, np.int64)
    names = np.empty(_FIELDS_AT_MOST, np.uint64)
    count = 0
    at = start
    while at < end:
        first = _blank(at, found)
        if first >= end or byte_at(first) == _NEWLINE:
            at = first + 1
            continue
        found[:_SLOTS] = 0
        found[_SPLIT] = unsaid
        stop = _record(first, split, found, names)
        blanks = found[_BLANKS]
        after = _blank(stop, found) if stop else 0
        row = rows[count]
        count += 1
        if stop and (after >= end or byte_at(after) == _NEWLINE):
            row.offset, row.length = first - start, stop - first
            _fill(row, first, seeds, found, blanks)
            at = after + 1
        else:
            after = _line_end(at, end)
            row.offset, row.length = at - start, after - at
            row.flags = UNREAD
            at = after + 1
    return count


@njit(cache=True, nogil=True)
def _fill(row: Any, first: int, seeds: np.ndarray, found: np.ndarray, blanks: int) -> None:
    source, identity, check = found[_SOURCE], seeds[0], seeds[1]
    identity = xxh64(source, found[_SOURCE_SIZE], identity)
    check = xxh64(source, found[_SOURCE_SIZE], check)
    row.identity = xxh64(found[_ID], found[_ID_SIZE], identity)
    row.check = xxh64(found[_ID], found[_ID_SIZE], check)
    row.source_at = source - first if source else 0
    row.metadata_at = found[_METADATA] - first if found[_METADATA] else 0
    row.words, row.bytes = found[_WORDS], found[_BYTES]
    flags = 0
    if source and not found[_SOURCE_SIZE]:
        flags |= EMPTY_SOURCE
    if found[_METADATA] and not found[_FIELDS]:
        flags |= EMPTY_METADATA
    if found[_SPLIT]:
        flags |= OTHER_SPLIT
    if blanks:
        flags |= SPACED
    row.flags = flags


# --- a record: every function returns the address behind what it read, or 0 where the reader must look ---------------


@njit(cache=True, nogil=True)
def _record(at: int, split: np.ndarray, found: np.ndarray, names: np.ndarray) -> int:
    if byte_at(at) != _OPEN:
        return 0
    at = _blank(at + 1, found)
    count = 0
    while True:
        key = at + 1
        at = _key(at, found)
        if not at:
            return 0
        name = _name(key)
        if not _is_new(name, names, count):
            return 0
        count += 1
        if name in (_NAME_MESSAGES, _NAME_METADATA) and byte_at(key + 8) != _QUOTE:
            return 0  # a longer name
        if name == _NAME_ID:
            at = _plain(at, found, _ID)
            if not at or _looks_made(found[_ID], found[_ID_SIZE]):
                return 0
        elif name == _NAME_SOURCE:
            at = _plain(at, found, _SOURCE)
        elif name == _NAME_TEXT:
            at = _text(at, found)
            found[_KIND] |= _DOCUMENT
        elif name == _NAME_MESSAGES:
            at = _messages(at, found)
            found[_KIND] |= _CONVERSATION
        elif name == _NAME_METADATA:
            at = _metadata(at, split, found, names[count:])
        elif name in (_NAME_CONVERSATIONS, _NAME_INSTRUCTION):
            return 0
        else:
            at = _value(at, found, names[count:])
        if not at:
            return 0
        at = _blank(at, found)
        if byte_at(at) == _CLOSE:
            sound = found[_ID_SIZE] and (found[_KIND] == _DOCUMENT or found[_KIND] == _CONVERSATION)
            return at + 1 if sound else 0
        if byte_at(at) != _COMMA:
            return 0
        at = _blank(at + 1, found)


@njit(cache=True, nogil=True)
def _messages(at: int, found: np.ndarray) -> int:
    """Read a list of messages, one or more; their contents are texts, joined by line breaks."""
    if byte_at(at) != _OPEN_LIST:
        return 0
    found[_BYTES] -= 1
    while True:
        at = _message(_blank(at + 1, found), found)
        if not at:
            return 0
        found[_BYTES] += 1
        at = _blank(at, found)
        if byte_at(at) == _CLOSE_LIST:
            return at + 1
        if byte_at(at) != _COMMA:
            return 0


@njit(cache=True, nogil=True)
def _message(at: int, found: np.ndarray) -> int:
    if byte_at(at) != _OPEN:
        return 0
    seen = 0  # 1: a role, 2: a content
    while True:
        at = _blank(at + 1, found)
        key = at + 1
        at = _key(at, found)
        if not at:
            return 0
        name = _name(key)
        field = 1 if name == _NAME_ROLE else 2 if name == _NAME_CONTENT else 0
        if not field or seen & field:
            return 0
        seen |= field
        at = _text(at, found) if field == 2 else _role(at, found)
        if not at:
            return 0
        at = _blank(at, found)
        if byte_at(at) == _CLOSE:
            return at + 1 if seen == 3 else 0
        if byte_at(at) != _COMMA:
            return 0


@njit(cache=True, nogil=True)
def _role(at: int, found: np.ndarray) -> int:
    if byte_at(at) != _QUOTE:
        return 0
    end, _, surplus = _string(at + 1)
    if not end or surplus:
        return 0
    size = end - at - 2
    name = _packed_at(at + 1, size)
    if name == _NAME_ASSISTANT:
        return end if size == 9 and byte_at(at + 9) == _T else 0
    return end if name in (_NAME_USER, _NAME_SYSTEM) else 0


@njit(cache=True, nogil=True)
def _metadata(at: int, split: np.ndarray, found: np.ndarray, names: np.ndarray) -> int:
    """Read an object, find its end, and see what its field `split` says; one with `epoch` is left to the reader."""
    if byte_at(at) != _OPEN:
        return 0
    at = _blank(at + 1, found)
    if byte_at(at) == _CLOSE:
        found[_METADATA] = at
        return at + 1
    count = 0
    while True:
        key = at + 1
        at = _key(at, found)
        if not at:
            return 0
        name = _name(key)
        if name == _NAME_EPOCH or not _is_new(name, names, count):
            return 0
        count += 1
        at = _split(at, split, found) if name == _NAME_SPLIT else _value(at, found, names[count:])
        if not at:
            return 0
        at = _blank(at, found)
        if byte_at(at) == _CLOSE:
            found[_METADATA], found[_FIELDS] = at, count
            return at + 1
        if byte_at(at) != _COMMA:
            return 0
        at = _blank(at + 1, found)


@njit(cache=True, nogil=True)
def _split(at: int, split: np.ndarray, found: np.ndarray) -> int:
    if byte_at(at) != _QUOTE:
        return 0
    end, _, surplus = _string(at + 1)
    if not end or surplus:
        return 0
    same = end - at - 2 == len(split)
    if same:
        for place in range(len(split)):
            same = same and byte_at(at + 1 + place) == split[place]
    found[_SPLIT] = 0 if same else 1
    return end


@njit(cache=True, nogil=True)
def _text(at: int, found: np.ndarray) -> int:
    """Read a string and add it to what is counted of the record."""
    if byte_at(at) != _QUOTE:
        return 0
    end, words, surplus = _string(at + 1)
    found[_WORDS] += words
    found[_BYTES] += end - at - 2 - surplus
    return end


@njit(cache=True, nogil=True)
def _plain(at: int, found: np.ndarray, slot: int) -> int:
    """Read a string without escapes and note where it is."""
    if byte_at(at) != _QUOTE:
        return 0
    end, _, surplus = _string(at + 1)
    if not end or surplus:
        return 0
    found[slot], found[slot + 1] = at + 1, end - at - 2
    return end


@njit(cache=True, nogil=True)
def _looks_made(at: int, size: int) -> bool:
    """Whether an id may be one that the reader gives to repeated content: 16 hex digits, `-` and a number."""
    if size < 18 or byte_at(at + 16) != _MINUS:
        return False
    for place in range(at, at + 16):
        byte = byte_at(place)
        if not (_ZERO <= byte <= _NINE or _A <= byte <= _F):
            return False
    return True


@njit(cache=True, nogil=True)
def _key(at: int, found: np.ndarray) -> int:
    """Read a name and the colon behind it; return where its value begins."""
    if byte_at(at) != _QUOTE:
        return 0
    end, _, surplus = _string(at + 1)
    if not end or surplus:
        return 0
    colon = _blank(end, found)
    return _blank(colon + 1, found) if byte_at(colon) == _COLON else 0


@njit(cache=True, nogil=True)
def _name(at: int) -> np.uint64:
    """Return the first eight bytes of a name without escapes as a number."""
    return _packed_at(at, lowest(equal(at, _QUOTE)))


@njit(cache=True, nogil=True)
def _packed_at(at: int, size: int) -> np.uint64:
    word = word_at(at)
    return word if size >= 8 else word & ((np.uint64(1) << np.uint64(8 * size)) - np.uint64(1))


@njit(cache=True, nogil=True)
def _is_new(name: np.uint64, names: np.ndarray, count: int) -> bool:
    """Whether no name before begins with the same eight bytes; if so, keep it."""
    if count >= len(names):
        return False
    for place in range(count):
        if names[place] == name:
            return False
    names[count] = name
    return True


# --- JSON ------------------------------------------------------------------------------------------------------------


@njit(cache=True, nogil=True)
def _blank(at: int, found: np.ndarray) -> int:
    """Pass over blanks within a line."""
    byte = byte_at(at)
    while byte in (_SPACE, _TAB, _RETURN):
        found[_BLANKS] = 1
        at += 1
        byte = byte_at(at)
    return at


@njit(cache=True, nogil=True)
def _line_end(at: int, end: int) -> int:
    while at < end:
        place = lowest(equal(at, _NEWLINE) | _BLOCK)
        at += place
        if place < WIDTH:
            return min(at, end)
    return end


@njit(cache=True, nogil=True)
def _value(at: int, found: np.ndarray, names: np.ndarray) -> int:
    """Read any value. The bits of `kinds` say of each level, the innermost lowest, whether it is an object.

    `names` gets those of the objects that are open; behind its slots, `found` says where those of each level begin.
    """
    depth, kinds, count = 0, 0, 0
    while True:
        byte = byte_at(at)
        if byte in (_OPEN, _OPEN_LIST):
            if depth == _DEEPEST:
                return 0
            inner = _blank(at + 1, found)
            closing = _CLOSE if byte == _OPEN else _CLOSE_LIST
            if byte_at(inner) == closing:
                at = inner + 1
            else:
                depth += 1
                kinds = kinds << 1 | (byte == _OPEN)
                found[_SLOTS + depth] = count
                at = inner
                if byte == _OPEN:
                    at = _new_key(inner, found, names, count, count)
                    count += 1
                if not at:
                    return 0
                continue
        else:
            at = _scalar(at)
            if not at:
                return 0
        while depth:  # behind a value
            at = _blank(at, found)
            byte = byte_at(at)
            if byte == _COMMA:
                at = _blank(at + 1, found)
                if kinds & 1:
                    at = _new_key(at, found, names, found[_SLOTS + depth], count)
                    count += 1
                break
            if byte != (_CLOSE if kinds & 1 else _CLOSE_LIST):
                return 0
            count = found[_SLOTS + depth]
            depth -= 1
            kinds >>= 1
            at += 1
        if not depth or not at:
            return at


@njit(cache=True, nogil=True)
def _new_key(at: int, found: np.ndarray, names: np.ndarray, first: int, count: int) -> int:
    """Read a name as `_key` does, and keep it; 0 too where those of its object, from `first` on, have one like it."""
    value = _key(at, found)
    return value if value and _is_new(_name(at + 1), names[first:], count - first) else 0


@njit(cache=True, nogil=True)
def _scalar(at: int) -> int:
    byte = byte_at(at)
    if byte == _QUOTE:
        return _string(at + 1)[0]
    if byte == _MINUS or _ZERO <= byte <= _NINE:
        return _number(at)
    word = word_at(at)
    if word & _FOUR_BYTES == _TRUE or word & _FOUR_BYTES == _NULL:
        return at + 4
    return at + 5 if word & _FIVE_BYTES == _FALSE else 0


@njit(cache=True, nogil=True)
def _number(at: int) -> int:
    """Read a number that would be written with the same digits: no exponent, at most 15 digits in a decimal."""
    first = at + (byte_at(at) == _MINUS)
    point = first
    while _ZERO <= byte_at(point) <= _NINE:
        point += 1
    whole = point - first
    if not whole or (byte_at(first) == _ZERO and whole > 1):
        return 0
    end = point
    if byte_at(point) == _POINT:
        end += 1
        while _ZERO <= byte_at(end) <= _NINE:
            end += 1
        digits = end - point - 1
        if not digits or whole + digits > 15 or (digits > 1 and byte_at(end - 1) == _ZERO):
            return 0
        if byte_at(first) == _ZERO and word_at(point + 1) & _FOUR_BYTES == _FOUR_ZEROS:
            return 0  # it would get an exponent
    elif whole > 18 or (first > at and byte_at(first) == _ZERO):
        return 0
    return 0 if byte_at(end) | 32 == _E else end


@njit(cache=True, nogil=True)
def _string(at: int) -> tuple[int, int, int]:
    """Read a string from behind its quote on: the position behind its end, its words as `str.split` counts them, and
    by how many bytes its escapes are longer than the characters for which they stand."""
    words, surplus = 0, 0
    between = 1  # whether the character before separates words
    while True:
        spaces = equal(at, _SPACE)
        run = lowest(special(at) | _BLOCK)
        behind = spaces << 1 | between
        words += bits(~spaces & behind & ((1 << run) - 1))
        between = behind >> run & 1
        at += run
        if run == WIDTH:
            continue
        byte = byte_at(at)
        if byte == _QUOTE:
            return at + 1, words, surplus
        if byte == _BACKSLASH:
            size, is_space = _escape(at)
            surplus += size - 1
        elif byte >= 128:
            size, is_space = _character(at)
        else:
            return 0, 0, 0
        if not size:
            return 0, 0, 0
        words += between & (is_space ^ 1)
        between = is_space
        at += size


@njit(cache=True, nogil=True)
def _escape(at: int) -> tuple[int, int]:
    """Return the size of an escape that must be one, and whether it stands for a space; (0, 0) for any other."""
    byte = byte_at(at + 1)
    if byte in (_QUOTE, _BACKSLASH, _B):
        return 2, 0
    if byte in (_N, _T, _R, _F):
        return 2, 1
    if byte != _U or byte_at(at + 2) != _ZERO or byte_at(at + 3) != _ZERO:
        return 0, 0
    high, low = byte_at(at + 4) - _ZERO, byte_at(at + 5)
    low = low - _ZERO if _ZERO <= low <= _NINE else low - _A + 10 if _A <= low <= _F else -1
    if high < 0 or high > 1 or low < 0:
        return 0, 0
    code = high * 16 + low
    if 8 <= code <= 13 and code != 11:
        return 0, 0  # it has a shorter escape
    return 6, int(code == 11 or code >= 28)


@njit(cache=True, nogil=True)
def _character(at: int) -> tuple[int, int]:
    """Return the size of a character of more than one byte, and whether it is a space; (0, 0) for invalid UTF-8.

    Well-formed sequences: The Unicode Standard, table 3-7.
    """
    first, second = byte_at(at), byte_at(at + 1)
    if 0xC2 <= first <= 0xDF:
        if second & 0xC0 != 0x80:
            return 0, 0
        return 2, int(first == 0xC2 and (second == 0x85 or second == 0xA0))
    third = byte_at(at + 2)
    if 0xE0 <= first <= 0xEF:
        low = 0xA0 if first == 0xE0 else 0x80
        high = 0x9F if first == 0xED else 0xBF
        if not low <= second <= high or third & 0xC0 != 0x80:
            return 0, 0
        code = (first & 15) << 12 | (second & 63) << 6 | third & 63
        return 3, int(0x2000 <= code <= 0x200A or code in (0x1680, 0x2028, 0x2029, 0x202F, 0x205F, 0x3000))
    low = 0x90 if first == 0xF0 else 0x80
    high = 0x8F if first == 0xF4 else 0xBF
    if not 0xF0 <= first <= 0xF4 or not low <= second <= high:
        return 0, 0
    return (4, 0) if third & 0xC0 == 0x80 and byte_at(at + 3) & 0xC0 == 0x80 else (0, 0)


# --- hashing ---------------------------------------------------------------------------------------------------------

_P1, _P2, _P3, _P4, _P5 = map(
    np.uint64, (0x9E3779B185EBCA87, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0x85EBCA77C2B2AE63, 0x27D4EB2F165667C5)
)


@njit(cache=True, nogil=True)
def _rotated(value: np.uint64, by: int) -> np.uint64:
    return value << np.uint64(by) | value >> np.uint64(64 - by)


@njit(cache=True, nogil=True)
def _round(value: np.uint64, word: np.uint64) -> np.uint64:
    return _rotated(value + word * _P2, 31) * _P1


@njit(cache=True, nogil=True)
def xxh64(at: int, size: int, seed: np.uint64) -> np.uint64:
    """Return XXH64 (Collet, xxHash specification 0.1.1) of `size` bytes."""
    end = at + size
    if size >= 32:
        a, b, c, d = seed + _P1 + _P2, seed + _P2, seed, seed - _P1
        while at + 32 <= end:
            a, b = _round(a, word_at(at)), _round(b, word_at(at + 8))
            c, d = _round(c, word_at(at + 16)), _round(d, word_at(at + 24))
            at += 32
        value = _rotated(a, 1) + _rotated(b, 7) + _rotated(c, 12) + _rotated(d, 18)
        for lane in (a, b, c, d):
            value = (value ^ _round(np.uint64(0), lane)) * _P1 + _P4
    else:
        value = seed + _P5
    value += np.uint64(size)
    while at + 8 <= end:
        value = _rotated(value ^ _round(np.uint64(0), word_at(at)), 27) * _P1 + _P4
        at += 8
    if at + 4 <= end:
        value = _rotated(value ^ (word_at(at) & _FOUR_BYTES) * _P1, 23) * _P2 + _P3
        at += 4
    while at < end:
        value = _rotated(value ^ np.uint64(byte_at(at)) * _P5, 11) * _P1
        at += 1
    value = (value ^ value >> np.uint64(33)) * _P2
    value = (value ^ value >> np.uint64(29)) * _P3
    return value ^ value >> np.uint64(32)
