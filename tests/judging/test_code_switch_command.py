"""`latxa judge --rubric code-switch`: scores, spans, the rate of each model, and what cannot be searched."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tiny import Latxa, write_jsonl

CLEAN = "Atzo goizean mendira joan ginen, eta arratsaldean berandu itzuli ginen etxera."
MIXED = "Atzo goizean mendira joan ginen, but we could not find the way back, eta berandu itzuli ginen."


def response(name: str, model: str, text: str, asked: str = "Zer egin zenuten?", **more: object) -> dict[str, Any]:
    turns = [{"role": "user", "content": asked}, {"role": "assistant", "content": text}]
    return {"id": name, "messages": turns, "model": model, **more}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    ours = [response(str(n), "ours", MIXED if n == 3 else CLEAN, language="eu") for n in range(4)]
    theirs = [response(str(n), "theirs", MIXED if n % 2 else CLEAN, language="eu") for n in range(4)]
    write_jsonl(tmp_path / "ours.jsonl", ours)
    write_jsonl(tmp_path / "theirs.jsonl", theirs)
    write_jsonl(tmp_path / "odd.jsonl", [
        response("a", "ours", MIXED),
        response("b", "ours", MIXED, language="tlh"),
        response("c", "ours", MIXED, "Nola esan `but we could not find the way back`?", language="eu-ES"),
    ])  # fmt: skip
    return tmp_path


def test_scores_spans_and_the_rate_of_each_model(latxa: Latxa, folder: Path) -> None:
    done = latxa("judge", "ours.jsonl", "theirs.jsonl", "--rubric", "code-switch", "-o", "s.jsonl", cwd=folder)
    assert done.returncode == 0, done.stderr
    scores = [json.loads(line) for line in (folder / "s.jsonl").read_bytes().splitlines()]
    assert [(one["model"], one["scores"]["switched"]) for one in scores] == [
        ("ours", 0), ("ours", 0), ("ours", 0), ("ours", 1), ("theirs", 0), ("theirs", 1), ("theirs", 0), ("theirs", 1),
    ]  # fmt: skip
    assert scores[0]["scores"] == {"switched": 0, "share": 0.0}
    assert scores[0]["metadata"]["spans"] == []
    [span] = scores[3]["metadata"]["spans"]
    assert span["language"] == "en" and MIXED[span["start"] : span["end"]] == span["words"]
    assert span["words"] == "but we could not find the way back"
    assert scores[3]["scores"]["share"] == pytest.approx(8 / scores[3]["metadata"]["words"], abs=1e-4)
    assert {one["rubric"] for one in scores} == {"code-switch"} and "judge" not in scores[0]
    said = done.stderr.decode()
    assert "ours: other languages in 1 of 4 (25.0%)" in said and "theirs: other languages in 2 of 4 (50.0%)" in said
    manifest = json.loads((folder / "s.jsonl.manifest.json").read_bytes())
    assert manifest["switches"]["theirs"] == {"responses": 4, "switched": 2}


def test_a_language_must_be_known_and_the_prompts_words_are_not_switched(latxa: Latxa, folder: Path) -> None:
    done = latxa("judge", "odd.jsonl", "--rubric", "code-switch", "--rejects", "no.jsonl", cwd=folder)
    assert done.returncode == 0, done.stderr
    [score] = [json.loads(line) for line in done.stdout.splitlines()]
    assert (score["id"], score["scores"]["switched"]) == ("c", 0)
    rejects = [json.loads(line) for line in (folder / "no.jsonl").read_bytes().splitlines()]
    assert [(reject["record"]["id"], reject["reason"]) for reject in rejects] == [
        ("a", "no language"), ("b", "unknown language"),
    ]  # fmt: skip


def test_the_flag_wins_over_the_record(latxa: Latxa, folder: Path) -> None:
    done = latxa("judge", "ours.jsonl", "--rubric", "code-switch", "--language", "en", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert "ours: other languages in" in done.stderr.decode()
    found = [span for line in done.stdout.splitlines() for span in json.loads(line)["metadata"]["spans"]]
    assert not [span for span in found if span["language"] == "en"]


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--rubric", "code-switch", "--language", "tlh"], "`tlh` is not among those that can be identified"),
        (["--rubric", "code-switch", "--judge", "m"], "`--judge` has no effect"),
        (["--rubric", "code-switch", "--margin", "1"], "`--margin` has no effect"),
        (["theirs.jsonl", "--language", "eu"], "`--language` has no effect with the rubric `reference`"),
    ],
)
def test_what_does_not_fit_is_refused(latxa: Latxa, folder: Path, flags: list[str], said: str) -> None:
    done = latxa("judge", "ours.jsonl", *flags, cwd=folder)
    assert done.returncode == 2 and said in done.stderr.decode()


def test_what_an_interrupted_run_counted_is_in_the_rates_of_the_next(latxa: Latxa, folder: Path) -> None:
    flags = ["--rubric", "code-switch", "-o", "s.jsonl"]
    whole = (folder / "ours.jsonl").read_bytes()
    (folder / "ours.jsonl").write_bytes(whole + b"broken\n")
    assert latxa("judge", "ours.jsonl", *flags, cwd=folder).returncode == 1
    (folder / "ours.jsonl").write_bytes(whole)
    done = latxa("judge", "ours.jsonl", *flags, "--resume", cwd=folder)
    assert done.returncode == 0 and "ours: other languages in 1 of 4 (25.0%)" in done.stderr.decode()


def test_a_rubric_of_pairs_cannot_search_for_languages(latxa: Latxa, folder: Path) -> None:
    (folder / "mine.toml").write_text('scorer = "code-switch"\ncompares = "pair"\n')
    done = latxa("judge", "ours.jsonl", "theirs.jsonl", "--rubric", "mine.toml", cwd=folder)
    assert done.returncode == 1 and b"looks at `one` response at a time" in done.stderr
