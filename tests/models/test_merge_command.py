"""`latxa merge` as it is called: the result chats, errors are one line, and no kill leaves what looks like a model."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest
import torch
from merge_world import read, same_bits
from preloaded import Call, Server
from safetensors.torch import save_file
from tiny import BINARY, Latxa

CONFIG = {"model_type": "llama", "hidden_size": 64, "num_attention_heads": 2, "num_hidden_layers": 1}


@pytest.fixture(scope="module")
def merged(tmp_path_factory: pytest.TempPathFactory, tiny_models: Path, latxa: Latxa) -> Path:
    """What `trained` has learnt from `base`, given back to `base`."""
    out = tmp_path_factory.mktemp("merged") / "out"
    done = latxa("merge", "base", "--plus", "trained", "--minus", "base", "-o", out, cwd=tiny_models)
    assert done.returncode == 0, done.stderr.decode()
    first, second, third = done.stderr.decode().splitlines()
    assert first.startswith("latxa merge: 107,840 parameters; plus - minus is ") and first.endswith(
        "of the base in norm"
    )
    assert second == "latxa merge: vocabulary: 400 rows merged, 0 kept as in `base`"
    assert third.startswith("latxa merge: 20 in; ")
    return out


def test_the_result_is_the_trained_model_and_its_manifest_says_how(merged: Path, tiny_models: Path) -> None:
    assert same_bits(read(merged), read(tiny_models / "trained"))
    manifest = json.loads((merged / "manifest.json").read_bytes())
    assert manifest["settings"] == {"model": "base", "plus": "trained", "minus": "base", "scale": 1.0}
    assert [entry["path"] for entry in manifest["inputs"]] == ["base", "trained"]
    assert all(entry["xxh3_128"] for entry in manifest["inputs"])
    assert manifest["counts"]["in"] == manifest["tensors"] == 20
    assert manifest["delta"] > 0 and manifest["parameters"] == 107_840


def test_transformers_loads_it_and_it_generates(merged: Path, tiny_models: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    texts = []
    for directory in (merged, tiny_models / "trained"):
        tokenizer = AutoTokenizer.from_pretrained(directory)
        model = AutoModelForCausalLM.from_pretrained(directory)
        prompt = tokenizer.apply_chat_template(
            [{"role": "user", "content": "the old harbour"}], add_generation_prompt=True, return_tensors="pt"
        )
        ids = model.generate(**prompt, max_new_tokens=12, do_sample=False)
        texts.append(tokenizer.decode(ids[0, prompt["input_ids"].shape[1] :], skip_special_tokens=True))
    assert texts[0] and texts[0] == texts[1]


def test_wrong_usage_and_models_that_are_not_there(tiny_models: Path, tmp_path: Path, latxa: Latxa) -> None:
    def said(*words: str | Path) -> tuple[int, list[str]]:
        done = latxa("merge", *words, "-o", tmp_path / "out", cwd=tiny_models)
        return done.returncode, done.stderr.decode().splitlines()

    assert said("base", "--plus", "trained", "--minus", "base", "--scale", "nan") == (
        2,
        ["latxa: `--scale nan` is not a finite number", "hint: 1 adds the difference once"],
    )
    code, lines = said("base", "--plus", "./nothing", "--minus", "base")
    assert (code, lines[0]) == (1, "latxa: there is no model directory `./nothing`")
    code, lines = said("base", "--plus", "trained")
    assert code == 2 and lines[0].startswith("latxa: missing option '--minus'")
    assert not (tmp_path / "out" / "config.json").exists()


def test_a_difference_of_nothing_is_told(tiny_models: Path, tmp_path: Path, latxa: Latxa) -> None:
    done = latxa("merge", "base", "--plus", "trained", "--minus", "trained", "-o", tmp_path / "out", cwd=tiny_models)
    warning = "latxa merge: warning: the weights of `trained` and `trained` are the same: nothing is added"
    assert done.returncode == 0 and done.stderr.decode().splitlines()[0] == warning


def test_settings_by_which_the_models_compute_otherwise_are_told(
    tiny_models: Path, tmp_path: Path, latxa: Latxa
) -> None:
    shutil.copytree(tiny_models / "trained", tmp_path / "plus")
    more = {"rope_theta": 7.0, "rope_scaling": {"rope_type": "linear", "factor": 2.0}, "max_position_embeddings": 4096}
    config = json.loads((tmp_path / "plus" / "config.json").read_text())
    config.pop("rope_parameters", None)
    (tmp_path / "plus" / "config.json").write_text(
        json.dumps(config | more | {"rms_norm_eps": 0.1, "use_cache": False})
    )
    base = tiny_models / "base"
    done = latxa("merge", base, "--plus", "plus", "--minus", base, "-o", "out", cwd=tmp_path)
    assert done.returncode == 0, done.stderr.decode()
    told = [line for line in done.stderr.decode().splitlines() if "warning" in line]
    same = f" in `plus` and {{0}} in `{base}`: the result computes as `{base}` does"
    assert sorted(told) == [
        f"latxa merge: warning: `{name}` is {ours} in `{base}`, {theirs}" + same.format(ours)
        for name, ours, theirs in (
            ("rms_norm_eps", "1e-06", "0.1"),
            ("rope_parameters.factor", "null", "2.0"),
            ("rope_parameters.rope_theta", "10000.0", "7.0"),
            ("rope_parameters.rope_type", '"default"', '"linear"'),
        )
    ]
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_bytes())
    assert manifest["different"]["rms_norm_eps"] == {"base": "1e-06", "plus": "0.1", "minus": "1e-06"}
    written = json.loads((tmp_path / "out" / "config.json").read_text())
    assert written["rope_parameters"]["rope_theta"] == 10_000 and written.get("rope_scaling") is None


def test_a_model_from_the_cache_of_the_hub(tiny_models: Path, tmp_path: Path, latxa: Latxa) -> None:
    revision = "0123456789abcdef0123456789abcdef01234567"
    cached = tmp_path / "hub" / "models--owner--trained"
    shutil.copytree(tiny_models / "trained", cached / "snapshots" / revision)
    (cached / "refs").mkdir()
    (cached / "refs" / "main").write_text(revision)
    environment = os.environ | {"HF_HUB_CACHE": str(tmp_path / "hub"), "HF_HUB_OFFLINE": "1"}
    words = ["merge", "base", "--plus", "owner/trained", "--minus", "base", "-o", str(tmp_path / "out")]
    done = latxa(*words, cwd=tiny_models, env=environment)
    assert done.returncode == 0, done.stderr.decode()
    assert same_bits(read(tmp_path / "out"), read(tiny_models / "trained"))
    models = json.loads((tmp_path / "out" / "manifest.json").read_bytes())["models"]
    assert models["plus"] == {"model": "owner/trained", "revision": revision}


def wide(folder: Path, origin: Path) -> Path:
    """Write a model of 120 MB in one layer, so that a kill finds its weights half written."""
    inner, rows = 300_000, 400
    shapes = {
        "model.embed_tokens": (rows, 64), "model.norm": (64,), "model.layers.0.mlp.gate_proj": (inner, 64),
        "model.layers.0.mlp.up_proj": (inner, 64), "model.layers.0.mlp.down_proj": (64, inner),
        "model.layers.0.input_layernorm": (64,), "model.layers.0.post_attention_layernorm": (64,),
        **{f"model.layers.0.self_attn.{name}_proj": (64, 64) for name in "qkvo"},
    }  # fmt: skip
    shutil.copytree(origin, folder)
    weights = {f"{name}.weight": torch.full(shape, 0.5, dtype=torch.bfloat16) for name, shape in shapes.items()}
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    config = CONFIG | {"intermediate_size": inner, "vocab_size": rows, "tie_word_embeddings": True}
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def test_a_kill_leaves_nothing_that_looks_like_a_model(
    tiny_models: Path, tmp_path: Path, latxa: Latxa, fork_server: Server
) -> None:
    model = wide(tmp_path / "wide", tiny_models / "base")
    words = ["merge", "wide", "--plus", "wide", "--minus", "wide", "-o", "out"]
    process = Call(fork_server, [BINARY, *words], cwd=tmp_path, stderr=subprocess.DEVNULL)
    out = tmp_path / "out"
    while process.poll() is None and not list(out.glob("*.part")):
        time.sleep(0.001)
    process.kill()
    assert process.wait() == -9, "the kill came too late"
    assert not (out / "config.json").exists() and not (out / "manifest.json").exists()
    assert not list(out.glob("*.safetensors"))

    used = latxa("sample", "--model", "out", "-n", "1", cwd=tmp_path)
    assert used.stderr.decode().splitlines()[0] == "latxa: `out` has no `config.json`"
    again = latxa(*words, cwd=tmp_path)
    assert again.returncode == 2 and b"exists already" in again.stderr
    resumed = latxa(*words, "--resume", cwd=tmp_path)
    assert resumed.returncode == 0, resumed.stderr.decode()
    assert same_bits(read(out), read(model))
    assert not list(tmp_path.glob("**/*.part*"))
