from __future__ import annotations

import os
from pathlib import Path

import orjson
import pytest
from mixing_world import conversation, document, write

from latxa_cli.mixing.admission import Admission, ask_for_language, mean_score, save_scores
from latxa_cli.stream.errors import RecordError
from latxa_cli.stream.inputs import Input
from latxa_cli.stream.records import Reject


def test_the_last_user_turn_asks_for_the_language() -> None:
    record = conversation("1", "Hi", "Hello", "Bye?\n", "Bye", metadata={"a": 1})
    before = orjson.dumps(record)
    asked = ask_for_language(record, "Old Welsh")
    assert isinstance(asked, dict)
    assert [message["content"] for message in asked["messages"]] == ["Hi", "Hello", "Bye? Answer in Old Welsh.", "Bye"]
    assert asked["metadata"] == {"a": 1, "answer_in": "Old Welsh"}
    assert ask_for_language(asked, "Old Welsh") == asked, "done twice, it is done once"
    assert orjson.dumps(record) == before


@pytest.mark.parametrize("ends", ["Answer in Welsh.", "Hi. Answer in Welsh.", "Hi Answer in Welsh. \n"])
def test_a_turn_that_asks_for_the_language_is_not_made_to_ask_again(ends: str) -> None:
    asked = ask_for_language(conversation("1", ends, "Helo"), "Welsh")
    assert isinstance(asked, dict)
    assert asked["messages"][0]["content"] == ends.rstrip()
    assert asked["metadata"] == {"answer_in": "Welsh"}


def test_all_else_of_a_conversation_stays() -> None:
    turn = {"role": "user", "content": "Hi", "name": "Ane", "weight": 0}
    record = {"id": "1", "messages": [turn, {"role": "assistant", "content": "Helo", "model": "m"}], "task": "t"}
    assert ask_for_language(record, "Welsh") == record | {
        "messages": [turn | {"content": "Hi Answer in Welsh."}, record["messages"][1]],
        "metadata": {"answer_in": "Welsh"},
    }


@pytest.mark.parametrize(
    "record",
    [document("1"), {"id": "1", "messages": [{"role": "system", "content": "Be kind."}]}],
    ids=["text", "system"],
)
def test_without_a_user_turn_there_is_nobody_to_ask(record: dict[str, object]) -> None:
    rejected = ask_for_language(record, "Welsh")
    assert isinstance(rejected, Reject) and rejected.reason == "no user turn"


def test_a_score_is_the_mean_or_the_one_that_is_named() -> None:
    scores = {"accuracy": 3, "fluency": 2.0, "comment": "good", "flag": True, "none": None}
    assert mean_score(scores, None) == 2.5
    assert mean_score(scores, "fluency") == 2.0
    assert mean_score(scores, "comment") is None
    assert mean_score({}, None) is None


def test_records_carry_their_scores() -> None:
    fit = Admission(minimum=2)
    good, poor, none = (document("1", metadata={"scores": s}) for s in ({"a": 1, "b": 3}, {"a": 1.5}, {}))
    assert fit(good) is good
    assert fit(poor) == Reject(poor, "low score", "1.5 is less than 2")
    assert fit(none) == Reject(none, "no score")
    assert fit(document("1")) == Reject(document("1"), "no score")
    assert Admission(minimum=2, criterion="b")(good) is good
    assert isinstance(Admission(minimum=2, criterion="a")(good), Reject)


def test_scores_come_from_a_file_by_id(tmp_path: Path) -> None:
    entries = [
        {"id": "a", "rubric": "r", "scores": {"accuracy": 3, "fluency": 1}},
        {"id": "b", "rubric": "r", "scores": {"accuracy": 1}},
        {"id": "b", "rubric": "other", "scores": {"accuracy": 2}},
        {"id": "c", "rubric": "r", "scores": {}},
    ]
    source = Input(str(write(tmp_path / "scores.jsonl", [*entries, b""])))
    save_scores(source, None, tmp_path / "scores.npy")
    fit = Admission(minimum=1.6, scores=str(tmp_path / "scores.npy"))
    outcomes = [fit(document(name)) for name in "abcz"]
    assert [out.reason if isinstance(out, Reject) else "" for out in outcomes] == [
        "",
        "low score",
        "no score",
        "no score",
    ]
    save_scores(source, "fluency", tmp_path / "fluency.npy")
    assert isinstance(Admission(minimum=1, scores=str(tmp_path / "fluency.npy"))(document("a")), dict)
    poor = Admission(minimum=1.5, scores=str(tmp_path / "fluency.npy"))(document("a"))
    assert isinstance(poor, Reject) and (poor.reason, poor.detail) == ("low score", "1 is less than 1.5")
    assert source.describe()["bytes"] == (tmp_path / "scores.jsonl").stat().st_size


@pytest.mark.parametrize(
    ("line", "what"),
    [(b"{", "not JSON"), (b'{"id":"a"}', "no record of scores"), (b'{"id":1,"scores":{}}', "no record of scores")],
)
def test_what_is_no_score_is_told_by_line(line: bytes, what: str, tmp_path: Path) -> None:
    source = Input(str(write(tmp_path / "scores.jsonl", [b'{"id":"a","scores":{}}', line])))
    with pytest.raises(RecordError, match=what) as error:
        save_scores(source, None, tmp_path / "scores.npy")
    assert error.value.message.startswith(f"{tmp_path}/scores.jsonl:2: ")


def test_scores_that_were_saved_anew_are_read_anew(tmp_path: Path) -> None:
    fit = Admission(minimum=2, scores=str(tmp_path / "scores.npy"))
    for score in (3, 1):
        save_scores(
            Input(str(write(tmp_path / "s", [{"id": "a", "scores": {"x": score}}]))), None, Path(fit.scores or "")
        )
        os.utime(fit.scores or "", ns=(score, score))
        assert isinstance(fit(document("a")), dict) == (score == 3)


def test_a_criterion_is_missed_only_where_there_are_scores(tmp_path: Path) -> None:
    source = Input(str(write(tmp_path / "scores.jsonl", [{"id": "a", "scores": {}}])))
    save_scores(source, "fluency", tmp_path / "scores.npy")
    assert Admission(minimum=0, scores=str(tmp_path / "scores.npy"))(document("a")) == Reject(document("a"), "no score")
