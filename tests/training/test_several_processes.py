"""`latxa train` on one and two processes and every backend: the same losses, and going on after whatever ends a run."""

from __future__ import annotations

import gc
import json
import os
import signal
import subprocess
import sys
import time
import weakref
from itertools import pairwise
from pathlib import Path

import psutil
import pytest
import torch
import torch.distributed as dist
from random_models import random_model
from several import Job, Several, free_port, until
from tiny import BINARY, write_jsonl

from latxa_cli.model import load_model
from latxa_cli.training.checkpoints import checkpoint
from latxa_cli.training.processes import Processes

# Each epoch of 28 rows ends with a step of one row, and batches do not come out even: one process is short of rows.
SETTINGS = """
sequences_per_step = 9
batch_size = 2
learning_rate = 5e-3
neftune_alpha = 5.0
"""
LONG = "epochs = 6.0\ncheckpoint_every = 2\n"  # 24 steps
SHORT = "epochs = 4.0\ncheckpoint_every = 2\n"  # 16, of which a run that is cut off has done a third
ENDLESS = "epochs = 5000.0\ncheckpoint_every = 4\n"
TORCH, DEEPSPEED = ("torch", 2), ("deepspeed", 2)


@pytest.fixture(scope="module")
def several():
    with Several() as processes:
        yield processes


@pytest.fixture(scope="module")
def data(tmp_path_factory, model_directory, prepared, records):
    """A folder with `model`, `prepared` and `mix.jsonl`, of which that was made, and `held_out`, of three rows."""
    folder = tmp_path_factory.mktemp("several")
    (folder / "model").symlink_to(model_directory)
    for name, some, size in (("prepared", records, 28), ("held_out", records[:9], 3)):
        made = prepared(some)
        assert len(made.rows) == size
        (folder / name).symlink_to(Path(made.inputs[0]["path"]).with_name("rows"))
    write_jsonl(folder / "mix.jsonl", records)
    return folder


def command(folder, output, backend=TORCH, more="", *flags):
    """Return the command line of `latxa train`, whose settings are in a file."""
    name, stage = backend
    file = folder / f"{output}.toml"
    file.write_text(f'{SETTINGS}backend = "{name}"\nzero_stage = {stage}\n{more}', encoding="utf-8")
    return ["train", "prepared", "--model", "model", "--config", file.name, "--threads", "1", "-o", output, *flags]


def lines(directory: Path):
    try:
        text = (directory / "metrics.jsonl").read_text(encoding="utf-8")
    except FileNotFoundError:
        return []
    return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]


def same(found, expected, rel=1e-5):
    """See that metrics agree in all but time."""
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        assert one.keys() == other.keys() and one.get("validation") == other.get("validation")
        compared = one.keys() - {"seconds", "validation"}
        assert [one[key] for key in compared] == pytest.approx([other[key] for key in compared], rel=rel)


def losses(found):
    return [line["loss"] for line in found]


def check_whole(directory: Path):
    """See that the newest checkpoint is undamaged and holds numbers; return its step."""
    told: list[str] = []
    found = checkpoint.newest(directory, Processes(), told.append)
    assert found and not told
    states = checkpoint.CheckpointReader(found)
    assert len(states) and all(tensor.isfinite().all() for state in states.values() for tensor in state.values())
    return checkpoint.step_of(found)


# --- weights without a gradient --------------------------------------------------------------------------------------

SPARSE = {  # the indexers choose what is attended to, through which no gradient goes
    "q_lora_rank": 16, "kv_lora_rank": 16, "qk_rope_head_dim": 8, "qk_nope_head_dim": 8, "v_head_dim": 16,
    "num_key_value_heads": 2, "n_routed_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 24,
    "n_group": 1, "topk_group": 1, "first_k_dense_replace": 1, "index_head_dim": 16, "index_n_heads": 2,
}  # fmt: skip


