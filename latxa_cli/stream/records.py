"""Records, which verbs exchange: the outcomes of a record, and its id.

A record is a plain dict. Unknown fields pass through untouched, except whole numbers beyond 64 bits, which are read as
floating point: write such ids as strings. `kinds` declares which fields each kind of record has.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

Record = dict[str, Any]
CALL_FIELDS = ("tool_calls", "function_call")  # of an assistant's message: OpenAI's, and its former one
PICTURES = ("image", "images", "video", "videos", "audio", "audios")  # fields of messages and of records
_NOT_SHOWN = ("tools", "functions", "documents", *PICTURES)  # of records
JsonObject = dict[str, Any]  # any other JSON object: settings, an entry of a manifest, the result of a task


@dataclass(frozen=True, slots=True)
class Reject:
    """A record that was judged unfit: it is left out, counted under `reason`, and written to `--rejects` if given."""

    record: Record
    reason: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Lines:
    """Records that already are JSON lines, `count` of them; with a `reason` they are entries for `--rejects`."""

    data: bytes | memoryview  # whole lines, each with its line break
    count: int
    reason: str = ""


# The result of a step for one record: a record, a reject, or a list of both where one record gives many.
Outcome = Record | Reject | Lines | list[Any]


def spoken_type(value: object) -> str:
    """Return the type of a JSON value in plain words, for messages."""
    if type(value) is dict and value.keys() == {"base64"}:  # see `parquet`
        return "bytes that are not UTF-8"
    names = {dict: "an object", list: "an array", str: "a string", bool: "a boolean", type(None): "null"}
    return names.get(type(value), "a number")


def content_id(record: Record) -> str:
    """Return the first 16 hex digits of the SHA-256 of the record as compact JSON with sorted keys.

    Raises ValueError for a value that is nested too deep.
    """
    from hashlib import sha256

    import orjson

    try:
        return sha256(orjson.dumps(record, option=orjson.OPT_SORT_KEYS)).hexdigest()[:16]
    except TypeError as error:
        raise ValueError(f"the record holds what JSON cannot ({error})") from None


def user_turns(messages: Iterable[Record]) -> list[str]:
    """Return what the user says in a conversation, turn by turn."""
    return [message["content"] for message in messages if message["role"] == "user"]


def instruction_of(conversation: Record) -> str:
    """Return the content of the first user turn of a conversation."""
    return user_turns(conversation["messages"])[0]


def loaded(value: object) -> Any:
    """Return what a text of JSON says, for which tables have room where they have none for objects; else the value."""
    if type(value) is str:
        import orjson

        with suppress(ValueError):
            return orjson.loads(value)
    return value


def calls_of(message: Record) -> Any:
    """Return what an assistant calls, by either name, or None; tables write a call that is not there as nulls."""
    for name in CALL_FIELDS:
        value = loaded(message.get(name)) if message.get(name) else None
        if any(value.values()) if type(value) is dict else value:
            return [value] if name != CALL_FIELDS[0] and type(value) is dict else value
    return None


def not_shown(conversation: Record) -> str:
    """Return in words what a conversation has that models which answer or judge are not given, or the empty string."""
    if loaded(conversation.get("tools")) or any(map(_calls, conversation["messages"])):
        return "calls tools"
    found = next((name for name in _NOT_SHOWN if loaded(conversation.get(name))), None) or next(
        (name for message in conversation["messages"] if len(message) > 2 for name in PICTURES if message.get(name)), ""
    )
    return found and f"has `{found}`"


def _calls(message: Record) -> bool:
    return message["role"] == "tool" or (len(message) > 2 and bool(calls_of(message)))


def keyed_hash(seed: int, *parts: str | int) -> int:
    """Return a 64-bit hash of `parts` under `seed`; every random order and random subset in `latxa` comes from it."""
    import xxhash

    return xxhash.xxh3_64_intdigest("\x1f".join(map(str, parts)).encode("utf-8", "surrogatepass"), seed & (2**64 - 1))
