"""The texts of a record that are translated, and the record with others in their places."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

from latxa_cli.stream.errors import UsageError
from latxa_cli.translation.fields import UnfitError, filled, kind_of_records, parts_of

CHAT: dict[str, Any] = {
    "id": "a",
    "messages": [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": "Why?", "name": "ane"},
        {"role": "assistant", "content": " \n"},
        {"role": "user", "content": "Well?"},
    ],
    "task": "talk",
}
ITEM: dict[str, Any] = {"id": "b", "question": "What is it?", "choices": ["a ship", "a lamp"], "answer": 1}


def upper(record: dict[str, Any], fields: list[str], **more: Any) -> dict[str, Any]:
    parts = parts_of(record, fields, **more)
    return filled(record, parts, [part.text.upper() for part in parts])


def test_every_turn_is_a_part_in_its_role() -> None:
    parts = parts_of(CHAT, ["messages"])
    assert [(part.text, part.role, part.name) for part in parts] == [
        ("Be kind.", "system", "message 1"),
        ("Why?", "user", "message 2"),
        (" \n", "assistant", "message 3"),
        ("Well?", "user", "message 4"),
    ]
    assert [part.is_blank for part in parts] == [False, False, True, False]


def test_all_else_stays_and_the_record_itself_is_left_alone() -> None:
    before = deepcopy(CHAT)
    made = upper(CHAT, ["messages"])
    assert before == CHAT
    assert made == {
        "id": "a",
        "messages": [
            {"role": "system", "content": "BE KIND."},
            {"role": "user", "content": "WHY?", "name": "ane"},
            {"role": "assistant", "content": " \n"},
            {"role": "user", "content": "WELL?"},
        ],
        "task": "talk",
    }


def test_system_turns_can_be_kept() -> None:
    assert [part.name for part in parts_of(CHAT, ["messages"], keep_system=True)] == [
        "message 2", "message 3", "message 4",
    ]  # fmt: skip
    assert upper(CHAT, ["messages"], keep_system=True)["messages"][0]["content"] == "Be kind."


def test_what_a_tool_gave_is_no_text_to_translate() -> None:
    call = {"role": "assistant", "content": "let me see", "tool_calls": [{"function": {"name": "a"}}]}
    chat = {"messages": [call, {"role": "tool", "content": "warm"}, {"role": "assistant", "content": "it is"}]}
    made = upper(chat, ["messages"])["messages"]
    assert made == [{**call, "content": "LET ME SEE"}, chat["messages"][1], {"role": "assistant", "content": "IT IS"}]


def test_fields_are_strings_and_lists_of_strings() -> None:
    parts = parts_of(ITEM, ["question", "choices"])
    assert [(part.name, part.role) for part in parts] == [
        ("`question`", "user"), ("`choices` 1", "assistant"), ("`choices` 2", "assistant"),
    ]  # fmt: skip
    assert upper(ITEM, ["choices", "question"]) == ITEM | {"question": "WHAT IS IT?", "choices": ["A SHIP", "A LAMP"]}
    assert upper({"text": "a", "id": "c"}, ["text"]) == {"text": "A", "id": "c"}
    assert parts_of({"choices": []}, ["choices"]) == []
    assert parts_of({"text": "a"}, ["text"])[0].role == "assistant", "a document asks for nothing"


@pytest.mark.parametrize(
    ("record", "reason", "detail"),
    [
        ({}, "no such field", "`question` is missing"),
        ({"question": None}, "no such field", "`question` is missing"),
        ({"question": 3}, "no text", "`question` is a number, not a string or a list of strings"),
        ({"question": {"text": "a"}}, "no text", "`question` is an object, not a string or a list of strings"),
        ({"question": ["a", 3]}, "no text", "`question` is a list of other things, not a string or a list of strings"),
    ],
)
def test_a_record_without_such_texts_is_unfit(record: dict[str, Any], reason: str, detail: str) -> None:
    with pytest.raises(UnfitError) as error:
        parts_of(record, ["question"])
    assert (error.value.reason, error.value.detail) == (reason, detail)


def test_the_fields_say_the_kind_of_the_records() -> None:
    kinds = {("messages",): "conversation", ("messages", "title"): "conversation", ("text",): "document"}
    for fields, kind in (kinds | {("text", "title"): "record", ("question", "choices"): "record"}).items():
        assert kind_of_records(fields) == kind
    for wrong in (["text", "text"], [""], ["id"], ["metadata"], ["text", "language"]):
        with pytest.raises(UsageError):
            kind_of_records(wrong)
