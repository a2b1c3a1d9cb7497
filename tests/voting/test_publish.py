"""`latxa publish`: what may be published of votes, what waits for a person, and what other arenas call it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import tiny
from poll_server import votes_in
from tiny import Latxa

from latxa_cli.stream.records import content_id

Vote = dict[str, Any]
DAY = ("--date", "2026-03-28")


def talk(answer: str, asked: str = "Zer moduz?") -> list[Vote]:
    turns = ("system", "Labur erantzun."), ("user", asked), ("assistant", answer)
    return [{"role": role, "content": content} for role, content in turns]


def vote(number: int, **more: Any) -> Vote:
    return {
        "id": f"v{number}", "prompt_id": f"p{number % 4}", "model_a": "harea", "model_b": "itsaso",
        "winner": ("model_a", "model_b", "tie", "tie (bothbad)")[number % 4], "winner_content": "tie",
        "user": f"voter-{number % 3}", "timestamp": "2026-03-10T10:00:00+00:00", "language": "eu",
        "reasons": {"model_b": ["wrong", "grammar"]}, "conversation_a": talk("Ondo."), "conversation_b": talk("Ongi."),
    } | more  # fmt: skip


def published(latxa: Latxa, folder: Path, votes: list[Vote], *words: str) -> tuple[list[Vote], list[str], str]:
    """Return what is published, the reasons of what is not, and what is said."""
    tiny.write_jsonl(folder / "votes.jsonl", votes)
    for name in ("rejects.jsonl", "out.jsonl", "out.jsonl.manifest.json"):
        (folder / name).unlink(missing_ok=True)
    done = latxa("publish", "votes.jsonl", *DAY, "-o", "out.jsonl", "--rejects", "rejects.jsonl", *words, cwd=folder)
    assert done.returncode == 0, done.stderr
    return (
        votes_in(folder / "out.jsonl"),
        [entry["reason"] for entry in votes_in(folder / "rejects.jsonl")],
        done.stderr.decode(),
    )


def test_young_votes_and_skipped_pairs_stay_out(tmp_path: Path, latxa: Latxa) -> None:
    times = [
        "2026-03-14T23:59:59+00:00",
        "2026-03-15T00:30:00+01:00",
        "2026-03-15T00:00:00+00:00",
        1773446400,
        None,
        "x",
    ]
    votes = [vote(n, timestamp=time) for n, time in enumerate(times)]
    kept, reasons, _ = published(latxa, tmp_path, [*votes, vote(9, winner=None, skipped=True)])
    assert [one["id"] for one in kept] == ["v0", "v1", "v3"] and kept[0] == votes[0]
    assert reasons == ["too young", "no timestamp", "no timestamp", "skipped"]
    kept, reasons, _ = published(latxa, tmp_path, votes, "--delay", "0")
    assert kept == votes and reasons == []


def test_an_id_does_not_tell_what_was_covered(tmp_path: Path, latxa: Latxa) -> None:
    """A prompt without an id of its own has a hash of its words, by which a phone number could be found."""
    asked = "Deitu 943 12 34 56?"
    told = vote(3, conversation_a=talk("a", asked), conversation_b=talk("b", asked))
    votes = [told | {"prompt_id": content_id({"turns": [asked]})}, told]
    published(latxa, tmp_path, [*votes, vote(4)], "--review", "review.jsonl")
    tiny.write_jsonl(
        tmp_path / "decided.jsonl", [one | {"decision": "cover"} for one in votes_in(tmp_path / "review.jsonl")]
    )
    kept, _, _ = published(latxa, tmp_path, votes, "--decisions", "decided.jsonl")
    shown = kept[0]["conversation_a"][1]["content"]
    assert "943" not in shown
    assert [one["prompt_id"] for one in kept] == [content_id({"turns": [shown]}), "p3"]


def test_a_person_decides_on_personal_data_once_for_all_votes(tmp_path: Path, latxa: Latxa) -> None:
    """An answer with an address stands in two votes, an account number in a correction, a phone number in a prompt."""
    mail, account = talk("Idatzi ane@posta.eus helbidera."), "ES91 2100 0418 4502 0005 1332"
    marked = {"model_a": [{"turn": 2, "start": 0, "end": 20, "text": "Idatzi ane@posta.eus"}], "model_b": []}
    votes = [
        vote(0, conversation_a=mail, errors=marked),
        vote(1, conversation_b=mail),
        vote(2, correction={"side": "model_a", "content": f"Nire kontua {account} da."}),
        vote(3, conversation_a=talk("a", "Deitu 943 12 34 56?"), conversation_b=talk("b", "Deitu 943 12 34 56?")),
        vote(4),
    ]
    kept, reasons, said = published(latxa, tmp_path, votes, "--review", "review.jsonl")
    assert [one["id"] for one in kept] == ["v4"] and reasons == ["waits for review"] * 4
    assert "3 texts wait for a decision: decide in review.jsonl" in said
    queue = votes_in(tmp_path / "review.jsonl")
    assert [(entry["findings"], entry["votes"], entry["decision"]) for entry in queue] == [
        ([{"kind": "e-mail address", "text": "ane@posta.eus"}], 2, None),
        ([{"kind": "IBAN", "text": account}], 1, None),
        ([{"kind": "phone number", "text": "943 12 34 56"}], 1, None),
    ]
    for entry, decision in zip(queue, ("cover", "leave out", None), strict=True):
        entry["decision"] = decision
    tiny.write_jsonl(tmp_path / "decided.jsonl", queue)
    kept, reasons, said = published(latxa, tmp_path, votes, "--decisions", "decided.jsonl", "--review", "more.jsonl")
    assert [one["id"] for one in kept] == ["v0", "v1", "v4"] and reasons == ["left out by review", "waits for review"]
    assert kept[0]["conversation_a"][-1]["content"] == "Idatzi █████████████ helbidera."
    assert kept[0]["errors"]["model_a"][0]["text"] == "Idatzi █████████████"
    assert "ane@" not in (tmp_path / "out.jsonl").read_text()
    assert [entry["id"] for entry in votes_in(tmp_path / "more.jsonl")] == [queue[2]["id"]]


@pytest.mark.parametrize(
    ("field", "value", "what"),
    [
        ("conversation_a", ["Kaixo"], "`conversation_a` are no messages"),
        ("conversation_b", [{"role": "user"}], "`conversation_b` are no messages"),
        ("conversation_b", [{"role": "user", "content": [{"image": "x.png"}]}], "`conversation_b` are no messages"),
        ("metadata", {"suspicion": [{}]}, "`metadata.suspicion` are no words"), ("reasons", ["useful"], "`reasons`"),
        ("reasons", {"model_a": [{}]}, "`reasons`"), ("errors", {"model_c": []}, "`errors` are no places"),
        ("errors", {"model_a": "x"}, "`errors`"), ("errors", {"model_a": [[2, 0, 4]]}, "`errors`"),
        ("errors", {"model_a": [{"turn": 9, "start": 0, "end": 1}]}, "`errors`"),
        ("errors", {"model_a": [{"turn": 2, "start": 0, "end": 99}]}, "`errors`"),
        ("errors", {"model_a": [{"turn": 2, "start": "0", "end": 1}]}, "`errors`"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("names", ["latxa", "comparia"])
def test_votes_that_were_edited_are_counted(
    field: str, value: Any, what: str, names: str, tmp_path: Path, latxa: Latxa
) -> None:
    odd = vote(0, conversation_b=talk("Idatzi ane@posta.eus")) | {field: value}
    kept, reasons, _ = published(latxa, tmp_path, [odd, vote(1), vote(2, reasons={"model_a": None})], "--names", names)
    assert len(kept) == 2 and reasons == ["of another shape"]
    assert what in votes_in(tmp_path / "rejects.jsonl")[0]["detail"]


def test_a_vote_of_two_files_is_published_once(tmp_path: Path, latxa: Latxa) -> None:
    nameless = {name: value for name, value in vote(5).items() if name != "id"}
    votes = [vote(1), vote(2), vote(1), vote(2, winner="model_a"), nameless, nameless]
    kept, reasons, _ = published(latxa, tmp_path, votes, "--card", "README.md")
    assert [one.get("id") for one in kept] == ["v1", "v2", "v2", None, None] and reasons == ["repeated"]
    assert "| repeated | 1 |" in (tmp_path / "README.md").read_text()


def test_addresses_as_names_of_users_are_found(tmp_path: Path, latxa: Latxa) -> None:
    _, reasons, _ = published(
        latxa, tmp_path, [vote(0), vote(1, user="ane@posta.eus"), vote(2, metadata={"from": "a@b.eus"})]
    )
    assert reasons == ["waits for review"] * 2


@pytest.mark.parametrize(
    ("line", "what"),
    [('{"id": "x", "decision": "Publish"}', "there is no decision `Publish`"), ("no JSON", "decided.jsonl:1: ")],
)
def test_decisions_that_are_none(line: str, what: str, tmp_path: Path, latxa: Latxa) -> None:
    (tmp_path / "decided.jsonl").write_text(line + "\n")
    tiny.write_jsonl(tmp_path / "votes.jsonl", [vote(0)])
    done = latxa("publish", "votes.jsonl", "--decisions", "decided.jsonl", cwd=tmp_path)
    assert done.returncode in (1, 2) and what in done.stderr.decode() and done.stdout == b""


def test_nothing_that_may_be_published_is_a_failure(tmp_path: Path, latxa: Latxa) -> None:
    tiny.write_jsonl(tmp_path / "votes.jsonl", [vote(0, timestamp="2026-03-27T00:00:00Z")])
    done = latxa("publish", "votes.jsonl", *DAY, "-o", "out.jsonl", "--card", "card.md", cwd=tmp_path)
    assert done.returncode == 1 and b"too young" in done.stderr and not (tmp_path / "out.jsonl").exists()


def test_the_card_says_what_is_in_the_data(tmp_path: Path, latxa: Latxa) -> None:
    votes = [vote(n, user_level="B1-B2", metadata={"suspicion": ["fast"]} if n == 3 else {}) for n in range(8)]
    votes[5]["model_a"] = "<b>*|\n`"
    published(latxa, tmp_path, [*votes, vote(8, timestamp=None)], "--card", "README.md", "--licence", "CC-BY-4.0")
    card = (tmp_path / "README.md").read_text()
    head = card.split("---\n")[1]
    assert 'license: "cc-by-4.0"' in head and '- "eu"' in head and 'data_files: "out.jsonl"' in head
    assert "8 votes of 3 people on the answers of 3 language models to 4 prompts" in card
    for row in (
        "| winner: tie | 2 |",
        "| careless, perhaps: fast | 1 |",
        "| votes with user_level | 8 |",
        "| no timestamp | 1 |",
    ):
        assert row in card, row
    assert "<b>" not in card and "- `conversation_a`: " in card and "- `correction`" not in card
    assert "from 2026-03-10 to 2026-03-10" in card and "14 days after" in card


@pytest.mark.parametrize("names", ["latxa", "ebaluatoia", "lmarena", "comparia"])
def test_the_command_on_the_card_reads_the_names_of_other_arenas(names: str, tmp_path: Path, latxa: Latxa) -> None:
    votes = [vote(n, prompt_id=f"p{n}") for n in range(24)]
    plain = latxa(
        "arena-score", "votes.jsonl", "--format", "jsonl", cwd=published(latxa, tmp_path, votes)[0] and tmp_path
    )
    kept, _, _ = published(latxa, tmp_path, votes, "--names", names, "--card", "README.md")
    call = re.search(r"```sh\nlatxa (.*)\n", (tmp_path / "README.md").read_text())
    assert call and len(kept) == 24
    words = re.findall(r'"[^"]*"|\S+', call[1])
    done = latxa(*(word.strip('"') for word in words), "--format", "jsonl", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    theirs, ours = board(done.stdout), board(plain.stdout)
    for one in (*theirs, *ours) if names == "ebaluatoia" else ():  # it has one label for ties
        one["ties"] += one.pop("both_bad")
    assert theirs == ours


def test_messages_in_parts_of_text_are_read_as_texts(tmp_path: Path, latxa: Latxa) -> None:
    pairs = {}
    for names in ("latxa", "lmarena"):
        published(latxa, tmp_path, [vote(n, winner="model_b") for n in range(4)], "--names", names)
        done = latxa("preferences", "out.jsonl", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        pairs[names] = [json.loads(line) for line in done.stdout.splitlines()]
    assert pairs["latxa"][0]["chosen"][0]["content"] == "Ongi."
    for one, other in zip(*pairs.values(), strict=True):
        assert [one[name] for name in ("prompt", "chosen", "rejected")] == [
            other[name] for name in ("prompt", "chosen", "rejected")
        ]


def board(ratings: bytes) -> list[Vote]:
    return [record for record in map(json.loads, ratings.splitlines()) if "rating" in record]


def test_the_fields_of_other_arenas(tmp_path: Path, latxa: Latxa) -> None:
    marks = {"model_a": [{"turn": 2, "start": 0, "end": 4, "text": "Ondo"}], "model_b": []}
    votes = [vote(3, user_language="C1-C2", errors=marks), vote(0)]
    (bad, good), _, _ = published(latxa, tmp_path, votes, "--names", "ebaluatoia")
    assert bad["winner"] == "tie" and bad["both_bad"] is True and good["both_bad"] is False
    assert {"username", "user_language", "conv_a", "conv_b", "winner_content", "timestamp"} <= bad.keys()
    (bad, _), _, _ = published(latxa, tmp_path, votes, "--names", "lmarena")
    assert bad["winner"] == "both_bad" and bad["evaluation_session_id"] == "voter-0"
    texts = [[part["text"] for part in turn["content"]] for turn in bad["conversation_b"]]
    assert texts == [["Labur erantzun."], ["Zer moduz?"], ["Ongi."]]
    (turn,) = bad["full_conversation"]
    assert [turn[side]["content"][0]["text"] for side in turn] == ["Zer moduz?", "Ondo.", "Ongi."]
    assert set(turn) == {"user", "model_side_a", "model_side_b"} and bad["evaluation_order"] == 1
    (bad, good), _, _ = published(latxa, tmp_path, votes, "--names", "comparia")
    assert (bad["chosen_model_name"], bad["both_equal"], good["chosen_model_name"]) == (None, True, "harea")
    assert (bad["conv_incorrect_b"], bad["conv_incorrect_a"], bad["reasons"]) == (True, False, votes[0]["reasons"])
    assert bad["system_prompt_a"] == "Labur erantzun." and bad["opening_msg"] == "Zer moduz?"
    span = bad["errors"]["model_a"][0]
    assert bad["conversation_a"][span["turn"]]["content"][: span["end"]] == span["text"]
