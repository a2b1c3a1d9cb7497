"""The kernel that reads JSON lines: it checks a record, measures its text, and finds the fields that verbs need.

It accepts records in the spelling that nearly all have: a document or a conversation whose `id` is a string, no field
twice in any object, escapes only where JSON requires them, decimals of at most 15 digits. The reader of records
(`latxa_cli.stream.reader`) accepts all of these too. Written again by `orjson` they would have the same bytes, except
for blanks between tokens, so that equal texts have equal bytes. Every other line is left to the reader, which decides
whether it is malformed.
"""

from __future__ import annotations

import numpy as np

from latxa_cli.native.json_tokens import scalar, string
from latxa_cli.native.kernel import kernel
from latxa_cli.native.vectors import WIDTH, bits, byte_at, equal, lowest, word_at

DEEPEST = 60  # levels of objects and lists inside a field: one bit each of a signed number, see `_value`

_QUOTE, _COMMA, _COLON, _NEWLINE = (ord(character) for character in '",:\n')
_OPEN, _CLOSE, _OPEN_LIST, _CLOSE_LIST = (ord(character) for character in "{}[]")
_SPACE, _TAB, _RETURN = (ord(character) for character in " \t\r")
_N, _T = (ord(character) for character in "nt")
_BLOCK = 1 << WIDTH  # the bit behind a mask

# The slots of the array `found` that `record` fills in: addresses (0 for a missing field), sizes in bytes, and counts.
# The words and bytes of a conversation are those of its messages, joined by line breaks.
ID, ID_SIZE, SOURCE, SOURCE_SIZE, URL, URL_SIZE, LICENCE, LICENCE_SIZE, SPLIT, SPLIT_SIZE = range(10)
TEXT, TEXT_SIZE = 10, 11  # between the quotes, with escapes
METADATA, FIELDS, EPOCH = 12, 13, 14  # the address of its closing brace, its number of fields, whether one is `epoch`
KIND, WORDS, BYTES, BLANKS, SLOTS = range(15, 20)  # BLANKS: whether there are blanks between tokens
DOCUMENT, CONVERSATION = 1, 2  # kinds
NAMES_AT_MOST = 128  # names of fields that are open at once: of the record, and of the objects around the current value
FOUND_SIZE = SLOTS + DEEPEST + 1  # of the array `found` (i64); behind the slots is the stack of `_value`


def _packed(name: str) -> np.uint64:
    """Return the first eight bytes of a name as a number, as `_name` does."""
    return np.uint64(int.from_bytes(name[:8].encode(), "little"))


_NAME_ID, _NAME_TEXT, _NAME_SOURCE, _NAME_MESSAGES, _NAME_METADATA = map(
    _packed, ("id", "text", "source", "messages", "metadata")
)
_NAME_CONVERSATIONS, _NAME_INSTRUCTION = map(_packed, ("conversations", "instruction"))
_NAME_URL, _NAME_LICENCE, _NAME_LICENSE = map(_packed, ("url", "licence", "license"))
_NAME_LANGUAGE, _NAME_CREATED, _NAME_TASK = map(_packed, ("language", "created", "task"))
_NAME_SPLIT, _NAME_EPOCH, _NAME_ROLE, _NAME_CONTENT = map(_packed, ("split", "epoch", "role", "content"))
_NAME_USER, _NAME_ASSISTANT, _NAME_SYSTEM = map(_packed, ("user", "assistant", "system"))


# --- lines -----------------------------------------------------------------------------------------------------------


@kernel
def count_lines(start: int, end: int) -> int:
    """Return the number of line breaks from `start` to `end` and one more, which is at least the number of lines."""
    count = 1
    at = start
    while at < end:
        within = (1 << min(WIDTH, end - at)) - 1
        count += bits(equal(at, _NEWLINE) & within)
        at += WIDTH
    return count


@kernel
def line_end(at: int, end: int) -> int:
    """Return the address where the line that contains `at` ends: that of its line break, or `end`."""
    while at < end:
        place = lowest(equal(at, _NEWLINE) | _BLOCK)
        at += place
        if place < WIDTH:
            return min(at, end)
    return end


@kernel
def blank(at: int, found: np.ndarray) -> int:
    """Return the address behind any blanks, and note in `found` whether there were some."""
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


