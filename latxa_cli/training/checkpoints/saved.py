"""A checkpoint as `latxa export` reads it: which one, whether it is whole, and what was trained. See `checkpoint`."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Container, Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import orjson
import torch
from torch import Tensor

from latxa_cli.model import read_settings
from latxa_cli.stream.errors import LatxaError
from latxa_cli.training.checkpoints.checkpoint import FORMAT, MODEL, RUN, STATE, complete, damage_of, step_of
from latxa_cli.training.checkpoints.checkpoint import folder as checkpoint_folder
from latxa_cli.weights import Weights

METRICS = "metrics.jsonl"
WEIGHTS = "weights-*.safetensors"
STEP = re.compile(r"step-(\d+)")
ADAPTER = re.compile(r"(.+)\.lora_(A|B)\.default\.weight")
HINT = "name a directory of `latxa train`, or a `step-N` in its `checkpoints`"
BLOCK = 1 << 20  # numbers at a time, 4 MiB in float32


@dataclass(frozen=True, slots=True)
class SavedCheckpoint:
    """A whole checkpoint: its folder (`step-N`), and what `run.json` says of the run."""

    folder: Path
    run: dict[str, Any]

    @property
    def step(self) -> int:
        """Optimiser steps done."""
        return step_of(self.folder)

    @property
    def model_files(self) -> Path:
        return self.folder.parent / MODEL

    def metrics(self) -> Iterator[dict[str, Any]]:
        """Yield the lines of the run's metrics up to this step; nothing where there are none."""
        path = self.folder.parent.parent / METRICS
        with path.open("rb") if path.is_file() else BytesIO() as file:
            for line in file:
                try:
                    figures = orjson.loads(line)
                except ValueError:  # a kill cut it off
                    continue
                if isinstance(figures, dict) and figures.get("step", math.inf) <= self.step:
                    yield figures


def choose(path: Path, say: Callable[[str], None]) -> SavedCheckpoint:
    """Return the checkpoint `path`; or, if that is the directory of a run, the newest one that is whole.

    A checkpoint is whole when the files of its weights are those that `state.json` says, by size and digest, and hold
    all trained parameters; moments do not matter. `say` is told of those that are passed over.

    Raises:
        LatxaError: there is none, or it is of another version of `latxa`.
    """
    if STEP.fullmatch(path.name) and path.is_dir():
        saved = SavedCheckpoint(path, _run(path.parent))
        if damage := _damage(saved):
            raise LatxaError(f"`{path}`: {damage}", hint="name the run's directory: the newest whole one is taken")
        return saved
    folder = checkpoint_folder(path)
    if not folder.is_dir():
        raise LatxaError(f"`{path}` has no checkpoints", hint=HINT)
    run = _run(folder)
    for step in reversed(complete(path)):
        saved = SavedCheckpoint(step, run)
        if not (damage := _damage(saved)):
            return saved
        say(f"`{step}` is passed over: {damage}")
    raise LatxaError(f"`{path}` has no whole checkpoint", hint="`latxa train … --resume` goes on with the run")


def _run(folder: Path) -> dict[str, Any]:
    run = read_settings(folder / RUN)
    if run.get("format") != FORMAT:
        what = "was made by another version of `latxa`" if run else f"has no `{RUN}`"
        raise LatxaError(f"`{folder}` {what}", hint=HINT)
    return run


def _damage(saved: SavedCheckpoint) -> str:
    """Return what is wrong with the weights of a checkpoint; the empty string for nothing."""
    try:
        said = {Path(name).name: entry for name, entry in read_settings(saved.folder / STATE)["files"].items()}
        for path in sorted(saved.folder / name for name in said if Path(name).match(WEIGHTS)):
            if wrong := damage_of(path, said[path.name]):
                return wrong
        held = open_weights(saved).entries
    except (KeyError, TypeError, AttributeError):
        return f"`{STATE}` is not whole"
    except (LatxaError, OSError) as error:
        return str(error)
    for name, shape in saved.run["parameters"].items():
        if name not in held or held[name].shape != tuple(shape):
            return f"its weights lack `{name}` of shape {shape}"
    return ""


def open_weights(saved: SavedCheckpoint) -> Weights:
    """Map the weights of a checkpoint; raises LatxaError."""
    return Weights(saved.folder, str(saved.folder), sorted(saved.folder.glob(WEIGHTS)))


class TrainedWeights:
    """What was trained, by the names that the network has without adapters.

    `names`: all of them. `adapters`: {weight: {"A": name in the checkpoint, "B": …}} of the linear layers with LoRA,
    whose weight is W + alpha / rank * B @ A; transposed, that of the `transposed` weights, which lie [in, out].
    """

    def __init__(self, saved: SavedCheckpoint, transposed: Container[str] = ()) -> None:
        """Open the weights of a checkpoint; raises LatxaError."""
        self.weights, self.transposed = open_weights(saved), transposed
        settings = saved.run["settings"]
        rank = settings.get("lora_rank", 0)
        self.scale = settings["lora_alpha"] / rank if rank else 1.0
        self.adapters: dict[str, dict[str, str]] = {}
        self._values: dict[str, str] = {}
        for name in saved.run["parameters"]:
            if found := ADAPTER.fullmatch(name) if rank else None:
                self.adapters.setdefault(f"{found[1]}.weight", {})[found[2]] = name
            else:
                self._values[name.replace(".base_layer.", ".") if rank else name] = name
        self.names = {*self._values, *self.adapters}

    def shape(self, name: str) -> tuple[int, ...]:
        """Return the shape of the parameter `name`."""
        entries = self.weights.entries
        if name in self._values:
            return entries[self._values[name]].shape
        pair = self.adapters[name]
        shape = entries[pair["B"]].shape[0], entries[pair["A"]].shape[1]
        return shape[::-1] if name in self.transposed else shape

    def blocks(self, name: str, start: Tensor, dtype: torch.dtype) -> Iterator[Tensor]:
        """Yield the numbers of the parameter `name` in their order; adapters are added to `start` in float32."""
        if name in self._values:
            yield from cast(self.weights.tensor(self._values[name]), dtype)
            return
        right, left = (self.weights.tensor(self.adapters[name][which]) for which in "AB")
        if name in self.transposed:
            right, left = left.T, right.T
        rows = max(1, BLOCK // right.shape[1])
        for frozen, some in zip(start.split(rows), left.split(rows), strict=True):
            yield torch.addmm(frozen.float(), some, right, alpha=self.scale).to(dtype)


def cast(tensor: Tensor, dtype: torch.dtype) -> Iterator[Tensor]:
    """Yield the numbers of a tensor in their order, in another dtype."""
    return (block.to(dtype) for block in tensor.reshape(-1).split(BLOCK))
