"""Reading records: each line is parsed, checked and given an id, and each error names file and line."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING, Any

import orjson

from latxa_cli.stream.chat_formats import in_our_words, respell, with_model
from latxa_cli.stream.checks import checker, kind_of
from latxa_cli.stream.errors import RecordError
from latxa_cli.stream.inputs import LONGEST_LINE, EntryError, Input, numbered_lines, whole_lines
from latxa_cli.stream.kinds import HAVE_MESSAGES, NAMELESS
from latxa_cli.stream.records import Record, content_id

if TYPE_CHECKING:
    import numpy as np

DEEPEST = 254  # levels of nesting that orjson writes; it reads more
ARE_SCALARS = frozenset((dict, list)).isdisjoint  # of types of values: none is a container

# The first bytes of files that are not text in UTF-8, and the words for each in an error.
KNOWN_CONTENT = {
    b"\x1f\x8b": "gzip data (name the file `.gz`)",
    b"\x28\xb5\x2f\xfd": "zstandard data (name the file `.zst`)",
    b"PAR1": "Parquet (name the file `.parquet`)",
    b"BZh": "bzip2 data (decompress it)",
    b"\xfd7zXZ": "xz data (decompress it)",
    b"PK\x03\x04": "a ZIP archive (unpack it)",
    b"\xff\xfe": "UTF-16 (make UTF-8 of it: `iconv -f UTF-16 -t UTF-8`)",
    b"\xfe\xff": "UTF-16 (make UTF-8 of it: `iconv -f UTF-16 -t UTF-8`)",
    b"{\0": "UTF-16 without a byte order mark (make UTF-8 of it: `iconv -f UTF-16LE -t UTF-8`)",
    b"\0{": "UTF-16 without a byte order mark (make UTF-8 of it: `iconv -f UTF-16BE -t UTF-8`)",
}
_NOT_A_NUMBER = re.compile(rb"[:\[,]\s*(?:NaN|-?Infinity)\s*[,\]}]")

BLOCK_ROWS = 256  # rows of a table in one block

OnMalformed = Callable[[str, str, bytes], None]  # called with `FILE:LINE`, the problem in words, and the raw line


class Identifier:
    """Gives ids to records that have none: a hash of the content, with `-2`, `-3` … for repeated content.

    It keeps one number in memory for every distinct record without an id.
    """

    def __init__(self) -> None:
        self.seen: dict[str, int] = {}

    def identify(self, record: Record) -> Record:
        """Return the record with its id as the first field; an id that is a number becomes a string."""
        name, given = name_of(record)
        if not given:
            name = self.unique(name)
        record.pop("id", None)
        return {"id": name, **record}

    def unique(self, name: str) -> str:
        """Return the content hash `name`, with a number behind it if it came before."""
        count = self.seen[name] = self.seen.get(name, 0) + 1
        return name if count == 1 else f"{name}-{count}"


def name_of(record: Record) -> tuple[str, bool]:
    """Return (id, True), or (hash of the content, False) for a record without an id; raises ValueError."""
    given = record.get("id")
    if given is None:
        return content_id({field: value for field, value in record.items() if field not in ("id", "metadata")}), False
    if type(given) is int:
        return str(given), True
    if given == "":
        raise ValueError("`id` is empty")
    if type(given) is not str:
        raise ValueError("`id` is neither a string nor a whole number of 64 bits")
    return given, True


def parser(kind: str | tuple[str, ...]) -> Callable[[bytes | Record], Record]:
    """Return the function that turns a line or a row into a checked record, perhaps without `id`.

    That function raises ValueError, as orjson does; `explain` puts the error into words.
    """
    check = checker(kind)
    talks = not _kinds(kind).isdisjoint(HAVE_MESSAGES)
    checked = "messages" if _kinds(kind) <= HAVE_MESSAGES else ""
    prompts, responses, battles = (name in _kinds(kind) for name in ("prompt", "response", "battle"))
    loads = orjson.loads

    def parse(entry: bytes | Record) -> Record:
        record: Any = loads(entry) if type(entry) is bytes else entry
        if type(record) is not dict:
            raise record if isinstance(record, EntryError) else ValueError("the line is JSON, but not an object")
        if talks and ("messages" not in record or "system" in record):
            record = respell(record, prompts=prompts)
        if responses:
            record = with_model(record)
        if battles:
            record = in_our_words(record)
        try:
            check(record)
        except ValueError:
            if not talks or (ours := respell(record, prompts=prompts)) is record:
                raise
            record = ours
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
    """Return the prompt of one line of a text file; raises ValueError for a blank line."""
    assert type(line) is bytes
    text = line.decode().strip()
    if not text or len(line) > LONGEST_LINE:
        raise ValueError("the line is blank")
    return {"prompt": text}


def read(source: Input, kind: str | tuple[str, ...], on_malformed: OnMalformed, ids: Identifier) -> Iterator[Record]:
    """Yield the checked records of `source`; blank lines are skipped, malformed ones go to `on_malformed`.

    A text file can be read as prompts only, one a line. An entry may be a list of records that the input made of a
    document: they are of a kind without ids, and right.
    """
    parse = text_prompt if kind == "prompt" and source.is_text else parser(kind)
    named, every = _kinds(kind) - NAMELESS, _kinds(kind).isdisjoint(NAMELESS)
    for number, entry in source.entries():
        if entry.__class__ is list:
            yield from entry  # type: ignore[misc]
            continue
        try:
            record = parse(entry)
            if named and type(record.get("id")) is not str and (every or kind_of(record, kind) in named):  # type: ignore
                record = ids.identify(record)
        except ValueError as error:
            _report(entry, error, f"{source.label}:{number}", on_malformed)
            continue
        yield record


@dataclass
class Block:
    """Consecutive entries of an input: lines, or rows of a table.

    A verb that only counts decodes the fields that it needs from all lines at once (`decoded`). Tables, and blocks with
    an unusual line, are read as `records`.

    label: the input's name; number: the first entry's number, from 1; count: the records that were yielded so far.
    """

    label: str
    number: int
    entries: bytes | list[Record]
    kind: str
    on_malformed: OnMalformed
    count: int = 0

    def decoded(self, decode_lines: Callable[[bytes], list[Any]]) -> list[Any] | None:
        """Return one object for each line, as msgspec's `decode_lines` decodes it.

        None for rows of a table, and where any line is not an object; then `records` finds the problem.
        """
        lines = self.entries
        if type(lines) is not bytes or not self._has_braces():
            return None
        try:
            # msgspec does not check the UTF-8 of fields that it skips, so `decode` does. It also skips numbers that are
            # too large and values that are too deep. `parser` rejects those, but only because orjson could not write
            # them; here nothing is written.
            objects = decode_lines(lines) if lines.isascii() or lines.decode() else []
        except ValueError:
            return None
        if len(objects) != self.size:
            return None
        self.count = len(objects)
        return objects

    def _has_braces(self) -> bool:
        """Whether each line begins with `{` and ends with `}`.

        msgspec lets an object span several lines; with braces at all ends, as many objects as lines are one a line.
        """
        lines, ends, data = self.entries, self._ends, self._bytes
        first, last = lines[:1], lines[-1:]
        inner = ends[:-1] if last == b"\n" else ends
        if first != b"{" or last not in (b"\n", b"}"):
            return False
        return bool((data[inner + 1] == ord("{")).all() and (data[ends - 1] == ord("}")).all())

    @cached_property
    def size(self) -> int:
        """The number of entries, blank lines included."""
        if type(self.entries) is not bytes:
            return len(self.entries)
        return len(self._ends) + (not self.entries.endswith(b"\n"))

    @cached_property
    def _bytes(self) -> np.ndarray:
        import numpy as np

        return np.frombuffer(self.entries, np.uint8)  # type: ignore[arg-type]

    @cached_property
    def _ends(self) -> np.ndarray:
        """The offsets of the line breaks, which numpy finds in half the time of `bytes.count`."""
        return (self._bytes == ord("\n")).nonzero()[0]

    def records(self) -> Iterator[Record]:
        """Yield the checked records, some perhaps without `id`; malformed entries go to `on_malformed`."""
        for number, entry in self._numbered():
            record = self._checked(number, entry)
            if record is not None:
                self.count += 1
                yield record

    def record(self, place: int) -> Record | None:
        """Return the whole record of the object at `place` in `decoded`; None where a check finds it malformed."""
        record = self._checked(self.number + place, self._lines[place])
        if record is None:
            self.count -= 1
        return record

    def _checked(self, number: int, entry: bytes | Record) -> Record | None:
        try:
            return self._parse(entry)
        except ValueError as error:
            _report(entry, error, f"{self.label}:{number}", self.on_malformed)
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
    """Yield the entries of `source` many at a time; `kind` is one whose records have no ids."""
    assert kind in NAMELESS
    if source.is_table:
        rows, number = source.rows(), source.first_row
        while entries := list(islice(rows, BLOCK_ROWS)):
            yield Block(source.label, number, entries, kind, on_malformed)
            number += len(entries)
        return
    number = 1
    for lines in whole_lines(source.lines()):
        block = Block(source.label, number, lines, kind, on_malformed)
        yield block
        number += block.size


def _report(entry: bytes | Record, error: ValueError, place: str, on_malformed: OnMalformed) -> None:
    """Call `on_malformed` for an entry, unless it is a blank line, which parsing fails on too."""
    raw = entry if type(entry) is bytes else orjson.dumps(entry, default=str)
    if isinstance(error, EntryError):
        raw = error.raw
    if raw.strip() or isinstance(error, EntryError):
        on_malformed(place, explain(error, raw), raw)


def _kinds(kind: str | tuple[str, ...]) -> set[str]:
    return {kind} if isinstance(kind, str) else set(kind)


def _is_shallow(record: Record, checked: str) -> bool:
    """Whether no value lies deeper than the fields of messages, which is cheaper than to count brackets in the line.

    checked: the name of a field of messages whose `role` and `content` are already known to be strings.
    """
    for name, value in record.items():
        if type(value) is dict:
            if not ARE_SCALARS(map(type, value.values())):
                return False
        elif type(value) is list:
            for item in value:
                if type(item) is dict:
                    if (len(item) != 2 or name != checked) and not ARE_SCALARS(map(type, item.values())):
                        return False
                elif type(item) is list:
                    return False
    return True


def _check_depth(record: Record) -> None:
    try:
        orjson.dumps(record)
    except TypeError:  # raised by orjson for a value that it cannot write
        raise ValueError(f"values are nested more than {DEEPEST} deep") from None


def explain(error: ValueError, raw: bytes) -> str:
    """Return in words the problem of the line `raw`, for which parsing or a check raised `error`."""
    if len(raw) > LONGEST_LINE:
        return f"the line is longer than {LONGEST_LINE >> 20} MiB"
    for magic, content in KNOWN_CONTENT.items():
        if raw.startswith(magic):
            return f"this is {content}, not UTF-8 text"
    try:
        raw.decode()
    except UnicodeDecodeError as broken:
        return f"invalid UTF-8 at byte {broken.start + 1}"
    if not isinstance(error, orjson.JSONDecodeError):
        return str(error)
    if b"\0" in raw:
        return f"a NUL at byte {raw.index(0) + 1}"
    if _NOT_A_NUMBER.search(raw):
        return "not JSON (`NaN` and `Infinity` are no JSON numbers)"
    return f"not JSON ({error.msg} at column {error.colno})"


def stop_at_malformed(place: str, problem: str, _raw: bytes) -> None:
    """End the run at the first malformed line, as without `--rejects`."""
    raise RecordError(place, problem)
