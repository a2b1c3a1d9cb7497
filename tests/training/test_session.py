"""A whole run of training, as `latxa train` wires it."""

from __future__ import annotations

import shutil

import pytest
import torch

from latxa_cli.stream.errors import LatxaError
from latxa_cli.training import session
from latxa_cli.training.config import TrainConfig, resolve

CONFIG = TrainConfig(epochs=4, learning_rate=1e-2, batch_size=4, sequence_length=64)


def load(directory, config=CONFIG):
    return session.load(str(directory), config, device="cpu", threads=1)


@pytest.fixture
def trained(model_directory, records, tmp_path):
    loaded = load(model_directory)
    prepared = session.prepare_records(records, loaded, CONFIG)
    seen = []

    def report(*at, **figures):
        seen.append((at, figures))

    facts = session.run(loaded, prepared, CONFIG, tmp_path / "out", resume=False, report=report)
    return tmp_path / "out", facts, seen


def test_the_output_is_a_model_that_transformers_reads(trained, model_directory):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    directory, facts, seen = trained
    model = AutoModelForCausalLM.from_pretrained(directory, use_safetensors=True)
    tokenizer = AutoTokenizer.from_pretrained(directory)
    before = AutoModelForCausalLM.from_pretrained(model_directory)
    assert not torch.equal(model.lm_head.weight, before.lm_head.weight)
    assert model.config.use_cache and model.generation_config.eos_token_id == [1, 6]
    assert tokenizer.chat_template == AutoTokenizer.from_pretrained(model_directory).chat_template
    assert not (directory / "checkpoints").exists()
    assert resolve(directory / "train.toml") == CONFIG
    assert len((directory / "metrics.jsonl").read_text().splitlines()) == facts["steps"] == len(seen)
    assert seen[-1][0] == (facts["steps"], facts["steps"]) and seen[-1][1]["loss"] == facts["loss"]
    assert facts["sources"]["web"]["records"] == 60


def test_the_exported_model_has_the_loss_of_the_trained_one(trained, records):
    directory, facts, _ = trained
    loaded = load(directory)
    prepared = session.prepare_records(records, loaded, CONFIG)
    from latxa_cli.training.loop import Trainer

    losses = [Trainer(loaded.model, prepared.packed, TrainConfig(batch_size=len(prepared.packed))).step(0)["loss"]]
    assert losses[0] == pytest.approx(facts["loss"], rel=0.2)


def test_bfloat16_weights(model_directory, records, tmp_path):
    from safetensors.torch import load_file

    config = TrainConfig(epochs=1, dtype="bfloat16", sequence_length=64)
    loaded = load(model_directory, config)
    prepared = session.prepare_records(records, loaded, config)
    session.run(loaded, prepared, config, tmp_path, resume=False, report=lambda *_, **__: None)
    assert {tensor.dtype for tensor in load_file(tmp_path / "model.safetensors").values()} == {torch.bfloat16}


def test_what_is_said_of_the_mix(model_directory, records):
    loaded = load(model_directory)
    question = {"id": "q", "messages": [{"role": "user", "content": "Zer?"}], "source": "questions"}
    lines = session.describe(session.prepare_records([*records, question], loaded, CONFIG))
    assert lines[1].startswith("web: 60 records, ") and lines[2].startswith("chats: 40 records, ")
    assert lines[-1] == "warning: nothing of `questions` is trained"


def test_the_cost_is_said_without_writing(model_directory, records, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    loaded = load(model_directory)
    prepared = session.prepare_records(records, loaded, CONFIG)
    steps, memory, time = session.cost(loaded, prepared, CONFIG)
    assert steps.endswith("parameters") and "GiB" in memory and "tokens/s" in time
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("missing", ["tokenizer.json", "config.json", "model.safetensors"])
def test_a_model_directory_that_lacks_something(model_directory, tmp_path, missing):
    broken = tmp_path / "broken"
    shutil.copytree(model_directory, broken)
    (broken / missing).unlink()
    if missing == "tokenizer.json":
        (broken / "tokenizer_config.json").unlink()
    with pytest.raises(LatxaError) as caught:
        load(broken)
    assert str(broken) in caught.value.message and caught.value.hint
    assert "\n" not in caught.value.message


def test_a_damaged_model_file(model_directory, tmp_path):
    broken = tmp_path / "broken"
    shutil.copytree(model_directory, broken)
    (broken / "model.safetensors").write_bytes(b"\x10" + b"\0" * 20)
    with pytest.raises(LatxaError, match="its weights cannot be loaded"):
        load(broken)


def test_no_such_directory():
    with pytest.raises(LatxaError, match=r"there is no model directory `\./none`"):
        load("./none")


def test_a_tokenizer_without_chat_template(model_directory, records, tmp_path):
    bare = tmp_path / "bare"
    shutil.copytree(model_directory, bare)
    (bare / "chat_template.jinja").unlink()
    with pytest.raises(LatxaError, match="`bare` has no chat template"):
        session.prepare_records(records, load(bare), CONFIG)
    documents = [record for record in records if "text" in record]  # raw text needs none
    assert len(session.prepare_records(documents, load(bare), CONFIG).packed)


def test_a_sequence_longer_than_the_context(model_directory):
    with pytest.raises(LatxaError, match="takes at most 128 tokens"):
        load(model_directory, TrainConfig(sequence_length=256))
