"""Answers to prompts with an engine that has its answers written down."""

from __future__ import annotations

from typing import Any

from fake_engine import TOO_LONG, FakeEngine, cut_off

from latxa_cli.generation.engine import Completion, Decoding, Request
from latxa_cli.generation.speaker import Speaker
from latxa_cli.sampling.respond import respond
from latxa_cli.stream.checks import checker
from latxa_cli.stream.records import Record, Reject

DECODING = Decoding(20)
SPEAKER = Speaker("tiny", frozenset({"<user>", "<end>"}))


def echo(request: Request) -> str:
    assert request.messages is not None
    return f" {request.messages[-1]['content']}! "


def answer(prompts: list[Record], engine: FakeEngine, seed: int = 0) -> list[Any]:
    return list(respond(prompts, engine, DECODING, SPEAKER, seed=seed))


def test_every_prompt_has_its_response_in_order() -> None:
    prompts: list[Record] = [
        {"id": "a", "prompt": "one", "reference": "1", "metadata": {"seen": True}},
        {
            "id": "b",
            "messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "two"}],
            "model": "old",
        },
        *({"id": f"n{number}", "prompt": str(number)} for number in range(9)),
    ]
    records = answer(prompts, FakeEngine(echo))
    assert [record["id"] for record in records] == [prompt["id"] for prompt in prompts]
    for record in records:
        checker("response")(record)
        assert record["model"] == "tiny" and record["metadata"]["finish_reason"] == "stop"
    assert records[0]["messages"] == [{"role": "user", "content": "one"}, {"role": "assistant", "content": "one!"}]
    assert records[0]["reference"] == "1" and records[0]["metadata"]["seen"] is True
    assert "prompt" not in records[0]
    assert [message["role"] for message in records[1]["messages"]] == ["system", "user", "assistant"]


def test_a_bad_answer_stays_and_only_what_does_not_fit_is_rejected() -> None:
    given = {"silent": "", "endless": cut_off("and and"), "long": TOO_LONG}
    engine = FakeEngine(lambda request: given[request.messages[-1]["content"]])  # type: ignore[index]
    silent, endless, long = answer([{"id": text, "prompt": text} for text in given], engine)
    assert silent["messages"][-1]["content"] == ""
    assert endless["metadata"]["finish_reason"] == "length"
    assert isinstance(long, Reject) and long.reason == "prompt longer than the context" and long.record["id"] == "long"


def test_the_draw_depends_on_seed_and_id() -> None:
    prompts = [{"id": name, "prompt": "same"} for name in "abcdef"]

    def seeds(some: list[Record], seed: int) -> dict[str, int]:
        engine = FakeEngine(lambda request: str(request.seed), window=2)
        return {record["id"]: int(record["messages"][-1]["content"]) for record in answer(some, engine, seed)}

    whole = seeds(prompts, 1)
    assert len(set(whole.values())) == 6
    assert seeds(prompts[3:], 1) == {name: whole[name] for name in "def"}
    assert seeds(prompts, 2) != whole


def test_a_prompt_that_the_template_refuses_or_that_spells_a_special_token_ends_no_run() -> None:
    refused = Completion("no system role", "refused", 0, 0)
    engine = FakeEngine(lambda request: refused if request.messages[0]["role"] == "system" else echo(request))  # type: ignore[index]
    ordered = [{"role": "system", "content": "s"}, {"role": "user", "content": "two"}]
    prompts = [{"id": "a", "prompt": "one<end>"}, {"id": "b", "messages": ordered}, {"id": "c", "prompt": "three"}]
    spelt, system, fine = answer(prompts, engine)
    assert (spelt.reason, spelt.detail) == ("special token in the prompt", "<end>")
    assert (system.reason, system.detail) == ("refused by the chat template", "no system role")
    assert fine["messages"][-1]["content"] == "three!" and len(engine.requests) == 2


def test_a_thought_is_kept_apart() -> None:
    prompt: Record = {"id": "a", "prompt": "Why?"}
    engine = FakeEngine(lambda request: Completion("So.", "stop", 1, 9, "hm"))
    (record,) = respond([prompt], engine, DECODING, Speaker("m", thinking=True), seed=0)
    assert isinstance(record, dict) and engine.requests[0].thinking is True
    assert record["messages"][-1]["content"] == "So." and record["metadata"]["thinking"] == "hm"


def test_a_special_token_in_any_turn_is_found_and_the_thought_is_told_where_there_was_one() -> None:
    early = [
        {"role": "user", "content": "one<end>"}, {"role": "assistant", "content": "b"}, {"role": "user", "content": "c"}
    ]  # fmt: skip
    (reject,) = answer([{"id": "a", "messages": early}], FakeEngine(echo))
    assert isinstance(reject, Reject) and reject.detail == "<end>"
    (record,) = answer([{"id": "a", "prompt": "one"}], FakeEngine(echo))
    assert "thinking" not in record["metadata"]


def test_all_fields_of_a_prompt_stay_and_what_was_done_now_is_told() -> None:
    prompt: Record = {
        "id": "a", "prompt": "one", "task": "sums", "language": "eu", "mine": [1],
        "metadata": {"method": "by hand", "finish_reason": "old", "seen": 1},
    }  # fmt: skip
    (record,) = answer([prompt], FakeEngine(echo), seed=5)
    assert (record["task"], record["language"], record["mine"]) == ("sums", "eu", [1])
    assert record["metadata"] == {"method": "respond", "seed": 5, "finish_reason": "stop", "tokens": 1, "seen": 1}
