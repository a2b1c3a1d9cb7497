"""The rules of the kinds of records that the types of fields do not tell; each raises ValueError with the problem."""

from __future__ import annotations

from latxa_cli.stream.fields import NUMBER, VERDICT, lacks
from latxa_cli.stream.records import Record, not_shown, spoken_type

ROLES = frozenset(("system", "user", "assistant", "tool"))
VERDICTS = ("model_a", "model_b", "tie", "tie (bothbad)")
INFINITE = ("above", "below", "unknown")


def messages(record: Record) -> None:
    """Check the messages of a conversation."""
    messages = record["messages"]
    if not messages:
        raise ValueError("`messages` is empty")
    for message in messages:
        if not is_message(message):
            raise ValueError(_odd_message(message))


def is_message(message: object) -> bool:
    """Whether this is a message with a role and a text."""
    if type(message) is not dict or type(message.get("content")) is not str:
        return False
    role = message.get("role")
    return type(role) is str and role in ROLES


def _odd_message(message: object) -> str:
    if type(message) is not dict:
        return f"a message is {spoken_type(message)}, not an object"
    role = message.get("role")
    return odd_content(role, message.get("content")) if type(role) is str and role in ROLES else odd_role(role)


def odd_role(role: object) -> str:
    """Return the message for a role that is none."""
    if role is None:
        return "a message has no `role`"
    return f"the role `{str(role)[:40]}` is not `system`, `user`, `assistant` or `tool`"


def odd_content(role: str, content: object) -> str:
    """Return the message for a content that is no text."""
    article = "an" if role == "assistant" else "a"
    return f"the content of {article} `{role}` message is {spoken_type(content)}, not a string"


def prompt(record: Record) -> None:
    """Check that there is a question, which the user asks."""
    if "messages" not in record:
        if record.get("prompt") is None:
            raise ValueError("neither `messages` nor `prompt` is there")
        return
    messages(record)
    _check_shown(record)
    if record["messages"][-1]["role"] != "user":
        raise ValueError("the last message of a prompt is not from the user")


def response(record: Record) -> None:
    """Check that the assistant speaks last."""
    messages(record)
    _check_shown(record)
    if record["messages"][-1]["role"] != "assistant":
        raise ValueError("the last message of a response is not from the assistant")


def _check_shown(record: Record) -> None:
    """Raise ValueError for tools and pictures: neither the model that answers is given them, nor one that judges."""
    if beside := not_shown(record):
        raise ValueError(f"the conversation {beside}, which is not read")


def battle(record: Record) -> None:
    """Check that there is a verdict, or that a voter gave none."""
    winner = record.get("winner")
    if winner is None:
        questions = (record.get("winner_content"), record.get("winner_language"))
        if questions == (None, None) and record.get("skipped") is not True:
            raise ValueError(lacks(record, "winner", VERDICT))
    elif winner not in VERDICTS:
        raise ValueError(f"the winner `{winner[:40]}` is not `model_a`, `model_b`, `tie` or `tie (bothbad)`")


def rating(record: Record) -> None:
    """Check that a rating is a number, or said to be infinite."""
    if record.get("rating") is None and ("rating" not in record or record.get("infinite") not in INFINITE):
        raise ValueError(lacks(record, "rating", NUMBER))


def answer(record: Record) -> None:
    """Check that an answer was scored, and is no result."""
    if "metric" in record and "n" in record:
        raise ValueError("this is the result of a task, not the answer to an item (`eval --answers` writes those)")
    if "correct" not in record and "value" not in record:
        raise ValueError("neither `correct` nor `value` is there")
    if "correct" not in record and "id" not in record and "metrics" not in record:
        raise ValueError("the `metric` of a result is missing, or the `id` of an answer")
