"""Resuming: the same losses and the same weights, to the last bit, as a run that was not cut off."""

from __future__ import annotations

import json
from dataclasses import asdict, fields

import pytest
import torch
import xxhash
from safetensors.torch import load_file, save_file

from latxa_cli.model import load_model
from latxa_cli.stream.errors import LatxaError
from latxa_cli.training import loop
from latxa_cli.training.checkpoints import checkpoint
from latxa_cli.training.config import TrainConfig
from latxa_cli.training.metrics import METRICS
from latxa_cli.training.plan import TrainingPlan

CONFIG = TrainConfig(
    epochs=3, learning_rate=5e-3, sequences_per_step=8, batch_size=4, sequence_length=64, checkpoint_every=3,
    neftune_alpha=5.0,
)  # fmt: skip


def silent(*_, **__):
    pass


def start(model_directory, rows, config=CONFIG):
    return loop.Trainer(load_model(str(model_directory), device="cpu"), rows, config)


def train(trainer, directory, *, resume=False, until=None, warn=silent):
    """Train, or be cut off after `until` steps: the generator is dropped as a killed process would drop everything."""
    newest = checkpoint.newest(directory, trainer.processes, warn) if resume else None
    checkpoint.clean(directory, newest) if resume else None
    done = loop.go_on(trainer, newest) if newest else 0
    checkpoint.folder(directory).mkdir(exist_ok=True)
    for figures in loop.train(trainer, directory, done=done, report=silent):
        if figures["step"] == until:
            break
    return [json.loads(line) for line in (directory / METRICS).read_text().splitlines()]


def weights(trainer):
    return torch.cat([parameter.detach().flatten() for parameter in trainer.model.parameters()])


@pytest.fixture(scope="module")
def whole(model_directory, rows, tmp_path_factory):
    """Losses and weights of the run that was not cut off."""
    torch.set_num_threads(1)
    trainer = start(model_directory, rows)
    return train(trainer, tmp_path_factory.mktemp("whole")), weights(trainer)


@pytest.mark.parametrize("cut", [2, 4, 6, 11])
def test_a_run_cut_off_anywhere_gives_the_same_bits(model_directory, rows, tmp_path, whole, cut):
    metrics, expected = whole
    plan = TrainingPlan(len(rows), CONFIG)
    assert plan.steps_per_epoch % 3 and plan.steps > 11, "checkpoints must lie inside an epoch"
    assert len(train(start(model_directory, rows), tmp_path, until=cut)) == cut
    trainer = start(model_directory, rows)
    resumed = train(trainer, tmp_path, resume=True)
    keep = ("step", "epoch", "loss", "learning_rate", "tokens", "trained_tokens")
    assert [[entry[key] for key in keep] for entry in resumed] == [[entry[key] for key in keep] for entry in metrics]
    assert torch.equal(weights(trainer), expected)


def test_a_run_cut_off_twice(model_directory, rows, tmp_path, whole):
    train(start(model_directory, rows), tmp_path, until=5)
    train(start(model_directory, rows), tmp_path, resume=True, until=9)
    trainer = start(model_directory, rows)
    resumed = train(trainer, tmp_path, resume=True)
    assert [entry["loss"] for entry in resumed] == [entry["loss"] for entry in whole[0]]
    assert torch.equal(weights(trainer), whole[1])


def test_a_checkpoint_half_written_is_passed_over(model_directory, rows, tmp_path, whole):
    train(start(model_directory, rows), tmp_path, until=6)
    part = tmp_path / "checkpoints" / "step-9.part"
    part.mkdir()
    (part / "model.safetensors").write_bytes(b"half")
    resumed = train(start(model_directory, rows), tmp_path, resume=True)
    assert [entry["loss"] for entry in resumed] == [entry["loss"] for entry in whole[0]]
    assert not part.exists()


def test_the_newest_two_are_kept(model_directory, rows, tmp_path):
    metrics = train(start(model_directory, rows), tmp_path)
    names = sorted(path.name for path in (tmp_path / "checkpoints").iterdir())
    last = len(metrics)
    assert names == sorted([f"step-{last}", f"step-{last - 1 - (last - 1) % 3}"])


def test_a_finished_run_resumes_to_its_end_at_once(model_directory, rows, tmp_path, whole):
    metrics = train(start(model_directory, rows), tmp_path)
    trainer = start(model_directory, rows)
    assert train(trainer, tmp_path, resume=True) == metrics
    assert torch.equal(weights(trainer), whole[1])


