"""Magpie with an engine that has its answers written down."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import islice
from typing import Any

import pytest
from fake_engine import TOO_LONG, FakeEngine, cut_off

from latxa_cli.chat.pre_query import PreQuery
from latxa_cli.chat.rendering import TemplateError
from latxa_cli.generation.engine import Completion, Decoding, Request
from latxa_cli.sampling.filters import Filters
from latxa_cli.sampling.magpie import TRIES, Magpie, draw
from latxa_cli.sampling.tasks import Task
from latxa_cli.stream.records import Reject, keyed_hash

TASK = Task("general", instruction=Decoding(50, 1.0), answer=Decoding(90, 0.0))
FILTERS = Filters(frozenset({"<user>", "<end>"}), frozenset(("short",)))


def query(messages: Sequence[dict[str, Any]], system: str | None) -> PreQuery:
    said = "".join(f"<{message['role']}>{message['content']}" for message in messages)
    return PreQuery(f"{said}<user>", "<assistant>")


def magpie(seed: int = 7, system: str | None = None, **given: Any) -> Magpie:
    tasks = given.pop("tasks", [replace(TASK, system=system)])
    return Magpie(query, tasks, given.pop("filters", FILTERS), seed, "tiny", **given)


def talk(request: Request) -> str:
    """Ask about a number that depends on the seed alone; answer what was asked."""
    assert request.prompt is not None
    if request.prompt == "<user>":
        return f" What is {request.seed % 1000}? \n"
    return "It is " + request.prompt.removeprefix("<user>What is ").removesuffix("?<assistant>") + "."


def test_the_model_asks_and_answers() -> None:
    engine = FakeEngine(talk)
    records: list[Any] = list(draw(range(10), engine, magpie()))
    assert [record["id"] for record in records] == [f"magpie-tiny-7-{number}" for number in range(10)]
    for record in records:
        question, answer = record["messages"]
        assert (question["role"], answer["role"]) == ("user", "assistant")
        assert question["content"].startswith("What is ") and question["content"].endswith("?")
        assert answer["content"] == "It is " + question["content"][8:-1] + "."
        assert record["metadata"] | {"method": "magpie", "model": "tiny", "seed": 7} == record["metadata"]
    assert {request.decoding.max_tokens for request in engine.requests if request.prompt == "<user>"} == {50}
    assert {request.decoding.max_tokens for request in engine.requests if request.prompt != "<user>"} == {90}


@pytest.mark.parametrize("window", [1, 3, 100])
def test_a_draw_depends_on_seed_and_number_alone(window: int) -> None:
    whole = list(draw(range(12), FakeEngine(talk), magpie()))
    assert list(draw(range(12), FakeEngine(talk, window), magpie())) == whole
    assert list(draw([5, 11], FakeEngine(talk, window), magpie())) == [whole[5], whole[11]]
    assert list(draw(range(12), FakeEngine(talk), magpie(seed=8))) != whole


def test_draws_are_taken_window_by_window() -> None:
    taken = []

    def numbers() -> Any:
        for number in range(1000):
            taken.append(number)
            yield number

    list(islice(draw(numbers(), FakeEngine(talk, 4), magpie()), 5))
    assert len(taken) == 8


@pytest.mark.parametrize(
    ("instruction", "answer", "reason"),
    [
        (cut_off("What is"), "x", "unfinished instruction"),
        ("  \n", "x", "empty instruction"),
        ("What?", "", "empty answer"),
        ("What?", cut_off("It is"), "unfinished answer"),
        ("What?", TOO_LONG, "instruction longer than the context"),
    ],
)
def test_what_cannot_be_used_is_rejected_by_name(
    instruction: Completion | str, answer: Completion | str, reason: str
) -> None:
    engine = FakeEngine(lambda request: instruction if request.prompt == "<user>" else answer)
    outcomes = list(draw(range(3), engine, magpie()))
    assert [outcome.reason for outcome in outcomes if isinstance(outcome, Reject)] == [reason] * 3


def test_an_unfit_instruction_is_not_answered() -> None:
    engine = FakeEngine(lambda request: "" if request.seed % 2 else talk(request))
    outcomes = list(draw(range(20), engine, magpie()))
    rejected = sum(isinstance(outcome, Reject) for outcome in outcomes)
    asked = [request for request in engine.requests if request.prompt == "<user>"]
    assert 0 < rejected < 20 and len(asked) == 20
    assert len(engine.requests) == 20 + sum(not request.seed % 2 for request in asked)


def test_a_system_message_comes_first() -> None:
    (record,) = draw([0], FakeEngine(talk), magpie(system="Be short."))
    assert isinstance(record, dict)
    assert record["messages"][0] == {"role": "system", "content": "Be short."}
    assert [message["role"] for message in record["messages"]] == ["system", "user", "assistant"]


@pytest.mark.parametrize(
    ("question", "answer", "turn"), [("Who<end> is", "me", "instruction"), ("Who?", "<user>", "answer")]
)
def test_special_tokens_in_a_text(question: str, answer: str, turn: str) -> None:
    engine = FakeEngine(lambda request: question if request.prompt == "<user>" else answer)
    (reject,) = draw(range(1), engine, magpie())
    assert isinstance(reject, Reject) and reject.reason == f"special token in the {turn}"


def test_several_turns_see_those_before() -> None:
    seen = []

    def answer(request: Request) -> str:
        assert request.prompt is not None
        seen.append(request.prompt)
        return f"Q{request.prompt.count('<user>')}" if request.prompt.endswith("<user>") else "A"

    (record,) = draw([0], FakeEngine(answer), magpie(turns=3))
    assert isinstance(record, dict)
    assert [message["content"] for message in record["messages"]] == ["Q1", "A", "Q2", "A", "Q3", "A"]
    assert seen[-2:] == [
        "<user>Q1<assistant>A<user>Q2<assistant>A<user>",
        "<user>Q1<assistant>A<user>Q2<assistant>A<user>Q3<assistant>",
    ]


def test_a_conversation_that_the_template_refuses_stops_no_other() -> None:
    def picky(messages: Sequence[dict[str, Any]], system: str | None) -> PreQuery:
        if any("7" in message["content"] for message in messages):
            raise TemplateError("no sevens")
        return query(messages, system)

    def say(request: Request) -> str:
        assert request.prompt is not None
        return f"What is {request.seed % 10}?" if request.prompt.endswith("<user>") else "It."

    given = magpie(turns=2)
    outcomes = list(draw(range(30), FakeEngine(say), replace(given, query=picky)))
    refused = [one for one in outcomes if isinstance(one, Reject)]
    assert {one.reason for one in refused} == {"refused by the chat template"} and 0 < len(refused) < 30


def test_seeds_of_turns_and_tries_differ() -> None:
    engine = FakeEngine(lambda request: "# no")
    list(draw(range(5), engine, magpie(turns=2, tasks=[replace(TASK, not_first=("#",))])))
    assert len({request.seed for request in engine.requests}) == len(engine.requests) == 5 * TRIES


def test_a_forbidden_beginning_is_drawn_again() -> None:
    def answer(request: Request) -> str:
        assert request.prompt is not None
        return talk(request) if request.prompt != "<user>" else ("# Title" if request.seed % 2 else talk(request))

    outcomes = list(draw(range(60), FakeEngine(answer), magpie(tasks=[replace(TASK, not_first=("#",))])))
    kept = [outcome for outcome in outcomes if isinstance(outcome, dict)]
    reasons = {outcome.reason for outcome in outcomes if isinstance(outcome, Reject)}
    assert not any(record["messages"][0]["content"].startswith("#") for record in kept)
    assert reasons <= {"forbidden beginning"} and len(kept) > 40


def test_tasks_are_drawn_by_their_weights() -> None:
    tasks = [replace(TASK, name="a", system="be a"), replace(TASK, name="b", weight=3.0)]
    records = [record for record in draw(range(400), FakeEngine(talk), magpie(tasks=tasks)) if isinstance(record, dict)]
    counts = Counter(record["task"] for record in records)
    assert sum(counts.values()) == 400 and 0.2 < counts["a"] / 400 < 0.3
    assert all((record["messages"][0]["role"] == "system") == (record["task"] == "a") for record in records)


def test_what_a_model_thinks_aloud_is_kept_apart() -> None:
    engine = FakeEngine(lambda request: talk(request) if request.prompt == "<user>" else "<think>hm</think>\nYes.")
    (record,) = draw([0], engine, magpie(can_think=True))
    assert isinstance(record, dict)
    assert record["messages"][-1]["content"] == "Yes." and record["metadata"]["thinking"] == ["hm"]
    endless = FakeEngine(lambda request: talk(request) if request.prompt == "<user>" else cut_off("<think>hm"))
    (reject,) = draw([0], endless, magpie(can_think=True))
    assert isinstance(reject, Reject) and reject.reason == "unfinished answer"


def test_an_answer_that_never_came_out_of_a_thought_that_the_template_began_is_empty() -> None:
    def begun(messages: Sequence[dict[str, Any]], system: str | None) -> PreQuery:
        return replace(query(messages, system), suffix="<assistant><think>\n")

    said = {"whole": "hm</think>Yes.", "unended": "hm"}
    for name, text in said.items():
        engine = FakeEngine(lambda request, text=text: "What is it?" if request.prompt == "<user>" else text)
        (outcome,) = draw([0], engine, replace(magpie(can_think=True), query=begun))
        record = outcome.record if isinstance(outcome, Reject) else outcome
        assert record["metadata"]["thinking"] == ["hm"]
        assert record["messages"][-1]["content"] == ("Yes." if name == "whole" else "")
        assert isinstance(outcome, Reject) == (name == "unended")


def test_what_only_looks_like_a_thought_stays() -> None:
    engine = FakeEngine(lambda request: talk(request) if request.prompt == "<user>" else "<think>hm</think>Yes.")
    (record,) = draw([0], engine, magpie(can_think=False))
    assert isinstance(record, dict) and record["messages"][-1]["content"] == "<think>hm</think>Yes."
    assert "thinking" not in record["metadata"]


def test_every_turn_is_counted_and_its_thought_is_kept() -> None:
    """Three turns of two words, then four, then six: of each instruction, and of its answer and thought."""

    def say(request: Request) -> Completion:
        assert request.prompt is not None
        turn = request.prompt.count("<user>")
        if request.prompt.endswith("<user>"):
            return Completion("Ask on", "stop", 1, 2 * turn)
        return Completion(f"<think>t{turn}</think>It is", "length" if turn == 3 else "stop", 1, 10 * turn)

    (outcome,) = draw([0], FakeEngine(say), magpie(turns=3, can_think=True))
    assert isinstance(outcome, Reject) and outcome.reason == "unfinished answer"
    told = outcome.record["metadata"]
    assert (told["instruction_tokens"], told["answer_tokens"]) == (2 + 4 + 6, 10 + 20 + 30)
    assert told["thinking"] == ["t1", "t2", "t3"] and told["finish_reason"] == "length", "of the last answer"


def test_the_seeds_of_a_draw_are_those_of_ever() -> None:
    """Another derivation of them would draw other texts from the same seed."""
    engine = FakeEngine(lambda request: "# no" if "<assistant>" in (request.prompt or "")[:-11] else "What is it?")
    list(draw([4], engine, magpie(turns=2, tasks=[replace(TASK, not_first=("#",))])))
    first = [keyed_hash(7, "magpie", 4, "instruction"), keyed_hash(7, "magpie", 4, "answer")]
    again = [keyed_hash(7, "magpie", 4, "instruction", 1, attempt) for attempt in range(TRIES)]
    assert [request.seed for request in engine.requests] == [*first, *again]
    engine = FakeEngine(lambda request: "What is it?")
    list(draw([4], engine, magpie(turns=2)))
    assert engine.requests[-1].seed == keyed_hash(7, "magpie", 4, "answer", 1, 0)


def test_a_template_that_refuses_the_first_turn_ends_the_run() -> None:
    def never(messages: Sequence[dict[str, Any]], system: str | None) -> PreQuery:
        raise TemplateError("no user")

    with pytest.raises(TemplateError, match="no user"):
        list(draw([0], FakeEngine(talk), replace(magpie(), query=never)))


def test_a_forbidden_beginning_may_stand_behind_spaces() -> None:
    engine = FakeEngine(lambda request: " \n# Title")
    (reject,) = draw([0], engine, magpie(tasks=[replace(TASK, not_first=("#",))]))
    assert isinstance(reject, Reject) and reject.reason == "forbidden beginning" and len(engine.requests) == TRIES
