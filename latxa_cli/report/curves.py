"""The metrics of training runs, as curves to draw and as results to stand in a table.

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
    """Losses by run and set, both in order of first appearance; 16 bytes a step."""

    runs: dict[str, dict[str, tuple[array[float], array[float]]]] = field(default_factory=dict)

    def add(self, run: str, records: Iterable[Record]) -> Iterator[Reject]:
        """Take in metrics records of `run`; yield those that are no finite number, or of a step that was there."""
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
        """Return the curve of each run on the validation set `name`, or of its training loss."""
        return {run: curves[name] for run, curves in self.runs.items() if name in curves}

    def results(self) -> Iterator[Record]:
        """Yield results {model, task, metric, value}: of each run the last training loss, the best validation losses.

        A run's name takes the place of the model's, so that they stand beside what the model was evaluated on.
        """
        for run, curves in self.runs.items():
            for name in sorted(curves, key=lambda name: name != TRAINING):
                losses = curves[name][1]
                task = f"best validation loss {name}" if name != TRAINING else "last training loss"
                value = min(losses) if name != TRAINING else losses[-1]
                yield {"model": run, "task": task, "metric": "loss", "value": value}


def run_names(files: Sequence[str]) -> dict[str, str]:
    """Return for each file the name of its run: the folder that holds it, with as many above it as tell runs apart.

    What comes from stdin, or from a dataset of the hub, has the name that it was given.
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
