"""Few-shot translation with an engine that has its answers written down."""

from __future__ import annotations

from typing import Any

import pytest
from fake_engine import TOO_LONG, FakeEngine, cut_off, stopped

from latxa_cli.generation.engine import Completion, Request
from latxa_cli.stream.records import Record, Reject
from latxa_cli.translation.checks import failure
from latxa_cli.translation.prompt import few_shot
from latxa_cli.translation.translate import Translation, translate_conversations

PAIRS: list[Record] = [
    {"source": " one ", "target": "eno"},
    {"source": "two", "target": "owt"},
    {"source": "x", "target": "y"},
]
PROMPT = few_shot(PAIRS, "English", "Backwards", 2)


def source_of(request: Request) -> str:
    assert request.text is not None
    return request.text.rpartition("\n\nEnglish: ")[2].removesuffix("\nBackwards:")


def backwards(request: Request) -> str:
    return " " + source_of(request)[::-1]


def conversation(name: str, *contents: str, **more: Any) -> Record:
    roles = ("user", "assistant")
    messages = [{"role": roles[n % 2], "content": content} for n, content in enumerate(contents)]
    return {"id": name, "messages": messages, **more}


def translated(conversations: list[Record], engine: FakeEngine, language: str | None = None) -> list[Any]:
    return list(translate_conversations(conversations, engine, Translation(PROMPT, 30, "tiny", language)))


def test_the_prompt_is_the_shots_and_the_text() -> None:
    assert PROMPT.prompt("three") == (
        "English: one\nBackwards: eno\n\nEnglish: two\nBackwards: owt\n\nEnglish: three\nBackwards:"
    )
    assert few_shot(PAIRS, "A", "B", 0).prompt("x") == "A: x\nB:"


def test_a_line_ends_at_its_end_and_a_longer_text_at_the_next_shot() -> None:
    assert PROMPT.decoding("one line\n", 9).stop == ("\n",)
    assert PROMPT.decoding("two\nlines", 9).stop == ("\n\nEnglish:",)
    assert PROMPT.decoding("x", 9).max_tokens == 9


@pytest.mark.parametrize("window", [1, 2, 7, 100])
def test_turns_roles_ids_and_other_fields_stay(window: int) -> None:
    given = [
        conversation("a", "hello there", "good day", task="talk", metadata={"from": "test"}),
        conversation("b", "a question", "", "another", "an answer"),
        *(conversation(f"n{number}", f"number {number}", f"that is {number}") for number in range(6)),
    ]
    records = translated(given, FakeEngine(backwards, window), "bw")
    assert len(records) == len(given)
    for before, after in zip(given, records, strict=True):
        assert after["id"] == before["id"]
        assert [m["role"] for m in after["messages"]] == [m["role"] for m in before["messages"]]
        assert [m["content"] for m in after["messages"]] == [m["content"][::-1] for m in before["messages"]]
        assert after["language"] == "bw"
        assert after["metadata"]["translated_by"] == "tiny" and after["metadata"]["shots"] == 2
    assert records[0]["task"] == "talk" and records[0]["metadata"]["from"] == "test"
    assert given[0]["messages"][0]["content"] == "hello there", "the input is left alone"


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (stopped(" "), "empty translation"),
        (cut_off("half a"), "unfinished translation"),
        (TOO_LONG, "message longer than the context"),
        (stopped("  One more   BAD line"), "copied source"),
    ],
)
def test_one_bad_message_rejects_its_conversation_and_no_other(answer: Completion, reason: str) -> None:
    engine = FakeEngine(lambda request: answer if "bad" in source_of(request) else backwards(request))
    given = [
        conversation("good", "a fine line", "and one more"),
        conversation("ill", "a fine line", "one more bad line", "and a third"),
        conversation("also good", "the last"),
    ]
    first, second, third = translated(given, engine)
    assert isinstance(second, Reject) and second.reason == reason and second.record == given[1]
    assert second.detail.startswith("message 2:")
    assert first["id"] == "good" and third["id"] == "also good"


@pytest.mark.parametrize("text", ["OK", "Bilbo 42", "12 + 30 = 42", "print(1)"])
def test_what_may_be_the_same_in_both_languages_passes(text: str) -> None:
    assert failure(text, stopped(text)) == ""
    assert failure("three plain words", stopped("three plain words")) == "copied source"


def test_all_fields_of_a_message_stay() -> None:
    given = conversation("a", "hello there", "good day")
    given["messages"][0]["name"] = "ane"
    given["messages"][1]["weight"] = 0
    (record,) = translated([given], FakeEngine(backwards))
    assert record["messages"] == [
        {"role": "user", "content": "ereht olleh", "name": "ane"},
        {"role": "assistant", "content": "yad doog", "weight": 0},
    ]


def test_what_is_not_said_is_not_written() -> None:
    plain, known = translated(
        [conversation("a", "hello there"), conversation("b", "hello there", language="en")], FakeEngine(backwards)
    )
    assert "language" not in plain and known["language"] == "en"


def test_a_blank_message_is_its_own_translation_and_the_longest_is_told() -> None:
    engine = FakeEngine(backwards)
    (record,) = translated([conversation("a", " \n", "good day")], engine)
    assert [message["content"] for message in record["messages"]] == [" \n", "yad doog"]
    assert [request.decoding.max_tokens for request in engine.requests] == [30]


@pytest.mark.parametrize("number", [1, 2, 3])
def test_any_message_can_fail(number: int) -> None:
    given = conversation("a", *("the bad one" if place == number else "a fine line" for place in (1, 2, 3)))
    engine = FakeEngine(lambda request: "" if "bad" in source_of(request) else backwards(request))
    (reject,) = translated([given], engine)
    assert isinstance(reject, Reject) and reject.detail.startswith(f"message {number}:")


def test_shots_have_no_spaces_round_them() -> None:
    (shot,) = few_shot([{"source": " one\n", "target": "\n eno "}], "A", "B", 5).shots
    assert shot == ("one", "eno")
