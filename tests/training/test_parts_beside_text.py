"""Models with parts that text never passes through, such as a tower for pictures, and with weights without gradient."""

from __future__ import annotations

import json
import shutil

import pytest
import torch
from random_models import seeing_model

from latxa_cli.model import load_model
from latxa_cli.stream.errors import UsageError
from latxa_cli.training import loop, session, trial
from latxa_cli.training.checkpoints import checkpoint
from latxa_cli.training.config import TrainConfig
from latxa_cli.training.network import parameters

TOWER, JOINT = "model.vision_tower", "model.multi_modal_projector"


@pytest.fixture(scope="module")
def seeing(tokenizer, tmp_path_factory):
    folder = tmp_path_factory.mktemp("seeing")
    seeing_model().save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def weights(folder):
    return {name: value.detach().clone() for name, value in load_model(str(folder), device="cpu").named_parameters()}


@pytest.mark.parametrize("adapted", [{}, {"lora_rank": 2}, {"lora_rank": 2, "lora_targets": ["q_proj", "v_proj"]}])
def test_text_alone_trains_a_model_that_sees(seeing, rows, tmp_path, adapted):
    config = TrainConfig(sequence_length=64, learning_rate=1e-2, max_steps=2, checkpoint_every=1, **adapted)
    loaded = session.load(str(seeing), config, device="cpu", threads=1)
    said = []
    silent = session.RunListeners(report=lambda _: None, warn=said.append, give_up=pytest.fail)
    session.run(loaded, rows, config, tmp_path, resume=False, listeners=silent)
    assert said == [f"not trained, since text does not pass through it: `{TOWER}`, `{JOINT}`"]
    trained = parameters.trained(loaded.model)
    assert trained and not [name for name in trained if name.startswith((TOWER, JOINT))]
    before, after = weights(seeing), weights(tmp_path)
    changed = {name for name, value in after.items() if not torch.equal(value, before[name])}
    assert before.keys() == after.keys()
    assert changed == {
        name for name in before
        if name.startswith("model.language_model")
        and (not adapted or name.endswith("_proj.weight"))
        and ("lora_targets" not in adapted or "q_proj" in name or "v_proj" in name)
    }  # fmt: skip


def test_a_dry_run_says_what_is_not_trained(seeing, rows, tmp_path):
    config = TrainConfig(sequence_length=64)
    lines = trial.cost(session.load(str(seeing), config, device="cpu", threads=1), rows, config, tmp_path / "out")
    assert f"not trained, since text does not pass through it: `{TOWER}`, `{JOINT}`" in lines


def test_adapters_where_text_does_not_come_are_refused(seeing):
    model = load_model(str(seeing), device="cpu")
    with pytest.raises(UsageError, match="`lora_targets`"):
        parameters.choose(model, TrainConfig(lora_rank=2, lora_targets=["out_proj"]))  # of the tower alone


def test_frozen_layers_get_no_adapters(model_directory, rows):
    model = load_model(str(model_directory), device="cpu")
    trainer = loop.Trainer(model, rows, TrainConfig(sequence_length=64, lora_rank=2, freeze=["layers.0.", "mlp"]))
    trained = parameters.trained(trainer.model)
    assert trained and all("lora_" in name and ".layers.1.self_attn." in name for name in trained)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_embeddings_are_learnt_whole_beside_adapters(model_directory, rows, tmp_path, dtype):
    """Such as those of tokens that `extend` has added, which adapters cannot learn."""
    config = TrainConfig(
        sequence_length=64, learning_rate=1e-2, max_steps=1, lora_rank=2, lora_whole=["embed_tokens", "norm"],
        freeze=["layers.0."], dtype=dtype,
    )  # fmt: skip
    loaded = session.load(str(model_directory), config, device="cpu", threads=1)
    silent = session.RunListeners(report=lambda _: None, warn=pytest.fail, give_up=pytest.fail)
    session.run(loaded, rows, config, tmp_path, resume=False, listeners=silent)
    assert all(value.dtype == torch.float32 for value in parameters.trained(loaded.model).values())
    before, after = weights(model_directory), weights(tmp_path)
    rounding = {"float32": 1e-6, "bfloat16": 1e-2}[dtype]
    changed = {name for name, value in after.items() if not torch.allclose(value, before[name], rtol=rounding)}
    assert "model.embed_tokens.weight" in changed
    assert not [name for name in changed if ".layers.0." in name]
    if dtype == "float32":
        assert changed == {name for name in before if ".layers.0." not in name}


def test_new_tokens_whose_rows_are_not_trained_are_told_with_the_setting_that_trains_them(model_directory, tmp_path):
    extended = tmp_path / "extended"
    shutil.copytree(model_directory, extended)
    change = {"rank": {"lora_rank": 2}, "both": {"lora_rank": 2, "lora_whole": ["embed_tokens", "lm_head"]}}

    def lines(untie=True, **settings):
        model = load_model(str(extended), device="cpu")
        if untie:
            model.lm_head.weight = torch.nn.Parameter(model.lm_head.weight.detach().clone())
        return parameters.choose(model, TrainConfig(**settings))

    (extended / "manifest.json").write_text(json.dumps({"verb": "init", "pieces": 3}))
    assert lines(**change["rank"]) == []
    (extended / "manifest.json").write_text("[]")
    assert lines(**change["rank"]) == []
    (extended / "manifest.json").write_text(json.dumps({"verb": "extend", "pieces": 3}))
    assert lines() == lines(**change["both"]) == lines(untie=False, lora_rank=2, lora_whole=["embed_tokens"]) == []
    (line,) = lines(**change["rank"])
    assert "`model.embed_tokens.weight` and `lm_head.weight` are not trained" in line
    assert '`lora_whole = ["model.embed_tokens", "lm_head"]` in the file of `--config` trains them' in line
    (line,) = lines(lora_rank=2, lora_whole=["embed_tokens"])
    assert "in `lm_head.weight` are not trained" in line and "embed_tokens" in line
    (line,) = lines(freeze=["embed_tokens"])
    assert "in `model.embed_tokens.weight` are not trained" in line and "lora" not in line


def test_what_is_trained_whole_is_a_part_of_the_model_and_needs_adapters(model_directory):
    model = load_model(str(model_directory), device="cpu")
    with pytest.raises(UsageError, match="`lora_whole`: no parameter of the model has `nowhere` in its name"):
        parameters.choose(model, TrainConfig(lora_rank=2, lora_whole=["embed", "nowhere"]))
    with pytest.raises(UsageError, match=r"`lora_whole` .* needs `lora_rank`"):
        TrainConfig(lora_whole=["embed"])


def test_a_weight_without_gradient_is_in_the_checkpoint_all_the_same(model_directory, rows, tmp_path):
    """Such as an expert to which no text came yet."""
    config = TrainConfig(sequence_length=64, learning_rate=1e-2)

    def trainer():
        model = load_model(str(model_directory), device="cpu")
        model.spare = torch.nn.Parameter(torch.arange(3.0))
        return loop.Trainer(model, rows, config)

    first = trainer()
    first.step(0)
    checkpoint.begin(tmp_path, {}, lambda folder: folder.mkdir())
    checkpoint.save(tmp_path, 1, first.backend, first.processes)
    second = trainer()
    assert loop.go_on(second, checkpoint.complete(tmp_path)[0]) == 1
    for one in (first, second):
        one.step(1)
    for name, parameter in first.backend.trained.items():
        assert torch.equal(parameter, second.backend.trained[name])
    assert torch.equal(second.model.spare, torch.arange(3.0))
