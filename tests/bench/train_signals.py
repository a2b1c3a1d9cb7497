"""What `latxa train` does on SIGTERM or Ctrl-C at a random moment: a checkpoint of the step at hand, and a clean end.

    python tests/bench/train_signals.py [--runs 50] [--seed 0]

A model of 5 million parameters trains without checkpoints of its own. At a moment drawn from the time that a whole run
takes, start and export among it, it gets a signal. It must end with 143 or 130, and the newest checkpoint must be whole
and that of the last step that the metrics have. The run that goes on must have the losses of an uninterrupted one, to
the last bit. The time from the signal to the end is measured.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import signal
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from timing import table, verdict
from train_kills import PATIENCE, TAIL, Forked, damage, losses, say, tiny, wait

from several import Several  # isort: skip  # `train_kills` names the folder

CONFIG = tiny.CONFIG | {"hidden_size": 256, "intermediate_size": 720, "num_hidden_layers": 6, "num_attention_heads": 4}
CONFIG |= {"num_key_value_heads": 4}
SETTINGS = """
sequence_length = 64
learning_rate = 1e-3
sequences_per_step = 5
neftune_alpha = 5.0
checkpoint_every = 0
"""
WORDS = ["train", "prepared", "--model", "base", "--config", "how.toml", "--threads", "1", "--resume"]
GOAL = 10.0  # seconds


@dataclass
class Outcome:
    """What came of the runs with one signal."""

    number: signal.Signals
    in_steps: int = 0
    before: int = 0
    after: int = 0
    seconds: list[float] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)


def make_data(folder: Path) -> None:
    (folder / "config.json").write_text(json.dumps(CONFIG))
    tiny.write_jsonl(folder / "train.jsonl", tiny.training_records())
    prepare = ("prepare", "train.jsonl", "--model", "base", "--sequence-length", "64", "-o", "prepared")
    for command in ((*tiny.INIT, "-o", "base"), prepare):
        subprocess.run([tiny.BINARY, *command, "-q"], cwd=folder, check=True)
    (folder / "how.toml").write_text(SETTINGS)


class Bench:
    """Runs in `folder`, with up to `steps` steps."""

    def __init__(self, folder: Path, several: Several, steps: int) -> None:
        self.folder, self.several, self.steps = folder, several, steps

    def start(self, output: str) -> Forked:
        words = [*WORDS, "--max-steps", str(self.steps), "-o", output]
        return Forked(self.several.start(words, cwd=self.folder))

    def finished(self, output: str) -> list[float]:
        """Let a run come to its end, and return its losses."""
        processes = self.start(output)
        if not wait(processes, PATIENCE) or processes.code():
            raise SystemExit(processes.said())
        return losses(self.folder / output)

    def signalled(self, outcome: Outcome, moment: float, whole: list[float]) -> None:
        directory = self.folder / "out"
        processes = self.start("out")
        if wait(processes, moment):
            shutil.rmtree(directory)
            return
        started = time.monotonic()
        processes.job.kill(outcome.number)
        if not wait(processes, PATIENCE):
            raise SystemExit("the run does not end")
        if processes.code() == 0:  # it was about to end
            shutil.rmtree(directory)
            return
        outcome.seconds.append(time.monotonic() - started)
        if processes.code() != 128 + outcome.number:
            outcome.faults.append(f"code {processes.code()}: {processes.said()[-TAIL:]}")
        steps, wrong = damage(directory, 0)
        done = len(losses(directory)) if (directory / "metrics.jsonl").exists() else 0
        if wrong or (steps[-1] if steps else 0) != done:
            outcome.faults.append(wrong or f"checkpoints {steps} after {done} steps")
        outcome.before += done == 0
        outcome.after += done == len(whole)
        outcome.in_steps += 0 < done < len(whole)
        if self.finished("out") != whole:
            outcome.faults.append(f"other losses after step {done}")
        shutil.rmtree(directory)


def main() -> None:
    options = argparse.ArgumentParser(usage=(__doc__ or "").split("\n\n")[1].strip())
    options.add_argument("--runs", type=int, default=50)
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--steps", type=int, default=24)
    given = options.parse_args()
    draw = random.Random(given.seed)
    outcomes = [Outcome(signal.SIGTERM), Outcome(signal.SIGINT)]
    with tempfile.TemporaryDirectory() as temporary, Several() as several:
        make_data(Path(temporary))
        bench = Bench(Path(temporary), several, given.steps)
        started = time.monotonic()
        whole = bench.finished("whole")
        seconds = time.monotonic() - started
        parameters = json.loads((bench.folder / "whole" / "manifest.json").read_text())["parameters"]
        say(f"{parameters:,} parameters, {len(whole)} steps, {seconds:.1f} s uninterrupted")
        while sum(len(outcome.seconds) for outcome in outcomes) < given.runs:
            turn = sum(len(outcome.seconds) for outcome in outcomes) % 2
            bench.signalled(outcomes[turn], draw.random() * seconds, whole)
    heads = ("signal", "runs", "before the first step", "in steps", "after the last", "longest end", "faults")
    rows = [
        (
            outcome.number.name, str(len(outcome.seconds)), str(outcome.before), str(outcome.in_steps),
            str(outcome.after), f"{max(outcome.seconds, default=0):.1f} s", str(len(outcome.faults)),
        )
        for outcome in outcomes
    ]  # fmt: skip
    table([heads, *rows])
    for outcome in outcomes:
        for fault in outcome.faults:
            say(f"{outcome.number.name}: {fault}")
    longest = max(max(outcome.seconds, default=0) for outcome in outcomes)
    faults = sum(len(outcome.faults) for outcome in outcomes)
    verdict(f"{faults} faults, longest end {longest:.1f} s (goal 0, {GOAL:.0f} s)", faults == 0 and longest <= GOAL)


if __name__ == "__main__":
    main()
