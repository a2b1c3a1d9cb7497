"""Reading records: every line parsed, checked, given an id; every error with file and line."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import Any

import orjson

from latxa_cli.stream.errors import RecordError
from latxa_cli.stream.inputs import LONGEST_LINE, Input, numbered_lines, whole_lines, without_mark
from latxa_cli.stream.kinds import HAVE_MESSAGES, NAMELESS, checker
from latxa_cli.stream.records import Record, content_id, respell

DEEPEST = 254  # levels of nesting that orjson writes; it reads more
HOLDS_NONE = frozenset((dict, list)).isdisjoint  # of types: is none of them one that holds values?

BLOCK_ROWS = 256  # rows of a table that are taken together

# What is told of a malformed line: (`FILE:LINE`, what is wrong, the raw line).
OnMalformed = Callable[[str, str, bytes], None]


class Identifier:
    """Gives ids to records that have none: a hash of the content, then `-2`, `-3` … for repeated content.

    Holds one number for every distinct record without an id.
    """

    def __init__(self) -> None:
        self.seen: dict[str, int] = {}

    def identify(self, record: Record) -> Record:
        """Return the record with its id first; an id that is a number becomes a string."""
        name, given = name_of(record)
        if not given:
            name = self.unique(name)
        record.pop("id", None)
        return {"id": name, **record}

    def unique(self, name: str) -> str:
        """Return the content hash `name`, with a number for repeated content."""
        count = self.seen[name] = self.seen.get(name, 0) + 1
        return name if count == 1 else f"{name}-{count}"


def name_of(record: Record) -> tuple[str, bool]:
    """Return the record's id, and whether it was given or is the hash of its content; raises ValueError."""
    given = record.get("id")
    if given is None:
        return content_id({field: value for field, value in record.items() if field not in ("id", "metadata")}), False
    if type(given) is int:
        return str(given), True
    if type(given) is not str or not given:
        raise ValueError("`id` is neither a string nor a whole number")
    return given, True


def parser(kind: str | tuple[str, ...]) -> Callable[[bytes | Record], Record]:
    """Return the function that makes a checked record (perhaps without `id`) of a line or a row.

    It raises ValueError (orjson's errors are ValueErrors too); `explain` says in words what was wrong.
    """
    check = checker(kind)
    talks = not _kinds(kind).isdisjoint(HAVE_MESSAGES)
    checked = "messages" if _kinds(kind) <= HAVE_MESSAGES else ""
    loads = orjson.loads

    def parse(entry: bytes | Record) -> Record:
        record: Any = loads(entry) if type(entry) is bytes else entry
        if type(record) is not dict:
            raise ValueError("the line is JSON, but not an object")
        if talks and "messages" not in record:
            record = respell(record)
        check(record)
        if (
            type(entry) is bytes
            and not _is_shallow(record, checked)
            and entry.count(b"[") + entry.count(b"{") > DEEPEST
        ):
            _check_depth(record)
        return record

    return parse


def text_prompt(line: bytes | Record) -> Record:
    """Return the prompt that a line of a text file is; raises ValueError."""
    assert type(line) is bytes
    text = line.decode().strip()
    if not text or len(line) > LONGEST_LINE:
        raise ValueError("the line is blank")
    return {"prompt": text}


def read(source: Input, kind: str | tuple[str, ...], on_malformed: OnMalformed, ids: Identifier) -> Iterator[Record]:
    """Yield the checked records of `source`; blank lines are skipped, malformed ones go to `on_malformed`.

    Where prompts are read, each line of a text file is one.
    """
    parse = text_prompt if kind == "prompt" and source.is_text else parser(kind)
    named = not _kinds(kind) <= NAMELESS
    for number, entry in source.entries():
        try:
            record = parse(entry)
            if named and type(record.get("id")) is not str:
                record = ids.identify(record)
        except ValueError as error:
            _tell(entry, error, f"{source.label}:{number}", on_malformed)
            continue
        yield record