# --- a record --------------------------------------------------------------------------------------------------------
# Each function below returns the address behind what it read, or 0 for a line that is left to the reader.


@kernel
def record(at: int, found: np.ndarray, names: np.ndarray) -> int:
    """Read the record that begins at an address, and return the address behind it, or 0.

    - at: `layout.PADDING` bytes must follow the line.
    - found: i64 [FOUND_SIZE], gets the places and counts; they are undefined where 0 is returned.
    - names: u64 [NAMES_AT_MOST], scratch memory for the names of fields.
    """
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
            return 0  # another field, whose name begins with these eight letters
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
        elif name in (_NAME_CONVERSATIONS, _NAME_INSTRUCTION, _NAME_SYSTEM):  # see `stream.chat_formats`
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
    """Whether a field may have a value that begins with the byte `first`; strings and null are always possible."""
    if name in (_NAME_URL, _NAME_LICENCE, _NAME_LICENSE, _NAME_CREATED, _NAME_TASK):
        return first in (_QUOTE, _N)
    return name != _NAME_LANGUAGE or byte_at(key + 8) != _QUOTE or first in (_QUOTE, _N)


@kernel
def _messages(at: int, found: np.ndarray) -> int:
    """Read a list of one or more messages; their contents count as one text, joined by line breaks."""
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
    seen = 0  # bit 1 for a role, bit 2 for a content
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
    end, _, surplus = string(at + 1)
    if not end or surplus:
        return 0
    size = end - at - 2
    name = _packed_at(at + 1, size)
    if name == _NAME_ASSISTANT:
        return end if size == 9 and byte_at(at + 9) == _T else 0
    return end if name in (_NAME_USER, _NAME_SYSTEM) else 0


@kernel
def _metadata(at: int, found: np.ndarray, names: np.ndarray) -> int:
    """Read an object, and note its end and its field `split`, which must be a string."""
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
    """Read a string, and add its words and bytes to those of the record."""
    if byte_at(at) != _QUOTE:
        return 0
    end, words, surplus = string(at + 1)
    found[WORDS] += words
    found[BYTES] += end - at - 2 - surplus
    return end


@kernel
def _plain(at: int, found: np.ndarray, slot: int) -> int:
    """Read a string without escapes, and note its place in `slot` and its size in the next one."""
    if byte_at(at) != _QUOTE:
        return 0
    end, _, surplus = string(at + 1)
    if not end or surplus:
        return 0
    found[slot], found[slot + 1] = at + 1, end - at - 2
    return end


@kernel
def _key(at: int, found: np.ndarray) -> int:
    """Read the name of a field and its colon; return the address of the value."""
    if byte_at(at) != _QUOTE:
        return 0
    end, _, surplus = string(at + 1)
    if not end or surplus:
        return 0
    colon = blank(end, found)
    return blank(colon + 1, found) if byte_at(colon) == _COLON else 0


@kernel
def _name(at: int) -> np.uint64:
    """Return the first eight bytes of a name, which has no escapes, as a number."""
    return _packed_at(at, lowest(equal(at, _QUOTE)))


@kernel
def _packed_at(at: int, size: int) -> np.uint64:
    word = word_at(at)
    return word if size >= 8 else word & ((np.uint64(1) << np.uint64(8 * size)) - np.uint64(1))


@kernel
def _is_new(name: np.uint64, names: np.ndarray, count: int) -> bool:
    """Keep a name, and return whether no earlier one has the same first eight bytes; only the reader compares more."""
    if count >= len(names):
        return False
    for place in range(count):
        if names[place] == name:
            return False
    names[count] = name
    return True


# --- any value -------------------------------------------------------------------------------------------------------


@kernel
def _value(at: int, found: np.ndarray, names: np.ndarray) -> int:
    """Read any value.

    names: gets the names of all objects that are open; found: its slots from `SLOTS` on get, for each level, the place
    in `names` where those of its object begin.
    """
    # The bits of `kinds` say for each level, the innermost in the lowest bit, whether it is an object.
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
            at = scalar(at)
            if not at:
                return 0
        while depth:  # a value is complete: close as many levels as end here
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
    """Read a name as `_key` does, and keep it; 0 also where one like it is among the object's names from `first` on."""
    value = _key(at, found)
    return value if value and _is_new(_name(at + 1), names[first:], count - first) else 0
