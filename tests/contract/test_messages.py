"""Conversations as other tools write them, in the verbs that read conversations: kept, or refused by name."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from messages_table import ASKED, CASES, RECORDS, Record
from tiny import Latxa

from latxa_cli.stream.reader import parser

sys.path.insert(0, str(Path(__file__).parents[1] / "chat"))
from tool_templates import TEMPLATES

SPELLINGS = {"role", "from", "content", "value", "tool_calls"}


def lines(records: Iterable[Record]) -> bytes:
    return b"".join(json.dumps(record).encode() + b"\n" for record in records)


def rejected(path: Path) -> dict[str, tuple[str, str]]:
    """{id: (reason, detail)} of what was set aside."""
    entries = [json.loads(line) for line in path.read_text().splitlines()]
    records = [entry.get("record") or json.loads(entry["line"]) for entry in entries]
    return {str(one["id"]): (entry["reason"], entry["detail"]) for one, entry in zip(records, entries, strict=True)}


def check_refusals(found: dict[str, tuple[str, str]], expected: Callable[[str], str]) -> None:
    for name, case in CASES.items():
        reason, detail = found.get(name, ("", ""))
        if case.spelt:
            assert "malformed" in reason and case.spelt in detail, name
        elif expected(name):
            assert expected(name) in (reason, *detail.split(": ")) or expected(name) in detail, (name, reason, detail)
        else:
            assert not reason, (name, reason, detail)


def check_kept(made: Iterable[Record]) -> None:
    """What a verb does not change is there as it was."""
    for one in made:
        before = RECORDS[one["id"]]
        beside = {name: value for name, value in before.items() if name != "messages"}
        assert {name: one[name] for name in beside} == beside
        for turn, given in zip(one["messages"], before["messages"], strict=True):
            fields = {name: value for name, value in given.items() if name not in SPELLINGS or name == "tool_calls"}
            assert {name: turn[name] for name in fields} == fields, one["id"]
            assert given.get("from") != "function_call" or turn["tool_calls"]
            assert type(turn["content"]) is str


@pytest.mark.parametrize("more", [(), ("--answer-in", "a=Basque")])
def test_mix_keeps_all_that_can_be_read(latxa: Latxa, tmp_path: Path, more: tuple[str, ...]) -> None:
    done = latxa("mix", "a=-", *more, "--rejects", "rejects", cwd=tmp_path, stdin=lines(RECORDS.values()))
    assert done.returncode == 0, done.stderr.decode()
    made = [json.loads(line) for line in done.stdout.splitlines()]
    check_refusals(rejected(tmp_path / "rejects"), lambda name: "")
    assert {one["id"] for one in made} == {name for name, case in CASES.items() if not case.spelt}
    check_kept({**one, "source": None} for one in made)


def test_translate_keeps_what_it_does_not_translate(latxa: Latxa, tmp_path: Path, tiny_models: Path) -> None:
    """Numbers have no words, so that the model is asked for nothing."""

    def numbered(turn: Record) -> Record:
        return {name: "12" if name in ("content", "value") and type(x) is str and x else x for name, x in turn.items()}

    records = [{**one, "messages": [numbered(turn) for turn in one["messages"]]} for one in RECORDS.values()]
    for one in records:
        if one["id"] in ("parts", "ShareGPT, a call"):  # one has words, and one calls by its content
            one["messages"] = [ASKED | {"content": "12"}]
    shots = Path(__file__).parents[1] / "cases" / "translate" / "odd" / "shots.jsonl"
    words = ("translate", "-m", tiny_models / "trained", "--shots", shots, "--from", "en", "--to", "qaa")
    given = (*words, "--to-name", "Euskara", "--rejects", "rejects")
    done = latxa(*given, cwd=tmp_path, stdin=lines(records))
    assert done.returncode == 0, done.stderr.decode()
    check_refusals(rejected(tmp_path / "rejects"), lambda name: "")
    made = [json.loads(line) for line in done.stdout.splitlines()]
    check_kept(one for one in made if len(one["messages"]) == len(RECORDS[one["id"]]["messages"]))


@pytest.mark.parametrize("template", ["qwen", "deaf"])
def test_prepare_trains_or_names_why_not(latxa: Latxa, tmp_path: Path, tiny_models: Path, template: str) -> None:
    (tmp_path / "template").write_text(TEMPLATES[template])
    words = ("prepare", "-", "-m", tiny_models / "base", "--chat-template", "template", "--sequence-length", "256")
    done = latxa(
        *words, "--show", "99", "--rejects", "rejects", "-o", "made", cwd=tmp_path, stdin=lines(RECORDS.values())
    )
    said = done.stderr.decode()
    assert done.returncode == 0, said
    check_refusals(
        rejected(tmp_path / "rejects"), lambda name: CASES[name].prepare if template == "qwen" else CASES[name].of_deaf
    )
    assert ("what is null in `tools` is not trained (in 1 conv" in said) is (template == "qwen")
    assert ("what is null in `tool_calls` is not trained (in 2 conv" in said) is (template == "qwen")
    kept = sum(not (case.spelt or (case.prepare if template == "qwen" else case.of_deaf)) for case in CASES.values())
    assert json.loads((tmp_path / "made" / "prepared.json").read_text())["sources"]["(no source)"]["records"] == kept
    assert "⟦" in said and not any(empty in said for empty in ("⟦<|im_end|>", "</think>\n\n<|im_end|>")), (
        "no empty answer"
    )


def test_judge_sees_all_of_a_response_or_none(latxa: Latxa, tmp_path: Path) -> None:
    words = ("judge", "-", "--rubric", "code-switch", "--language", "eu", "--rejects", "rejects")
    done = latxa(*words, cwd=tmp_path, stdin=lines({**one, "model": "m"} for one in RECORDS.values()))
    assert done.returncode == 0, done.stderr.decode()
    last = {"not from the assistant": "no response"}
    check_refusals(rejected(tmp_path / "rejects"), lambda name: last.get(CASES[name].shown, CASES[name].shown))


def test_what_two_responses_hold_beside_texts_is_named() -> None:
    """As `judge` and `vote` read them."""
    parse, found = parser("response"), {}
    for name, record in RECORDS.items():
        try:
            parse({**record, "model": "m"})
        except ValueError as error:
            found[name] = ("malformed", str(error))
    check_refusals(found, lambda name: CASES[name].shown)


def test_respond_gives_a_model_all_of_a_prompt_or_names_what_it_would_not_see(
    latxa: Latxa, tmp_path: Path, tiny_models: Path
) -> None:
    records = [{**one, "messages": [*one["messages"], ASKED]} for one in RECORDS.values() if one["messages"]]
    words = ("respond", "-", "-m", tiny_models / "trained", "--max-tokens", "4", "--rejects", "rejects")
    done = latxa(*words, cwd=tmp_path, stdin=lines(records))
    assert done.returncode == 0, done.stderr.decode()
    found = rejected(tmp_path / "rejects") | {"no messages": ("malformed", CASES["no messages"].spelt)}
    check_refusals(found, lambda name: CASES[name].shown if CASES[name].shown != "not from the assistant" else "")
    made = [json.loads(line) for line in done.stdout.splitlines()]
    check_kept({**one, "messages": one["messages"][:-2]} for one in made)


def test_preferences_keeps_what_was_said_and_chooses_no_silence(latxa: Latxa, tmp_path: Path) -> None:
    battles = [
        {
            **one, "model_a": "x", "model_b": "y", "winner": "model_a", "conversation_a": one["messages"],
            "conversation_b": [*one["messages"][:-1], {"role": "assistant", "content": "other"}], "messages": None,
        }
        for one in RECORDS.values()
    ]  # fmt: skip
    done = latxa("preferences", "-", "--rejects", "rejects", cwd=tmp_path, stdin=lines(battles))
    assert done.returncode == 0, done.stderr.decode()
    found = rejected(tmp_path / "rejects")
    pictures = {name: found.pop(name)[1] for name in ("a picture", "a thought as a part")}
    assert all(detail.endswith("message is an array, not a string") for detail in pictures.values())
    found |= {name: ("malformed", CASES[name].spelt) for name in pictures}
    check_refusals(found, lambda name: CASES[name].pairs)
    for pair in map(json.loads, done.stdout.splitlines()):
        whole = [*pair["prompt"], *pair["chosen"]]
        for turn, given in zip(whole, RECORDS[pair["id"]]["messages"], strict=True):
            kept = ("tool_calls", "function_call", "thinking", "reasoning_content", "name", "images")
            assert {name: given[name] for name in kept if given.get(name)}.items() <= turn.items(), pair["id"]
        beside = {name: x for name, x in CASES[pair["id"]].record.items() if name != "weight" and x}
        assert {name: pair[name] for name in beside} == beside


def test_corpus_takes_no_conversation(latxa: Latxa, tmp_path: Path) -> None:
    done = latxa("corpus", "-", "--language", "eu", "--rejects", "rejects", cwd=tmp_path, stdin=lines(RECORDS.values()))
    assert done.returncode == 1
    found = rejected(tmp_path / "rejects")
    assert found.keys() == CASES.keys() and {*found.values()} == {("malformed", "the field `text` is missing")}
