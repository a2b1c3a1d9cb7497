"""Tags: files, how labels are read, and what becomes of conversations, with an engine that has its answers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from fake_engine import FakeEngine

from latxa_cli.generation.engine import Request
from latxa_cli.generation.flow import converse
from latxa_cli.sampling.tags import BESIDE_LABEL, FOLDER, Tag, Tagger, load_tags
from latxa_cli.stream.errors import LatxaError, UsageError
from latxa_cli.stream.records import Record, Reject
from latxa_cli.stream.tables import names_in

CHAT: Record = {
    "id": "c", "metadata": {"seed": 1},
    "messages": [
        {"role": "system", "content": "s"}, {"role": "user", "content": "How do {braces} boil?"},
        {"role": "assistant", "content": "Slowly."},
    ],
}  # fmt: skip


def tagged(answer: str, **given: Any) -> tuple[Any, FakeEngine]:
    engine = FakeEngine(lambda request: answer)
    (outcome,) = converse(engine, [CHAT], Tagger(load_tags(given.pop("tags", names_in(FOLDER))), **given).tag)
    return outcome, engine


def test_the_three_of_magpie_are_there() -> None:
    assert names_in(FOLDER) == ["category", "difficulty", "quality"]
    quality = load_tags(["quality"])[0]
    assert quality.labels[-2:] == ("good", "excellent") and quality.unfit == quality.labels[:-2]


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("good", "good"),
        ("Very Poor.", "very poor"),
        ("**excellent**", "excellent"),
        ("The instruction is average, not good.", "average"),
        ("goodness", None),
        ("excelleNT, 100 %", "excellent"),
        ("", None),
    ],
)
def test_how_a_label_is_read(text: str, label: str | None) -> None:
    assert load_tags(["quality"])[0].read(text) == label


def test_letters_that_differ_in_case_by_more_than_that_are_read() -> None:
    tag = Tag("t", "?", ("medium", "very easy"))
    assert [tag.read(text) for text in ("MEDIUM", "MED\u0130UM", "med\u0131um", "VERY EASY")] in (
        ["medium", "medium", "medium", "very easy"], ["medium", None, None, "very easy"],
    )  # fmt: skip


def test_tags_that_a_record_has_stay() -> None:
    before = CHAT | {"metadata": {"tags": {"topic": "kitchen"}}}
    tagger = Tagger(load_tags(["quality"]))
    (record,) = converse(FakeEngine(lambda request: "no label"), [before], tagger.tag)
    assert isinstance(record, dict) and record["metadata"]["tags"] == {"topic": "kitchen", "quality": None}
    assert tagger.unread == {"quality": 1}


def test_labels_of_two_words_and_signs() -> None:
    assert load_tags(["category"])[0].read("coding & debugging") == "Coding & Debugging"


def test_each_tag_is_asked_for_and_stands_in_the_record() -> None:
    record, engine = tagged("It is good.")
    assert record == CHAT | {"metadata": {"seed": 1, "tags": {"category": None, "difficulty": None, "quality": "good"}}}
    asked = [request.messages[0]["content"] for request in engine.requests]  # type: ignore[index]
    assert len(asked) == 3 and all("How do {braces} boil?" in text for text in asked)
    beginnings = {text.partition("</instruction>")[0] for text in asked}
    assert len(beginnings) == 1, "what they share comes first"


def test_an_unfit_label_rejects_unless_it_is_skipped() -> None:
    outcome, _ = tagged("poor")
    assert isinstance(outcome, Reject)
    assert (outcome.reason, outcome.detail) == ("tagged as of unfit quality", "poor")
    assert outcome.record["metadata"]["tags"]["quality"] == "poor"
    outcome, _ = tagged("poor", skip=frozenset(("quality",)))
    assert outcome["metadata"]["tags"]["quality"] == "poor"


def test_without_tags_nothing_is_asked() -> None:
    record, engine = tagged("good", tags=[])
    assert record == CHAT and not engine.requests


def test_a_model_that_thinks_is_told_not_to_or_gets_the_room() -> None:
    def first(**given: Any) -> Request:
        return tagged("good", **given)[1].requests[0]

    assert first(thinking=False).thinking is False
    assert first(thinks=True).decoding.max_tokens > 1000 > first().decoding.max_tokens


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("question = 'Why?'", "`labels` is not a list of texts"),
        ("labels = ['a', 'b']", "`question` is not a text"),
        ("question = 'Why?'\nlabels = ['a', 'A']", "not two or more, all different"),
        ("question = 'Why?'\nlabels = ['a', 'b']\nunfit = ['c']", "`c` in `unfit` is none of the `labels`"),
        ("question = 'Why?'\nlabel = ['a', 'b']", "no setting `label`"),
    ],
)
def test_what_is_wrong_in_a_file(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "tag.toml").write_text(text)
    with pytest.raises(LatxaError, match=says):
        load_tags([str(tmp_path / "tag.toml")])


def test_wrong_names() -> None:
    with pytest.raises(UsageError, match="there is no tag `qualty`") as caught:
        load_tags(["qualty"])
    assert "`quality`" in caught.value.hint


def test_an_answer_has_room_for_the_longest_label_of_all_tags() -> None:
    tags = (Tag("a", "?", ("x", "y")), Tag("b", "?", ("z", "ñ" * 300)))
    engine = FakeEngine(lambda request: "x")
    list(converse(engine, [CHAT], Tagger(tags).tag))
    assert [request.decoding.max_tokens for request in engine.requests] == [BESIDE_LABEL + 600] * 2


def test_a_tag_that_is_asked_for_again_is_the_new_one() -> None:
    before = CHAT | {"metadata": {"tags": {"quality": "poor"}}}
    (record,) = converse(FakeEngine(lambda request: "good"), [before], Tagger(load_tags(["quality"])).tag)
    assert isinstance(record, dict) and record["metadata"]["tags"] == {"quality": "good"}
