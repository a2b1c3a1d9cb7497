"""The records that verbs exchange: what comes of them, their ids, and the spellings we accept as input.

A record is a plain dict; unknown fields pass through untouched (but whole numbers beyond 64 bits, which are read as
floating point: write such ids as strings). What each kind of them holds is declared in `kinds`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

Record = dict[str, Any]

# Names of roles in ShareGPT's spelling of a conversation.
SHAREGPT_ROLES = {"human": "user", "user": "user", "gpt": "assistant", "assistant": "assistant", "system": "system"}


@dataclass(frozen=True, slots=True)
class Reject:
    """A record judged unfit, and why: it is left out, counted by `reason`, and written to `--rejects` when given."""

    record: Record
    reason: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Lines:
    """`count` records as the JSON lines that they already are; with a `reason`, entries for `--rejects`."""

    data: bytes | memoryview  # whole lines, each with its line break
    count: int
    reason: str = ""


# What a step makes of one record: a record, a reject, or (where one gives many) a list of both.
Outcome = Record | Reject | Lines | list[Any]


def spoken_type(value: object) -> str:
    """Return what people call the type of a value."""
    names = {dict: "an object", list: "an array", str: "a string", bool: "a boolean", type(None): "null"}
    return names.get(type(value), "a number")


def respell(record: Record) -> Record:
    """Return `record` in our spelling: ShareGPT's `conversations`, Alpaca's `instruction`/`output` become `messages`.

    Raises ValueError for a ShareGPT role that has no counterpart.
    """
    if "messages" in record:
        return record
    if type(record.get("conversations")) is list:
        rest = {name: value for name, value in record.items() if name != "conversations"}
        return rest | {"messages": [_sharegpt(message) for message in record["conversations"]]}
    if "instruction" in record and "output" in record:
        rest = {name: value for name, value in record.items() if name not in ("instruction", "input", "output")}
        asked = [str(record[name]) for name in ("instruction", "input") if record.get(name)]
        turns = [("user", "\n\n".join(asked)), ("assistant", record["output"])]
        return rest | {"messages": [{"role": role, "content": content} for role, content in turns]}
    return record


def _sharegpt(message: object) -> Record:
    if type(message) is not dict:
        raise ValueError(f"a message is {spoken_type(message)}, not an object")
    role = message.get("role", message.get("from"))
    if role not in SHAREGPT_ROLES:
        raise ValueError(f"the role `{str(role)[:40]}` is not `system`, `user` (`human`) or `assistant` (`gpt`)")
    return {"role": SHAREGPT_ROLES[role], "content": message.get("content", message.get("value"))}


def content_id(record: Record) -> str:
    """Return the first 16 hex digits of the SHA-256 of the record's content (its keys sorted, as compact JSON).

    Raises ValueError when the record holds what JSON cannot (Parquet may bring bytes).
    """
    from hashlib import sha256

    import orjson

    try:
        return sha256(orjson.dumps(record, option=orjson.OPT_SORT_KEYS)).hexdigest()[:16]
    except TypeError as error:
        raise ValueError(f"the record holds what JSON cannot ({error})") from None


def instruction_of(conversation: Record) -> str:
    """Return what the first user turn of a conversation says."""
    return str(next(message["content"] for message in conversation["messages"] if message["role"] == "user"))


def keyed_hash(seed: int, *parts: str | int) -> int:
    """Return a 64-bit hash of `parts` under `seed`: the source of every order and subset that is drawn at random."""
    import xxhash

    return xxhash.xxh3_64_intdigest("\x1f".join(map(str, parts)).encode("utf-8", "surrogatepass"), seed & (2**64 - 1))
