"""`latxa train` and what goes wrong: each ends in one line, and nothing is lost."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.util import find_spec

import preloaded
import pytest
import tiny
import torch
from random_models import random_model

from latxa_cli import cli
from latxa_cli.stream.errors import LatxaError, UsageError
from latxa_cli.tokenizer import load_tokenizer
from latxa_cli.training import loop, session
from latxa_cli.training.checkpoints import checkpoint
from latxa_cli.training.config import TrainConfig
from latxa_cli.training.network import attention
from latxa_cli.training.tracking import LIBRARIES
from latxa_cli.weights import Weights

SILENT = session.RunListeners(report=lambda _: None, warn=lambda _: None, give_up=lambda _: None)


@pytest.fixture
def place(tmp_path, monkeypatch, model_directory, records):
    """A folder with the model `base` and the records `mix.jsonl`, which is the current one."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "base").symlink_to(model_directory)
    (tmp_path / "mix.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    return tmp_path


@pytest.fixture
def latxa(monkeypatch, capfd):
    """`latxa(words)` runs a command in this process; returns its exit code and what it said."""

    def run(words):
        monkeypatch.setattr(sys, "argv", ["latxa", *words.split()])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        said = capfd.readouterr()
        assert said.out == ""
        return ended.value.code, said.err

    return run


def test_an_interrupted_run_goes_on_with_another_batch_size(place, latxa):
    (place / "how.toml").write_text('attention = "eager"\n')
    train = "train mix.jsonl --model base --sequence-length 64 -o out --config how.toml"
    code, said = latxa(train + " --device abacus --batch-size 4")
    assert (code, "no device" in said) == (2, True)
    stage = place / "out.work" / "tokenise" / "00000.json"
    written = stage.stat().st_mtime_ns
    (place / "how.toml").write_text('attention = "sdpa"\n')
    code, said = latxa(train + " --device abacus --batch-size 2 --checkpoint-every 1 --resume")
    assert code == 2 and "no device" in said and stage.stat().st_mtime_ns == written
    assert latxa(train + " --device cpu --batch-size 2 --checkpoint-every 1 --resume")[0] == 0
    assert latxa(train + " --batch-size 8 --checkpoint-every 3 --backend torch --resume")[0] == 0
    assert latxa(train + " --batch-size 8 --learning-rate 1 --resume")[0] == 2


def test_validation_is_written_by_the_chat_template_of_training(place, latxa):
    """And does not replace it in the model that is made."""
    template = "{% for message in messages %}{{ message.content }}{{ eos_token }}{% endfor %}"
    (place / "template").write_text(template)
    prepare = "prepare mix.jsonl --model base --sequence-length 64"
    assert latxa(f"{prepare} --chat-template template -o prepared")[0] == 0
    assert latxa(f"{prepare} -o own")[0] == 0
    code, said = latxa("train prepared --model base --val own=own -o out")
    assert (code, "prepared with another chat template" in said) == (1, True)
    assert latxa("train prepared --model base --val given=mix.jsonl --val same=prepared -o out --resume")[0] == 0
    assert load_tokenizer("out").chat_template == template
    given, same = (json.loads(line) for line in (place / "out/metrics.jsonl").read_text().splitlines()[-2:])
    assert given["loss"] == pytest.approx(same["loss"], rel=1e-5) and given["tokens"] == same["tokens"]


def test_a_validation_set_of_longer_rows_is_refused(place, latxa):
    for length in (32, 64):
        assert latxa(f"prepare mix.jsonl --model base --sequence-length {length} -o of{length}")[0] == 0
    code, said = latxa("train of32 --model base --val long=of64 -o out")
    assert code == 1 and said.splitlines()[0] == (
        "latxa: `--val long` has rows of 64 tokens, those of training have 32"
    )


def test_a_source_that_is_not_there_is_told(place, latxa):
    code, said = latxa("prepare mix.jsonl --model base --sequence-length 64 --chat-loss chat=all -o prepared")
    assert code == 0 and "`--chat-loss` names the source `chat`, which these records do not have" in said


@pytest.mark.parametrize("harm", ["gone", "empty", "text", "bytes", "cut"])
def test_metrics_that_a_disk_has_spoilt(model_directory, rows, tmp_path, harm):
    config = TrainConfig(sequence_length=64, sequences_per_step=4)

    def run(resume):
        loaded = session.load(str(model_directory), config, device="cpu", threads=1)
        return session.run(loaded, rows, config, tmp_path, resume=resume, listeners=SILENT)

    whole = run(False)
    path = tmp_path / "metrics.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    spoilt = {"empty": b"", "text": b"{}\n[]\n", "bytes": b"\xff\0\n", "cut": b"".join(lines)[:-9]}
    path.unlink()
    if harm != "gone":
        path.write_bytes(spoilt[harm])
    again = run(True)
    assert again["steps"] == whole["steps"]
    kept = lines[:-1] if harm == "cut" else []
    assert path.read_bytes().splitlines(keepends=True) == kept
    assert again["loss"] == (json.loads(kept[-1])["loss"] if kept else None)


@pytest.mark.parametrize("files", ["{}", '{"weights": 1}', "[]"])
def test_a_checkpoint_whose_state_forgets_files_is_passed_over(model_directory, rows, tmp_path, files):
    config = TrainConfig(sequence_length=64, checkpoint_every=1)
    loaded = session.load(str(model_directory), config, device="cpu", threads=1)
    session.run(loaded, rows, config, tmp_path, resume=False, listeners=SILENT)
    newest = checkpoint.complete(tmp_path)[-1]
    (newest / "state.json").write_text(f'{{"step": 4, "files": {files}}}')
    (newest / "moments-00000.safetensors").unlink()
    told, steps = [], []
    loaded = session.load(str(model_directory), config, device="cpu", threads=1)
    listeners = session.RunListeners(report=steps.append, warn=told.append, give_up=print)
    session.run(loaded, rows, config, tmp_path, resume=True, listeners=listeners)
    assert len(told) == 1 and told[0].startswith(f"`{newest}` is passed over: ")
    assert [line["step"] for line in steps] == [4]


@pytest.mark.parametrize("text", ["[]", "{", "", '{"format": 0}'])
def test_a_run_whose_facts_are_spoilt(model_directory, rows, tmp_path, text):
    checkpoint.folder(tmp_path).mkdir()
    (checkpoint.folder(tmp_path) / "run.json").write_text(text)
    config = TrainConfig(sequence_length=64)
    loaded = session.load(str(model_directory), config, device="cpu", threads=1)
    with pytest.raises(LatxaError, match=r"run\.json"):
        session.run(loaded, rows, config, tmp_path, resume=True, listeners=SILENT)


def test_a_model_without_gradient_checkpointing(rows):
    model = random_model("ctrl", n_embd=32, n_layer=2, n_head=2, n_positions=128, dff=48)
    with pytest.raises(UsageError, match="`CTRLLMHeadModel` has no `gradient_checkpointing`"):
        loop.Trainer(model, rows, TrainConfig(gradient_checkpointing=True))


@pytest.mark.parametrize("cause", ["dropout", "chunks"])
def test_attention_that_would_leave_something_out_is_not_chosen(cause):
    sizes = {"n_embd": 32, "n_layer": 2, "n_head": 2, "n_positions": 512, "attn_pdrop": 0.1}
    of_llama4 = {"num_local_experts": 2, "num_experts_per_tok": 1, "head_dim": 16, "intermediate_size_mlp": 48}
    model = random_model("gpt2", **sizes) if cause == "dropout" else random_model("llama4_text", **of_llama4)
    assert attention.choose(model, "auto", half=False, text_length=1000) in ("sdpa", "eager")
    with pytest.raises(UsageError, match=cause):
        attention.choose(model, "varlen", half=False, text_length=1000)


@pytest.mark.parametrize(
    ("overlay", "message"),
    [
        ('{"zero_optimization": 5}', "`zero_optimization` is not a JSON object"),
        ('{"zero_optimization": {"overlap_com": true}}', "`zero_optimization.overlap_com`: Extra inputs"),
        ('{"zero_optimization": {"overlap_comm": "maybe"}}', "`zero_optimization.overlap_comm`: Input should be"),
    ],
)
def test_an_overlay_that_deepspeed_does_not_know(tmp_path, overlay, message):
    pytest.importorskip("deepspeed", reason="needs DeepSpeed")
    from latxa_cli.training.backends.deepspeed_backend import settings
    from latxa_cli.training.processes import Processes

    path = tmp_path / "overlay.json"
    path.write_text(overlay)
    with pytest.raises(UsageError, match=message):
        settings(TrainConfig(backend="deepspeed", deepspeed=str(path)), Processes())


@pytest.mark.parametrize("how", ["zero_stage = 3\nlora_rank = 2", 'zero_stage = 1\ndtype = "bfloat16"'])
def test_deepspeed_ends_with_a_model_and_says_nothing_of_its_own(place, latxa, fork_server, how):
    """In a process that has torch loaded, and not DeepSpeed."""
    pytest.importorskip("deepspeed", reason="needs DeepSpeed")
    assert latxa("prepare mix.jsonl --model base --sequence-length 64 -o prepared")[0] == 0
    (place / "how.toml").write_text(f'backend = "deepspeed"\n{how}\n')
    words = ["train", "prepared", "--model", "base", "--config", "how.toml", "--learning-rate", "1e-2", "-o", "out"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    done = preloaded.run(fork_server, [tiny.BINARY, *words], cwd=place, timeout=120, **pipes)
    said = done.stderr.decode()
    assert (done.returncode, done.stdout) == (0, b""), said
    assert [line for line in said.splitlines() if not line.startswith("latxa train: ")] == []
    before, after = (Weights(place / name, name) for name in ("base", "out"))
    changed = [name for name in after.entries if not torch.equal(before.tensor(name), after.tensor(name).float())]
    assert len(changed) == (14 if "lora" in how else len(after.entries))


def test_what_is_missing_is_told_before_the_model_is_loaded(place, latxa):
    assert latxa("train mix.jsonl --model base --sequence-length 64 --val eu=none.jsonl --dry-run -o out")[0] == 1
    missing = next((name for name in LIBRARIES if find_spec(name) is None), None)
    if missing:
        code, said = latxa(f"train mix.jsonl --model base --sequence-length 64 --track {missing} -o out")
        assert (code, f"`{missing}` is not installed" in said) == (2, True)
        assert not (place / "out").exists()


def test_a_device_that_holds_no_numbers(model_directory):
    with pytest.raises(UsageError, match="there is no device `meta`"):
        session.load(str(model_directory), TrainConfig(sequence_length=64), device="meta", threads=1)
