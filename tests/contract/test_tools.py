"""A conversation with tools, calls and thoughts in verbs that read conversations: kept, or refused by name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tiny import Latxa

CALL = {"id": "abcdefghi", "type": "function", "function": {"name": "weather", "arguments": {"place": "Irun"}}}
RECORD: dict[str, Any] = {
    "id": "1",
    "messages": [
        {"role": "user", "content": "12 + 30", "timestamp": "2024-05-06"},
        {"role": "assistant", "content": "", "tool_calls": [CALL], "reasoning_content": "hm"},
        {"role": "tool", "content": "42", "tool_call_id": "abcdefghi"},
        {"role": "assistant", "content": "42", "reasoning_content": "so"},
    ],
    "tools": [{"type": "function", "function": {"name": "weather"}}],
    "model": "m",
}


def lines(*records: dict[str, Any]) -> bytes:
    return b"".join(json.dumps(record).encode() + b"\n" for record in records)


def test_mix_keeps_all_of_it(latxa: Latxa, tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(lines(RECORD))
    done = latxa("mix", "a=a.jsonl", "--answer-in", "a=Basque", cwd=tmp_path)
    assert done.returncode == 0, done.stderr.decode()
    made = json.loads(done.stdout)
    first = {**RECORD["messages"][0], "content": "12 + 30 Answer in Basque."}
    assert made["messages"] == [first, *RECORD["messages"][1:]] and made["tools"] == RECORD["tools"]


def test_translate_keeps_what_it_does_not_translate(latxa: Latxa, tmp_path: Path, tiny_models: Path) -> None:
    """Numbers have no words, so that the model is asked for nothing."""
    shots = Path(__file__).parents[1] / "cases" / "translate" / "odd" / "shots.jsonl"
    words = ("translate", "-m", tiny_models / "trained", "--shots", shots, "--from", "en", "--to", "qaa")
    done = latxa(*words, "--to-name", "Euskara", cwd=tmp_path, stdin=lines(RECORD))
    assert done.returncode == 0, done.stderr.decode()
    made = json.loads(done.stdout)
    assert made["messages"] == RECORD["messages"] and made["tools"] == RECORD["tools"]


@pytest.mark.parametrize("verb", ["respond", "judge"])
def test_what_a_model_would_not_see_is_refused(latxa: Latxa, tmp_path: Path, tiny_models: Path, verb: str) -> None:
    if verb == "judge":
        record, words = RECORD, ("judge", "-", "--rubric", "code-switch", "--language", "eu")
    else:
        record = RECORD | {"messages": RECORD["messages"][:1]}
        words = ("respond", "-", "-m", str(tiny_models / "base"))
    done = latxa(*words, "--rejects", "rejects.jsonl", cwd=tmp_path, stdin=lines(record))
    assert done.returncode == 1 and "calls tools" in (tmp_path / "rejects.jsonl").read_text()


def test_prepare_counts_what_the_template_leaves_out_by_name(latxa: Latxa, tmp_path: Path, tiny_models: Path) -> None:
    plain = {"id": "2", "messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}
    thought = {"id": "3", "messages": [*plain["messages"][:1], RECORD["messages"][3]]}
    call = {"id": "4", "messages": [plain["messages"][0], RECORD["messages"][1] | {"reasoning_content": None}]}
    noted = {"id": "5", "messages": [RECORD["messages"][0], plain["messages"][1]]}
    words = ("prepare", "-", "-m", tiny_models / "base", "--sequence-length", "64", "-o", "made")
    done = latxa(*words, cwd=tmp_path, stdin=lines(RECORD, plain, thought, call, noted))
    said = done.stderr.decode()
    assert done.returncode == 0, said
    assert "`timestamp` of messages is not trained (in 1 conversations)" in said
    rejected = json.loads((tmp_path / "made" / "manifest.json").read_text())["counts"]["rejected"]
    assert rejected == {
        "refused by the chat template": 1,  # the role of the tool
        "`reasoning_content` of messages not in the chat template": 1,
        "`tool_calls` of messages not in the chat template": 1,
    }
