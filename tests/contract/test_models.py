"""Models that are not there or not whole, a hub out of reach, engines that are not installed: one line each."""

from __future__ import annotations

import json
import os
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from workspace import Workspace, is_one_error, together


@pytest.fixture(scope="module")
def broken(heavy: Workspace, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of models that each lack something."""
    folder = tmp_path_factory.mktemp("broken")
    whole = heavy.folder / "trained"
    for name, lost in {
        "no-tokenizer": ["tokenizer.json", "tokenizer_config.json", "chat_template.jinja"],
        "no-template": ["chat_template.jinja"],
        "no-config": ["config.json"],
    }.items():
        shutil.copytree(whole, folder / name)
        for file in lost:
            (folder / name / file).unlink()
    shutil.copytree(whole, folder / "cut-weights")
    weights = folder / "cut-weights" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1000])
    shutil.copytree(whole, folder / "pickled-weights")
    (folder / "pickled-weights" / "model.safetensors").rename(folder / "pickled-weights" / "pytorch_model.bin")
    shutil.copytree(whole, folder / "adapter")
    (folder / "adapter" / "model.safetensors").rename(folder / "adapter" / "adapter_model.safetensors")
    (folder / "adapter" / "adapter_config.json").write_text('{"base_model_name_or_path": "some/model"}')
    return folder


# model → what is said of it
SAMPLE = {
    "missing": "there is no model directory",
    "no-config": "has no `config.json`",
    "adapter": "is an adapter",
    "no-tokenizer": "tokenizer",
    "no-template": "has no chat template",
    "cut-weights": "weights",
    "pickled-weights": "weights",
}


def test_a_model_that_is_not_whole_is_one_line(heavy: Workspace, broken: Path) -> None:
    runs = together(
        *(
            lambda name=name: heavy.run("sample", "--model", broken / name, "-n", "1", "--max-tokens", "4")  # type: ignore[misc]
            for name in SAMPLE
        )
    )
    for name, done in zip(SAMPLE, runs, strict=True):
        said = done.stderr.decode()
        assert (done.returncode, done.stdout) == (1, b""), (name, said)
        assert is_one_error(said), said
        assert name in said and SAMPLE[name] in said, said


def test_training_and_evaluation_say_so_too(heavy: Workspace, broken: Path, tmp_path: Path) -> None:
    train, evaluate = together(
        lambda: heavy.run("train", "train.jsonl", "--model", broken / "no-tokenizer", "-o", tmp_path / "out"),
        lambda: heavy.run("eval", broken / "no-template", "--task", "towns", "--task-folder", "tasks", "--chat"),
    )
    for done in (train, evaluate):
        assert done.returncode in (1, 2)
        assert is_one_error(done.stderr.decode()), done.stderr.decode()
    assert not (tmp_path / "out" / "manifest.json").exists()


def test_a_broken_chat_template_is_one_line(heavy: Workspace, tmp_path: Path) -> None:
    model = tmp_path / "broken-template"
    shutil.copytree(heavy.folder / "trained", model)
    (model / "chat_template.jinja").write_text("{% for message in messages %}{{ message")
    done = heavy.run("sample", "--model", model, "-n", "1")
    assert done.returncode == 1
    assert is_one_error(done.stderr.decode()) and "chat template" in done.stderr.decode(), done.stderr.decode()


@pytest.fixture
def unreachable() -> Iterator[dict[str, str]]:
    """An environment in which the hub lies at a port where nobody listens."""
    with socket.socket() as taken:  # bound and not listening: every connection is refused
        taken.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{taken.getsockname()[1]}"
        yield os.environ | {"HF_ENDPOINT": address, "HF_HOME": "/nonexistent-cache", "NO_PROXY": "127.0.0.1"}


def test_a_hub_out_of_reach_is_one_line(heavy: Workspace, unreachable: dict[str, str], tmp_path: Path) -> None:
    unreachable["HF_HOME"] = str(tmp_path)
    model, dataset = together(
        lambda: heavy.run("sample", "--model", "nobody/nothing", "-n", "1", env=unreachable, timeout=60),
        lambda: heavy.run("mix", "docs=hf:nobody/nothing", env=unreachable, timeout=60),
    )
    for done in (model, dataset):
        assert (done.returncode, done.stdout) == (1, b"")
        assert is_one_error(done.stderr.decode(), hint=True), done.stderr.decode()
        assert "nobody/nothing" in done.stderr.decode()


def test_an_unknown_engine_is_a_usage_error(heavy: Workspace) -> None:
    done = heavy.run("sample", "--model", "trained", "-n", "1", "--engine", "transformer")
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr.decode().splitlines() == [
        "latxa: there is no engine `transformer`",
        "hint: did you mean `transformers`?",
    ]


def test_side_inputs_that_are_broken_are_named(heavy: Workspace, tmp_path: Path) -> None:
    shots = tmp_path / "shots.jsonl"
    shots.write_text(json.dumps({"source": "a", "target": "b"}) + '\n{"source": "a"}\n')
    words = [
        "translate",
        "translate.jsonl",
        "--model",
        "trained",
        "--from",
        "en",
        "--to",
        "qaa",
        "--to-name",
        "Euskara",
        "--shots",
    ]
    broken, missing = together(lambda: heavy.run(*words, shots), lambda: heavy.run(*words, tmp_path / "none.jsonl"))
    assert broken.returncode == missing.returncode == 1
    assert broken.stderr.decode().startswith(f"latxa: {shots}:2: the field `target` is missing")
    assert missing.stderr.decode() == f"latxa: {tmp_path}/none.jsonl: no such file\n"
