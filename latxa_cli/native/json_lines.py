"""The kernel that reads JSON lines: checks a record, measures its text, and finds the fields that verbs go by.

It takes records in the spelling that nearly all have: a document or a conversation with an `id` that is a string, no
field twice in any object, characters escaped only where they must be, decimals of at most 15 digits. Those it accepts
are JSON and what the reader of records accepts; written again they would have the same bytes but for blanks between
tokens, so that equal texts have equal bytes. Every other line is left to the reader itself (`latxa_cli.stream.reader`),
which decides whether it is sound and what is wrong with it.
"""

from __future__ import annotations

import numpy as np

from latxa_cli.native.kernel import kernel
from latxa_cli.native.vectors import WIDTH, bits, byte_at, equal, lowest, special, word_at

DEEPEST = 60  # levels of objects and lists inside a field

_QUOTE, _BACKSLASH, _COMMA, _COLON, _NEWLINE = (ord(character) for character in '"\\,:\n')
_OPEN, _CLOSE, _OPEN_LIST, _CLOSE_LIST = (ord(character) for character in "{}[]")
_MINUS, _POINT, _ZERO, _NINE, _U = (ord(character) for character in "-.09u")
_SPACE, _TAB, _RETURN = (ord(character) for character in " \t\r")
_A, _B, _E, _F, _N, _R, _T = (ord(character) for character in "abefnrt")
_BLOCK = 1 << WIDTH  # the bit behind a mask

# What `record` finds in a line, by place: addresses (0: there is none), sizes in bytes, and counts. Of a conversation,
# words and bytes are those of its messages, joined by line breaks.
ID, ID_SIZE, SOURCE, SOURCE_SIZE, URL, URL_SIZE, LICENCE, LICENCE_SIZE, SPLIT, SPLIT_SIZE = range(10)
TEXT, TEXT_SIZE = 10, 11  # between the quotes, as it is spelled there
METADATA, FIELDS, EPOCH = 12, 13, 14  # where its object is closed, how many fields it has, whether one is `epoch`
KIND, WORDS, BYTES, BLANKS, SLOTS = range(15, 20)  # BLANKS: whether there are any between tokens
DOCUMENT, CONVERSATION = 1, 2  # kinds
NAMES_AT_MOST = 128  # names that are compared, those of the objects around a field included
FOUND_SIZE = SLOTS + DEEPEST + 1  # of the array `found` (i64); `record` fills in the first `SLOTS`


def _packed(name: str) -> np.uint64:
    """Return the first eight bytes of a name as `_name` gives them."""
    return np.uint64(int.from_bytes(name[:8].encode(), "little"))


_NAME_ID, _NAME_TEXT, _NAME_SOURCE, _NAME_MESSAGES, _NAME_METADATA = map(
    _packed, ("id", "text", "source", "messages", "metadata")
)
_NAME_CONVERSATIONS, _NAME_INSTRUCTION = map(_packed, ("conversations", "instruction"))
_NAME_URL, _NAME_LICENCE, _NAME_LICENSE = map(_packed, ("url", "licence", "license"))
_NAME_LANGUAGE, _NAME_CREATED, _NAME_TASK = map(_packed, ("language", "created", "task"))
_NAME_SPLIT, _NAME_EPOCH, _NAME_ROLE, _NAME_CONTENT = map(_packed, ("split", "epoch", "role", "content"))
_NAME_USER, _NAME_ASSISTANT, _NAME_SYSTEM = map(_packed, ("user", "assistant", "system"))
_TRUE, _FALSE, _NULL, _FOUR_ZEROS = map(_packed, ("true", "false", "null", "0000"))
_FOUR_BYTES, _FIVE_BYTES = np.uint64(2**32 - 1), np.uint64(2**40 - 1)


# --- lines -----------------------------------------------------------------------------------------------------------


@kernel
def count_lines(start: int, end: int) -> int:
    """Return how many line breaks the bytes from `start` to `end` have, and one more: no fewer lines than there are."""
    count = 1
    at = start
    while at < end:
        within = (1 << min(WIDTH, end - at)) - 1
        count += bits(equal(at, _NEWLINE) & within)
        at += WIDTH
    return count