@dataclass
class Block:
    """Entries of an input that follow on one another: lines, or rows of a table. A verb that only counts takes what it
    needs of all lines at once (`decoded`); where that cannot be done, and of tables, it takes `records`.

    label: the input; number: that of the first entry, from 1; count: records that were taken.
    """

    label: str
    number: int
    entries: bytes | list[Record]
    kind: str
    on_malformed: OnMalformed
    count: int = 0

    def decoded(self, decode_lines: Callable[[bytes], list[Any]]) -> list[Any] | None:
        """Return what `decode_lines` (of a decoder of msgspec) makes of the lines, an object for each.

        None where a line is anything else; then `records` finds out what.
        """
        lines = self.entries
        if type(lines) is not bytes or not self._has_braces():
            return None
        try:
            # msgspec passes over fields that it is not asked for without a look at their UTF-8. (Nor does it mind
            # numbers too large and values too deep there, which `parser` does, since it makes records to be written.)
            found = decode_lines(lines) if lines.isascii() or lines.decode() else []
        except ValueError:
            return None
        if len(found) != self.size:
            return None
        self.count = len(found)
        return found

    def _has_braces(self) -> bool:
        """Whether all lines begin with `{` and end with `}`: then as many objects as lines are one on each."""
        lines, ends, data = self.entries, self._ends, self._bytes
        first, last = lines[:1], lines[-1:]
        inner = ends[:-1] if last == b"\n" else ends
        if first != b"{" or last not in (b"\n", b"}"):
            return False
        return bool((data[inner + 1] == ord("{")).all() and (data[ends - 1] == ord("}")).all())

    @cached_property
    def size(self) -> int:
        """How many entries there are, blank lines too."""
        if type(self.entries) is not bytes:
            return len(self.entries)
        return len(self._ends) + (not self.entries.endswith(b"\n"))

    @cached_property
    def _bytes(self) -> Any:
        import numpy as np

        return np.frombuffer(self.entries, np.uint8)  # type: ignore[arg-type]

    @cached_property
    def _ends(self) -> Any:
        """Where lines end: in half the time of `bytes.count`."""
        return (self._bytes == ord("\n")).nonzero()[0]

    def records(self) -> Iterator[Record]:
        """Yield the checked records (as they are: without `id` where none was given); malformed entries are told of."""
        for number, entry in self._numbered():
            record = self._checked(number, entry)
            if record is not None:
                self.count += 1
                yield record

    def record(self, place: int) -> Record | None:
        """Return the record at a place (from 0) in what `decoded` returned; None where a check finds it malformed."""
        record = self._checked(self.number + place, self._lines[place])
        if record is None:
            self.count -= 1
        return record

    def _checked(self, number: int, entry: bytes | Record) -> Record | None:
        try:
            return self._parse(entry)
        except ValueError as error:
            _tell(entry, error, f"{self.label}:{number}", self.on_malformed)
            return None

    @cached_property
    def _parse(self) -> Callable[[bytes | Record], Record]:
        return parser(self.kind)

    @cached_property
    def _lines(self) -> list[bytes]:
        assert type(self.entries) is bytes
        return self.entries.split(b"\n")

    def _numbered(self) -> Iterator[tuple[int, bytes | Record]]:
        if type(self.entries) is bytes:
            return ((self.number + row, line) for row, _, line in numbered_lines([self.entries]))
        return iter(enumerate(self.entries, self.number))  # type: ignore[arg-type]


def read_blocks(source: Input, kind: str, on_malformed: OnMalformed) -> Iterator[Block]:
    """Yield the entries of `source`, many at a time, whose records are of `kind` and need no id."""
    assert kind in NAMELESS
    if source.is_table:
        rows, number = source.rows(), 1
        while entries := list(islice(rows, BLOCK_ROWS)):
            yield Block(source.label, number, entries, kind, on_malformed)
            number += len(entries)
        return
    number = 1
    for lines in whole_lines(without_mark(source.blocks())):
        block = Block(source.label, number, lines, kind, on_malformed)
        yield block
        number += block.size


def _tell(entry: bytes | Record, error: ValueError, where: str, on_malformed: OnMalformed) -> None:
    raw = entry if type(entry) is bytes else orjson.dumps(entry, default=str)
    if raw.strip():
        on_malformed(where, explain(error, raw), raw)


def _kinds(kind: str | tuple[str, ...]) -> set[str]:
    return {kind} if isinstance(kind, str) else set(kind)


def _is_shallow(record: Record, checked: str) -> bool:
    """Whether no value lies deeper than the fields of messages: the usual case, told without a look at each byte.

    checked: the field of messages whose `role` and `content` are known to be strings; most have nothing else.
    """
    for name, value in record.items():
        if type(value) is dict:
            if not HOLDS_NONE(map(type, value.values())):
                return False
        elif type(value) is list:
            for item in value:
                if type(item) is dict:
                    if (len(item) != 2 or name != checked) and not HOLDS_NONE(map(type, item.values())):
                        return False
                elif type(item) is list:
                    return False
    return True


def _check_depth(record: Record) -> None:
    try:
        orjson.dumps(record)
    except TypeError:  # what orjson raises for what it cannot write
        raise ValueError(f"values are nested more than {DEEPEST} deep") from None


def explain(error: ValueError, raw: bytes) -> str:
    """Return in words what is wrong with the malformed line `raw`, for which `error` was raised."""
    if len(raw) > LONGEST_LINE:
        return f"the line is longer than {LONGEST_LINE >> 20} MiB"
    try:
        raw.decode()
    except UnicodeDecodeError as broken:
        return f"invalid UTF-8 at byte {broken.start + 1}"
    if not isinstance(error, orjson.JSONDecodeError):
        return str(error)
    if b"\0" in raw:
        return f"a NUL at byte {raw.index(0) + 1}"
    return f"not JSON ({error.msg} at column {error.colno})"


def stop_at_malformed(where: str, what: str, _raw: bytes) -> None:
    """The rule without `--rejects`: the first malformed line ends the run."""
    raise RecordError(where, what)
