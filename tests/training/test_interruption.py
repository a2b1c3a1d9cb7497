"""SIGTERM and Ctrl-C while a run trains: the checkpoint of the step at hand, the exit code, and going on."""

from __future__ import annotations

import json
import os
import signal
import sys

import pytest
import tiny

from latxa_cli import cli
from latxa_cli.stream.errors import LatxaError, Terminated
from latxa_cli.training import interruption, session
from latxa_cli.training.checkpoints import checkpoint
from latxa_cli.training.config import TrainConfig
from latxa_cli.training.interruption import Interruption
from latxa_cli.training.processes import Processes

SETTINGS = {"sequence_length": 64, "sequences_per_step": 4, "checkpoint_every": 3, "learning_rate": 5e-3}
ENDS = {signal.SIGTERM: Terminated, signal.SIGINT: KeyboardInterrupt}


def send(number):
    os.kill(os.getpid(), number)


def metrics(directory):
    """Return the lines of metrics without times."""
    lines = [json.loads(line) for line in (directory / "metrics.jsonl").read_text().splitlines()]
    return [{name: value for name, value in line.items() if name != "seconds"} for line in lines]


def steps(directory):
    return [checkpoint.step_of(path) for path in checkpoint.complete(directory)]


# --- what is heard ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", ENDS)
def test_a_signal_is_remembered_until_it_is_asked_for(number):
    before = [signal.getsignal(one) for one in ENDS]
    with Interruption() as heard:
        assert heard.agreed(Processes()) is None
        send(number)
        assert heard.agreed(Processes()) is ENDS[number]
        send(number)  # again: a launcher passes on what the terminal has sent already
        assert heard.agreed(Processes()) is ENDS[number]
    assert [signal.getsignal(one) for one in ENDS] == before


def test_a_second_ctrl_c_ends_at_once_but_no_second_sigterm(monkeypatch):
    monkeypatch.setattr(interruption, "AGAIN", -1.0)
    with Interruption():
        send(signal.SIGTERM)
        send(signal.SIGTERM)
        send(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt) as ended:
            send(signal.SIGINT)
    assert not isinstance(ended.value, Terminated)


# --- a run -----------------------------------------------------------------------------------------------------------


def run(model_directory, rows, directory, *, resume=False, at=0, number=signal.SIGTERM, told=None, **settings):
    """Train; the signal comes when the line `at` of the metrics has been written."""
    config = TrainConfig(**{**SETTINGS, **settings})
    lines = 0

    def report(_line):
        nonlocal lines
        lines += 1
        if lines == at:
            send(number)

    listeners = session.RunListeners(report, (told if told is not None else []).append, give_up=print)
    loaded = session.load(str(model_directory), config, device="cpu", threads=1)
    return session.run(
        loaded, rows, config, directory, resume=resume, listeners=listeners, validation={"held": rows}
    )  # fmt: skip


@pytest.fixture(scope="module")
def whole(model_directory, rows, tmp_path_factory):
    directory = tmp_path_factory.mktemp("whole")
    facts = run(model_directory, rows, directory)
    assert facts["steps"] == 7
    return metrics(directory)


@pytest.mark.parametrize("number", ENDS)
@pytest.mark.parametrize("at", [1, 3, 5, 9])  # line 3 is that of the step before a validation, 9 that of the last step
def test_the_step_at_hand_is_saved_and_a_resumed_run_is_the_same(model_directory, rows, tmp_path, whole, at, number):
    told: list[str] = []
    with pytest.raises(ENDS[number]) as ended:
        run(model_directory, rows, tmp_path, at=at, number=number, told=told)
    assert type(ended.value) is ENDS[number]
    step = whole[at - 1]["step"]
    assert steps(tmp_path)[-1] == step and told == [f"the newest checkpoint is that of step {step}"]
    assert metrics(tmp_path) == [line for line in whole if line["step"] <= step]
    run(model_directory, rows, tmp_path, resume=True)
    assert metrics(tmp_path) == whole


@pytest.mark.parametrize("interrupted", [3, 7])
def test_a_validation_cut_short_is_done_when_the_run_goes_on(
    model_directory, rows, tmp_path, whole, interrupted, monkeypatch
):
    agreed, asked = Interruption.agreed, 0

    def ask(heard, processes):
        nonlocal asked
        asked += 1
        if asked == {3: 4, 7: 16}[interrupted]:  # the second time inside of the validation after that step
            send(signal.SIGTERM)
        return agreed(heard, processes)

    monkeypatch.setattr(Interruption, "agreed", ask)
    with pytest.raises(Terminated):
        run(model_directory, rows, tmp_path)
    monkeypatch.undo()
    assert steps(tmp_path)[-1] == interrupted
    assert metrics(tmp_path)[-1]["step"] == interrupted and "validation" not in metrics(tmp_path)[-1]
    run(model_directory, rows, tmp_path, resume=True)
    assert metrics(tmp_path) == whole


