"""A whole run of training, as `latxa train` wires it."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from full_disk import files_no_larger_than
from random_models import random_model

from latxa_cli.stream.errors import LatxaError
from latxa_cli.training import session, trial
from latxa_cli.training.config import TrainConfig, resolve
from latxa_cli.training.data.sources import check_validation

CONFIG = TrainConfig(epochs=4, learning_rate=1e-2, sequences_per_step=4, sequence_length=64)


def load(directory, config=CONFIG):
    return session.load(str(directory), config, device="cpu", threads=1)


def silent(*_):
    pass


def listeners(seen=None):
    return session.RunListeners(report=silent if seen is None else seen.append, warn=silent, give_up=silent)


def run(loaded, rows, config, directory, *, resume=False, seen=None, validation=None):
    return session.run(loaded, rows, config, directory, resume=resume, listeners=listeners(seen), validation=validation)


@pytest.fixture
def trained(model_directory, rows, tmp_path):
    loaded = load(model_directory)
    seen = []
    facts = run(loaded, rows, CONFIG, tmp_path / "out", seen=seen)
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
    assert (directory / "checkpoints").is_dir()  # they go when the manifest has been written
    assert resolve(directory / "train.toml") == CONFIG
    assert len((directory / "metrics.jsonl").read_text().splitlines()) == facts["steps"] == len(seen)
    assert seen[-1]["step"] == facts["steps"] and seen[-1]["loss"] == facts["loss"]
    assert facts["sources"]["web"]["records"] == 60


def test_the_exported_model_has_the_loss_of_the_trained_one(trained, rows):
    directory, facts, _ = trained
    loaded = load(directory)
    from latxa_cli.training.loop import Trainer

    losses = [Trainer(loaded.model, rows, TrainConfig(sequences_per_step=len(rows))).step(0)["loss"]]
    assert losses[0] == pytest.approx(facts["loss"], rel=0.2)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_run_cut_off_before_its_manifest_goes_straight_to_the_export(model_directory, rows, tmp_path, dtype):
    config = TrainConfig(epochs=2, sequence_length=64, dtype=dtype)
    facts, weights = [], []
    for resume in (False, True):
        loaded = load(model_directory, config)
        steps = []
        facts.append(run(loaded, rows, config, tmp_path, resume=resume, seen=steps))
        weights.append((tmp_path / "model.safetensors").read_bytes())
        metrics = (tmp_path / "metrics.jsonl").read_text().splitlines()
        assert len(metrics) == facts[0]["steps"] and bool(steps) != resume
        (tmp_path / "model.safetensors").unlink()
    assert facts[0] == facts[1] and weights[0] == weights[1]


def test_refused_settings_do_not_replace_those_of_the_run(trained, model_directory, rows):
    directory, _, _ = trained
    other = TrainConfig(epochs=4, learning_rate=2e-2, sequences_per_step=4, sequence_length=64)
    loaded = load(model_directory)
    with pytest.raises(LatxaError, match="other settings"):
        run(loaded, rows, other, directory, resume=True)
    assert resolve(directory / "train.toml") == CONFIG


def copied(model_directory, folder, **changed):
    """A model with other files: {name: function of the old one's bytes}."""
    other = shutil.copytree(model_directory, folder)
    for name, change in changed.items():
        path = other / name.replace("_safetensors", ".safetensors")
        path.write_bytes(change(path.read_bytes()))
    return other


def last_bit_changed(data):
    return data[:-1] + bytes([data[-1] ^ 1])


def test_other_data_or_another_starting_model_make_another_run(
    trained, model_directory, rows, prepared, records, tmp_path
):
    directory, _, _ = trained
    with pytest.raises(LatxaError, match="of a run with other data"):
        run(load(model_directory), prepared(records[1:]).rows, CONFIG, directory, resume=True)
    other = copied(model_directory, tmp_path / "other", model_safetensors=last_bit_changed)
    with pytest.raises(LatxaError, match="of a run with other starting model"):
        run(load(other), rows, CONFIG, directory, resume=True)


def test_other_trained_parameters_make_another_run(trained, model_directory, rows):
    """As those of another version of transformers, which has other names for them."""
    directory, _, _ = trained
    path = directory / "checkpoints" / "run.json"
    begun = json.loads(path.read_text())
    begun["parameters"]["model.norm.scale"] = begun["parameters"].pop("model.norm.weight")
    path.write_text(json.dumps(begun))
    with pytest.raises(LatxaError, match="of a run with other parameters"):
        run(load(model_directory), rows, CONFIG, directory, resume=True)


def test_the_loss_of_a_run_is_that_of_its_last_step_and_not_of_validation(model_directory, rows, tmp_path):
    config = TrainConfig(sequence_length=64, checkpoint_every=2)
    validation = {"one": rows, "two": rows}
    facts = run(load(model_directory, config), rows, config, tmp_path, validation=validation)
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    steps = [line for line in lines if "validation" not in line]
    assert lines[-1]["validation"] == "two" and facts["loss"] == steps[-1]["loss"] != lines[-1]["loss"]
    assert facts["steps"] == len(steps) == steps[-1]["step"]


@pytest.mark.parametrize(
    ("settings", "looked_at"),
    [
        ({"validate_every": 2, "checkpoint_every": 3}, [2, 4, 6, 7]),
        ({"validate_every": 0, "checkpoint_every": 3}, [3, 6, 7]),
        ({"validate_every": 0, "checkpoint_every": 0}, [7]),
    ],
)
def test_when_validation_is_looked_at(model_directory, rows, tmp_path, settings, looked_at):
    config = TrainConfig(sequence_length=64, epochs=1.75, **settings)
    run(load(model_directory, config), rows, config, tmp_path, validation={"eu": rows})
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert max(line["step"] for line in lines) == 7 and len(lines) == 7 + len(looked_at)
    assert [line["step"] for line in lines if "validation" in line] == looked_at


def test_a_model_that_mixes_texts_does_no_step(rows, tokenizer, tmp_path):
    model = random_model("bloom", n_layer=2, n_head=2)
    model.save_pretrained(tmp_path / "bloom")
    tokenizer.save_pretrained(tmp_path / "bloom")
    seen = []
    with pytest.raises(LatxaError, match="mixes the texts of a packed row"):
        run(load(tmp_path / "bloom"), rows, replace(CONFIG, packing="always"), tmp_path / "out", seen=seen)
    assert not seen


@pytest.mark.parametrize(("rank", "dtype"), [(0, torch.float32), (2, torch.bfloat16)])
def test_what_is_trained_whole_is_loaded_in_float32_and_what_is_frozen_as_it_is_computed(model_directory, rank, dtype):
    loaded = load(model_directory, TrainConfig(sequence_length=64, dtype="bfloat16", lora_rank=rank))
    assert {parameter.dtype for parameter in loaded.model.parameters()} == {dtype}


def test_the_number_of_threads_is_the_one_asked_for(model_directory):
    session.load(str(model_directory), CONFIG, device="cpu", threads=2)
    assert torch.get_num_threads() == 2
    session.load(str(model_directory), CONFIG, device="cpu", threads=None)
    assert torch.get_num_threads() == 1, "a small model has one"


@pytest.mark.parametrize("other", ["tokenizer", "chat_template"])
def test_validation_that_was_prepared_in_another_way_is_refused(rows, other):
    facts = SimpleNamespace(facts=rows.facts | {other: "another"}, sequence_length=64)
    with pytest.raises(LatxaError, match=f"`--val eu` was prepared with another {other.replace('_', ' ')}"):
        check_validation("eu", facts, rows)
    check_validation("eu", rows, rows)


def test_rows_of_another_tokenizer_are_refused_and_the_template_of_the_right_ones_is_taken(model_directory, rows):
    loaded = load(model_directory)
    loaded.tokenizer.chat_template = None
    session.check_rows(rows, loaded, "base")
    assert loaded.tokenizer.chat_template == rows.facts["chat_template"] is not None
    other = SimpleNamespace(facts=rows.facts | {"tokenizer": "another"})
    with pytest.raises(LatxaError, match="that of `base` is another"):
        session.check_rows(other, loaded, "base")


def test_a_directory_that_cannot_be_made(model_directory, rows, tmp_path):
    (tmp_path / "file").write_text("")
    loaded = load(model_directory)
    with pytest.raises(LatxaError, match=r"file/out: cannot be written \(Not a directory\)"):
        run(loaded, rows, CONFIG, tmp_path / "file" / "out")


@pytest.mark.parametrize(
    ("size", "checkpoint_every", "reached"),
    [(100, 1, "checkpoints"), (10_000, 1, "checkpoints/step-1.part"), (10_000, 0, "metrics.jsonl")],
)
def test_a_full_disk_is_one_line_and_resuming_ends_the_run(
    model_directory, rows, tmp_path, size, checkpoint_every, reached
):
    """Before the first step, in a checkpoint, in the last one."""
    config = TrainConfig(epochs=1, sequence_length=64, checkpoint_every=checkpoint_every)
    loaded = load(model_directory, config)
    with pytest.raises(LatxaError) as caught, files_no_larger_than(size):
        run(loaded, rows, config, tmp_path)
    assert caught.value.message == f"{tmp_path}: cannot be written (File too large)"
    assert (tmp_path / reached).exists() and not (tmp_path / "model.safetensors").exists()
    loaded = load(model_directory, config)
    facts = run(loaded, rows, config, tmp_path, resume=True)
    assert len((tmp_path / "metrics.jsonl").read_text().splitlines()) == facts["steps"]
    load(tmp_path, config)


def test_bfloat16_weights(model_directory, rows, tmp_path):
    from safetensors.torch import load_file

    config = TrainConfig(epochs=1, dtype="bfloat16", sequence_length=64)
    loaded = load(model_directory, config)
    run(loaded, rows, config, tmp_path)
    assert {tensor.dtype for tensor in load_file(tmp_path / "model.safetensors").values()} == {torch.bfloat16}


def test_the_cost_is_said_without_writing(model_directory, rows, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    loaded = load(model_directory)
    exact, steps, memory, time = trial.cost(loaded, rows, CONFIG, tmp_path / "out")
    assert exact.startswith("packed texts") and "largest difference" in exact and "sdpa" in exact
    assert steps.endswith("parameters") and "GiB" in memory and "tokens/s" in time
    assert list(tmp_path.iterdir()) == []


def test_what_would_keep_a_run_from_its_export_ends_it_before_the_first_step(
    model_directory, rows, tmp_path, monkeypatch
):
    def refuse(facts):
        assert facts["parameters"]["model.norm.weight"] == [32]
        raise LatxaError("no export")

    monkeypatch.setattr(session.exports, "check", refuse)
    for start in (lambda: run(load(model_directory), rows, CONFIG, tmp_path / "out"),
                  lambda: trial.cost(load(model_directory), rows, CONFIG, tmp_path / "out")):  # fmt: skip
        with pytest.raises(LatxaError, match="no export"):
            start()
    assert list(tmp_path.iterdir()) == []


def test_that_rows_are_taken_apart_is_said_before_and_after(rows, tokenizer, tmp_path):
    model = random_model("bloom", n_layer=2, n_head=2)
    model.save_pretrained(tmp_path / "bloom")
    tokenizer.save_pretrained(tmp_path / "bloom")
    exact, *_, note = trial.cost(load(tmp_path / "bloom"), rows, CONFIG, tmp_path / "out")
    assert exact.startswith("unpacked texts") and note.startswith("texts of a packed row would see each other")
    said = []
    told = session.RunListeners(report=silent, warn=said.append, give_up=silent)
    facts = session.run(load(tmp_path / "bloom"), rows, CONFIG, tmp_path / "out", resume=False, listeners=told)
    assert said == [note] and facts["packing"] == "unpacked"
    assert "| texts of a row | unpacked |" in (tmp_path / "out" / "README.md").read_text()


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


def test_a_sequence_longer_than_the_context(model_directory):
    with pytest.raises(LatxaError, match="takes at most 128 tokens"):
        load(model_directory, TrainConfig(sequence_length=256))
