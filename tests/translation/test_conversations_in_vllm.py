"""Whole conversations in one request with vLLM, in process and as a server: what its grammar guarantees."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import tiny
from tiny import Latxa
from vllm_server import serving

from latxa_cli.translation.structure import encoded

pytest.importorskip("vllm", reason="`vllm` is not installed: `recipes/test-vllm.sh` runs its tests")

LIGHT = ("--engine", "vllm", "--engine-option", "enforce_eager=true", "--engine-option", "kv_cache_memory_bytes=64M")
ASKED = ("--from", "en", "--to", "qaa", "--to-name", "Euskara", "-k", "2", "--layout", "conversation")
KEYS = ("user_1", "assistant_2")
TRAIN = (
    "train", "train.jsonl", "--model", "base", "--sequence-length", "128", "--epochs", "6", "--learning-rate", "1e-2",
    "--threads", "1", "-o", "trained",
)  # fmt: skip
SECONDS = 400


@pytest.fixture(scope="module")
def folder(latxa: Latxa, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with conversations, shots, and two models.

    `base` knows nothing, and would never write an object of JSON by itself. `trained` has seen translated ones.
    """
    folder, draw = tmp_path_factory.mktemp("conversations"), random.Random(0)

    def turns() -> list[str]:
        return [tiny.sentence(draw, 2) for _ in KEYS]

    def example(texts: list[str]) -> str:
        both = encoded(KEYS, texts), encoded(KEYS, [tiny.backwards(text) for text in texts])
        return f"English: {both[0]}\nEuskara: {both[1]}\n\n"

    (folder / "config.json").write_text(json.dumps(tiny.CONFIG))
    documents = [{"id": f"d{number}", "text": example(turns()) + example(turns())} for number in range(500)]
    tiny.write_jsonl(folder / "train.jsonl", documents)
    pairs = [tiny.sentence(draw, 2) for _ in range(6)]
    tiny.write_jsonl(folder / "shots.jsonl", [{"source": text, "target": tiny.backwards(text)} for text in pairs])
    conversations = [
        {"id": f"c{number}", "messages": [{"role": key.split("_")[0], "content": text} for key, text in texts]}
        for number, texts in enumerate(zip(KEYS, turns(), strict=True) for _ in range(12))
    ]
    tiny.write_jsonl(folder / "given.jsonl", conversations)
    for words in ((*tiny.INIT, "-o", "base"), TRAIN):
        made = latxa(*words, cwd=folder)
        assert made.returncode == 0, made.stderr.decode()
    return folder


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[str]:
    """The address of a server with the model that knows nothing."""
    with serving(folder / "base", folder / "log") as url:
        yield url


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_bytes().splitlines()] if path.exists() else []


def translated(
    latxa: Latxa, folder: Path, name: str, *engine: str
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return what is written and what is rejected."""
    out, bad = folder / f"{name}.jsonl", folder / f"{name}-bad.jsonl"
    files = (folder / "given.jsonl", "--shots", folder / "shots.jsonl", "-o", out, "--rejects", bad)
    done = latxa("translate", *files, *ASKED, "--max-tokens", "60", "--retries", "0", *engine, timeout=SECONDS)
    assert done.stderr.startswith(b"latxa translate: 12 in"), done.stderr.decode()
    return lines(out), lines(bad)


def test_in_process_as_with_transformers(latxa: Latxa, folder: Path) -> None:
    model = ("-m", str(folder / "trained"))
    records, _ = translated(latxa, folder, "vllm", *model, *LIGHT)
    expected, _ = translated(latxa, folder, "transformers", *model, "--engine", "transformers")
    texts, others = ([(one["id"], one["messages"]) for one in some] for some in (records, expected))
    assert texts == others and len(texts) > 6
    manifest = json.loads((folder / "vllm.jsonl.manifest.json").read_bytes())
    assert manifest["translation"]["constrained"] is True and manifest["translation"]["structured"] == 12


def test_a_model_that_knows_nothing_writes_nothing_but_the_object_that_is_asked_for(
    latxa: Latxa, folder: Path, server: str
) -> None:
    """Its texts do not end; what comes before them must be there, and no white space in place of it."""
    in_process = translated(latxa, folder, "base", "-m", str(folder / "base"), *LIGHT)[1]
    by_server = translated(latxa, folder, "server", "-m", "tiny", "--base-url", server)[1]
    free = translated(latxa, folder, "free", "-m", str(folder / "base"), "--engine", "transformers")[1]
    for reject in in_process + by_server:
        assert reject["reason"] != "other structure" and ': {"user_1": "' in reject["detail"], reject
    assert len(in_process) == len(by_server) == 12
    assert not any(': {"user_1": "' in reject["detail"] for reject in free), "of itself it would write no object"