def test_one_checkpoint_at_the_end(model_directory, rows, tmp_path):
    config = TrainConfig(epochs=1, sequence_length=64, checkpoint_every=0)
    metrics = train(start(model_directory, rows, config), tmp_path)
    assert [path.name for path in checkpoint.complete(tmp_path)] == [f"step-{len(metrics)}"]


@pytest.mark.parametrize("harm", ["cut", "bit", "missing", "state"])
def test_a_damaged_checkpoint_is_passed_over(model_directory, rows, tmp_path, whole, harm):
    train(start(model_directory, rows), tmp_path, until=7)
    newest = checkpoint.complete(tmp_path)[-1]
    assert newest.name == "step-6"
    path = newest / ("state.json" if harm == "state" else "moments-00000.safetensors")
    data = bytearray(path.read_bytes())
    if harm == "missing":
        path.unlink()
    else:
        data[len(data) // 2] ^= 4
        path.write_bytes(data[:-9] if harm == "cut" else data if harm == "bit" else b"{")
    told = []
    trainer = start(model_directory, rows)
    resumed = train(trainer, tmp_path, resume=True, warn=told.append)
    assert len(told) == 1 and "step-6` is passed over: " in told[0]
    assert [entry["loss"] for entry in resumed] == [entry["loss"] for entry in whole[0]]
    assert torch.equal(weights(trainer), whole[1])


def test_checkpoints_hold_no_code(model_directory, rows, tmp_path):
    trainer = start(model_directory, rows)
    train(trainer, tmp_path, until=4)
    names = sorted(path.name for path in (tmp_path / "checkpoints" / "step-3").iterdir())
    assert names == ["moments-00000.safetensors", "state.json", "weights-00000.safetensors"]
    assert checkpoint.KEPT == 2


def test_two_runs_cannot_share_a_directory(tmp_path):
    with checkpoint.occupied(tmp_path / "out"):
        with (
            pytest.raises(LatxaError, match="out/checkpoints: another run is using it"),
            checkpoint.occupied(tmp_path / "out"),
        ):
            pass
        with checkpoint.occupied(tmp_path / "other"):
            pass
    assert not checkpoint.folder(tmp_path / "out").exists(), "no run began"


def test_a_complete_run_without_checkpoints_cannot_go_on(tmp_path):
    (tmp_path / "manifest.json").write_text("{}")
    with pytest.raises(LatxaError, match="is complete, and no checkpoint is left"), checkpoint.occupied(tmp_path):
        pass
    assert not checkpoint.folder(tmp_path).exists()


def test_a_new_run_leaves_nothing_of_an_old_one_but_its_own_lock(tmp_path):
    with checkpoint.occupied(tmp_path):
        for name in ("step-3", "step-6.part", "model"):
            (checkpoint.folder(tmp_path) / name).mkdir()
        (checkpoint.folder(tmp_path) / "run.json").write_text("{}")
        checkpoint.begin(tmp_path, {"model": "base"}, lambda folder: folder.mkdir())
        left = sorted(path.name for path in checkpoint.folder(tmp_path).iterdir())
        assert left == ["latxa.lock", "model", "run.json"]
        with pytest.raises(LatxaError, match="another run is using it"), checkpoint.occupied(tmp_path):
            pass


def test_a_kill_while_a_checkpoint_is_removed_leaves_none_that_is_not_whole(tmp_path, monkeypatch):
    for step in (3, 6):
        (checkpoint.folder(tmp_path) / f"step-{step}").mkdir(parents=True)

    def killed(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(checkpoint.shutil, "rmtree", killed)
    with pytest.raises(KeyboardInterrupt):
        checkpoint.remove(tmp_path)
    assert [path.name for path in checkpoint.complete(tmp_path)] == ["step-6"]
    monkeypatch.undo()
    checkpoint.clean(tmp_path, checkpoint.newest(tmp_path, loop.Processes(), silent))
    assert not list(checkpoint.folder(tmp_path).glob("*.part"))


# --- what makes another run of it, and what makes a checkpoint less than whole


@pytest.mark.parametrize("kind", ["weights", "moments"])
def test_a_checkpoint_that_lacks_a_parameter_is_passed_over(model_directory, rows, tmp_path, whole, kind):
    """Whatever its `state.json` says, which here is true."""
    train(start(model_directory, rows), tmp_path, until=7)
    folder = checkpoint.complete(tmp_path)[-1]
    names = sorted(load_file(folder / "weights-00000.safetensors"))
    (checkpoint.folder(tmp_path) / "run.json").write_text(json.dumps({"parameters": {name: [] for name in names}}))
    path = folder / f"{kind}-00000.safetensors"
    lacking = names[1] if kind == "weights" else f"{names[1]}:exp_avg_sq"
    save_file({name: tensor for name, tensor in load_file(path).items() if name != lacking}, path)
    state = json.loads((folder / "state.json").read_text())
    state["files"][path.name] = {
        "bytes": path.stat().st_size, "xxh3": xxhash.xxh3_128(path.read_bytes()).hexdigest()
    }  # fmt: skip
    (folder / "state.json").write_text(json.dumps(state))
    told = []
    resumed = train(start(model_directory, rows), tmp_path, resume=True, warn=told.append)
    assert told == [f"`{folder}` is passed over: it lacks `{names[1]}`"]
    assert folder.with_name("step-6.damaged").exists()
    assert [entry["loss"] for entry in resumed] == [entry["loss"] for entry in whole[0]]


def test_the_newest_is_that_of_the_largest_number(tmp_path):
    for step in (9, 10, 100, 20):
        (checkpoint.folder(tmp_path) / f"step-{step}").mkdir(parents=True)
    (checkpoint.folder(tmp_path) / "step-200.part").mkdir()
    assert [path.name for path in checkpoint.complete(tmp_path)] == ["step-9", "step-10", "step-20", "step-100"]


def test_the_digest_of_weights_is_of_all_bytes_and_names(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint, "READ_BYTES", 4)
    files = {"model-1.safetensors": b"0123456789", "model-2.safetensors": b"abcdefghij"}

    def digest(changed):
        for path in tmp_path.iterdir():
            path.unlink()
        for name, data in changed.items():
            (tmp_path / name).write_bytes(data)
        return checkpoint.digest_of_weights(tmp_path)

    first, second = files.values()
    others = [
        {"model-1.safetensors": first, "model-2.safetensors": second[:-1] + b"!"},
        {"model-1.safetensors": first[:-1] + b"!", "model-2.safetensors": second},
        {"model-1.safetensors": first, "model-3.safetensors": second},
        {"model-1.safetensors": first + second[:1], "model-2.safetensors": second[1:]},
        {"model-1.safetensors": first},
    ]
    assert digest(files) == digest(files | {"config.json": b"{}"})
    assert len({digest(files), *map(digest, others)}) == 6


# Another value of each setting; those that change only how long, how or where it learns may be others in a run that
# goes on.
OTHERS = {
    "learning_rate": 1e-3, "sequences_per_step": 4, "sequence_length": 32, "warmup_ratio": 0.2,
    "minimum_learning_rate_ratio": 0.1, "weight_decay": 0.2, "beta1": 0.8, "beta2": 0.9, "clip": 2.0, "seed": 1,
    "chat_loss": "all", "fold_system": True, "source_loss": {"eu": "all"}, "neftune_alpha": 5.0, "neftune_scale": "row",
    "dtype": "bfloat16", "lora_rank": 4, "lora_alpha": 3.0, "lora_targets": ["q_proj"], "freeze": ["embed"],
    "lora_whole": ["norm"], "lora_experts": True,
}  # fmt: skip
WAYS = {
    "epochs": 2.0, "max_steps": 9, "keep": 3,  # a run that goes on may be longer
    "batch_size": 2, "gradient_checkpointing": True, "attention": "eager", "kernels": "torch", "backend": "deepspeed",
    "zero_stage": 3, "deepspeed": "overlay.json", "checkpoint_every": 7, "validate_every": 9, "watchdog_minutes": 1.0,
    "packing": "never",
}  # fmt: skip


def test_what_is_learnt_cannot_change_when_a_run_goes_on_and_how_can(tmp_path):
    assert {field.name for field in fields(TrainConfig)} == OTHERS.keys() | WAYS.keys()
    begun = asdict(TrainConfig())
    checkpoint.begin(tmp_path, {"settings": begun, "data": "d"}, lambda folder: folder.mkdir())
    checkpoint.check_run(tmp_path, {"settings": begun | WAYS, "data": "d"})
    for name, value in OTHERS.items():
        assert begun[name] != value
        with pytest.raises(LatxaError, match=f"of a run with other settings: `{name.replace('_', '-')}` was "):
            checkpoint.check_run(tmp_path, {"settings": begun | {name: value}, "data": "d"})
    with pytest.raises(LatxaError, match="of a run with other data"):
        checkpoint.check_run(tmp_path, {"settings": begun, "data": "e"})


def test_a_run_of_another_version_is_not_gone_on_with(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint, "FORMAT", 0)
    checkpoint.begin(tmp_path, {"data": "d"}, lambda folder: folder.mkdir())
    monkeypatch.undo()
    with pytest.raises(LatxaError, match="is of another version of `latxa`"):
        checkpoint.check_run(tmp_path, {"data": "d"})
