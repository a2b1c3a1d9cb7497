"""What a chat template is given beside roles and contents: thoughts, calls of tools, the tools, and documents.

reasoning_content, reasoning, thinking    what an assistant thought; a template knows it by one of these names
tool_calls                                what an assistant calls; also `function_call`, as it was called before
tools, documents                          of the record: what may be called, and what may be quoted
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import orjson

from latxa_cli.chat.counted import LOSS_FIELDS
from latxa_cli.chat.rendering import Message, TemplateError
from latxa_cli.stream.records import Record, spoken_type

THOUGHTS = ("reasoning_content", "reasoning", "thinking")
CALLS, FORMER_CALL = "tool_calls", "function_call"
OF_RECORDS = ("tools", "functions", "documents")
# Fields without which a conversation means something else, and that no template of texts is given.
PICTURES = ("image", "images", "video", "videos", "audio", "audios")
UNFINISHED = ("prefix", "partial")  # an answer that is to be continued
OTHERS_OF_RECORDS = (*PICTURES, "chat_template_kwargs")
SPOKEN = frozenset((*THOUGHTS, CALLS, *OF_RECORDS, "refusal"))  # what may not be left out


class IgnoredError(TemplateError):
    """The chat template leaves out a field without which the conversation means something else.

    field: its name, and what it belongs to.
    """

    def __init__(self, field: str) -> None:
        super().__init__(
            f"the chat template leaves out {field}",
            hint="use a template that knows it, or take it out of the conversation",
        )
        self.field = field


def is_plain(messages: Sequence[Message], record: Record) -> bool:
    """Whether there are roles and contents alone, and fields that say what the loss counts."""
    return not any(record.get(name) for name in (*OF_RECORDS, *OTHERS_OF_RECORDS)) and all(
        message["role"] != "tool" and (len(message) == 2 or not _more(message)) for message in messages
    )


def _more(message: Message) -> bool:
    return any(value is not None for name, value in message.items() if name not in ("role", "content", *LOSS_FIELDS))


def given_of(record: Record) -> dict[str, Any]:
    """Return what the template is given of a record beside its messages.

    Raises:
        IgnoredError: the record has what no template is given.
        TemplateError: a field is no list of objects.
    """
    _refuse(record, OTHERS_OF_RECORDS, "of records")
    given: dict[str, Any] = {}
    for name in OF_RECORDS:
        if value := record.get(name):
            objects = _loaded(value)
            if type(objects) is not list or not all(type(one) is dict for one in objects):
                raise TemplateError(f"`{name}` is not a list of objects")
            if name == "documents":
                given[name] = objects
            else:
                given["tools"] = [_tool(one) for one in objects]
    return given


def readable(message: Message) -> Message:
    """Return a message with the fields that a template is given, in the form that it expects.

    Raises:
        IgnoredError: the message has what no template is given.
        TemplateError: a call is not to be understood.
    """
    _refuse(message, (*PICTURES, *UNFINISHED), "of messages")
    made = {name: value for name, value in message.items() if name not in LOSS_FIELDS and value is not None}
    calls = made.pop(CALLS, None) or []
    if former := made.pop(FORMER_CALL, None):
        calls = calls or [former]
    if type(calls) is not list:
        raise TemplateError(f"`{CALLS}` is {spoken_type(calls)}, not a list")
    if calls:
        made[CALLS] = [_call(one) for one in calls]
    return {name: value for name, value in made.items() if value or name not in THOUGHTS}


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
    if name := next((name for name in names if fields.get(name)), ""):
        raise IgnoredError(f"`{name}` {of}")


def _call(call: object) -> Message:
    """Return a call with its arguments as an object, which templates expect; OpenAI's are the JSON of one."""
    function = call.get("function", call) if type(call) is dict else None
    if type(call) is not dict or type(function) is not dict or type(function.get("name")) is not str:
        raise TemplateError(f"a call in `{CALLS}` has no `function` with a `name`")
    around = {name: value for name, value in call.items() if name != "function"} if function is not call else {}
    arguments = _loaded(function.get("arguments"))
    return {"type": "function", **around, "function": {**function, "arguments": {} if arguments is None else arguments}}


def _tool(tool: Message) -> Message:
    return tool if "function" in tool or "name" not in tool else {"type": "function", "function": tool}


def _loaded(value: object) -> Any:
    """Return what a text of JSON says; anything else as it is."""
    if isinstance(value, str):
        try:
            return orjson.loads(value)
        except ValueError:
            return value
    return value
