"""What a chat template is given beside roles and contents: thoughts, calls of tools, the tools, and documents.

reasoning_content, reasoning, thinking    what an assistant thought; a template knows it by one of these names
tool_calls                                what an assistant calls; also `function_call`, as it was called before
tools, documents                          of the record: what may be called, and what may be quoted

Objects may be given as texts of JSON. In those that are not, nulls are left out: tables (Arrow, Parquet) write one for
each name that any other record has there.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from latxa_cli.chat.counted import LOSS_FIELDS
from latxa_cli.chat.rendering import Message, TemplateError
from latxa_cli.stream.records import CALL_FIELDS, PICTURES, Record, calls_of, loaded, spoken_type

THOUGHTS = ("reasoning_content", "reasoning", "thinking")
CALLS = "tool_calls"
OF_RECORDS = ("tools", "functions", "documents")
# As `PICTURES`, fields without which a conversation means something else, and that no template of texts is given.
UNFINISHED = ("prefix", "partial")  # an answer that is to be continued
OTHERS_OF_RECORDS = (*PICTURES, "chat_template_kwargs")
SPOKEN = frozenset((*THOUGHTS, CALLS, *OF_RECORDS, "refusal"))  # what may not be left out


class IgnoredError(TemplateError):
    """The chat template leaves out a field (and whose it is) without which the conversation means something else."""

    def __init__(self, field: str) -> None:
        super().__init__(
            f"the chat template leaves out {field}",
            hint="use a template that knows it, or take it out of the conversation",
            reason=f"{field} not in the chat template",
        )


class UnreadError(TemplateError):
    """A call, a tool, a document or a thought has a form that is not read."""

    def __init__(self, message: str) -> None:
        super().__init__(message, reason="calls, tools or thoughts in a form that is not read")


def is_plain(messages: Sequence[Message], record: Record) -> bool:
    """Whether there are roles and contents alone, and fields that say what the loss counts."""
    return not any(loaded(record.get(name)) for name in (*OF_RECORDS, *OTHERS_OF_RECORDS)) and all(
        message["role"] != "tool" and (len(message) == 2 or not _more(message)) for message in messages
    )


def _more(message: Message) -> bool:
    return any(value is not None for name, value in message.items() if name not in ("role", "content", *LOSS_FIELDS))


def given_of(record: Record) -> dict[str, Any]:
    """Return what the template is given of a record beside its messages.

    Raises:
        IgnoredError: the record has what no template is given.
        UnreadError: a field is no list of objects.
    """
    _refuse(record, OTHERS_OF_RECORDS, "of records")
    given: dict[str, Any] = {}
    for name in OF_RECORDS:
        if value := loaded(without_nulls(record.get(name))):
            objects = [loaded(one) for one in value] if type(value) is list else []
            if not objects or not all(type(one) is dict for one in objects):
                raise UnreadError(f"`{name}` is not a list of objects")
            if name == "documents":
                given[name] = objects
            else:
                given["tools"] = [_tool(one) for one in objects]
    return given


def readable(message: Message) -> Message:
    """Return a message with the fields that a template is given, in the form that it expects.

    Raises:
        IgnoredError: the message has what no template is given.
        UnreadError: a call or a thought is not to be understood.
    """
    _refuse(message, (*PICTURES, *UNFINISHED), "of messages")
    made = {name: value for name, value in message.items() if name not in LOSS_FIELDS and value is not None}
    for name in CALL_FIELDS:
        made.pop(name, None)
    if calls := without_nulls(calls_of(message)):
        if type(calls) is not list:
            raise UnreadError(f"`{CALLS}` is {spoken_type(calls)}, not a list")
        made[CALLS] = [_call(loaded(one)) for one in calls]
    for name in THOUGHTS:
        if made.get(name) and type(made[name]) is not str:
            raise UnreadError(f"`{name}` is {spoken_type(made[name])}, not a string")
    return {name: value for name, value in made.items() if value or name not in THOUGHTS}


def with_nulls(messages: Sequence[Message], record: Record) -> set[str]:
    """Return the names of the fields in which there are nulls."""
    fields = [(name, record.get(name)) for name in OF_RECORDS]
    fields += [(name, message.get(name)) for message in messages for name in CALL_FIELDS]
    return {name for name, value in fields if without_nulls(value) != value}


def without_nulls(value: Any) -> Any:
    """Return a value whose objects, however deep, have no names with nulls."""
    if type(value) is dict:
        return {name: without_nulls(one) for name, one in value.items() if one is not None}
    return [without_nulls(one) for one in value] if type(value) is list else value


def texts_of(value: object) -> Iterator[str]:
    """Yield all strings in a value, names of fields too."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for name, one in value.items():
            yield name
            yield from texts_of(one)
    elif isinstance(value, list | tuple):
        for one in value:
            yield from texts_of(one)


def _refuse(fields: Record, names: Sequence[str], of: str) -> None:
    if name := next((name for name in names if loaded(fields.get(name))), ""):
        raise IgnoredError(f"`{name}` {of}")


def _call(call: object) -> Message:
    """Return a call with its arguments as an object, which templates expect; OpenAI's are the JSON of one."""
    function = call.get("function", call) if type(call) is dict else None
    if type(call) is not dict or type(function) is not dict or type(function.get("name")) is not str:
        raise UnreadError(f"a call in `{CALLS}` has no `function` with a `name`")
    around = {name: value for name, value in call.items() if name != "function"} if function is not call else {}
    arguments = loaded(function.get("arguments")) or {}
    if type(arguments) is not dict:
        raise UnreadError(f"the arguments of a call in `{CALLS}` are {spoken_type(arguments)}, not an object")
    return {"type": "function", **around, "function": {**function, "arguments": arguments}}


def _tool(tool: Message) -> Message:
    """Return a tool as templates expect it; its parameters may be the JSON of an object."""
    whole = tool if "function" in tool or "name" not in tool else {"type": "function", "function": tool}
    function = whole.get("function")
    if type(function) is not dict or "parameters" not in function:
        return whole
    return {**whole, "function": {**function, "parameters": loaded(function["parameters"])}}
