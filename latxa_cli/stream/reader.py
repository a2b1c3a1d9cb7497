"""Reading records: every line parsed, checked, given an id; every error with file and line."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import orjson

from latxa_cli.stream.errors import RecordError
from latxa_cli.stream.inputs import LONGEST_LINE, Input
from latxa_cli.stream.records import HAVE_MESSAGES, NAMELESS, Record, check_provenance, checker, content_id, respell

DEEPEST = 254  # levels of nesting that orjson writes; it reads more
HOLDS_NONE = frozenset((dict, list)).isdisjoint  # of types: is none of them one that holds values?

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
        given = record.get("id")
        if given is None:
            name = content_id({field: value for field, value in record.items() if field not in ("id", "metadata")})
            count = self.seen[name] = self.seen.get(name, 0) + 1
            given = name if count == 1 else f"{name}-{count}"
        elif type(given) is int:
            given = str(given)
        elif type(given) is not str or not given:
            raise ValueError("`id` is neither a string nor a whole number")
        record.pop("id", None)
        return {"id": given, **record}


def read(source: Input, kind: str | tuple[str, ...], on_malformed: OnMalformed, ids: Identifier) -> Iterator[Record]:
    """Yield the checked records of `source`; blank lines are skipped, malformed ones go to `on_malformed`."""
    check = checker(kind)
    kinds = {kind} if isinstance(kind, str) else set(kind)
    named = not kinds <= NAMELESS
    talks = not kinds.isdisjoint(HAVE_MESSAGES)
    loads = orjson.loads
    for number, entry in source.entries():
        try:
            record: Any = loads(entry) if type(entry) is bytes else entry
            if type(record) is not dict:
                raise ValueError("the line is JSON, but not an object")
            if type(entry) is bytes and not _is_shallow(record) and entry.count(b"[") + entry.count(b"{") > DEEPEST:
                _check_depth(record)
            if talks and "messages" not in record:
                record = respell(record)
            check(record)
            check_provenance(record)
            if named and type(record.get("id")) is not str:
                record = ids.identify(record)
        except ValueError as error:  # orjson's errors are ValueErrors too
            raw = entry if type(entry) is bytes else orjson.dumps(entry, default=str)
            if raw.strip():
                on_malformed(f"{source.label}:{number}", _reason(error, raw), raw)
            continue
        yield record


def _is_shallow(record: Record) -> bool:
    """Whether no value lies deeper than the fields of messages: the usual case, told without a look at each byte."""
    for value in record.values():
        if type(value) is dict:
            if not HOLDS_NONE(map(type, value.values())):
                return False
        elif type(value) is list:
            for item in value:
                if type(item) is list or (type(item) is dict and not HOLDS_NONE(map(type, item.values()))):
                    return False
    return True


def _check_depth(record: Record) -> None:
    try:
        orjson.dumps(record)
    except TypeError:  # what orjson raises for what it cannot write
        raise ValueError(f"values are nested more than {DEEPEST} deep") from None


def _reason(error: ValueError, raw: bytes) -> str:
    if len(raw) > LONGEST_LINE:
        return f"the line is longer than {LONGEST_LINE >> 20} MiB"
    if not isinstance(error, orjson.JSONDecodeError):
        return str(error)
    try:
        raw.decode()
    except UnicodeDecodeError as broken:
        return f"invalid UTF-8 at byte {broken.start + 1}"
    if b"\0" in raw:
        return f"a NUL at byte {raw.index(0) + 1}"
    return f"not JSON ({error.msg} at column {error.colno})"


def stop_at_malformed(where: str, what: str, _raw: bytes) -> None:
    """The rule without `--rejects`: the first malformed line ends the run."""
    raise RecordError(where, what)
