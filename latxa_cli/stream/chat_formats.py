"""Spellings of conversations that other tools write, which are turned into `messages` with `role` and `content`.

    messages                            OpenAI; also content in parts of text, and the role `developer`
    conversations, conversation         ShareGPT, WildChat; `from` and `value` for `role` and `content`
    instruction, input, output          Alpaca
    instruction, context, response      Dolly
    prompt, completion (or response)    OpenAI, TRL; each a text or a list of messages
    query, response                     ms-swift
    inputs, targets                     Aya

Beside any of them, `system` is the first turn, and `history` holds earlier turns. The result of a tool is a turn of the
role `tool`, by whatever name. A turn that is a call (`function_call` of ShareGPT) is an assistant's with `tool_calls`.
Content that is not text is refused, since no conversation is read only in part. AlpacaEval names the model of a
response `generator`. The conversations of a battle may be spelt so too.
"""

from __future__ import annotations

from contextlib import suppress

import orjson

from latxa_cli.stream.records import JsonObject, Record, calls_of, spoken_type
from latxa_cli.stream.rules import is_message, odd_content, odd_role

LISTS = ("messages", "conversations", "conversation")
ALPACA = ("instruction", "output")  # a field `text` beside these repeats them as one prompt
PAIRS = (
    ALPACA,
    ("instruction", "response"),
    ("prompt", "completion"),
    ("prompt", "response"),
    ("query", "response"),
    ("inputs", "targets"),
)
MORE = ("input", "context")  # optional fields that follow an instruction
ROLES = {
    **dict.fromkeys(("user", "human", "prompter"), "user"),
    **dict.fromkeys(("assistant", "gpt", "chatgpt", "bard", "bing", "bot", "model"), "assistant"),
    **dict.fromkeys(("system", "developer"), "system"),
    **dict.fromkeys(("tool", "tools", "function", "function_response", "observation", "ipython"), "tool"),
}
CALL_ROLES = ("function_call", "tool_call")


def respell(record: Record, *, prompts: bool = False) -> Record:
    """Return the record with `messages`; a record without a conversation, or with `messages` already, is unchanged.

    prompts: prompts are read, so that a `prompt` with an answer beside it is not taken for a conversation.

    Raises ValueError for a conversation that is refused.
    """
    name = next((name for name in LISTS if type(record.get(name)) is list and record[name]), None)
    if name is not None:
        turns, used = [_message(message) for message in record[name]], [name]
    elif "text" in record and not _has(record, ALPACA):  # a document, whose other fields describe it
        return record
    else:
        pair = next((pair for pair in PAIRS if _has(record, pair) and not (prompts and pair[0] == "prompt")), None)
        if pair is None:
            if "chosen" in record and "rejected" in record:
                raise ValueError("a pair of a chosen and a rejected answer is no conversation")
            return record
        turns, used = _pair(record, *pair), [*pair, *MORE]
    if record.get("history"):
        turns, used = [*_history(record["history"]), *turns], [*used, "history"]
    if type(record.get("system")) is str and turns[0]["role"] != "system":
        turns, used = [*_said("system", record["system"]), *turns], [*used, "system"]
    if used == ["messages"] and turns == record["messages"]:
        return record
    used += [field for field in ("history", "system") if not record.get(field)]
    return {field: value for field, value in record.items() if field not in used} | {"messages": turns}


def with_model(record: Record) -> Record:
    """Return a response with `model`, where it calls its model `generator`; any other is unchanged."""
    if "model" in record or type(record.get("generator")) is not str:
        return record
    return {name: value for name, value in record.items() if name != "generator"} | {"model": record["generator"]}


def in_our_words(battle: Record) -> Record:
    """Return a battle whose conversations have our names of fields and roles, and texts where they have parts of text.

    What is no conversation there stays as it is, for those who read it to refuse; a battle in our words is unchanged.
    """
    ours = {}
    for name in ("conversation_a", "conversation_b"):
        turns = battle.get(name)
        if type(turns) is list and not all(map(is_message, turns)):
            with suppress(ValueError):
                ours[name] = [_message(turn) for turn in turns]
    return {**battle, **ours} if ours else battle


