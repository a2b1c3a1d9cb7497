"""Conversations as other tools write them, and what verbs make of each: what is said here is kept, or refused by name.

An entry has the turns behind the first question, and fields of the record. `spelt` is why it cannot be read; the others
are reasons for which a verb leaves it out: `prepare` with a template that writes thoughts, calls and tools, `deaf`
with one that writes none of these, `shown` by verbs that show it to models or voters, `pairs` by `preferences`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

Record = dict[str, Any]

ASKED: Record = {"role": "user", "content": "old storm lamps"}
SAID: Record = {"role": "assistant", "content": "warm roofs sleep"}
GAVE: Record = {"role": "tool", "content": "31", "tool_call_id": "abcdefghi"}
TOOL: Record = {"type": "function", "function": {"name": "w", "parameters": {}}}
NULLS: Record = {"type": "function", "function": {"name": "w", "parameters": {"properties": None}}}


def call(arguments: object) -> Record:
    return {"id": "abcdefghi", "type": "function", "function": {"name": "w", "arguments": arguments}}


def answer(content: object, **fields: object) -> Record:
    return {"role": "assistant", "content": content, **fields}


def calling(*calls: Record, content: object = "", **fields: object) -> list[Record]:
    return [ASKED, answer(content, tool_calls=list(calls), **fields), GAVE, SAID]


@dataclass(frozen=True)
class Case:
    turns: list[Record]
    record: Record = field(default_factory=dict)
    spelt: str = ""
    prepare: str = ""
    deaf: str | None = None  # as `prepare`
    shown: str = ""
    pairs: str = ""

    @property
    def of_deaf(self) -> str:
        return self.prepare if self.deaf is None else self.deaf


NO_CALLS, TOOLS = "`tool_calls` of messages not in the chat template", "calls tools"
UNREAD = "calls, tools or thoughts in a form that is not read"
NOTHING, EMPTY = "nothing of it is trained", "empty answer"
LOSS, KEPT_OUT = "a field about the loss that is not read", "answer kept from training"


def no(field: str, of: str = "messages") -> str:
    return f"`{field}` of {of} not in the chat template"


CASES: dict[str, Case] = {
    "plain": Case([ASKED, SAID]),
    # calls of tools
    "content is empty": Case(calling(call({"a": 1})), deaf=NO_CALLS, shown=TOOLS),
    "content is null": Case(calling(call({"a": 1}), content=None), deaf=NO_CALLS, shown=TOOLS),
    "content is missing": Case(
        [ASKED, {"role": "assistant", "tool_calls": [call({})]}, GAVE, SAID], deaf=NO_CALLS, shown=TOOLS
    ),
    "the last turn calls": Case([ASKED, answer("", tool_calls=[call({})])], deaf=NO_CALLS, shown=TOOLS),
    "arguments in JSON": Case(calling(call('{"a": 1}')), deaf=NO_CALLS, shown=TOOLS),
    "arguments in no JSON": Case(calling(call("a=1")), prepare=UNREAD, shown=TOOLS),
    "arguments in a list": Case(calling(call([1])), prepare=UNREAD, shown=TOOLS),
    "no arguments": Case(calling(call(None)), deaf=NO_CALLS, shown=TOOLS),
    "arguments with nulls": Case(calling(call({"a": 1, "b": None})), deaf=NO_CALLS, shown=TOOLS),
    "a call of nothing": Case(calling({"id": "1"}), prepare=UNREAD, shown=TOOLS),
    "no calls": Case([ASKED, answer("lamps", tool_calls=[])]),
    "nulls": Case([ASKED, answer("lamps", tool_calls=None, name=None, weight=None)]),
    "a former call of nulls": Case([ASKED, answer("lamps", function_call={"name": None, "arguments": None})]),
    "an empty answer with a call of nulls": Case(
        [ASKED, answer("", function_call={"name": None, "arguments": None})], prepare=NOTHING, pairs=EMPTY
    ),
    "calls in JSON": Case(
        [ASKED, answer("", tool_calls=json.dumps([call({})])), GAVE, SAID], deaf=NO_CALLS, shown=TOOLS
    ),
    "no calls in JSON": Case([ASKED, answer("", tool_calls="[]")], prepare=NOTHING, pairs=EMPTY),
    "a former call": Case(
        [ASKED, answer(None, function_call={"name": "w", "arguments": "{}"}), {**GAVE, "role": "function"}, SAID],
        deaf=NO_CALLS, shown=TOOLS,
    ),
    "ipython": Case([*calling(call({}))[:2], {"role": "ipython", "content": "31"}, SAID], deaf=NO_CALLS, shown=TOOLS),
    # tools
    "tools": Case(calling(call({})), {"tools": [TOOL]}, deaf=NO_CALLS, shown=TOOLS),
    "tools with nulls": Case([ASKED, SAID], {"tools": [NULLS]}, deaf=no("tools", "records"), shown=TOOLS),
    "tools in JSON": Case([ASKED, SAID], {"tools": json.dumps([TOOL])}, deaf=no("tools", "records"), shown=TOOLS),
    "tools in JSON, one by one": Case(
        [ASKED, SAID], {"tools": [json.dumps(TOOL)]}, deaf=no("tools", "records"), shown=TOOLS
    ),
    "no tools": Case([ASKED, SAID], {"tools": []}),
    "no tools in JSON": Case([ASKED, SAID], {"tools": "[]"}),
    "tools that are none": Case([ASKED, SAID], {"tools": "w"}, prepare=UNREAD, shown=TOOLS),
    # thoughts
    "reasoning_content": Case([ASKED, answer("lamps", reasoning_content="hm")], deaf=no("reasoning_content")),
    "thinking": Case([ASKED, answer("lamps", thinking="hm")], deaf=no("thinking")),
    "a thought alone": Case(
        [ASKED, answer("", thinking="hm")], prepare=NOTHING, deaf=no("thinking"), pairs=EMPTY
    ),
    "a thought that is no text": Case([ASKED, answer("lamps", thinking={"a": "hm"})], prepare=UNREAD),
    "a thought as a part": Case(
        [ASKED, answer([{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "a"}])],
        spelt="a part of a message is `thinking`, not text",
    ),
    # what the loss counts
    "weight": Case([ASKED, answer("a", weight=0), ASKED, SAID]),
    "weight of the only answer": Case([ASKED, answer("a", weight=0)], prepare=NOTHING, pairs=KEPT_OUT),
    "weight between": Case([ASKED, answer("a", weight=0.5)], prepare="a weight other than 0 and 1"),
    "weight of the record": Case([ASKED, SAID], {"weight": 0}, prepare=NOTHING),
    "train": Case([ASKED, answer("a", train=False), ASKED, SAID]),
    "loss, masked": Case([ASKED, answer("a", loss=False, masked=True), ASKED, SAID]),
    "an unknown field of the loss": Case([ASKED, answer("a", train_detail=[1])], prepare=LOSS),
    # contents and roles
    "name": Case([{**ASKED, "name": "ane"}, SAID]),
    "parts": Case([{"role": "user", "content": [{"type": "text", "text": "old "}, {"text": "storm"}]}, SAID]),
    "no parts": Case([ASKED, answer([])], prepare=NOTHING, pairs=EMPTY),
    "a picture": Case(
        [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}, SAID],
        spelt="a part of a message is `image_url`, not text",
    ),
    "pictures beside": Case(
        [ASKED, SAID], {"images": ["a.png"]}, prepare=no("images", "records"), shown="has `images`"
    ),
    "a picture beside": Case(
        [{**ASKED, "images": ["a.png"]}, SAID], prepare=no("images"), shown="has `images`"
    ),
    "documents": Case([ASKED, SAID], {"documents": [{"text": "a"}]}, prepare=no("documents", "records"),
                      shown="has `documents`"),
    "developer": Case([{"role": "developer", "content": "keeper"}, ASKED, SAID]),
    "capitals": Case([{"role": "User", "content": "old"}, SAID]),
    "ShareGPT": Case([{"from": "human", "value": "old"}, {"from": "gpt", "value": "lamps", "weight": 1}]),
    "ShareGPT, a call": Case(
        [{"from": "human", "value": "old"}, {"from": "function_call", "value": '{"name": "w", "arguments": {}}'},
         {"from": "observation", "value": "31"}, {"from": "gpt", "value": "lamps"}],
        {"tools": "[]"}, deaf=NO_CALLS, shown=TOOLS,
    ),
    "an empty answer": Case([ASKED, answer("")], prepare=NOTHING, pairs=EMPTY),
    "a blank answer": Case([ASKED, answer(" \n")], prepare=NOTHING, pairs=EMPTY),
    "an answer of null": Case([ASKED, answer(None)], spelt="the content of an `assistant` message is null"),
    "a question of null": Case([{**ASKED, "content": None}, SAID], spelt="the content of a `user` message is null"),
    "a refusal": Case([ASKED, answer("", refusal="no")], prepare=no("refusal"), pairs=EMPTY),
    "unfinished": Case([ASKED, answer("a", prefix=True)], prepare=no("prefix")),
    "settings of the template": Case(
        [ASKED, SAID], {"chat_template_kwargs": {"a": 1}}, prepare=no("chat_template_kwargs", "records")
    ),
    "two answers": Case([ASKED, SAID, answer("lamps")], pairs="different prompts"),
    "two questions": Case([ASKED, ASKED, SAID]),
    "the user last": Case([ASKED, SAID, ASKED], shown="not from the assistant", pairs="no response"),
    "a question alone": Case([ASKED], prepare=NOTHING, shown="not from the assistant", pairs="no response"),
    "no role": Case([ASKED, {"content": "lamps"}], spelt="a message has no `role`"),
    "another role": Case([ASKED, {"role": "robot", "content": "a"}], spelt="the role `robot` is not"),
    "no messages": Case([], spelt="`messages` is empty"),
}  # fmt: skip
RECORDS: dict[str, Record] = {
    name: {"id": name, "messages": case.turns, **case.record} for name, case in CASES.items()
}  # fmt: skip
