"""What is lost when `latxa train` is killed at random moments and resumed: nothing, on any backend and processes.

    python tests/bench/train_kills.py [--kills 50] [--real 8] [--seed 0]

A tiny model trains on one or two processes, with torch or DeepSpeed (ZeRO-3), and is killed at a moment drawn from the
time that a whole run takes, start and export among it; of two processes all are killed, or one, whose end must end the
other. Then the run is resumed, on as many processes or on others by turns, and killed again. After every kill all
checkpoints that can be seen must be whole, and none older than those before. A run that comes to its end must have the
losses of an uninterrupted one, to the last bit on as many processes, and its model must load; the next begins anew.

`--kills` times with processes forked from one that has the libraries loaded, so that kills do not mostly meet a process
that still loads them; `--real` times with the installed command and torchrun.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import psutil
from timing import table, verdict

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(REPOSITORY), str(REPOSITORY / "tests")]

import tiny  # noqa: E402
from several import Job, Several, free_port  # noqa: E402

from latxa_cli.model import load_model  # noqa: E402
from latxa_cli.training.checkpoints import checkpoint  # noqa: E402

TORCHRUN = Path(sys.executable).with_name("torchrun")
SETTINGS = """
sequence_length = 64
epochs = 2.0
learning_rate = 5e-3
sequences_per_step = 5
batch_size = 2
neftune_alpha = 5.0
checkpoint_every = 3
"""
BACKENDS = {"torch": 'backend = "torch"\n', "ZeRO-3": 'backend = "deepspeed"\nzero_stage = 3\n'}
WORLDS = ((1, 1), (2, 2), (2, 1), (1, 2))
CLOSE = 1e-3  # the largest relative difference between losses on other numbers of processes
PATIENCE = 120  # seconds for a run to end by itself
TAIL = 1000  # characters of what is said


@dataclass
class Scenario:
    """Runs with one backend, on these numbers of processes by turns, and what came of them."""

    backend: str
    worlds: tuple[int, int]
    kills: int = 0
    of_one: int = 0  # kills of one process of two
    completed: int = 0
    checked: int = 0  # checkpoints
    difference: float = 0.0  # the largest, of a loss
    faults: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        return f"{self.backend}, {self.worlds[0]} -> {self.worlds[1]}"


class Processes(Protocol):
    """The processes of one run."""

    def ended(self) -> bool: ...

    def code(self) -> int:
        """Return 0, or the exit code of one that failed, when all have ended."""
        ...

    def kill(self, rank: int | None) -> None:
        """Kill one process, or all."""
        ...

    def said(self) -> str: ...


class Forked:
    """See `several`."""

    def __init__(self, job: Job) -> None:
        self.job = job

    def ended(self) -> bool:
        return None not in self.job.codes()

    def code(self) -> int:
        return next((code for code in self.job.codes() if code), 0)

    def kill(self, rank: int | None) -> None:
        self.job.kill(ranks=None if rank is None else [rank])

    def said(self) -> str:
        return "".join(self.job.said(rank) for rank in range(len(self.job.pids)))


class Installed:
    """The installed command, started by torchrun where there are several processes."""

    def __init__(self, folder: Path, arguments: list[str], world: int) -> None:
        command = [str(tiny.BINARY), *arguments]
        if world > 1:
            torchrun = [str(TORCHRUN), "--nproc-per-node", str(world), "--master-port", str(free_port())]
            command = [*torchrun, "--no-python", *command]
        self.log = folder / "log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)

    def ended(self) -> bool:
        return self.process.poll() is not None

    def code(self) -> int:
        return self.process.wait()

    def kill(self, rank: int | None) -> None:
        parent = psutil.Process(self.process.pid)
        parent.suspend()  # torchrun: so that it starts none meanwhile
        workers = parent.children(recursive=True)  # which are in sessions of their own
        for one in (*workers, parent) if rank is None else workers[rank : rank + 1]:
            with suppress(psutil.NoSuchProcess):
                one.kill()
        if rank is not None:
            parent.resume()

    def said(self) -> str:
        return self.log.read_text(encoding="utf-8")


def losses(directory: Path) -> list[float]:
    return [json.loads(line)["loss"] for line in (directory / "metrics.jsonl").read_text().splitlines()]


def damage(directory: Path, before: int) -> tuple[list[int], str]:
    """Return the steps of the complete checkpoints, and what is wrong with them, or nothing."""
    found = checkpoint.complete(directory)
    steps = [checkpoint.step_of(path) for path in found]
    if before and (not steps or steps[-1] < before) and not (directory / "manifest.json").exists():
        return steps, f"the checkpoint of step {before} is gone"
    for path in found:
        files = json.loads((path / checkpoint.STATE).read_text())["files"]
        for name, expected in files.items():
            if wrong := checkpoint.damage_of(path / name, expected):
                return steps, f"{path.name}: {wrong}"
    return steps, ""


class Bench:
    """The uninterrupted runs, and what is done in each scenario."""

    def __init__(self, folder: Path, draw: random.Random, start: Callable[[list[str], int], Processes]) -> None:
        self.folder, self.draw, self.start = folder, draw, start
        self.whole: dict[tuple[str, int], list[float]] = {}
        self.seconds: dict[tuple[str, int], float] = {}

    def uninterrupted(self) -> None:
        for backend in BACKENDS:
            for world in (1, 2):
                started = time.monotonic()
                processes = self.start(arguments(backend, "whole"), world)
                if not wait(processes, PATIENCE) or processes.code():
                    raise SystemExit(processes.said())
                self.seconds[backend, world] = time.monotonic() - started
                self.whole[backend, world] = losses(self.folder / "whole")
                shutil.rmtree(self.folder / "whole")
                steps = len(self.whole[backend, world])
                say(f"{backend}, {world}: {steps} steps, {self.seconds[backend, world]:.1f} s uninterrupted")

    def run(self, scenario: Scenario, kills: int) -> None:
        """Kill and resume so many times, then let the run come to its end."""
        directory = self.folder / "out"
        turn, newest, ended = 0, 0, True
        while scenario.kills < kills or not ended:
            ended = self._try(scenario, scenario.worlds[turn % 2], may_kill=scenario.kills < kills)
            turn += 1
            steps, wrong = damage(directory, newest)
            scenario.checked += len(steps)
            if wrong:
                scenario.faults.append(wrong)
            newest = 0 if ended else max([newest, *steps])
            if ended:
                self._complete(scenario, directory)

    def _try(self, scenario: Scenario, world: int, *, may_kill: bool) -> bool:
        """Start or resume once; return whether the run came to its end."""
        processes = self.start(arguments(scenario.backend, "out"), world)
        moment = self.draw.random() * self.seconds[scenario.backend, world]
        victim = self.draw.choice([None, *range(world)]) if world > 1 else None
        killed = may_kill and not wait(processes, moment)
        if killed:
            processes.kill(victim)
        if not wait(processes, PATIENCE):
            scenario.faults.append(f"not ended after {PATIENCE} s, killed: {killed}: {processes.said()[-TAIL:]}")
            processes.kill(None)
            wait(processes, PATIENCE)
        code = processes.code()
        scenario.kills += killed and code != 0  # else the kill came too late
        scenario.of_one += killed and code != 0 and victim is not None
        if code and not killed:
            scenario.faults.append(f"code {code}: {processes.said()[-TAIL:]}")
            shutil.rmtree(self.folder / "out", ignore_errors=True)
        return (self.folder / "out" / "manifest.json").exists()

    def _complete(self, scenario: Scenario, directory: Path) -> None:
        """Compare a run that came to its end with the uninterrupted one, and remove it."""
        scenario.completed += 1
        expected, found = self.whole[scenario.backend, scenario.worlds[0]], losses(directory)
        if len(found) == len(expected):
            pairs = zip(found, expected, strict=True)
            scenario.difference = max([scenario.difference, *(abs(one - other) / other for one, other in pairs)])
        else:
            scenario.faults.append(f"{len(found)} steps, not {len(expected)}")
        load_model(str(directory), device="cpu")
        shutil.rmtree(directory)


def wait(processes: Processes, seconds: float) -> bool:
    """Wait so long for all to end; return whether they have."""
    end = time.monotonic() + seconds
    while not processes.ended():
        if time.monotonic() > end:
            return False
        time.sleep(0.005)
    return True


def arguments(backend: str, output: str) -> list[str]:
    flags = ["--model", "base", "--config", f"{backend}.toml", "--threads", "1"]
    return ["train", "prepared", *flags, "--resume", "-o", output]


def make_data(folder: Path) -> None:
    (folder / "config.json").write_text(json.dumps(tiny.CONFIG))
    tiny.write_jsonl(folder / "train.jsonl", tiny.training_records())
    prepare = ("prepare", "train.jsonl", "--model", "base", "--sequence-length", "64", "-o", "prepared")
    for command in ((*tiny.INIT, "-o", "base"), prepare):
        subprocess.run([tiny.BINARY, *command, "-q"], cwd=folder, check=True)
    for name, settings in BACKENDS.items():
        (folder / f"{name}.toml").write_text(SETTINGS + settings)


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def main() -> None:
    options = argparse.ArgumentParser(usage=(__doc__ or "").split("\n\n")[1].strip())
    options.add_argument("--kills", type=int, default=50)
    options.add_argument("--real", type=int, default=8)
    options.add_argument("--seed", type=int, default=0)
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as temporary, Several() as several:
        folder = Path(temporary)
        make_data(folder)
        starts: dict[str, tuple[int, Callable[[list[str], int], Processes]]] = {
            "forked": (given.kills, lambda command, world: Forked(several.start(command, world=world, cwd=folder))),
            "installed": (given.real, lambda command, world: Installed(folder, command, world)),
        }
        faults = 0
        for name, (kills, start) in starts.items():
            if kills:
                say(f"{name}:")
                faults += measured(Bench(folder, random.Random(given.seed), start), kills)
    verdict(f"{faults} faults in {given.kills + given.real} kills (goal 0)", faults == 0)


def measured(bench: Bench, kills: int) -> int:
    """Share out the kills among all scenarios, print what came of them, and return the number of faults."""
    bench.uninterrupted()
    scenarios = [Scenario(backend, worlds) for worlds in WORLDS for backend in BACKENDS]
    for number, scenario in enumerate(scenarios):
        bench.run(scenario, kills * (number + 1) // len(scenarios) - kills * number // len(scenarios))
        if scenario.difference > (0.0 if scenario.worlds[0] == scenario.worlds[1] else CLOSE):
            scenario.faults.append(f"a loss differs by {scenario.difference:.1g}")
    report(scenarios)
    return sum(len(scenario.faults) for scenario in scenarios)


def report(scenarios: list[Scenario]) -> None:
    heads = ("processes", "kills", "of one of two", "runs ended", "checkpoints looked at", "difference", "faults")
    rows = [
        (
            s.name, str(s.kills), str(s.of_one), str(s.completed), str(s.checked), f"{s.difference:.1g}",
            str(len(s.faults)),
        )
        for s in scenarios
    ]  # fmt: skip
    table([heads, *rows])
    for scenario in scenarios:
        for fault in scenario.faults:
            say(f"{scenario.name}: {fault}")


if __name__ == "__main__":
    main()