@kernel
def line_end(at: int, end: int) -> int:
    """Return where the line ends that the address is in: at its line break, or at `end`."""
    while at < end:
        place = lowest(equal(at, _NEWLINE) | _BLOCK)
        at += place
        if place < WIDTH:
            return min(at, end)
    return end


@kernel
def blank(at: int, found: np.ndarray) -> int:
    """Pass over blanks within a line."""
    byte = byte_at(at)
    while byte in (_SPACE, _TAB, _RETURN):
        found[BLANKS] = 1
        at += 1
        byte = byte_at(at)
    return at


@kernel
def ends_line(at: int, end: int) -> bool:
    """Whether a line is over at the address."""
    return at >= end or byte_at(at) == _NEWLINE


# --- a record: every function returns the address behind what it read, or 0 where the reader must look ---------------


@kernel
def record(at: int, found: np.ndarray, names: np.ndarray) -> int:
    """Read the record that begins at an address; see `layout.PADDING`."""
    found[:SLOTS] = 0
    if byte_at(at) != _OPEN:
        return 0
    at = blank(at + 1, found)
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
        if not _may_hold(name, key, byte_at(at)):
            return 0
        if name == _NAME_ID:
            at = _plain(at, found, ID)
        elif name == _NAME_SOURCE:
            at = _plain(at, found, SOURCE)
        elif name == _NAME_TEXT:
            found[TEXT] = at + 1
            at = _text(at, found)
            found[TEXT_SIZE] = at - 1 - found[TEXT]
            found[KIND] |= DOCUMENT
        elif name == _NAME_MESSAGES:
            at = _messages(at, found)
            found[KIND] |= CONVERSATION
        elif name == _NAME_METADATA:
            at = _metadata(at, found, names[count:])
        elif name == _NAME_URL and byte_at(at) == _QUOTE:
            at = _plain(at, found, URL)
        elif name in (_NAME_LICENCE, _NAME_LICENSE) and byte_at(at) == _QUOTE:
            at = 0 if found[LICENCE] else _plain(at, found, LICENCE)
        elif name in (_NAME_CONVERSATIONS, _NAME_INSTRUCTION):
            return 0
        else:
            at = _value(at, found, names[count:])
        if not at:
            return 0
        at = blank(at, found)
        if byte_at(at) == _CLOSE:
            sound = found[ID_SIZE] and (found[KIND] == DOCUMENT or found[KIND] == CONVERSATION)
            return at + 1 if sound else 0
        if byte_at(at) != _COMMA:
            return 0
        at = blank(at + 1, found)


@kernel
def _may_hold(name: np.uint64, key: int, first: int) -> bool:
    """Whether an optional field may hold what begins with the byte `first`; of strings and null that is sure."""
    if name in (_NAME_URL, _NAME_LICENCE, _NAME_LICENSE, _NAME_CREATED, _NAME_TASK):
        return first in (_QUOTE, _N)
    return name != _NAME_LANGUAGE or byte_at(key + 8) != _QUOTE or first in (_QUOTE, _N)


@kernel
def _messages(at: int, found: np.ndarray) -> int:
    """Read a list of messages, one or more; their contents are texts, joined by line breaks."""
    if byte_at(at) != _OPEN_LIST:
        return 0
    found[BYTES] -= 1
    while True:
        at = _message(blank(at + 1, found), found)
        if not at:
            return 0
        found[BYTES] += 1
        at = blank(at, found)
        if byte_at(at) == _CLOSE_LIST:
            return at + 1
        if byte_at(at) != _COMMA:
            return 0


@kernel
def _message(at: int, found: np.ndarray) -> int:
    if byte_at(at) != _OPEN:
        return 0
    seen = 0  # 1: a role, 2: a content
    while True:
        at = blank(at + 1, found)
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
        at = blank(at, found)
        if byte_at(at) == _CLOSE:
            return at + 1 if seen == 3 else 0
        if byte_at(at) != _COMMA:
            return 0