def _has(record: Record, pair: tuple[str, str]) -> bool:
    return all(name in record for name in pair)


def _pair(record: Record, question: str, answer: str) -> list[JsonObject]:
    if type(record[question]) is list or type(record[answer]) is list:
        return [*_turns(record[question], "user", question), *_turns(record[answer], "assistant", answer)]
    pieces = [_text(record, question), *(_text(record, name) for name in MORE if question == "instruction")]
    return [
        {"role": "user", "content": "\n\n".join(filter(None, pieces))},
        {"role": "assistant", "content": _text(record, answer)},
    ]


def _turns(value: object, role: str, name: str) -> list[JsonObject]:
    """Return the turns in `value`, which is the text of one turn or a list of messages."""
    if type(value) is list:
        return [_message(message) for message in value]
    return [{"role": role, "content": _text({name: value}, name)}]


def _text(record: Record, name: str) -> str:
    value = record.get(name)
    if value is not None and type(value) is not str:
        raise ValueError(f"`{name}` is {spoken_type(value)}, not a string")
    return value or ""


def _said(role: str, content: str) -> list[JsonObject]:
    return [{"role": role, "content": content}] if content else []


def _history(history: object) -> list[JsonObject]:
    """Return the turns of a history, which holds pairs of a question and an answer, or messages."""
    turns: list[JsonObject] = []
    for exchange in history if type(history) is list else [history]:
        if type(exchange) is list and len(exchange) == 2 and {*map(type, exchange)} == {str}:
            turns += [{"role": "user", "content": exchange[0]}, {"role": "assistant", "content": exchange[1]}]
        elif type(exchange) is dict:
            turns.append(_message(exchange))
        else:
            raise ValueError("`history` holds neither pairs of texts nor messages")
    return turns


def _message(message: object) -> JsonObject:
    """Return a message with our names of fields and roles; raises ValueError for one that is refused."""
    if type(message) is not dict:
        raise ValueError(f"a message is {spoken_type(message)}, not an object")
    role = message.get("role", message.get("from"))
    name = role.lower() if type(role) is str else ""
    if name in CALL_ROLES:
        return {"role": "assistant", "content": "", "tool_calls": _calls(message.get("content", message.get("value")))}
    if (ours := ROLES.get(name)) is None:
        raise ValueError(odd_role(role))
    content = message.get("content", message.get("value"))
    if type(content) is list:
        content = "".join(_part(part) for part in content)
    if content is None and calls_of(message):
        content = ""
    if type(content) is not str:
        raise ValueError(odd_content(ours, content))
    if ours == message.get("role") and content is message.get("content") and not message.keys() & {"from", "value"}:
        return message
    spellings = {"role", "from", "content", "value"}
    return {"role": ours, "content": content} | {name: x for name, x in message.items() if name not in spellings}


def _part(part: object) -> str:
    text = part.get("text") if type(part) is dict else part
    kind = part.get("type") if type(part) is dict else spoken_type(part)
    if type(text) is not str or (type(part) is dict and type(kind) is str and not kind.endswith("text")):
        raise ValueError(f"a part of a message is `{str(kind)[:40]}`, not text")
    return text


def _calls(value: object) -> list[JsonObject]:
    """Return the calls in a turn that is one, as JSON; raises ValueError for anything else."""
    try:
        calls = orjson.loads(value) if type(value) is str else value
    except ValueError:
        calls = None
    calls = calls if type(calls) is list else [calls]
    if not calls or not all(type(call) is dict and type(call.get("name")) is str for call in calls):
        raise ValueError("the conversation calls a tool, but not by the JSON of an object with a `name`")
    return [{"type": "function", "function": call} for call in calls]