def test_weights_without_a_gradient_go_through_steps_and_checkpoints_on_one_process_and_two(several, data, tokenizer):
    network = random_model("deepseek_v32", **SPARSE)
    network.save_pretrained(data / "sparse")
    tokenizer.save_pretrained(data / "sparse")
    found = {}
    for (name, stage), world in ((TORCH, 1), (TORCH, 2), (DEEPSPEED, 2), (("deepspeed", 0), 2)):
        output = f"sparse-{name}-{stage}-{world}"
        for steps in (2, 3):  # the last one goes on from a checkpoint
            more = ("--keep", "1", "--max-steps", str(steps), "--resume")
            words = command(data, output, (name, stage), "", *more)
            words[words.index("--model") + 1] = "sparse"
            job = several.start(words, world=world, cwd=data)
            assert job.wait() == [0] * world, job.said()
        found[name, stage, world] = lines(data / output)
    alone = found["torch", 2, 1]
    assert len(alone) == 3
    for one in found.values():
        same(one, alone)
    before, after = network.state_dict(), load_model(str(data / "sparse-torch-2-2"), device="cpu").state_dict()
    moved = {name for name, value in after.items() if not torch.equal(value, before[name])}
    assert "model.embed_tokens.weight" in moved and "model.layers.0.self_attn.indexer.k_norm.weight" not in moved


# --- the same losses -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def alone(several, data):
    """What one process with torch measures: training, and validation with each checkpoint."""
    more = "epochs = 2.0\ncheckpoint_every = 3\n"
    job = several.start(command(data, "alone", TORCH, more, "--val", "held=held_out"), cwd=data)
    assert job.wait() == [0], job.said()
    found = lines(data / "alone")
    assert [line["step"] for line in found] == [1, 2, 3, 3, 4, 5, 6, 6, 7, 8, 8]
    assert losses(found)[0] > losses(found)[-2]
    return more, found


@pytest.mark.parametrize(
    ("backend", "world"),
    [
        (("torch", 0), 2), (("deepspeed", 0), 2), (("deepspeed", 1), 2), (("deepspeed", 2), 2), (("deepspeed", 3), 2),
        (("deepspeed", 1), 1),
    ],
)  # fmt: skip
def test_losses_norms_and_validation_are_those_of_torch_alone(several, data, alone, backend, world):
    more, expected = alone
    output = f"{backend[0]}-{backend[1]}-{world}"
    job = several.start(command(data, output, backend, more, "--val", "held=held_out"), world=world, cwd=data)
    assert job.wait() == [0] * world, job.said()
    same(lines(data / output), expected)
    assert job.said().count("\n") == 5 and all(job.said(rank) == "" for rank in range(1, world))
    manifest = json.loads((data / output / "manifest.json").read_text())
    assert manifest["processes"] == world and manifest["backend"] == backend[0]
    assert not (data / output / "checkpoints").exists()
    load_model(str(data / output), device="cpu")


@pytest.mark.parametrize(("backend", "world"), [(TORCH, 1), (TORCH, 2), (DEEPSPEED, 2), (("deepspeed", 3), 2)])
def test_rows_taken_apart_give_the_same_though_processes_have_other_numbers_of_groups(
    several, data, alone, backend, world
):
    """In ZeRO-3 they meet in every call of the model."""
    more, expected = alone
    output = f"unpacked-{backend[0]}-{backend[1]}-{world}"
    words = [*command(data, output, backend, more, "--val", "held=held_out"), "--packing", "never"]
    job = several.start(words, world=world, cwd=data)
    assert job.wait() == [0] * world, job.said()
    same(lines(data / output), expected, rel=2e-5)
    assert json.loads((data / output / "manifest.json").read_text())["packing"] == "unpacked"
    assert "| texts of a row | unpacked |" in (data / output / "README.md").read_text()


@pytest.mark.parametrize(
    ("kind", "taken_apart"),
    [("bloom", 1), ("mixtral", 0)],  # DeepSpeed has hooks of its own on the experts of mixtures
)
def test_kinds_of_models_train_alike_everywhere(several, data, tokenizer, tmp_path, kind, taken_apart):
    """The first process alone says that all take rows apart."""
    mixture = {"num_local_experts": 4, "num_experts_per_tok": 2, "output_router_logits": True}
    sizes = {"n_layer": 2, "n_head": 2} if kind == "bloom" else mixture
    random_model(kind, spread=0.02, **sizes).save_pretrained(tmp_path / "model")
    tokenizer.save_pretrained(tmp_path / "model")
    (tmp_path / "prepared").symlink_to(data / "prepared")
    found = []
    for backend, world in ((TORCH, 1), (TORCH, 2), (("deepspeed", 3), 2)):
        output = f"{backend[0]}-{world}"
        job = several.start(command(tmp_path, output, backend, "max_steps = 4\n"), world=world, cwd=tmp_path)
        assert job.wait() == [0] * world, job.said()
        assert job.said().count("rows are taken apart") == taken_apart
        found.append(lines(tmp_path / output))
    assert ("balancing_loss" in found[0][0]) == (kind == "mixtral")
    for other in found[1:]:
        same(other, found[0], rel=2e-5)