@kernel
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


@kernel
def _metadata(at: int, found: np.ndarray, names: np.ndarray) -> int:
    """Read an object; note where it is closed and its field `split`, which must be a string."""
    if byte_at(at) != _OPEN:
        return 0
    at = blank(at + 1, found)
    if byte_at(at) == _CLOSE:
        found[METADATA] = at
        return at + 1
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
        found[EPOCH] |= name == _NAME_EPOCH
        at = _plain(at, found, SPLIT) if name == _NAME_SPLIT else _value(at, found, names[count:])
        if not at:
            return 0
        at = blank(at, found)
        if byte_at(at) == _CLOSE:
            found[METADATA], found[FIELDS] = at, count
            return at + 1
        if byte_at(at) != _COMMA:
            return 0
        at = blank(at + 1, found)


@kernel
def _text(at: int, found: np.ndarray) -> int:
    """Read a string and add it to what is counted of the record."""
    if byte_at(at) != _QUOTE:
        return 0
    end, words, surplus = _string(at + 1)
    found[WORDS] += words
    found[BYTES] += end - at - 2 - surplus
    return end


@kernel
def _plain(at: int, found: np.ndarray, slot: int) -> int:
    """Read a string without escapes and note where it is."""
    if byte_at(at) != _QUOTE:
        return 0
    end, _, surplus = _string(at + 1)
    if not end or surplus:
        return 0
    found[slot], found[slot + 1] = at + 1, end - at - 2
    return end


@kernel
def _key(at: int, found: np.ndarray) -> int:
    """Read a name and the colon behind it; return where its value begins."""
    if byte_at(at) != _QUOTE:
        return 0
    end, _, surplus = _string(at + 1)
    if not end or surplus:
        return 0
    colon = blank(end, found)
    return blank(colon + 1, found) if byte_at(colon) == _COLON else 0


@kernel
def _name(at: int) -> np.uint64:
    """Return the first eight bytes of a name without escapes as a number."""
    return _packed_at(at, lowest(equal(at, _QUOTE)))


@kernel
def _packed_at(at: int, size: int) -> np.uint64:
    word = word_at(at)
    return word if size >= 8 else word & ((np.uint64(1) << np.uint64(8 * size)) - np.uint64(1))


@kernel
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


@kernel
def _value(at: int, found: np.ndarray, names: np.ndarray) -> int:
    """Read any value. The bits of `kinds` say of each level, the innermost lowest, whether it is an object.

    `names` gets those of the objects that are open; behind its slots, `found` says where those of each level begin.
    """
    depth, kinds, count = 0, 0, 0
    while True:
        byte = byte_at(at)
        if byte in (_OPEN, _OPEN_LIST):
            if depth == DEEPEST:
                return 0
            inner = blank(at + 1, found)
            closing = _CLOSE if byte == _OPEN else _CLOSE_LIST
            if byte_at(inner) == closing:
                at = inner + 1
            else:
                depth += 1
                kinds = kinds << 1 | (byte == _OPEN)
                found[SLOTS + depth] = count
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
            at = blank(at, found)
            byte = byte_at(at)
            if byte == _COMMA:
                at = blank(at + 1, found)
                if kinds & 1:
                    at = _new_key(at, found, names, found[SLOTS + depth], count)
                    count += 1
                break
            if byte != (_CLOSE if kinds & 1 else _CLOSE_LIST):
                return 0
            count = found[SLOTS + depth]
            depth -= 1
            kinds >>= 1
            at += 1
        if not depth or not at:
            return at


@kernel
def _new_key(at: int, found: np.ndarray, names: np.ndarray, first: int, count: int) -> int:
    """Read a name as `_key` does, and keep it; 0 too where those of its object, from `first` on, have one like it."""
    value = _key(at, found)
    return value if value and _is_new(_name(at + 1), names[first:], count - first) else 0


@kernel
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


@kernel
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


@kernel
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


@kernel
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


@kernel
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
