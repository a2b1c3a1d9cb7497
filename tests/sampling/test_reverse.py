"""Reverse instructions with an engine that has its answers written down."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from fake_engine import TOO_LONG, FakeEngine

from latxa_cli.generation.engine import Decoding
from latxa_cli.sampling.filters import Filters
from latxa_cli.sampling.reverse import Reversal, first_part, reverse
from latxa_cli.sampling.tags import Tagger, load_tags
from latxa_cli.stream.records import Reject, keyed_hash

DOCUMENT = {
    "id": "d1", "text": "Itsasoa urdina da.\n\nMendia berdea da.", "source": "wiki", "language": "eu",
    "metadata": {"split": "train"},
}  # fmt: skip


def reversal(**given: Any) -> Reversal:
    given = {"shots": [], "longest": 100} | given
    return Reversal(Decoding(50), Filters(frozenset(("<end>",))), "Basque", "English", seed=3, model="tiny", **given)


def test_the_text_becomes_the_answer() -> None:
    engine = FakeEngine(lambda request: " What colours do the sea and the hills have?\n")
    (record,) = reverse([DOCUMENT], engine, reversal())
    assert isinstance(record, dict)
    assert record["messages"] == [
        {"role": "user", "content": "What colours do the sea and the hills have?"},
        {"role": "assistant", "content": DOCUMENT["text"]},
    ]
    assert (record["id"], record["source"], record["language"]) == ("reverse-d1", "wiki", "eu")
    assert record["metadata"]["split"] == "train" and record["metadata"]["document"] == "d1"
    (request,) = engine.requests
    assert request.messages is not None and DOCUMENT["text"] in request.messages[0]["content"]
    assert "Basque" in request.messages[0]["content"] and "English" in request.messages[0]["content"]


def test_a_document_that_is_a_conversation_too_loses_that() -> None:
    document = DOCUMENT | {"messages": [{"role": "user", "content": "Old?"}]}
    (record,) = reverse([document], FakeEngine(lambda request: "What colours do they have?"), reversal())
    assert isinstance(record, dict) and record["messages"][0]["content"] == "What colours do they have?"


def test_a_base_model_is_shown_pairs() -> None:
    engine = FakeEngine(lambda request: "Describe the sea to me.")
    list(reverse([DOCUMENT], engine, reversal(shots=[("Kaixo.", "Greet me in Basque.")])))
    (request,) = engine.requests
    assert request.text == (
        "Basque: Kaixo.\n\nEnglish: Greet me in Basque.\n\n\n"
        "Basque: Itsasoa urdina da.\n\nMendia berdea da.\n\nEnglish:"
    )
    assert request.decoding.stop == ("\n\n", "\nBasque: ")


def test_long_texts_are_cut_where_a_paragraph_ends() -> None:
    assert first_part("a b\n\nc d e\nf", 5) == "a b\n\nc d e"
    assert first_part("a b\n\nc d e\nf", 4) == "a b"
    assert first_part("昨天下雪了。\n\n孩子们出来了。\n好", 5) == "昨天下雪了。\n\n孩子们出来了。"
    assert first_part("a b c", 2) == "" and first_part("a b c", 3) == "a b c"


def test_what_cannot_be_used_is_rejected_by_name() -> None:
    cases = {
        "no paragraph ends soon enough": (DOCUMENT | {"text": "w " * 101}, "Write it all down."),
        "special token in the text": (DOCUMENT | {"text": "<end> of it"}, "Write it all down."),
        "text longer than the context": (DOCUMENT, TOO_LONG),
        "short instruction": (DOCUMENT, "Why?"),
        "empty text": (DOCUMENT | {"text": " \n "}, "Write it all down."),
    }
    for reason, (document, answer) in cases.items():
        (outcome,) = reverse([document], FakeEngine(lambda _, answer=answer: answer), reversal())
        assert isinstance(outcome, Reject) and outcome.reason == reason and outcome.record == document


def test_every_document_has_its_own_seed_and_the_decoding_is_kept_with_shots() -> None:
    documents = [DOCUMENT | {"id": name} for name in ("d1", "d2")]
    for shots in ([], [("Kaixo.", "Greet me in Basque.")]):
        engine = FakeEngine(lambda request: "Describe the sea to me.")
        drawn = replace(reversal(shots=shots, thinking=None if shots else True), decoding=Decoding(50, 0.7, 0.9))
        list(reverse(documents, engine, drawn))
        assert {request.seed for request in engine.requests} == {
            keyed_hash(3, "reverse", name) for name in ("d1", "d2")
        }
        for request in engine.requests:
            assert replace(request.decoding, stop=()) == Decoding(50, 0.7, 0.9)
            assert request.thinking is (None if shots else True)


def test_all_fields_of_a_document_stay_and_tags_are_asked_for() -> None:
    engine = FakeEngine(lambda request: "Describe the sea to me: it is good.")
    document = DOCUMENT | {"url": "http://sea", "licence": "CC0", "metadata": {"seed": "old", "split": "train"}}
    (record,) = reverse([document], engine, reversal(tagger=Tagger(load_tags(["quality"]))))
    assert isinstance(record, dict)
    assert (record["url"], record["licence"], record["source"], record["language"]) == (
        "http://sea", "CC0", "wiki", "eu",
    )  # fmt: skip
    assert "text" not in record and record["metadata"] == {
        "split": "train", "method": "reverse", "model": "tiny", "seed": 3, "document": "d1", "instruction_tokens": 8,
        "tags": {"quality": "good"},
    }  # fmt: skip
