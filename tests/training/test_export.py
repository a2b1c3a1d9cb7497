"""Exported models against the networks that the checkpoints were written from."""

from __future__ import annotations

import json
import shutil

import pytest
import torch
from full_disk import files_no_larger_than
from safetensors.torch import load_file, save_file
from saved_run import trained_parameters, write_checkpoint, write_run
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

from latxa_cli.stream.errors import LatxaError
from latxa_cli.training.checkpoints.export import check, export
from latxa_cli.weights import Weights

HEAD, EMBEDDING = "lm_head.weight", "model.embed_tokens.weight"
MIXTURES = {
    "mixtral": {"num_local_experts": 2, "num_experts_per_tok": 1},
    "qwen3_moe": {"num_experts": 2, "num_experts_per_tok": 1, "moe_intermediate_size": 16, "head_dim": 16},
}


def load(directory, dtype=torch.float32):
    return AutoModelForCausalLM.from_pretrained(directory, dtype=dtype, use_safetensors=True)


def changed(network, seed=0):
    """Train a network, as it were: other numbers in all that needs gradients."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.requires_grad:
                parameter.add_(torch.randn(parameter.shape, generator=generator), alpha=0.1)
    return network


def logits(network):
    with torch.no_grad():
        return network.eval()(torch.arange(40).view(2, 20)).logits


def saved(folder, model, network, *, step=3, files=1, **more):
    """Write a run with one checkpoint, that of this network."""
    parameters = trained_parameters(network)
    run = write_run(folder / "run", model, parameters, **more)
    write_checkpoint(run, step, parameters, files=files)
    return run


def names(directory):
    return set(Weights(directory, "").entries)


def rewritten(model, folder, change, **config):
    """Copy a model, with its weights changed by a function of {name: tensor}, and with other settings."""
    copy = folder / "start"
    shutil.copytree(model, copy)
    weights = load_file(copy / "model.safetensors")
    save_file(change(weights), copy / "model.safetensors", metadata={"format": "pt"})
    settings = json.loads((copy / "config.json").read_text()) | config
    (copy / "config.json").write_text(json.dumps(settings))
    return copy


def test_the_logits_of_the_network_to_the_last_bit(model_directory, tmp_path):
    network = changed(load(model_directory))
    run = saved(tmp_path, model_directory, network)
    told = []
    facts = export(run, tmp_path / "out", report=lambda *at: told.append(at))
    assert torch.equal(logits(load(tmp_path / "out")), logits(network))
    assert not torch.equal(logits(load(model_directory)), logits(network))
    assert names(tmp_path / "out") == names(model_directory)
    assert told == [(number, len(told)) for number in range(1, len(told) + 1)] and facts["tensors"] == len(told)
    assert facts == {
        "checkpoint": str(run / "checkpoints" / "step-3"), "step": 3, "model": str(model_directory),
        "dtype": "float32", "tensors": len(names(model_directory)), "parameters": network.num_parameters(),
        "files": 1, "streamed": True,
    }  # fmt: skip


def test_bfloat16_is_rounded_once(model_directory, tmp_path):
    network = changed(load(model_directory))
    run = saved(tmp_path, model_directory, network, dtype="bfloat16")
    export(run, tmp_path / "out")
    export(run, tmp_path / "full", dtype="float32")
    expected = load(model_directory, torch.bfloat16)
    expected.load_state_dict(network.to(torch.bfloat16).state_dict())
    assert {tensor.dtype for tensor in load_file(tmp_path / "out" / "model.safetensors").values()} == {torch.bfloat16}
    assert torch.equal(logits(load(tmp_path / "out", "auto")), logits(expected))
    assert AutoConfig.from_pretrained(tmp_path / "out").dtype == torch.bfloat16
    assert AutoConfig.from_pretrained(tmp_path / "full").dtype == torch.float32


def test_what_stands_beside_the_weights(model_directory, tmp_path):
    files = shutil.copytree(model_directory, tmp_path / "files", ignore=shutil.ignore_patterns("*.safetensors"))
    (files / "chat_template.jinja").write_text("{{ messages[0].content }}!")
    config = json.loads((files / "config.json").read_text())
    config["torch_dtype"] = config.pop("dtype", "float16")
    (files / "config.json").write_text(json.dumps(config | {"use_cache": False}))
    run = saved(tmp_path, model_directory, load(model_directory), model_files=files)
    out = run  # where `latxa train` writes
    export(run, out)
    assert (out / "generation_config.json").read_bytes() == (files / "generation_config.json").read_bytes()
    written = json.loads((out / "config.json").read_text())
    assert (written["dtype"], written["use_cache"], "torch_dtype" in written) == ("float32", True, False)
    tokenizer = AutoTokenizer.from_pretrained(out)
    chat = [{"role": "user", "content": "katu"}]
    assert tokenizer.apply_chat_template(chat, tokenize=False) == "katu!"
    assert (out / "README.md").read_text().startswith("---\nlibrary_name: transformers\n")
    assert (out / "checkpoints" / "step-3" / "state.json").exists() and not list(out.glob("*.part"))


def test_the_configuration_of_a_model_of_pictures_and_text(model_directory, tmp_path):
    """What generation needs stands in its part about text; each part says its dtype."""
    files = shutil.copytree(model_directory, tmp_path / "files", ignore=shutil.ignore_patterns("*.safetensors"))
    parts = {"text_config": {"use_cache": False, "dtype": "float16"}, "vision_config": {"torch_dtype": "float16"}}
    (files / "config.json").write_text(json.dumps(parts | {"other": {"depth": 2}, "dtype": "float16"}))
    run = saved(tmp_path, model_directory, load(model_directory), model_files=files)
    export(run, tmp_path / "out", dtype="bfloat16")
    assert json.loads((tmp_path / "out" / "config.json").read_text()) == {
        "text_config": {"use_cache": True, "dtype": "bfloat16"}, "vision_config": {"dtype": "bfloat16"},
        "other": {"depth": 2}, "dtype": "bfloat16",
    }  # fmt: skip


def test_what_an_export_before_left_goes(model_directory, tmp_path):
    run = saved(tmp_path, model_directory, load(model_directory))
    out = tmp_path / "out"
    (out / "model.part").mkdir(parents=True)
    for name in ("model-00001-of-00009.safetensors", "model-00002-of-00009.safetensors.part", "vocab.json", "mine.txt"):
        (out / name).write_text("{}")
    export(run, out)
    left = {path.name for path in out.iterdir()}
    assert left == {path.name for path in model_directory.iterdir()} - {"manifest.json"} | {"README.md", "mine.txt"}


def test_a_parameter_of_another_shape_than_the_run_says_is_damage(model_directory, tmp_path):
    network = changed(load(model_directory))
    run = saved(tmp_path, model_directory, network)
    path = run / "checkpoints" / "run.json"
    facts = json.loads(path.read_text())
    facts["parameters"]["model.norm.weight"] = [31]
    path.write_text(json.dumps(facts))
    with pytest.raises(LatxaError, match="has no whole checkpoint"):
        export(run, tmp_path / "out")


def test_many_files_in_and_out(model_directory, tmp_path):
    start = tmp_path / "start"
    shutil.copytree(model_directory, start)
    (start / "model.safetensors").unlink()
    load(model_directory).save_pretrained(start, max_shard_size=30_000)
    network = changed(load(start))
    run = saved(tmp_path, start, network, files=3)
    facts = export(run, tmp_path / "out", shard_bytes=20_000)
    assert facts["files"] == len(list((tmp_path / "out").glob("model-0*-of-0*.safetensors"))) > 2
    assert torch.equal(logits(load(tmp_path / "out")), logits(network))


TIES = {
    "the file has the embedding alone": (lambda w: w, True),
    "the file has both": (lambda w: w | {HEAD: w[EMBEDDING].clone()}, True),
    "the file has the output layer alone": (lambda w: {HEAD if n == EMBEDDING else n: t for n, t in w.items()}, True),
    "tied by the settings, but not in the file": (lambda w: w | {HEAD: w[EMBEDDING] + 1}, True),
    "not tied": (lambda w: w | {HEAD: w[EMBEDDING] + 1}, False),
    "not tied, by chance the same": (lambda w: w | {HEAD: w[EMBEDDING].clone()}, False),
}


@pytest.mark.parametrize("frozen", [None, EMBEDDING, HEAD])
@pytest.mark.parametrize("case", TIES)
def test_tied_output_layers(model_directory, tmp_path, case, frozen):
    change, tied = TIES[case]
    start = rewritten(model_directory, tmp_path, change, tie_word_embeddings=tied)
    network = load(start)
    if frozen is not None:
        network.get_parameter(frozen).requires_grad_(False)
    changed(network)
    facts = export(saved(tmp_path, start, network), tmp_path / "out")
    assert torch.equal(logits(load(tmp_path / "out")), logits(network))
    assert names(tmp_path / "out") == names(start) and facts["streamed"]


def test_what_was_frozen_comes_from_the_starting_model(model_directory, tmp_path):
    start = rewritten(model_directory, tmp_path, lambda w: {n: t.bfloat16() for n, t in w.items()}, dtype="bfloat16")
    network = load(start).requires_grad_(False)
    network.model.layers[1].requires_grad_(True)
    changed(network)
    run = saved(tmp_path, start, network)
    assert all(".layers.1." in name for name in json.loads((run / "checkpoints/run.json").read_text())["parameters"])
    export(run, tmp_path / "out")
    assert torch.equal(logits(load(tmp_path / "out")), logits(network))
    export(run, tmp_path / "half", dtype="bfloat16")
    half = load_file(tmp_path / "half" / "model.safetensors")
    assert all(torch.equal(half[name], network.get_parameter(name).bfloat16()) for name in half)


def adapted(network, **settings):
    """Give a network adapters in place, with numbers as after training."""
    from peft import LoraConfig, inject_adapter_in_model

    config = LoraConfig(target_modules=["q_proj", "v_proj", "down_proj"], lora_dropout=0.0, **settings)
    return changed(inject_adapter_in_model(config, network)), config


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_adapters_are_merged_as_peft_does(model_directory, tmp_path, dtype):
    from peft import get_peft_model

    start = rewritten(model_directory, tmp_path, lambda w: {n: t.to(dtype) for n, t in w.items()})
    network, config = adapted(load(start), r=4, lora_alpha=6)
    parameters = trained_parameters(network)
    assert parameters and all("lora_" in name for name in parameters)
    export(saved(tmp_path, start, network, lora_rank=4, lora_alpha=6.0), tmp_path / "out")

    peft = get_peft_model(load(start), config)
    peft.load_state_dict({f"base_model.model.{name}": value for name, value in parameters.items()}, strict=False)
    merged = peft.merge_and_unload()
    exported = load(tmp_path / "out")
    assert names(tmp_path / "out") == names(start)
    for name, value in merged.named_parameters():
        assert torch.allclose(exported.get_parameter(name), value, rtol=0, atol=1e-6), name
    assert not torch.allclose(load(start).get_parameter("model.layers.0.self_attn.q_proj.weight"),
                              exported.get_parameter("model.layers.0.self_attn.q_proj.weight"), atol=1e-2)  # fmt: skip
    assert torch.allclose(logits(exported), logits(network), atol=1e-4)


def test_adapters_beside_parameters_that_are_trained_whole(model_directory, tmp_path):
    """The bias of an adapted layer among them, which the network then calls `….base_layer.bias`."""
    biases = {f"model.layers.{n}.self_attn.{name}_proj.bias": torch.zeros(32) for n in range(2) for name in "qkvo"}
    start = rewritten(model_directory, tmp_path, lambda w: w | biases, attention_bias=True)
    network, _ = adapted(load(start), r=2, lora_alpha=2)
    for place in (network.model.norm.weight, network.model.embed_tokens.weight,
                  network.model.layers[1].self_attn.q_proj.base_layer.bias):  # fmt: skip
        place.requires_grad_(True)
    changed(network, seed=1)
    facts = export(saved(tmp_path, start, network, lora_rank=2, lora_alpha=2.0), tmp_path / "out")
    assert facts["streamed"]
    assert torch.allclose(logits(load(tmp_path / "out")), logits(network), atol=1e-4)
    assert torch.equal(load(tmp_path / "out").get_parameter(HEAD), network.get_parameter(EMBEDDING))


def mixture(kind, model_directory, folder):
    """A new mixture of experts, in files under the names that it has on the hub."""
    start = folder / "start"
    shutil.copytree(model_directory, start)
    sizes = {
        "vocab_size": 300, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2,
        "num_attention_heads": 2, "num_key_value_heads": 1, "initializer_range": 0.2,
    }  # fmt: skip
    torch.manual_seed(0)
    AutoModelForCausalLM.from_config(AutoConfig.for_model(kind, **sizes, **MIXTURES[kind])).save_pretrained(start)
    assert any(".experts.1." in name for name in names(start))
    return start


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("kind", MIXTURES)
def test_mixtures_of_experts_are_written_as_they_were(model_directory, tmp_path, kind, dtype):
    start = mixture(kind, model_directory, tmp_path)
    network = changed(load(start))
    run = saved(tmp_path, start, network)
    assert any(name.endswith(".experts.gate_up_proj") for name in trained_parameters(network))
    facts = export(run, tmp_path / "out", dtype=dtype, shard_bytes=30_000)
    assert not facts["streamed"] and facts["files"] > 1
    assert names(tmp_path / "out") == names(start) and facts["tensors"] == len(names(start))
    exported = load(tmp_path / "out")
    for name, value in network.named_parameters():
        assert torch.equal(exported.get_parameter(name), value.to(getattr(torch, dtype)).float()), name
    assert not (tmp_path / "out" / "model.part").exists()
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "out").iterdir()} == {0o644}


def test_a_mixture_whose_experts_were_frozen_is_streamed(model_directory, tmp_path):
    """Its router stands under another name in the files."""
    start = mixture("mixtral", model_directory, tmp_path)
    network = load(start)
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(".experts." not in name)
    changed(network)
    assert "model.layers.0.mlp.gate.weight" in trained_parameters(network)
    facts = export(saved(tmp_path, start, network), tmp_path / "out")
    assert facts["streamed"] and names(tmp_path / "out") == names(start)
    assert torch.equal(logits(load(tmp_path / "out")), logits(network))


def test_adapters_in_a_mixture_whose_experts_are_trained(model_directory, tmp_path):
    start = mixture("mixtral", model_directory, tmp_path)
    network, _ = adapted(load(start), r=2, lora_alpha=4)
    for name, parameter in network.named_parameters():
        parameter.requires_grad_("lora_" in name or ".experts." in name)
    changed(network, seed=1)
    run = saved(tmp_path, start, network, lora_rank=2, lora_alpha=4.0)
    facts = export(run, tmp_path / "out")
    assert not facts["streamed"] and names(tmp_path / "out") == names(start)
    assert torch.allclose(logits(load(tmp_path / "out")), logits(network), atol=1e-4)
    export(run, tmp_path / "half", dtype="bfloat16")
    whole, half = (load_file(tmp_path / name / "model.safetensors") for name in ("out", "half"))
    assert all(torch.equal(half[name], whole[name].bfloat16()) for name in whole)  # rounded once, when all is added


def test_files_with_other_names_are_read_by_transformers(model_directory, tmp_path):
    """As those of a model that was saved without its output layer."""
    start = rewritten(model_directory, tmp_path, lambda w: {n.removeprefix("model."): t for n, t in w.items()})
    network = changed(load(start))
    facts = export(saved(tmp_path, start, network), tmp_path / "out")
    assert not facts["streamed"]
    assert torch.equal(logits(load(tmp_path / "out")), logits(network))


# --- which checkpoint, and what can be wrong


def cut(folder):
    path = folder / "weights-00000.safetensors"
    path.write_bytes(path.read_bytes()[:-1])


def flip(folder):
    path = folder / "weights-00000.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


def forget(folder):
    state = json.loads((folder / "state.json").read_text())
    (folder / "weights-00001.safetensors").unlink()
    del state["files"]["weights-00001.safetensors"]
    (folder / "state.json").write_text(json.dumps(state))


DAMAGES = {
    "`weights-00001.safetensors` is missing": lambda folder: (folder / "weights-00001.safetensors").unlink(),
    "`weights-00000.safetensors` has ": cut,
    "`weights-00000.safetensors` is damaged: another digest than `state.json` says": flip,
    "`state.json` is not whole": lambda folder: (folder / "state.json").write_text('{"step": 9}'),
    "state.json: cannot be read as a JSON object": lambda folder: (folder / "state.json").write_text('{"step'),
    "its weights lack `model.": forget,
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_checkpoint_is_passed_over(model_directory, tmp_path, damage):
    network = changed(load(model_directory))
    run = saved(tmp_path, model_directory, network, step=9, files=2)
    newer = write_checkpoint(run, 10, trained_parameters(changed(load(model_directory), seed=1)), files=2)
    (run / "checkpoints" / "step-11.part").mkdir()
    DAMAGES[damage](newer)
    said = []
    assert export(run, tmp_path / "out", say=said.append)["step"] == 9
    assert torch.equal(logits(load(tmp_path / "out")), logits(network))
    assert len(said) == 1 and said[0].startswith(f"`{newer}` is passed over: ") and damage in said[0]
    with pytest.raises(LatxaError) as caught:
        export(newer, tmp_path / "none")
    assert damage in caught.value.message and not (tmp_path / "none").exists()
    DAMAGES[damage](run / "checkpoints" / "step-9")
    with pytest.raises(LatxaError, match="has no whole checkpoint"):
        export(run, tmp_path / "none")


def test_the_newest_by_number_or_the_one_that_is_named(model_directory, tmp_path):
    networks = {step: changed(load(model_directory), seed=step) for step in (9, 10)}
    run = write_run(tmp_path / "run", model_directory, trained_parameters(networks[9]))
    for step, network in networks.items():
        write_checkpoint(run, step, trained_parameters(network))
    (run / "checkpoints" / "step-10" / "moments-00000.safetensors").unlink()  # they are not needed
    for given, step in ((run, 10), (run / "checkpoints" / "step-9", 9)):
        assert export(given, tmp_path / f"out-{step}")["step"] == step
        assert torch.equal(logits(load(tmp_path / f"out-{step}")), logits(networks[step]))


def test_what_is_no_run_is_one_line(model_directory, tmp_path):
    def error(path):
        with pytest.raises(LatxaError) as caught:
            export(path, tmp_path / "out")
        assert "\n" not in caught.value.message and caught.value.hint and not (tmp_path / "out").exists()
        return caught.value.message

    run = saved(tmp_path, model_directory, load(model_directory))
    assert error(model_directory) == f"`{model_directory}` has no checkpoints"
    assert error(tmp_path / "nowhere") == f"there is no `{tmp_path}/nowhere`"
    settings = json.loads((run / "checkpoints" / "run.json").read_text())
    (run / "checkpoints" / "run.json").write_text(json.dumps(settings | {"format": 2}))
    assert error(run) == f"`{run}/checkpoints` was made by another version of `latxa`"
    for name in ("parameters", "versions"):
        rest = {fact: value for fact, value in settings.items() if fact != name}
        (run / "checkpoints" / "run.json").write_text(json.dumps(rest))
        assert error(run) == f"`{run}/checkpoints/run.json` lacks `{name}`"
    (run / "checkpoints" / "run.json").write_text(json.dumps(settings))
    config = (run / "checkpoints" / "model" / "config.json").rename(tmp_path / "config.json")
    assert error(run) == f"`{run}/checkpoints/model` has no `config.json`"
    config.rename(run / "checkpoints" / "model" / "config.json")
    (run / "checkpoints" / "run.json").unlink()
    assert error(run / "checkpoints" / "step-3") == f"`{run}/checkpoints` has no `run.json`"
    shutil.rmtree(run / "checkpoints" / "step-3")
    (run / "checkpoints" / "run.json").write_text(json.dumps(settings))
    assert error(run) == f"`{run}` has no whole checkpoint"


def test_a_starting_model_that_is_gone_or_another_one(model_directory, tmp_path):
    start = shutil.copytree(model_directory, tmp_path / "start")
    run = saved(tmp_path, start, load(start))
    start.rename(tmp_path / "moved")
    with pytest.raises(LatxaError) as caught:
        export(run, tmp_path / "out")
    assert caught.value.message == f"the starting model of the run: there is no model directory `{start}`"
    assert "put it back there" in caught.value.hint
    rewritten(model_directory, tmp_path, lambda w: {n: t[:20] if n == EMBEDDING else t for n, t in w.items()})
    with pytest.raises(LatxaError) as caught:
        export(run, tmp_path / "out")
    assert caught.value.message.startswith(f"what is trained does not fit `{start}`: `{EMBEDDING}` is [20, 32] there")
    with pytest.raises(LatxaError) as found:  # without any checkpoint, as before the first step
        check(json.loads((run / "checkpoints" / "run.json").read_text()))
    assert found.value.message == caught.value.message
    assert not (tmp_path / "out").exists()


def test_adapters_where_none_can_be(model_directory, tmp_path):
    parameters = {
        f"{place}.lora_{which}.default.weight": torch.zeros(shape)
        for place, rows, columns in (("model.norm", 1, 32), ("lm_head", 300, 32))
        for which, shape in (("A", (2, columns)), ("B", (rows, 2)))
    }
    for place, what in (("model.norm", "is no linear layer there"), ("lm_head", f"is tied to `{EMBEDDING}`")):
        chosen = {name: value for name, value in parameters.items() if name.startswith(place)}
        run = write_run(tmp_path / place, model_directory, chosen, lora_rank=2)
        write_checkpoint(run, 1, chosen)
        with pytest.raises(LatxaError, match=what):
            export(run, tmp_path / "out")


# --- a full disk


@pytest.mark.parametrize("kind", ["llama", "mixtral"])
@pytest.mark.parametrize("size", [10_000, 100])
def test_a_full_disk_is_one_line_and_a_second_call_completes(model_directory, tmp_path, kind, size):
    start = model_directory if kind == "llama" else mixture(kind, model_directory, tmp_path)
    network = changed(load(start))
    run = saved(tmp_path, start, network)
    before = {path: path.read_bytes() for path in (run / "checkpoints").rglob("*") if path.is_file()}
    with pytest.raises(LatxaError) as caught, files_no_larger_than(size):
        export(run, tmp_path / "out")
    assert caught.value.message == f"{tmp_path}/out: cannot be written (File too large)"
    assert {path.name for path in (tmp_path / "out").iterdir()} == set()
    assert {path: path.read_bytes() for path in before} == before
    export(run, tmp_path / "out")
    assert torch.equal(logits(load(tmp_path / "out")), logits(network))