def test_adapters_of_experts_train_alike_everywhere(several, data, tokenizer, tmp_path):
    random_model("mixtral", num_local_experts=4, num_experts_per_tok=2).save_pretrained(tmp_path / "model")
    tokenizer.save_pretrained(tmp_path / "model")
    (tmp_path / "prepared").symlink_to(data / "prepared")
    more = "max_steps = 4\nlora_rank = 2\nlora_experts = true\n"
    found = []
    for backend, world in ((TORCH, 1), (TORCH, 2), (DEEPSPEED, 2)):
        output = f"{backend[0]}-{world}"
        job = several.start(command(tmp_path, output, backend, more), world=world, cwd=tmp_path)
        assert job.wait() == [0] * world, job.said()
        found.append(lines(tmp_path / output))
    for other in found[1:]:
        same(other, found[0], rel=2e-5)
    job = several.start([*command(tmp_path, "shared", ("deepspeed", 3), more), "--dry-run"], cwd=tmp_path)
    assert job.wait() == [2]
    assert "`lora_experts` is `true`: it does not go with `zero_stage` 3" in job.said()


def test_what_wraps_a_network_is_never_the_last_to_hold_the_processes():
    # DistributedDataParallel, the last one, would wait for gloo's thread and keep from it the lock that it waits for:
    # runs on a busy machine hung after their last step.
    processes = Processes()
    processes.meet(always=True)
    held = weakref.ref(dist.group.WORLD)
    processes.leave()
    gc.collect()
    assert held() is not None and not dist.is_initialized()


# --- going on --------------------------------------------------------------------------------------------------------


def cut_off(several, folder, backend, world, output, *, after, more=LONG):
    """Train until so many steps are on the disk, and kill all processes."""
    job = several.start(command(folder, output, backend, more, "--resume"), world=world, cwd=folder)
    until(lambda: len(lines(folder / output)) >= after or None not in job.codes(), 120, job)
    job.kill()
    assert job.wait() == [-signal.SIGKILL] * world, job.said()
    return check_whole(folder / output)


def finish(several, folder, backend, world, output, more=LONG):
    job = several.start(command(folder, output, backend, more, "--resume"), world=world, cwd=folder)
    assert job.wait() == [0] * world, job.said()
    return lines(folder / output)


@pytest.fixture(scope="module")
def uninterrupted(several, data):
    found = finish(several, data, TORCH, 1, "uninterrupted")
    assert len(found) == 24
    return found


def test_a_run_goes_on_with_another_backend_stage_and_number_of_processes(several, data, uninterrupted):
    chain = [(TORCH, 1, 4), (("deepspeed", 3), 2, 8), (("deepspeed", 2), 1, 12), (TORCH, 2, 16)]
    steps = [cut_off(several, data, backend, world, "chain", after=after) for backend, world, after in chain]
    assert all(later > earlier for earlier, later in pairwise([0, *steps]))
    same(finish(several, data, ("deepspeed", 0), 2, "chain"), uninterrupted, rel=1e-4)


@pytest.mark.parametrize("backend", [TORCH, ("deepspeed", 3)])
def test_on_as_many_processes_a_run_goes_on_to_the_last_bit(several, data, backend):
    whole = losses(finish(several, data, backend, 2, f"whole-{backend[1]}{backend[0]}", SHORT))
    output = f"cut-{backend[1]}{backend[0]}"
    cut_off(several, data, backend, 2, output, after=5, more=SHORT)
    assert losses(finish(several, data, backend, 2, output, SHORT)) == whole


