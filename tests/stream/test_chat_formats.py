"""Conversations as other tools write them."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from latxa_cli.stream.chat_formats import in_our_words, respell
from latxa_cli.stream.checks import checker

Turns = list[tuple[str, str]]
PIECES = [{"type": "text", "text": "h"}, {"type": "text", "text": "i"}]
IMAGE = [{"type": "image_url", "image_url": "x"}]
ASKED, SAID = {"role": "user", "content": "hi"}, {"role": "assistant", "content": "ho"}
TURNS: Turns = [("user", "hi"), ("assistant", "ho")]
BRIEF = ("system", "Be brief.")

SPELLINGS: dict[str, tuple[dict[str, Any], Turns]] = {
    "ShareGPT": ({"conversations": [{"from": "human", "value": "hi"}, {"from": "gpt", "value": "ho"}]}, TURNS),
    "ShareGPT, our fields": ({"conversations": [ASKED]}, TURNS[:1]),
    "other names of roles": (
        {"conversations": [{"from": "Prompter", "value": "hi"}, {"from": "chatgpt", "value": "ho"}]}, TURNS,
    ),
    "WildChat": ({"conversation": [ASKED, SAID]}, TURNS),
    "an empty list beside": ({"messages": [], "conversations": [ASKED, SAID]}, TURNS),
    "developer": ({"messages": [{"role": "developer", "content": "Be brief."}, ASKED, SAID]}, [BRIEF, *TURNS]),
    "parts of text": (
        {"messages": [{"role": "user", "content": PIECES}, SAID]},
        TURNS,
    ),
    "system beside": ({"conversations": [ASKED, SAID], "system": "Be brief."}, [BRIEF, *TURNS]),
    "system beside messages": ({"messages": [ASKED, SAID], "system": "Be brief."}, [BRIEF, *TURNS]),
    "no system beside": ({"conversations": [ASKED, SAID], "system": ""}, TURNS),
    "Alpaca": ({"instruction": "add", "input": "1 2", "output": "3"}, [("user", "add\n\n1 2"), ("assistant", "3")]),
    "Alpaca, no input": ({"instruction": "hi", "input": "", "output": "ho"}, TURNS),
    "Alpaca, null": ({"instruction": "hi", "input": None, "output": "ho"}, TURNS),
    "Alpaca with its prompt": ({"instruction": "hi", "output": "ho", "text": "### hi ### ho"}, TURNS),
    "Alpaca with a history": (
        {"instruction": "and?", "output": "no", "history": [["hi", "ho"]], "system": "Be brief."},
        [BRIEF, *TURNS, ("user", "and?"), ("assistant", "no")],
    ),
    "a history of messages": (
        {"query": "and?", "response": "no", "history": [ASKED, SAID]}, [*TURNS, ("user", "and?"), ("assistant", "no")],
    ),
    "no history": ({"instruction": "hi", "output": "ho", "history": []}, TURNS),
    "Dolly": ({"instruction": "add", "context": "1 2", "response": "3"}, [("user", "add\n\n1 2"), ("assistant", "3")]),
    "prompt and completion": ({"prompt": "hi", "completion": "ho"}, TURNS),
    "TRL": ({"prompt": [ASKED], "completion": [SAID]}, TURNS),
    "ms-swift": ({"query": "hi", "response": "ho"}, TURNS),
    "Aya": ({"inputs": "hi", "targets": "ho"}, TURNS),
}  # fmt: skip


@pytest.mark.parametrize("name", SPELLINGS)
def test_other_spellings_become_messages(name: str) -> None:
    record, turns = SPELLINGS[name]
    more = {"id": "1", "source": "x", "score": 0.5}
    ours = respell(record | more)
    checker("conversation")(ours)
    assert [(message["role"], message["content"]) for message in ours["messages"]] == turns
    assert {field: ours[field] for field in more} == more
    left = set(ours) - set(more) - {"messages"}
    assert left <= {"text", "conversations"} & set(record), "what became turns is not there twice"


@pytest.mark.parametrize(
    "record",
    [
        {"messages": [ASKED, SAID], "metadata": {"n": 1}},
        {"messages": [ASKED | {"weight": 0}, SAID], "instruction": "a", "output": "b"},
        {"messages": [{"role": "system", "content": "a"}, ASKED], "system": "b"},
        {"text": "a document", "prompt": "hi", "response": "ho", "system": "s", "history": []},
        {"prompt": "hi"},
        {"instruction": "hi"},
        {},
    ],
)
def test_what_is_in_our_spelling_or_no_conversation_is_left_as_it_is(record: dict[str, Any]) -> None:
    assert respell(record) is record


def test_a_prompt_is_a_prompt_whatever_stands_beside_it() -> None:
    record = {"prompt": "hi", "completion": "ho"}
    assert respell(record, prompts=True) is record


def test_further_fields_of_messages_stay() -> None:
    (message,) = respell({"conversations": [{"from": "human", "value": "hi", "weight": 0}]})["messages"]
    assert message == ASKED | {"weight": 0}


CALL = {"name": "weather", "arguments": {"place": "Irun"}}
CALLED = [{"type": "function", "function": CALL}]


@pytest.mark.parametrize(
    ("turn", "ours"),
    [
        ({"role": "assistant", "content": None, "tool_calls": CALLED}, {"tool_calls": CALLED}),
        ({"role": "assistant", "function_call": CALL}, {"function_call": CALL}),
        ({"from": "function_call", "value": orjson.dumps(CALL).decode()}, {"tool_calls": CALLED}),
        ({"from": "tool_call", "value": [CALL, CALL]}, {"tool_calls": 2 * CALLED}),
    ],
)
def test_turns_that_are_calls(turn: dict[str, Any], ours: dict[str, Any]) -> None:
    record = {"conversations": [ASKED, turn, SAID], "tools": [{}]}
    respelt = respell(record)
    checker("conversation")(respelt)
    assert respelt == {"messages": [ASKED, {"role": "assistant", "content": "", **ours}, SAID], "tools": [{}]}
    for kind, last in (("prompt", ASKED), ("response", SAID)):
        for messages in (respelt["messages"], [ASKED]):
            more = {"model": "m", "messages": [*messages, last], "tools": [] if len(messages) > 1 else [{}]}
            with pytest.raises(ValueError, match="calls tools, which is not read"):
                checker(kind)(more)


@pytest.mark.parametrize("role", ["tool", "function", "ipython", "observation"])
def test_turns_of_tools(role: str) -> None:
    (message,) = respell({"conversations": [{"from": role, "value": "sunny", "name": "weather"}]})["messages"]
    assert message == {"role": "tool", "content": "sunny", "name": "weather"}


@pytest.mark.parametrize(
    ("record", "problem"),
    [
        ({"conversations": [{"from": "robot", "value": "beep"}]}, "the role `robot` is not"),
        ({"conversations": [{"from": ["human"], "value": "beep"}]}, "the role"),
        ({"conversations": [{"from": "function_call", "value": "weather()"}]}, "but not by the JSON of an object"),
        ({"conversations": [{"from": "function_call", "value": '["weather"]'}]}, "but not by the JSON of an object"),
        (
            {"conversations": [{"from": "tool", "value": {"sky": "blue"}}]},
            "the content of a `tool` message is an object",
        ),
        ({"messages": [{"role": "user", "content": IMAGE}]}, "`image_url`, not text"),
        ({"messages": [{"role": "user", "content": [{"type": "image", "text": "a"}]}]}, "`image`, not text"),
        ({"messages": [{"role": "user", "content": None}]}, "the content of a `user` message is null"),
        ({"instruction": "add", "input": 0, "output": "4"}, "`input` is a number, not a string"),
        ({"instruction": "add", "output": 4}, "`output` is a number, not a string"),
        ({"instruction": "a", "output": "b", "history": [["one", 2]]}, "`history` holds neither"),
        ({"instruction": "a", "output": "b", "history": "before"}, "`history` holds neither"),
        ({"chosen": [ASKED, SAID], "rejected": []}, "a pair of a chosen and a rejected answer"),
        ({"conversations": ["hi"]}, "a message is a string"),
    ],
)
def test_what_would_be_read_in_part_is_refused(record: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        respell(record)


def test_a_battle_has_texts_in_place_of_parts_of_text_and_nothing_else_changes():
    def said(content):
        return [{"role": "user", "content": content}]

    battle = {"model_a": "x", "conversation_a": said([{"type": "text", "text": "a"}, {"text": "b"}])}
    assert in_our_words(battle) == {"model_a": "x", "conversation_a": said("ab")}
    for other in (said("ab"), said([{"type": "image", "image": "x.png"}]), ["no turn"], "no list", None):
        assert in_our_words(same := {"conversation_b": other}) is same
    assert in_our_words({**battle, "conversation_b": said([1])}) == {
        "model_a": "x", "conversation_a": said("ab"), "conversation_b": said([1])
    }  # fmt: skip
