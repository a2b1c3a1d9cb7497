"""`latxa export` as it is called: one line of error, and no kill leaves what looks like a model."""

from __future__ import annotations

import json
import os
import subprocess
import time
from pathlib import Path

import pytest
import torch
from preloaded import Call, Server
from safetensors.torch import load_file, save_file
from saved_run import write_checkpoint, write_run
from tiny import BINARY, Latxa

CONFIG = {"model_type": "llama", "hidden_size": 64, "num_attention_heads": 2, "num_hidden_layers": 1}
INNER, ROWS = 300_000, 300


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, model_directory: Path) -> Path:
    """A folder with `start`, a model of 230 MB, so that a kill finds its weights half written, and `run`."""
    folder = tmp_path_factory.mktemp("world")
    start = folder / "start"
    start.mkdir()
    for path in model_directory.iterdir():
        if path.name.startswith(("tokenizer", "chat_template")):
            (start / path.name).write_bytes(path.read_bytes())
    shapes = {
        "model.embed_tokens": (ROWS, 64), "model.norm": (64,), "model.layers.0.mlp.gate_proj": (INNER, 64),
        "model.layers.0.mlp.up_proj": (INNER, 64), "model.layers.0.mlp.down_proj": (64, INNER),
        "model.layers.0.input_layernorm": (64,), "model.layers.0.post_attention_layernorm": (64,),
        **{f"model.layers.0.self_attn.{name}_proj": (64, 64) for name in "qkvo"},
    }  # fmt: skip
    weights = {f"{name}.weight": torch.full(shape, 0.5) for name, shape in shapes.items()}
    save_file(weights, start / "model.safetensors", metadata={"format": "pt"})
    config = CONFIG | {"intermediate_size": INNER, "vocab_size": ROWS, "tie_word_embeddings": True}
    (start / "config.json").write_text(json.dumps(config))
    norm = {"model.norm.weight": torch.full((64,), 0.25)}
    run = write_run(folder / "run", "start", norm, model_files=start)
    write_checkpoint(run, 5, norm)
    write_checkpoint(run, 6, norm)
    (run / "checkpoints" / "step-6" / "weights-00000.safetensors").unlink()
    return folder


def test_a_kill_leaves_the_checkpoint_and_resuming_completes(world: Path, latxa: Latxa, fork_server: Server) -> None:
    words = ["export", "run", "-o", "out"]
    out = world / "out"
    process = Call(fork_server, [BINARY, *words], cwd=world, stderr=subprocess.DEVNULL)
    while process.poll() is None and not list(out.glob("*.part")):
        time.sleep(0.001)
    process.kill()
    assert process.wait() == -9, "the kill came too late"
    assert not any((out / name).exists() for name in ("config.json", "manifest.json", "model.safetensors"))

    again = latxa(*words, cwd=world)
    assert again.returncode == 2 and b"exists already" in again.stderr
    resumed = latxa(*words, "--resume", cwd=world)
    assert resumed.returncode == 0, resumed.stderr.decode()
    passed, said, _ = resumed.stderr.decode().splitlines()
    assert passed == ("latxa export: `run/checkpoints/step-6` is passed over: `weights-00000.safetensors` is missing")
    assert said == "latxa export: step 5: 57,635,776 parameters in float32"
    before, after = (load_file(world / name / "model.safetensors") for name in ("start", "out"))
    assert before.keys() == after.keys()
    assert [name for name in before if not torch.equal(before[name], after[name])] == ["model.norm.weight"]
    assert not list(world.glob("*.part*")) and not list(out.glob("*.part"))
    manifest = json.loads((out / "manifest.json").read_bytes())
    assert manifest["settings"] == {"checkpoint": "run", "dtype": None} and manifest["step"] == 5
    assert [entry["path"] for entry in manifest["inputs"]] == ["run/checkpoints/step-5", "start"]
    assert all(entry["xxh3_128"] for entry in manifest["inputs"])


def test_one_line_of_error(world: Path, latxa: Latxa) -> None:
    def said(*words: str) -> tuple[int, list[str]]:
        done = latxa("export", *words, "-o", "other", cwd=world, env=os.environ | {"HF_HUB_OFFLINE": "1"})
        return done.returncode, done.stderr.decode().splitlines()

    hint = "hint: name a directory of `latxa train`, or a `step-N` in its `checkpoints`"
    assert said("start") == (1, ["latxa: `start` has no checkpoints", hint])
    assert said("run", "--dtype", "float16")[0] == 2
    (world / "start").rename(world / "moved")
    code, lines = said("run/checkpoints/step-5", "--resume")
    (world / "moved").rename(world / "start")
    assert code == 1 and lines[0].startswith("latxa: the starting model of the run: there is no directory `start`")
    assert len(lines) == 2 and lines[1].startswith("hint: ")
