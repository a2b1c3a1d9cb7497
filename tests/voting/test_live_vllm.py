"""A live poll on a real server: vLLM's, on a CPU, with a tiny model under two names."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from poll_server import Voter, serving, talk, votes_in
from tiny import Latxa
from vllm_server import serving as serving_vllm

pytest.importorskip("vllm", reason="`vllm` is not installed: `recipes/test-vllm.sh` runs its tests")

LIMITS = ("--max-tokens", "12", "--messages-per-minute", "1000")


def answered(voter: Voter, text: str, before: Any) -> Any:
    """Say something until both models say something: a tiny one often ends at once, which is no answer."""
    for _ in range(50):
        status, shown = voter.say(text, before)
        if status == 200:
            return shown
        assert status == 503, shown
    raise AssertionError("no answer")


def test_people_talk_with_models_of_vllm(tiny_models: Path, latxa: Latxa, tmp_path: Path) -> None:
    with serving_vllm(tiny_models / "trained", tmp_path / "log", "--served-model-name", "tiny", "org/tiny-2") as url:
        models = ("--model", f"tiny={url}", "--model", f"other={url}", "--served", "other=org/tiny-2")
        with serving(tmp_path, *models, "-o", "votes.jsonl", *LIMITS) as served:
            voter = Voter.of(served)
            shown = answered(voter, "Where do the gulls sleep?", None)
            shown = answered(voter, "And the keeper?", shown)
            sent = talk(shown)
            assert voter.cast(sent["ballot"], conversations=sent["conversations"])[0] == 200
            served.stop()
    (vote,) = votes_in(tmp_path / "votes.jsonl")
    assert {vote["model_a"], vote["model_b"]} == {"tiny", "other"} and len(vote["conversation_a"]) == 4
    assert all(seconds > 0 for side in vote["metadata"]["answer_seconds"].values() for seconds in side)
    manifest = json.loads((tmp_path / "votes.jsonl.manifest.json").read_bytes())
    assert all(one["server"] == "vllm" and one["answers"] >= 2 for one in manifest["models"])
    assert {kind for one in manifest["models"] for kind in one["failures"]} <= {"an empty answer"}
    rated = latxa("arena-score", "votes.jsonl", "--prior", "1", cwd=tmp_path)
    assert rated.returncode == 0, rated.stderr
