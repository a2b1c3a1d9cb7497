"""What OpenAI-compatible servers are sent and say: names of fields, reasons, and the words of their refusals."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from latxa_cli.generation.engine import FinishReason
from latxa_cli.generation.http import Refusal
from latxa_cli.generation.lines import constraint

ENDINGS: dict[str, FinishReason] = {
    "stop": "stop", "eos_token": "stop", "stop_sequence": "stop", "length": "length",
    "content_filter": "filtered",
}  # fmt: skip
# What servers say of a prompt that does not fit; the first three lines are vLLM's, OpenAI's, llama.cpp's.
TOO_LONG = re.compile(
    r"max_model_len|max_tokens must be at least 1|"
    r"maximum context length|context_length|"
    r"context size|"
    r"context.{0,20}(length|window|limit)|prompt.{0,20}too long|too many (input )?tokens",
    re.IGNORECASE,
)
# What servers of newer APIs say of `max_tokens`, which has another name there.
OTHER_LIMIT = re.compile(r"max_completion_tokens|(unsupported|unknown|unrecognized|extra).{0,40}max_tokens", re.I)
# Models that reason draw as they will, and their servers say so.
OPTIONAL = ("temperature", "top_p", "seed")
UNSUPPORTED = re.compile(r"unsupported|not support|unknown|unrecogni[sz]ed|extra|not permitted|only the default", re.I)
MOST_TOLD = 20  # of the likeliest tokens, with their log-probabilities, is what servers give at most
# What chat templates say of turns in an order that they do not write.
REFUSED_TURNS = re.compile(r"\broles?\b|\balternat", re.IGNORECASE)

# What servers say that cannot keep a text to a schema.
NO_SCHEMAS = re.compile(r"response_format|json_schema|structured|guided|grammar|schema", re.IGNORECASE)
SCHEMA_FIELDS = frozenset(("response_format", "structured_outputs"))


def schema_fields(schema: Mapping[str, Any], *, chat: bool, vllm: bool) -> dict[str, Any]:
    """Return what asks a server to keep a text to a schema: none where it has no field for that."""
    if vllm:
        return {"structured_outputs": constraint(schema)}
    if not chat:
        return {}
    named = {"name": "answer", "strict": True, "schema": schema}
    return {"response_format": {"type": "json_schema", "json_schema": named}}


def refuses_schemas(refusal: Refusal, body: dict[str, Any]) -> bool:
    return not SCHEMA_FIELDS.isdisjoint(body) and refusal.status < 500 and bool(NO_SCHEMAS.search(refusal.said))


def without_schema(body: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in body.items() if name not in SCHEMA_FIELDS}


def weighing_fields(*, chat: bool) -> dict[str, Any]:
    """Return what asks a server for the log-probabilities of the likeliest tokens."""
    return {"logprobs": True, "top_logprobs": MOST_TOLD} if chat else {"logprobs": MOST_TOLD}


def refuses_logprobs(refusal: Refusal) -> bool:
    return refusal.status in (400, 403, 422) and "logprobs" in refusal.said


def refused_field(refusal: Refusal, body: dict[str, Any]) -> str | None:
    """Return the field that a server refuses and that it can be asked without, or None."""
    if refusal.status not in (400, 422) or not UNSUPPORTED.search(refusal.said):
        return None
    return next((name for name in OPTIONAL if name in body and re.search(rf"\b{name}\b", refusal.said)), None)


def renamed(body: dict[str, Any], limit: str) -> dict[str, Any]:
    return {limit if name == "max_tokens" else name: value for name, value in body.items()}


def refused_turns(refusal: Refusal, body: dict[str, Any]) -> bool:
    return refusal.status == 400 and "messages" in body and bool(REFUSED_TURNS.search(refusal.said))


def too_long(refusal: Refusal) -> bool:
    return refusal.status in (400, 413, 422) and bool(TOO_LONG.search(refusal.said))


def count(used: Any, name: str) -> int:
    return int(used[name]) if is_count(used, name) else 0


def is_count(used: Any, name: str) -> bool:
    value = used.get(name) if isinstance(used, dict) else None
    return type(value) is int and value >= 0


def models_of(answer: Any) -> list[dict[str, Any]]:
    entries = answer.get("data") if isinstance(answer, dict) else answer
    if not isinstance(entries, list) or not all(isinstance(e, dict) and isinstance(e.get("id"), str) for e in entries):
        raise ValueError("there is no list of models")
    return entries


def version_of(answer: Any) -> str:
    if not isinstance(answer, dict) or not isinstance(answer.get("version"), str):
        raise ValueError("there is no `version`")
    version: str = answer["version"]
    return version
