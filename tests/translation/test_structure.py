"""Several texts as one JSON object, whose keys say which is which."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from latxa_cli.translation.fields import Part, parts_of
from latxa_cli.translation.structure import decoded, encoded, keys_of, schema_of, structured

KEYS = ["user_1", "assistant_2"]


def test_a_key_for_each_part() -> None:
    messages = [{"role": role, "content": "x"} for role in ("system", "user", "assistant", "user")]
    assert keys_of(parts_of({"messages": messages}, ["messages"])) == ["system_1", "user_2", "assistant_3", "user_4"]
    item = {"question": "x", "choices": ["x", "x"], "choices_1": "x"}
    assert keys_of(parts_of(item, list(item))) == ["question", "choices_1", "choices_2", "choices_1_"]
    assert keys_of([Part(("a",), "x", "a")]) == ["a"]


@given(st.lists(st.text(), min_size=1, max_size=4))
def test_any_texts_make_one_line_and_come_back(texts: list[str]) -> None:
    keys = [f"k{number}" for number in range(len(texts))]
    line = encoded(keys, texts)
    assert "\n" not in line and decoded(line, keys) == texts
    assert decoded(f" ```json\n{line}\n``` ", keys) == texts


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Zer da?",
        '{"user_1": "a"}',
        '{"user_1": "a", "assistant_2": "b", "user_3": "c"}',
        '{"user_1": "a", "assistant_2": 3}',
        '{"user_1": "a", "assistant_2": ["b"]}',
        '{"user_1": "a", "user_1": "b"}',
        '{"user_1": "a", "assistant_2": "b"',
        '{"user_1": "a", "assistant_2": "\\ud83d"}',
        '{"user_1": "a", "assistant_2": "b"} and more',
        '[["user_1", "a"], ["assistant_2", "b"]]',
        '"user_1"',
        "null",
        "[" * 100_000,
    ],
)
def test_what_is_no_such_object(text: str) -> None:
    assert decoded(text, KEYS) is None


def test_the_order_of_keys_does_not_matter() -> None:
    assert decoded('{"assistant_2": "b", "user_1": "a"}', KEYS) == ["a", "b"]


def test_the_schema_fixes_turns_and_roles() -> None:
    schema = schema_of(KEYS)
    assert list(schema["properties"]) == KEYS == schema["required"] and schema["additionalProperties"] is False


def test_examples_have_the_structure_of_the_text() -> None:
    pairs = [(f"s{number}", f"t{number}") for number in range(5)]
    shown = structured(pairs, KEYS)
    assert [json.loads(source) for source, _ in shown] == [
        {"user_1": "s0", "assistant_2": "s1"},
        {"user_1": "s2", "assistant_2": "s3"},
    ]
    ((source, target),) = structured(pairs[:1], KEYS)
    assert json.loads(source) == {"user_1": "s0", "assistant_2": "s0"} and json.loads(target)["user_1"] == "t0"
    assert structured([], KEYS) == []
