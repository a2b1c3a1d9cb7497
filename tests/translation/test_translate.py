"""Records translated by an engine that knows the language: their shape, their context, what is rejected."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import orjson
import pytest
from backwards import PAIRS, PROMPT, backwards, read_backwards, source_of, translation
from fake_engine import TOO_LONG, FakeEngine, cut_off, stopped

from latxa_cli.generation.engine import Completion, Request
from latxa_cli.stream.records import Record, Reject
from latxa_cli.translation.layouts import Prompt, load_layout
from latxa_cli.translation.segments import Budget
from latxa_cli.translation.shots import Shots
from latxa_cli.translation.translate import translate


def conversation(name: str, *contents: str, **more: Any) -> Record:
    roles = ("user", "assistant")
    messages = [{"role": roles[n % 2], "content": content} for n, content in enumerate(contents)]
    return {"id": name, "messages": messages, **more}


def translated(records: list[Record], engine: FakeEngine, **changes: Any) -> list[Any]:
    return list(translate(records, engine, translation(**changes)))


def contents(record: Record) -> list[str]:
    return [message["content"] for message in record["messages"]]


@pytest.mark.parametrize("window", [1, 2, 7, 100])
def test_turns_roles_ids_and_other_fields_stay(window: int) -> None:
    given = [
        conversation("a", "hello there", "good day", task="talk", metadata={"from": "test"}, language="en"),
        conversation("b", "a question", "", "another", "an answer"),
        *(conversation(f"n{number}", f"number {number}", f"that is {number}") for number in range(6)),
    ]
    records = translated(given, FakeEngine(backwards, window))
    assert len(records) == len(given)
    for before, after in zip(given, records, strict=True):
        assert after["id"] == before["id"]
        assert [m["role"] for m in after["messages"]] == [m["role"] for m in before["messages"]]
        assert contents(after) == [read_backwards(content) for content in contents(before)]
        assert after["language"] == "qaa"
        assert after["metadata"]["translated_by"] == "tiny" and after["metadata"]["shots"] == 2
        assert after["metadata"]["translated_from"] == "en" and "tries" not in after["metadata"]
    assert records[0]["task"] == "talk" and records[0]["metadata"]["from"] == "test"
    assert records[0]["metadata"]["tokens"] == 4
    assert given[0]["messages"][0]["content"] == "hello there", "the input is left alone"


def test_all_fields_of_a_message_stay() -> None:
    given = conversation("a", "hello there", "good day")
    given["messages"][0]["name"] = "ane"
    given["messages"][1]["weight"] = 0
    (record,) = translated([given], FakeEngine(backwards))
    assert record["messages"] == [
        {"role": "user", "content": "olleh ereht", "name": "ane"},
        {"role": "assistant", "content": "doog yad", "weight": 0},
    ]


def test_what_has_no_words_is_its_own_translation_and_is_not_asked_for() -> None:
    engine = FakeEngine(backwards)
    for text in (" \n", "", "12 + 30", "```python\nprint(1)\n```", "$$x^2$$", "https://example.org/a", "🐇"):
        (record,) = translated([conversation("a", text, "good day")], engine)
        assert contents(record) == [text, "doog yad"]
    assert {source_of(request) for request in engine.requests} == {"good day"}


def test_a_conversation_may_end_with_the_user_and_begin_with_an_assistant() -> None:
    one, other = conversation("a", "one question", "an answer", "two questions"), conversation("b", "a question")
    other["messages"][0]["role"] = "assistant"
    records = translated([one, other], FakeEngine(backwards))
    assert contents(records[0]) == ["eno noitseuq", "na rewsna", "owt snoitseuq"]
    assert contents(records[1]) == ["a noitseuq"]


def test_system_turns_are_translated_or_kept() -> None:
    given = {"id": "a", "messages": [{"role": "system", "content": "be kind"}, {"role": "user", "content": "hello"}]}
    (record,) = translated([given], FakeEngine(backwards))
    assert contents(record) == ["eb dnik", "olleh"]
    (record,) = translated([given], FakeEngine(backwards), keep_system=True)
    assert contents(record) == ["be kind", "olleh"]


def test_white_space_at_the_ends_stays() -> None:
    (record,) = translated([conversation("a", "\n hello there \n")], FakeEngine(backwards))
    assert contents(record) == ["\n olleh ereht \n"]


# --- what is in view -------------------------------------------------------------------------------------------------


def test_an_answer_is_asked_for_with_its_instruction_in_view() -> None:
    engine = FakeEngine(backwards)
    translated([conversation("a", "first question", "first answer", "second question", "second answer")], engine)
    texts = {source_of(request): request.text or "" for request in engine.requests}
    assert [source_of(request) for request in engine.requests[:2]] == ["second question", "first question"], "a round"
    assert "\n\nEnglish: first question\nBackwards: tsrif noitseuq\n\nEnglish: first answer" in texts["first answer"]
    assert "\n\nEnglish: second question\nBackwards: dnoces noitseuq\n\n" in texts["second answer"]
    assert "first question" not in texts["second answer"] and "question\n" not in texts["second question"][:-30]


def test_an_answer_that_repeats_its_instruction_is_found() -> None:
    def repeats(request: Request) -> str:
        return "eht noitseuq" if source_of(request) == "the answer" else backwards(request)

    (reject,) = translated([conversation("a", "the question", "the answer")], FakeEngine(repeats))
    assert reject.reason == "leaked examples" and "the translation of the text before" in reject.detail
    same = conversation("a", "the answer", "the answer")
    assert isinstance(translated([same], FakeEngine(backwards))[0], dict)


def test_a_model_that_only_translates_is_shown_nothing() -> None:
    prompt = Prompt(load_layout("salamandrata"), PROMPT.source, PROMPT.target)

    def answer(request: Request) -> str:
        (turn,) = request.messages or ()
        return read_backwards(turn["content"].partition("\nEnglish: ")[2].removesuffix(" \nBackwards:"))

    (record,) = translated(
        [conversation("a", "hello there", "good day")], FakeEngine(answer), prompt=prompt, shots=Shots((), 0)
    )
    assert contents(record) == ["olleh ereht", "doog yad"]


# --- rejects ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (stopped(" "), "empty translation"),
        (cut_off("half a"), "unfinished translation"),
        (cut_off(""), "unfinished translation"),
        (cut_off("half a" + " and on" * 40), "repetition"),
        (TOO_LONG, "longer than the context"),
        (Completion("no system turns", "refused", 0, 0), "refused by the chat template"),
        (stopped("  One more   BAD line"), "copied source"),
        (stopped("null"), "null translation"),
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
    assert second.detail.startswith("message 2, 1 try") and second.detail.endswith(answer.text.strip())
    assert first["id"] == "good" and third["id"] == "also good"


@pytest.mark.parametrize("number", [1, 2, 3])
def test_any_message_can_fail(number: int) -> None:
    given = conversation("a", *("the bad one" if place == number else "a fine line" for place in (1, 2, 3)))
    engine = FakeEngine(lambda request: "" if "bad" in source_of(request) else backwards(request))
    (reject,) = translated([given], engine)
    assert isinstance(reject, Reject) and reject.detail.startswith(f"message {number},")


def test_what_no_translation_keeps_is_not_asked_for() -> None:
    engine = FakeEngine(backwards)
    (reject,) = translated([conversation("a", "How many letters are in the word sea?", "Three.")], engine)
    assert reject.reason == "does not survive translation" and reject.detail.startswith("message 1, ")
    assert all("letters" not in source_of(request) for request in engine.requests)


def test_special_tokens_in_a_text_are_a_reason_where_a_template_would_read_them() -> None:
    given, markers = conversation("a", "say <|end|> now"), frozenset(("<|end|>",))
    prompt = Prompt(load_layout("chat"), PROMPT.source, PROMPT.target)
    (reject,) = translated([given], FakeEngine(lambda _: "x"), prompt=prompt, markers=markers)
    assert reject.reason == "special token in the text" and reject.detail == "message 1: <|end|>"
    (record,) = translated([given], FakeEngine(backwards), markers=markers)
    assert contents(record) == ["yas <|end|> won"]
    (reject,) = translated([conversation("a", "say it")], FakeEngine(lambda _: "yas <|end|>"), markers=markers)
    assert reject.reason == "leaked role"


# --- masks, fields, segments -----------------------------------------------------------------------------------------


def test_what_must_not_be_translated_comes_back_byte_for_byte() -> None:
    text = "Run `ls -l` and\n\n```sh\ncd ~/x  \n```\nsee https://example.org/a?b=c, then {name}."
    engine = FakeEngine(backwards)
    (record,) = translated([conversation("a", text)], engine)
    assert contents(record) == ["nuR `ls -l` dna\n\n```sh\ncd ~/x  \n```\nees https://example.org/a?b=c, neht {name}."]
    assert source_of(engine.requests[0]).startswith("Run [#1] and")
    (reject,) = translated(
        [conversation("a", text)], FakeEngine(lambda request: backwards(request).replace("[#2]", ""))
    )
    assert reject.reason == "lost marker" and "4 markers" in reject.detail


def test_fields_of_a_record_are_translated_in_one_request() -> None:
    engine = FakeEngine(backwards)
    item = {"id": "a", "question": "what is it", "choices": ["a lamp", "", "42"], "answer": 0, "title": "a thing"}
    (record,) = translated([item], engine, fields=("question", "choices"))
    assert record["question"] == "tahw si ti" and record["choices"] == ["a pmal", "", "42"]
    assert record["title"] == "a thing" and record["answer"] == 0
    (request,) = engine.requests
    assert json.loads(source_of(request)) == {"question": "what is it", "choices_1": "a lamp"}
    assert request.schema is not None and list(request.schema["properties"]) == ["question", "choices_1"]
    assert request.decoding.stop == ("\n\nEnglish:",)
    shown = (request.text or "").partition("\n")[0].removeprefix("English: ")
    assert list(json.loads(shown)) == ["question", "choices_1"], "examples have the same keys"


def test_fields_beyond_the_budget_are_translated_one_by_one() -> None:
    engine = FakeEngine(backwards)
    item = {"id": "a", "question": "what is it", "choices": ["a lamp", "a ship"]}
    budget = Budget(5, lambda text: len(text.split()))
    (record,) = translated([item], engine, fields=("question", "choices"), budget=budget)
    assert record["choices"] == ["a pmal", "a pihs"] and len(engine.requests) == 3


@pytest.mark.parametrize(
    "written", ["tahw si ti", '{"question": "tahw si ti"}', '{"question": "tahw si ti", "choices_1": "a", "x": "y"}']
)
def test_fields_that_come_back_in_another_structure_are_rejected(written: str) -> None:
    item = {"id": "a", "question": "what is it", "choices": ["a lamp"]}
    (reject,) = translated([item], FakeEngine(lambda _: written), fields=("question", "choices"))
    assert reject.reason == "other structure" and reject.detail.startswith("the fields, 1 try")
    (reject,) = translated([{"id": "b"}], FakeEngine(backwards), fields=("question",))
    assert reject.reason == "no such field"


def test_a_fault_in_one_field_names_it() -> None:
    def copies(request: Request) -> str:
        return json.dumps(json.loads(backwards(request)) | {"choices_2": "the old lamp here"})

    item = {"id": "a", "question": "what is it", "choices": ["a lamp", "the old lamp here"]}
    (reject,) = translated([item], FakeEngine(copies), fields=("question", "choices"))
    assert reject.reason == "copied source" and "`choices` 2, the old lamp here" in reject.detail


def test_long_texts_go_in_segments_each_with_the_one_before_in_view() -> None:
    engine = FakeEngine(backwards)
    text = "first part here\n\n```\ncode\n```\n\nsecond part here\n\n\nthird part here\n"
    budget = Budget(3, lambda text: len(text.split()))
    (record,) = translated([{"id": "a", "text": text}], engine, fields=("text",), budget=budget)
    assert record["text"] == "tsrif trap ereh\n\n```\ncode\n```\n\ndnoces trap ereh\n\n\ndriht trap ereh\n"
    assert record["metadata"]["synthetic"] is True
    sources = [source_of(request) for request in engine.requests]
    assert sources == ["first part here", "second part here", "third part here"]
    assert "English: first part here\nBackwards: tsrif trap ereh\n\nEnglish: second" in (engine.requests[1].text or "")
    assert "first part" not in (engine.requests[2].text or "")
    engine = FakeEngine(lambda request: "" if "third" in source_of(request) else backwards(request))
    (reject,) = translated([{"id": "a", "text": text}], engine, fields=("text",), budget=budget)
    assert reject.detail.startswith("`text`, part 4, 1 try")


def test_shots_that_fill_the_context_give_way() -> None:
    def narrow(request: Request) -> Completion:
        return TOO_LONG if len(request.text or "") > 120 else stopped(backwards(request))

    work_shots = Shots(PAIRS, 6)
    engine = FakeEngine(narrow)
    (record,) = translated([conversation("a", "hello there")], engine, shots=work_shots)
    assert contents(record) == ["olleh ereht"]
    assert [(request.text or "").count("\n\n") for request in engine.requests] == [6, 3, 1]
    (reject,) = translated([conversation("a", "hello " * 30)], FakeEngine(narrow), shots=work_shots, retries=2)
    assert reject.reason == "longer than the context" and "1 try" in reject.detail


def test_shots_give_way_where_they_leave_too_little_room_for_the_translation() -> None:
    def narrow(request: Request) -> Completion:
        room = (150 - len(request.text or "")) // 4
        return stopped(backwards(request)) if room >= 8 else Completion("olleh", "length", 100, max(room, 1))

    engine = FakeEngine(narrow)
    (record,) = translated([conversation("a", "hello there")], engine, shots=Shots(PAIRS, 4))
    assert contents(record) == ["olleh ereht"]
    assert [(request.text or "").count("\n\n") for request in engine.requests] == [4, 2]
    engine = FakeEngine(lambda request: Completion("olleh", "length", 100, 30))
    (reject,) = translated([conversation("a", "hello there")], engine, shots=Shots(PAIRS, 4))
    assert reject.reason == "unfinished translation" and len(engine.requests) == 1, "it had all the tokens it may have"


# --- whole conversations ---------------------------------------------------------------------------------------------


def test_a_conversation_in_one_request() -> None:
    engine = FakeEngine(backwards)
    given = conversation("a", "run `ls`\nnow", "", "good day", "well\n")
    (record,) = translated([given], engine, unit="conversation")
    assert contents(record) == ["nur `ls`\nwon", "", "doog yad", "llew\n"]
    (request,) = engine.requests
    assert json.loads(source_of(request)) == {"user_1": "run [#1]\nnow", "user_3": "good day", "assistant_4": "well"}
    assert request.schema is not None and list(request.schema["properties"]) == ["user_1", "user_3", "assistant_4"]
    (record,) = translated([conversation("b", "hello there")], engine, unit="conversation")
    assert contents(record) == ["olleh ereht"] and engine.requests[1].schema is None, "one turn needs no structure"


def test_turns_that_are_not_those_of_the_conversation_are_rejected() -> None:
    def fewer(request: Request) -> str:
        return json.dumps(dict(list(json.loads(backwards(request)).items())[:1]))

    (reject,) = translated([conversation("a", "hello there", "good day")], FakeEngine(fewer), unit="conversation")
    assert reject.reason == "other structure" and reject.detail.startswith("the conversation, 1 try")


# --- inputs that once failed -----------------------------------------------------------------------------------------


def test_a_source_that_holds_the_separator_is_translated_whole() -> None:
    text = "Continue this:\n\nEnglish: Hello there.\nBackwards: olleh.\n\nEnglish: How are you?\nBackwards:"

    def answer(request: Request) -> str:
        assert request.text is not None
        source = request.text.rpartition("\n\nEnglish 2: ")[2].removesuffix("\nBackwards 2:")
        written = read_backwards(source).replace("hsilgnE", "English").replace("sdrawkcaB", "Backwards")
        return written.split(request.decoding.stop[0])[0]

    (record,) = translated([conversation("a", text)], FakeEngine(answer))
    assert contents(record)[0].endswith("English: woH era uoy?\nBackwards:")


def test_separators_of_the_shared_case(shared_cases: Path) -> None:
    lines = (shared_cases / "separator-in-source" / "inject.jsonl").read_bytes().splitlines()
    texts = [contents(orjson.loads(line))[0] for line in lines]
    for text in texts:
        request = PROMPT.request(text, PAIRS, max_tokens=9)
        assert not any(stop in text for stop in request.decoding.stop)


def test_right_copies_pass(shared_cases: Path) -> None:
    """Code, formulas, names and JSON are the same in both languages; prose in any script is not."""
    folder = shared_cases / "right-copies"
    given = [orjson.loads(line) for line in (folder / "in.jsonl").read_bytes().splitlines()]
    names = {"prose": "copied source", "thai": "copied source", "chinese": "copied source"}
    for record in given:
        wanted = contents(record)
        engine = FakeEngine(lambda request, wanted=wanted: source_of(request))
        answer = {"id": record["id"], "messages": record["messages"][1:]}
        (outcome,) = translated([answer], engine)
        if record["id"] in names:
            assert isinstance(outcome, Reject) and outcome.reason == names[record["id"]], record["id"]
        else:
            assert isinstance(outcome, dict) and contents(outcome) == wanted[1:], (record["id"], outcome)