def test_half_precision_goes_on_to_the_last_bit(several, data):
    more = SHORT + 'dtype = "bfloat16"\n'
    whole = losses(finish(several, data, DEEPSPEED, 2, "half", more))
    cut_off(several, data, DEEPSPEED, 2, "half-cut", after=5, more=more)
    assert losses(finish(several, data, DEEPSPEED, 2, "half-cut", more)) == whole


def test_half_precision_is_near_that_of_torch(several, data):
    more = 'epochs = 1.0\ndtype = "bfloat16"\n'
    expected = losses(finish(several, data, TORCH, 1, "half-torch", more))
    for stage in range(4):
        found = losses(finish(several, data, ("deepspeed", stage), 2, f"half-{stage}", more))
        assert found == pytest.approx(expected, rel=5e-3), stage


def test_torchrun_starts_the_processes_and_a_kill_of_all_is_nothing(data, uninterrupted, latxa):
    """The installed command, as a user starts it; it goes on in one process."""
    made = [str(BINARY), *command(data, "torchrun", DEEPSPEED, LONG)]
    torchrun = [str(Path(sys.executable).with_name("torchrun")), "--nproc-per-node", "2", "--no-python"]
    port = ["--master-port", str(free_port())]
    one_thread = {**os.environ, "OMP_NUM_THREADS": "1"}  # else torchrun says that it sets it
    with subprocess.Popen(
        [*torchrun, *port, *made], cwd=data, env=one_thread, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as process:
        end = time.monotonic() + 120
        while len(lines(data / "torchrun")) < 10 and process.poll() is None and time.monotonic() < end:
            time.sleep(0.02)
        if process.poll() is None:
            for one in (*psutil.Process(process.pid).children(recursive=True), psutil.Process(process.pid)):
                one.kill()  # workers of torchrun are in sessions of their own
        assert process.wait() == -signal.SIGKILL, process.stdout.read()
        assert process.stdout.read() == b""
    check_whole(data / "torchrun")
    resumed = latxa(*command(data, "torchrun", TORCH, LONG), "--resume", cwd=data)
    assert resumed.returncode == 0, resumed.stderr
    same(lines(data / "torchrun"), uninterrupted, rel=1e-4)


# --- what ends a run -------------------------------------------------------------------------------------------------


@pytest.fixture
def running(several, data, tmp_path):
    """`running(backend, world)` gives a job that has done some steps and would go on for long, and its directory."""
    jobs = []

    def start(backend=TORCH, world=2, more="") -> tuple[Job, Path]:
        for name in ("model", "prepared", "held_out", "mix.jsonl"):
            (tmp_path / name).symlink_to(data / name)
        jobs.append(several.start(command(tmp_path, "out", backend, ENDLESS + more), world=world, cwd=tmp_path))
        until(lambda: len(lines(tmp_path / "out")) >= 9 or None not in jobs[0].codes(), 120, jobs[0])
        assert jobs[0].codes() == [None] * world, jobs[0].said()
        return jobs[0], tmp_path / "out"

    yield start
    for job in jobs:
        job.kill()


@pytest.mark.parametrize(("backend", "victim"), [(TORCH, 1), (("deepspeed", 3), 0)])
def test_when_one_process_dies_the_other_ends_with_one_line(running, backend, victim):
    job, directory = running(backend)
    job.kill(ranks=[victim])
    other = 1 - victim
    assert job.wait(30)[other] == 1
    message, hint, end = job.said(other).split("\n")
    assert message.startswith(f"latxa: process {other} of 2 lost the others: ") and hint.startswith("hint: ")
    assert end == "" and job.said(victim) == ""
    assert check_whole(directory) >= 4


@pytest.mark.parametrize(
    ("backend", "number", "ranks"),
    [
        (TORCH, signal.SIGTERM, [0, 1]), (("deepspeed", 3), signal.SIGTERM, [0, 1]), (TORCH, signal.SIGTERM, [1]),
        (("deepspeed", 2), signal.SIGINT, [0, 1]),
    ],
)  # fmt: skip
def test_a_signal_ends_all_processes_after_the_same_step(several, data, uninterrupted, backend, number, ranks):
    """Even if it reaches one of them alone; the checkpoint is that of the last step on the disk."""
    output = f"signal-{backend[0]}-{backend[1]}-{number:d}-{len(ranks)}"
    more = LONG.replace("checkpoint_every = 2", "checkpoint_every = 0")
    job = several.start(command(data, output, backend, more), world=2, cwd=data)
    until(lambda: len(lines(data / output)) >= 9 or None not in job.codes(), 120, job)
    job.kill(number, ranks=ranks)
    assert job.wait(30) == [128 + number] * 2, job.said()
    step = check_whole(data / output)
    assert 9 <= step == lines(data / output)[-1]["step"] < 24
    assert job.said().endswith(
        f"latxa train: the newest checkpoint is that of step {step}\nlatxa: interrupted\n"
        "hint: with `-o FILE`, `--resume` continues\n"
    )
    assert job.said(1) == ""
    same(finish(several, data, backend, 2, output, more), uninterrupted, rel=1e-4)


def test_the_watchdog_ends_a_process_whose_partner_hangs(running):
    job, directory = running(more="watchdog_minutes = 0.15\n")
    job.kill(signal.SIGSTOP, ranks=[1])
    until(lambda: job.codes()[0] is not None, 30, job)
    assert job.codes() == [1, None]
    message, hint, _ = job.said().split("\n")
    assert "has done no step for 0.2 minutes" in message and "`--resume`" in hint
    assert check_whole(directory) >= 4


def test_a_second_run_in_the_same_directory_disturbs_nothing(several, running):
    job, directory = running(world=1)
    for flags, code, told in ((["--resume"], 1, "another run is using it"), ([], 2, "`-o out` exists already")):
        second = several.start([*command(directory.parent, "out", TORCH, ENDLESS), *flags], cwd=directory.parent)
        assert second.wait() == [code]
        assert told in second.said().splitlines()[0] and second.said().count("\n") == 2
    before = len(lines(directory))
    until(lambda: len(lines(directory)) > before + 8, 30, job)
    assert job.codes() == [None]
    job.kill()
    job.wait()
    found = lines(directory)
    assert [line["step"] for line in found] == list(range(1, len(found) + 1))
    assert check_whole(directory) >= before


# --- what begins none ------------------------------------------------------------------------------------------------


def refused(several, folder, *commands):
    """Run two processes that cannot; return their exit codes and all that they say."""
    job = several.start(*commands, world=2, cwd=folder)
    codes = job.wait()
    return codes, job.said(0) + job.said(1)


def test_processes_with_other_settings_or_data(several, data):
    ours = command(data, "other", TORCH, LONG)
    codes, said = refused(several, data, ours, [*ours, "--seed", "1"])
    assert codes == [1, 1]
    assert said.startswith("latxa: process 1 on `") and said.count("\n") == 2 and "has settings" in said
    assert not (data / "other").exists(), "a run that does not begin leaves nothing"
    codes, said = refused(several, data, ours, [word if word != "prepared" else "held_out" for word in ours])
    assert codes == [1, 1]
    assert said.startswith("latxa: process 1 on `") and said.count("\n") == 2 and "has data" in said


def test_data_that_are_not_prepared(several, data):
    ours = command(data, "records", TORCH, LONG)
    codes, said = refused(several, data, [word if word != "prepared" else "mix.jsonl" for word in ours])
    assert codes == [2, 2]
    assert said.startswith("latxa: several processes train on data that are prepared before")
    assert said.count("\n") == 2
    codes, said = refused(several, data, [*command(data, "held", TORCH, LONG), "--val", "held=mix.jsonl"])
    assert codes == [2, 2] and said.count("\n") == 2


def test_a_model_that_is_not_there_is_said_once(several, data):
    ours = command(data, "nowhere", TORCH, LONG)
    codes, said = refused(several, data, [word if word != "model" else "./none" for word in ours])
    assert codes == [1, 1]
    assert said.startswith("latxa: there is no model directory `./none`") and said.count("latxa: ") == 1


def test_a_loss_that_is_no_number_is_said_once(several, data):
    codes, said = refused(several, data, [*command(data, "nan", TORCH, LONG), "--learning-rate", "1e30"])
    assert codes == [1, 1]
    assert said.startswith(("latxa: the loss became `", "latxa: the gradient became infinite")), said
    assert "at step " in said and said.count("\n") == 2
