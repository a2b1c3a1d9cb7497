"""What voters say besides the verdict: wrong words, a corrected answer, and pairs that they cannot judge."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import tiny
from poll_server import MODELS, Voter, responses, serving, votes_in, write_responses
from tiny import Latxa

from latxa_cli.voting.page import BROWSER
from latxa_cli.voting.remarks import LONGEST_CORRECTION, MOST_SPANS, BadVoteError, Remarks, words_in

FILES = ("0.jsonl", "1.jsonl", "-o", "votes.jsonl")
TALK = [
    {"role": "system", "content": "s"},
    {"role": "user", "content": "Zer moduz?"},
    {"role": "assistant", "content": "Ondo 😀 nago, eta zu?"},
    {"role": "user", "content": "Ni ere."},
    {"role": "assistant", "content": "Pozten naiz asko benetan."},
]
OTHER = [*TALK[:2], {"role": "assistant", "content": "Ongi."}, TALK[3], {"role": "assistant", "content": "日本語 bai"}]


def fields(winner: str = "first", **body: Any) -> dict[str, Any]:
    return Remarks.of(body, winner).fields({"first": TALK, "second": OTHER})


def test_marks_are_places_in_the_text_of_a_turn() -> None:
    """Places are of characters: an emoji is one, where browsers count two."""
    found = fields(errors={"first": [[3, 7, 17], [1, 5, 11]], "second": []})
    assert found["errors"] == {
        "model_a": [
            {"turn": 2, "start": 5, "end": 11, "text": "😀 nago"},
            {"turn": 4, "start": 7, "end": 17, "text": "naiz asko "},
        ],
        "model_b": [],
    }
    assert found["errors_per_100_words"] == {"model_a": round(100 * 4 / 9, 2), "model_b": 0.0}
    assert "errors" not in fields() and "errors_per_100_words" not in fields()


def test_words_without_spaces_between_them_count_each() -> None:
    assert [words_in(text) for text in ("", " \n", "bai, bai", "日本語 bai", "ภาษาไทย", "col·lega l'home")] == [
        0,
        0,
        2,
        4,
        7,
        2,
    ]
    assert fields(errors={"second": [[3, 0, 2]]})["errors_per_100_words"]["model_b"] == 40.0


@pytest.mark.parametrize(
    "marks",
    [
        [], {"third": []}, {"first": {}}, {"first": [[1, 2]]}, {"first": [[1, 2, 3, 4]]}, {"first": [["1", 0, 1]]},
        {"first": [[True, 0, 1]]}, {"first": [[1, 0, 1.5]]}, {"first": [[1, -1, 2]]}, {"first": [[1, 3, 3]]},
        {"first": [[1, 5, 2]]}, {"first": [[1, 0, 99]]}, {"first": [[9, 0, 1]]}, {"first": [[0, 0, 1]]},
        {"first": [[1, 0, 4], [1, 3, 6]]}, {"first": [[1, 0, 1]] * (MOST_SPANS + 1)}, "x", 3,
    ],
)  # fmt: skip
def test_marks_on_what_was_not_shown_are_refused(marks: object) -> None:
    with pytest.raises(BadVoteError):
        fields(errors=marks)


def test_a_correction_is_of_the_better_answer() -> None:
    assert fields("second", correction="日本語 ez")["correction"] == {"side": "model_b", "content": "日本語 ez"}
    assert "correction" not in fields(correction=TALK[-1]["content"])  # nothing was changed
    for winner, text in (("tie", "x"), ("bad", "x"), ("first", " "), ("first", 3), ("first", "x" * 20_001)):
        with pytest.raises(BadVoteError):
            fields(winner, correction=text)
    assert f"LONGEST = {LONGEST_CORRECTION};" in (BROWSER / "correction.js").read_text()
    assert f"MOST_SPANS = {MOST_SPANS};" in (BROWSER / "marks.js").read_text()


def test_remarks_are_stored_and_give_pairs(tmp_path: Path, latxa: Latxa) -> None:
    write_responses(tmp_path)
    with serving(tmp_path, *FILES, "--errors", "--corrections", "--rejects", "rejects.jsonl") as served:
        voter = Voter.of(served)
        given = voter.ballot()
        marks = {"first": [[1, 0, 6]]}
        assert voter.cast(given["ballot"], errors={"first": [[1, 0, 600]]})[0] == 403
        assert voter.cast(given["ballot"], errors=marks, correction="Better.\u202e<b>")[0] == 200
        assert voter.cast(voter.ballot()["ballot"], correction="日" * LONGEST_CORRECTION)[0] == 200
    vote, long = votes_in(tmp_path / "votes.jsonl")
    assert vote["errors"]["model_a"] == [{"turn": 2, "start": 0, "end": 6, "text": "Answer"}]
    assert vote["errors_per_100_words"] == {"model_a": 50.0, "model_b": 0.0}
    assert vote["correction"] == {"side": "model_a", "content": "Better.\u202e<b>"}
    assert len(long["correction"]["content"]) == LONGEST_CORRECTION
    done = latxa("preferences", "votes.jsonl", "--corrections", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    pair = json.loads(done.stdout.split(b"\n")[0])
    assert pair["prompt"] == vote["conversation_a"][:-1] and pair["rejected"] == vote["conversation_a"][-1:]
    assert pair["chosen"] == [{"role": "assistant", "content": "Better.\u202e<b>"}]
    metadata = pair["metadata"]
    assert metadata["model_chosen"] == metadata["model_rejected"] == vote["model_a"]
    assert metadata["criterion"] == "correction"


def test_corrections_that_make_no_pairs_are_counted(tmp_path: Path, latxa: Latxa) -> None:
    talk = [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]
    battle = {"model_a": "x", "model_b": "y", "winner": "model_a", "conversation_a": talk, "conversation_b": talk}
    corrections = [
        None,
        {"side": ["model_a"], "content": "c"},
        {"side": "model_a"},
        {"side": "model_a", "content": "a"},
    ]
    tiny.write_jsonl(tmp_path / "v.jsonl", [battle | {"correction": one} for one in corrections])
    done = latxa("preferences", "v.jsonl", "--corrections", "--rejects", "r.jsonl", cwd=tmp_path)
    assert done.returncode == 1 and b"Traceback" not in done.stderr
    reasons = [entry["reason"] for entry in votes_in(tmp_path / "r.jsonl")]
    assert reasons == ["no correction", "malformed correction", "malformed correction", "same response"]


def test_a_skipped_pair_is_no_verdict_and_does_not_come_again(tmp_path: Path, latxa: Latxa) -> None:
    write_responses(tmp_path, prompts=3)
    with serving(tmp_path, *FILES) as served:
        voter = Voter.of(served)
        first = voter.ballot()
        assert voter.ask("POST", "/votes", {"ballot": first["ballot"], "skip": True}) == (200, {"cast": 0})
        assert voter.cast(first["ballot"]) == (200, {"cast": 0})  # it was skipped
        second = voter.ballot()
        assert second["prompt"] != first["prompt"] and voter.cast(second["ballot"]) == (200, {"cast": 1})
    with serving(tmp_path, *FILES, "--resume") as served:
        again = Voter(served.host, served.port, voter.cookie)
        third = again.ballot()
        assert third["cast"] == 1 and third["prompt"] not in (first["prompt"], second["prompt"])
        secret = next(line for line in served.said.splitlines() if "organiser" in line).rpartition("/")[2]
        page = again.ask("GET", f"/organiser/{secret}")[1]
    assert b'votes<td dir="auto">1' in page and b'skipped pairs<td dir="auto">1' in page
    skipped, vote = votes_in(tmp_path / "votes.jsonl")
    assert (
        skipped["skipped"] is True and not {"winner", "winner_content", "winner_language", "reasons"} & skipped.keys()
    )
    assert skipped["metadata"]["suspicion"] == [] and "skipped" not in vote
    done = latxa(
        "arena-score", "votes.jsonl", "--prior", "1", "--rejects", "r.jsonl", "--format", "jsonl", cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert [entry["reason"] for entry in votes_in(tmp_path / "r.jsonl")] == ["skipped"]
    ratings = [json.loads(line) for line in done.stdout.splitlines()]
    assert {record["battles"] for record in ratings if "rating" in record} == {1}
    done = latxa("preferences", "votes.jsonl", "--rejects", "p.jsonl", cwd=tmp_path)
    assert votes_in(tmp_path / "p.jsonl")[0]["reason"] == "skipped"


@pytest.mark.parametrize("skipped", [False, None, 1, "true"])
def test_a_battle_without_a_verdict_must_say_that_it_was_skipped(skipped: object, tmp_path: Path, latxa: Latxa) -> None:
    tiny.write_jsonl(tmp_path / "v.jsonl", [{"model_a": "x", "model_b": "y", "skipped": skipped}])
    done = latxa("preferences", "v.jsonl", cwd=tmp_path)
    assert done.returncode in (1, 2) and b"v.jsonl:1: " in done.stderr


def test_skipped_pairs_leave_the_balance_alone(tmp_path: Path) -> None:
    """What one voter cannot judge is shown to the next one first."""
    for number, model in enumerate(MODELS):
        tiny.write_jsonl(tmp_path / f"{number}.jsonl", responses(model, 1))
    with serving(tmp_path, "0.jsonl", "1.jsonl", "2.jsonl", "-o", "votes.jsonl") as served:
        voter, other = Voter.of(served), Voter.of(served)
        voter.ask("POST", "/votes", {"ballot": voter.ballot()["ballot"], "skip": True})
        for _ in range(2):
            voter.cast(voter.ballot()["ballot"])
        other.cast(other.ballot()["ballot"])
    skipped, *votes = votes_in(tmp_path / "votes.jsonl")
    assert {votes[-1]["model_a"], votes[-1]["model_b"]} == {skipped["model_a"], skipped["model_b"]}
