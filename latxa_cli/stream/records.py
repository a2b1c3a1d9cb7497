"""The records that verbs exchange: their kinds, their checks, their ids, and the spellings we accept as input.

A record is a plain dict; unknown fields pass through untouched (but whole numbers beyond 64 bits, which are read as
floating point: write such ids as strings). A check raises ValueError with what is wrong in words;
the reader adds file and line.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Record = dict[str, Any]

ROLES = frozenset(("system", "user", "assistant"))
WINNERS = frozenset(("model_a", "model_b", "tie", "tie (bothbad)"))
CRITERIA = ("winner", "winner_content", "winner_language")  # what a vote may say: of all, of what is said, and how
NUMBER = (int, float)
# Metrics of results that are shares (of items answered well, of battles won) from 0 to 1: people read percentages.
SHARES = frozenset(("acc", "acc_norm", "exact_match", "win_rate"))

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


def _string(record: Record, *names: str) -> None:
    for name in names:
        value = record.get(name)
        if type(value) is not str:
            raise ValueError(_lacks(record, name) or f"`{name}` is {_type(value)}, not a string")


def _lacks(record: Record, name: str) -> str:
    return "" if name in record else f"the field `{name}` is missing"


def _type(value: object) -> str:
    names = {dict: "an object", list: "an array", str: "a string", bool: "a boolean", type(None): "null"}
    return names.get(type(value), "a number")


def _messages(record: Record) -> None:
    messages = record.get("messages")
    if type(messages) is not list or not messages:
        raise ValueError(_lacks(record, "messages") or "`messages` is not a list of messages")
    for message in messages:
        if type(message) is not dict:
            raise ValueError(f"a message is {_type(message)}, not an object")
        role = message.get("role")
        if type(role) is not str or role not in ROLES:
            raise ValueError(f"the role `{str(role)[:40]}` is not `system`, `user` or `assistant`")
        if type(message.get("content")) is not str:
            raise ValueError(f"the content of a `{role}` message is {_type(message.get('content'))}, not a string")


def _document(record: Record) -> None:
    _string(record, "text")


def _conversation(record: Record) -> None:
    _messages(record)


def _prompt(record: Record) -> None:
    if "messages" not in record:
        if "prompt" not in record:
            raise ValueError("neither `messages` nor `prompt` is there")
        _string(record, "prompt")
        return
    _messages(record)
    if record["messages"][-1]["role"] != "user":
        raise ValueError("the last message of a prompt is not from the user")


def _response(record: Record) -> None:
    _messages(record)
    _string(record, "model")
    if record["messages"][-1]["role"] != "assistant":
        raise ValueError("the last message of a response is not from the assistant")


def _pair(record: Record) -> None:
    _string(record, "source", "target")


def _battle(record: Record) -> None:
    _string(record, "model_a", "model_b")
    if record.get("winner") is None and any(record.get(name) is not None for name in CRITERIA):
        return  # who voted was asked for sides of the answers alone
    _string(record, "winner")
    if record["winner"] not in WINNERS:
        raise ValueError(f"the winner `{record['winner'][:40]}` is not `model_a`, `model_b`, `tie` or `tie (bothbad)`")


def _rating(record: Record) -> None:
    _string(record, "model")
    if record.get("rating", 0) is not None or record.get("infinite") not in ("above", "below", "unknown"):
        _number(record, "rating")
    for name in ("lower", "upper"):  # null where infinite
        if record.get(name) is not None:
            _number(record, name)


def _difference(record: Record) -> None:
    _string(record, "model")


def _finding(record: Record) -> None:
    _string(record, "finding")


def _correlation(record: Record) -> None:
    _string(record, "benchmark")


def _result(record: Record) -> None:
    _string(record, "model", "task", "metric")
    _number(record, "value")


def _metrics(record: Record) -> None:
    _number(record, "step")
    _number(record, "loss")
    if "validation" in record:
        _string(record, "validation")


def _number(record: Record, name: str) -> None:
    value = record.get(name)
    if not isinstance(value, NUMBER) or isinstance(value, bool):
        raise ValueError(_lacks(record, name) or f"`{name}` is {_type(value)}, not a number")


CHECKS: dict[str, Callable[[Record], None]] = {
    "document": _document,
    "conversation": _conversation,
    "prompt": _prompt,
    "response": _response,
    "pair": _pair,
    "battle": _battle,
    "rating": _rating,
    "difference": _difference,
    "finding": _finding,
    "correlation": _correlation,
    "result": _result,
    "metrics": _metrics,
}

# The field that tells one kind from another where a verb takes several.
MARKS = {
    "conversation": "messages", "document": "text", "rating": "rating", "result": "task", "metrics": "step",
    "battle": "model_a", "difference": "difference", "finding": "finding", "correlation": "correlation",
}  # fmt: skip

# Kinds that are conversations, and come in other spellings too.
HAVE_MESSAGES = frozenset(("conversation", "prompt", "response"))

# Records without a content of their own to be named by: two equal votes are two votes.
NAMELESS = frozenset(("battle", "rating", "difference", "finding", "correlation", "result", "metrics"))


def check_provenance(record: Record) -> None:
    """Check the optional fields that verbs read or add to, in records of any kind."""
    metadata, source = record.get("metadata"), record.get("source")
    if metadata is not None and type(metadata) is not dict:
        raise ValueError(f"`metadata` is {_type(metadata)}, not an object")
    if source is not None and type(source) is not str:
        raise ValueError(f"`source` is {_type(source)}, not a string")


def checker(kind: str | tuple[str, ...]) -> Callable[[Record], None]:
    """Return the check for records of `kind`, or of any of several kinds (told apart by their fields)."""
    if isinstance(kind, str):
        return CHECKS[kind]
    marked = [(MARKS[name], CHECKS[name]) for name in kind]

    def check(record: Record) -> None:
        for mark, check_one in marked:
            if mark in record:
                return check_one(record)
        raise ValueError("neither " + " nor ".join(f"`{mark}`" for mark, _ in marked) + " is there")

    return check


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
        raise ValueError(f"a message is {_type(message)}, not an object")
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
