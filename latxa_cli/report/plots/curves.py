"""The metrics of training runs, as curves for a figure and as results for a table.

`latxa report run1/metrics.jsonl run2/metrics.jsonl --plot loss.svg`
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from latxa_cli.stream.inputs import STDIN
from latxa_cli.stream.records import Record, Reject

TRAINING = ""  # the name of the curve of the training loss among those of the validation sets
Curve = tuple[Sequence[float], Sequence[float]]  # steps, losses


@dataclass
class Curves:
    """Losses by run and validation set, both in order of first appearance; a step takes 16 bytes."""

    runs: dict[str, dict[str, tuple[array[float], array[float]]]] = field(default_factory=dict)

    def add(self, run: str, records: Iterable[Record]) -> Iterator[Reject]:
        """Add metrics records of `run`; yield a Reject for a loss that is not finite and for a repeated step."""
        for record in records:
            if not math.isfinite(record["loss"]) or not math.isfinite(record["step"]):
                yield Reject(record, "no finite value")
                continue
            curves = self.runs.setdefault(run, {})
            steps, losses = curves.setdefault(record.get("validation", TRAINING), (array("d"), array("d")))
            if steps and record["step"] <= steps[-1]:
                yield Reject(record, "repeated metrics", "the first ones of a step are shown")
                continue
            steps.append(record["step"])
            losses.append(record["loss"])

    def sets(self) -> list[str]:
        """Return the names of the validation sets of all runs."""
        return list(dict.fromkeys(name for curves in self.runs.values() for name in curves if name != TRAINING))

    def of(self, name: str) -> dict[str, Curve]:
        """Return the curve of each run on the validation set `name`; `TRAINING` names the training loss."""
        return {run: curves[name] for run, curves in self.runs.items() if name in curves}

    def results(self) -> Iterator[Record]:
        """Yield results {model, task, metric, value}: each run's last training loss and best loss on each set.

        `model` is the run's name, so that losses stand in one row with the results of the model of that name.
        """
        for run, curves in self.runs.items():
            for name in sorted(curves, key=lambda name: name != TRAINING):
                losses = curves[name][1]
                task = f"best validation loss {name}" if name != TRAINING else "last training loss"
                value = min(losses) if name != TRAINING else losses[-1]
                yield {"model": run, "task": task, "metric": "loss", "value": value}


def run_names(files: Sequence[str]) -> dict[str, str]:
    """Return the name of each file's run: its folder, with as many parent folders as tell the runs apart.

    stdin is called `stdin`; a dataset of the hub keeps the name that the user gave.
    """
    folders = {file: Path(file).absolute().parts[:-1] for file in files if file != STDIN and not file.startswith("hf:")}
    depth = 1
    while depth < max(map(len, folders.values()), default=0):
        if len({parts[-depth:] for parts in folders.values()}) == len(set(folders.values())):
            break
        depth += 1
    return {
        file: "/".join(folders[file][-depth:]) if file in folders else file.replace(STDIN, "stdin") for file in files
    }
