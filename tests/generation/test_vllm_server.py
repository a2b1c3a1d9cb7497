"""The openai engine with a real server: vLLM's, on a CPU, with a tiny model."""

from __future__ import annotations

import random
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest
import tiny
from tiny import Latxa
from vllm_server import serving

pytest.importorskip("vllm", reason="`vllm` is not installed: `recipes/test-vllm.sh` runs its tests")

LAX = ("--max-tokens", "30", "--skip", "beginning", "--skip", "short", "--skip", "near")  # a tiny model fails these
RESPOND = ("respond", "--max-tokens", "30")


@pytest.fixture(scope="module")
def server(tiny_models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the server."""
    with serving(tiny_models / "trained", tmp_path_factory.mktemp("server") / "log") as url:
        yield url


@pytest.fixture
def prompts(tmp_path: Path) -> Path:
    draw = random.Random(0)
    questions = [tiny.sentence(draw, 3) for _ in range(300)]
    return tiny.write_jsonl(
        tmp_path / "prompts.jsonl", [{"id": f"q{number}", "prompt": text} for number, text in enumerate(questions)]
    )


def test_answers_are_those_of_the_model_itself(latxa: Latxa, tiny_models: Path, server: str, prompts: Path) -> None:
    found = latxa(*RESPOND, "-m", "tiny", "--base-url", server, prompts)
    expected = latxa(*RESPOND, "-m", tiny_models / "trained", "--engine", "transformers", prompts)
    assert found.returncode == expected.returncode == 0, found.stderr.decode()
    mine, theirs = ([orjson.loads(line) for line in done.stdout.splitlines()] for done in (found, expected))
    assert [record["messages"] for record in mine] == [record["messages"] for record in theirs]
    assert [record["metadata"] for record in mine] == [record["metadata"] for record in theirs]


def test_two_hundred_draws_are_valid_records(latxa: Latxa, tiny_models: Path, server: str, tmp_path: Path) -> None:
    tokenizer = ("--engine-option", f"tokenizer={tiny_models / 'trained'}")
    manifest = tmp_path / "manifest.json"
    words = ("sample", "-m", "tiny", "-n", "200", *LAX, "--base-url", server, *tokenizer, "--manifest", manifest)
    found = latxa(*words)
    assert found.returncode == 0, found.stderr.decode()
    assert len(tiny.checked_conversations(found.stdout)) > 100
    engine = orjson.loads(manifest.read_bytes())["engine"]
    assert engine["server"] == "vllm" and engine["server_version"] and engine["completion_tokens"] > 200


def test_killed_again_and_again_nothing_is_lost_or_doubled(
    latxa: Latxa, server: str, prompts: Path, tmp_path: Path
) -> None:
    output = tmp_path / "out.jsonl"
    words = (*RESPOND, "-m", "tiny", "--base-url", server, prompts, "--batch-size", "8", "-o", output, "--resume")
    kills = 0
    for delay in (0.05, 0.2, 0.4, 0.1, 0.3):
        process = subprocess.Popen([tiny.BINARY, *words], stderr=subprocess.DEVNULL)
        part = tmp_path / "out.jsonl.part"
        before = part.stat().st_size if part.exists() else 0
        while process.poll() is None and (not part.exists() or part.stat().st_size <= before):
            time.sleep(0.01)
        time.sleep(delay)
        process.send_signal(signal.SIGKILL)
        kills += process.wait() == -signal.SIGKILL
    assert kills >= 2, "it was killed in the middle of its work"
    done = latxa(*words)
    assert done.returncode == 0, done.stderr.decode()
    assert [orjson.loads(line)["id"] for line in output.read_bytes().splitlines()] == [f"q{n}" for n in range(300)]
    assert output.read_bytes() == latxa(*RESPOND, "-m", "tiny", "--base-url", server, prompts).stdout


def test_a_prompt_longer_than_the_context_is_set_aside(latxa: Latxa, server: str, tmp_path: Path) -> None:
    given = tiny.write_jsonl(
        tmp_path / "long.jsonl", [{"id": "long", "prompt": "harbour " * 400}, {"id": "short", "prompt": "old storm"}]
    )
    rejects = tmp_path / "rejects.jsonl"
    done = latxa(*RESPOND, "-m", "tiny", "--base-url", server, given, "--rejects", rejects)
    assert done.returncode == 0, done.stderr.decode()
    assert [orjson.loads(line)["id"] for line in done.stdout.splitlines()] == ["short"]
    assert [orjson.loads(line)["reason"] for line in rejects.read_bytes().splitlines()] == [
        "prompt longer than the context"
    ]


def test_a_wrong_name_is_answered_with_those_there_are(latxa: Latxa, server: str, prompts: Path) -> None:
    done = latxa(*RESPOND, "-m", "tinny", "--base-url", server, prompts)
    assert done.returncode == 1 and done.stderr.decode().splitlines()[1:] == ["hint: it has `tiny`"]