def test_no_checkpoint_before_the_first_step_and_no_loss(model_directory, rows, tmp_path, whole, monkeypatch):
    monkeypatch.setattr(session.isolation, "choose", lambda *_: (_ for _ in ()).throw(Terminated()))
    told: list[str] = []
    with pytest.raises(Terminated):
        run(model_directory, rows, tmp_path, told=told)
    monkeypatch.undo()
    assert steps(tmp_path) == [] and told == []
    run(model_directory, rows, tmp_path, resume=True)
    assert metrics(tmp_path) == whole


# --- the length of a run ---------------------------------------------------------------------------------------------


def test_more_steps_when_a_run_goes_on(model_directory, rows, tmp_path, whole):
    """The learning rate is then that of the longer run, whose rows and losses up to there were the same."""
    run(model_directory, rows, tmp_path, max_steps=3, keep=1)
    assert steps(tmp_path) == [3]
    (tmp_path / "manifest.json").write_text("{}")
    told: list[str] = []
    facts = run(model_directory, rows, tmp_path, resume=True, told=told, epochs=2.0)
    assert told[0].startswith("the run was to have 3 steps and is to have 14; from step 3 on, the learning rate is")
    assert facts["steps"] == 14 and not (tmp_path / "manifest.json").exists()
    found = metrics(tmp_path)
    assert [line["step"] for line in found if "validation" not in line] == list(range(1, 15))
    assert found[0]["loss"] == whole[0]["loss"]
    rates = [line["learning_rate"] for line in found if "validation" not in line]
    assert rates[3] > rates[2] and min(rates[3:]) == rates[-1], "short and long runs have their own floors"
    begun = json.loads((checkpoint.folder(tmp_path) / "run.json").read_text())
    assert begun["lengths"] == [{"step": 3, "epochs": 1.0, "max_steps": 3}] and begun["settings"]["epochs"] == 2.0


def test_fewer_steps_than_done_are_refused_and_as_many_end_the_run(model_directory, rows, tmp_path):
    with pytest.raises(Terminated):
        run(model_directory, rows, tmp_path, at=5)  # step 4
    with pytest.raises(LatxaError, match="has done 4 steps, and is to have 2") as refused:
        run(model_directory, rows, tmp_path, resume=True, max_steps=2)
    assert refused.value.hint == "`--max-steps 4` ends it there"
    assert run(model_directory, rows, tmp_path, resume=True, max_steps=4)["steps"] == 4


@pytest.mark.parametrize(("keep", "kept"), [(0, [6, 7]), (1, [7]), (3, [3, 6, 7])])
def test_so_many_checkpoints_stay(model_directory, rows, tmp_path, keep, kept):
    run(model_directory, rows, tmp_path, keep=keep)
    assert steps(tmp_path) == kept


# --- the command -----------------------------------------------------------------------------------------------------


@pytest.fixture
def latxa(monkeypatch, capfd, tmp_path, model_directory, records):
    """`latxa(words)` runs a command in this process; returns its exit code and what it said."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "base").symlink_to(model_directory)
    tiny.write_jsonl(tmp_path / "mix.jsonl", records)

    def call(words):
        monkeypatch.setattr(sys, "argv", ["latxa", *words.split()])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        return ended.value.code, capfd.readouterr().err

    return call


TRAIN = "train mix.jsonl --model base --sequence-length 64 --batch-size 4 -o out"


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_exit_code_and_words(latxa, tmp_path, monkeypatch, number, code):
    monkeypatch.setattr(session.StepReport, "__call__", lambda _, line: send(number) if line["step"] == 2 else None)
    found, said = latxa(TRAIN)
    assert found == code
    assert said.splitlines()[-3:] == [
        "latxa train: the newest checkpoint is that of step 2", "latxa: interrupted",
        "hint: with `-o FILE`, `--resume` continues",
    ]  # fmt: skip
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    assert latxa(TRAIN + " --resume")[0] == 0


def test_a_complete_run_goes_on_if_a_checkpoint_was_kept(latxa, tmp_path):
    assert latxa(TRAIN + " --max-steps 2 --keep 1")[0] == 0
    assert steps(tmp_path / "out") == [2]
    code, said = latxa(TRAIN + " --max-steps 2 --resume")
    assert (code, said) == (0, "latxa train: out is complete already\n")
    code, said = latxa(TRAIN + " --max-steps 5 --resume")
    assert code == 0 and "the run was to have 2 steps and is to have 5" in said
    assert json.loads((tmp_path / "out/manifest.json").read_text())["steps"] == 5
    assert "5 steps" in (tmp_path / "out/README.md").read_text()
    assert steps(tmp_path / "out") == []
    code, said = latxa(TRAIN + " --max-steps 6 --resume")
    assert code == 1 and said == (
        "latxa: `out` is complete, and no checkpoint is left from which it could go on\n"
        "hint: `--keep 1` keeps the last one\n"
    )
    assert json.loads((tmp_path / "out/manifest.json").read_text())["steps"] == 5, "it is still complete"
    assert latxa(TRAIN + " --max-steps 5 --resume")[0] == 0
    code, said = latxa(TRAIN + " --max-steps 5 --seed 1 --resume")
    assert code == 2 and "was made with other settings: `seed`" in said
    assert latxa(TRAIN + " --max-steps 5 --epochs 2 --resume")[0] == 2
