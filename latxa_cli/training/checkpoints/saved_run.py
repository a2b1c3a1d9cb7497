"""Checkpoints for `latxa export`: the choice of one, its check, and its trained weights. `checkpoint` writes them."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Container, Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import orjson
import torch
from torch import Tensor

from latxa_cli.model import read_settings
from latxa_cli.stream.errors import LatxaError
from latxa_cli.stream.records import JsonObject, Record
from latxa_cli.training.checkpoints.checkpoint import FORMAT, MODEL, RUN, STATE, complete, damage_of, step_of
from latxa_cli.training.checkpoints.checkpoint import folder as checkpoint_folder
from latxa_cli.training.metrics import METRICS
from latxa_cli.weights import Weights

WEIGHTS = "weights-*.safetensors"
STEP = re.compile(r"step-(\d+)")
ADAPTER = re.compile(r"(.+)\.lora_(A|B)\.default\.weight")
FACTS = (  # of a run, without which there is no export
    "model", "starting_model", "trust_remote_code", "parameters", "settings", "data", "prepared", "versions",
    "processes",
)  # fmt: skip
HINT = "name a directory of `latxa train`, or a `step-N` in its `checkpoints`"
BLOCK = 1 << 20  # numbers at a time, 4 MiB in float32


@dataclass(frozen=True, slots=True)
class SavedCheckpoint:
    """A checkpoint: its folder (`step-N`), and the facts of its run from `run.json`."""

    folder: Path
    run: JsonObject

    @property
    def step(self) -> int:
        """The number of optimiser steps done."""
        return step_of(self.folder)

    @property
    def model_files(self) -> Path:
        """The folder with the files of the model beside its weights."""
        return self.folder.parent / MODEL

    def metrics(self) -> Iterator[Record]:
        """Yield the lines of the run's metrics up to this step, if there are any."""
        path = self.folder.parent.parent / METRICS
        with path.open("rb") if path.is_file() else BytesIO() as file:
            for line in file:
                try:
                    figures = orjson.loads(line)
                except ValueError:  # a line that a kill has cut off
                    continue
                if isinstance(figures, dict) and figures.get("step", math.inf) <= self.step:
                    yield figures


def choose(path: Path, say: Callable[[str], None]) -> SavedCheckpoint:
    """Return the checkpoint `path`, or the newest whole checkpoint of the run in the directory `path`.

    A checkpoint is whole when its weights have the sizes and digests in `state.json`, and hold all trained parameters.
    Moments do not matter. `say` takes a line for each checkpoint that is passed over.

    Raises:
        LatxaError: there is no whole checkpoint, or another version of `latxa` made it.
    """
    if STEP.fullmatch(path.name) and path.is_dir():
        saved = SavedCheckpoint(path, _run(path.parent))
        if damage := _damage(saved):
            raise LatxaError(f"`{path}`: {damage}", hint="name the run's directory: the newest whole one is taken")
        return saved
    folder = checkpoint_folder(path)
    if not path.exists():
        raise LatxaError(f"there is no `{path}`", hint=HINT)
    if not folder.is_dir():
        raise LatxaError(f"`{path}` has no checkpoints", hint=HINT)
    run = _run(folder)
    for step in reversed(complete(path)):
        saved = SavedCheckpoint(step, run)
        if not (damage := _damage(saved)):
            return saved
        say(f"`{step}` is passed over: {damage}")
    raise LatxaError(f"`{path}` has no whole checkpoint", hint="`latxa train … --resume` goes on with the run")


def _run(folder: Path) -> JsonObject:
    run = read_settings(folder / RUN)
    if run.get("format") != FORMAT:
        fault = "was made by another version of `latxa`" if run else f"has no `{RUN}`"
        raise LatxaError(f"`{folder}` {fault}", hint=HINT)
    if lacking := [name for name in FACTS if name not in run]:
        raise LatxaError(f"`{folder / RUN}` lacks `{lacking[0]}`", hint="is the copy complete?")
    return run


def _damage(saved: SavedCheckpoint) -> str:
    """Return the damage of a checkpoint's weights, or an empty text."""
    try:
        expected = {Path(name).name: entry for name, entry in read_settings(saved.folder / STATE)["files"].items()}
        for path in sorted(saved.folder / name for name in expected if Path(name).match(WEIGHTS)):
            if damage := damage_of(path, expected[path.name]):
                return damage
        entries = open_weights(saved).entries
    except (KeyError, TypeError, AttributeError):
        return f"`{STATE}` is not whole"
    except (LatxaError, OSError) as error:
        return str(error)
    for name, shape in saved.run["parameters"].items():
        if name not in entries or entries[name].shape != tuple(shape):
            return f"its weights lack `{name}` of shape {shape}"
    return ""


def open_weights(saved: SavedCheckpoint) -> Weights:
    """Map the weights of a checkpoint; raises LatxaError where one cannot be read."""
    return Weights(saved.folder, str(saved.folder), sorted(saved.folder.glob(WEIGHTS)))


class TrainedWeights:
    """The trained parameters of a checkpoint, by the names of the network without adapters.

    A linear layer with an adapter (LoRA) has the weight W + alpha / rank * B @ A. A weight among `transposed` lies
    [in, out], and gets the transpose of the product. Of experts, which lie in one tensor [experts, …], each has its own
    rows of A, one expert after another, and its own columns of B, which PEFT has in turn.

    Attributes:
        names: all of them.
        adapters: {weight: {"A": name in the checkpoint, "B": …}} of the layers with an adapter.
    """

    def __init__(self, run: JsonObject, weights: Weights | None, transposed: Container[str] = ()) -> None:
        """Take the facts of a run and its weights; these may be None for names and shapes alone."""
        self.weights, self.transposed = weights, transposed
        self._shapes: dict[str, list[int]] = run["parameters"]
        settings = run["settings"]
        rank = settings.get("lora_rank", 0)
        self.scale = settings["lora_alpha"] / rank if rank else 1.0
        self.rank, experts = rank, run.get("expert_adapters", {})
        self.experts = set(experts.values())
        self.adapters: dict[str, dict[str, str]] = {}
        self._values: dict[str, str] = {}
        for name in self._shapes:
            if match := ADAPTER.fullmatch(name) if rank else None:
                self.adapters.setdefault(experts.get(match[1], f"{match[1]}.weight"), {})[match[2]] = name
            else:
                self._values[name.replace(".base_layer.", ".") if rank else name] = name
        self.names = {*self._values, *self.adapters}

    def shape(self, name: str) -> tuple[int, ...]:
        """Return the shape of the parameter `name`."""
        if name in self._values:
            return tuple(self._shapes[self._values[name]])
        right, left = (self._shapes[self.adapters[name][which]] for which in "AB")
        shape = left[0], right[1]
        shape = shape[::-1] if name in self.transposed else shape
        return (right[0] // self.rank, *shape) if name in self.experts else shape

    def blocks(self, name: str, start: Tensor, dtype: torch.dtype) -> Iterator[Tensor]:
        """Yield the numbers of the parameter `name` in their order; adapters are added to `start` in float32."""
        assert self.weights is not None
        if name in self._values:
            yield from cast(self.weights.tensor(self._values[name]), dtype)
            return
        right, left = (self.weights.tensor(self.adapters[name][which]) for which in "AB")
        if name not in self.experts:
            yield from self._merged(name, start, left, right, dtype)
            return
        for number, expert in enumerate(start):
            own = right[number * self.rank : (number + 1) * self.rank]
            yield from self._merged(name, expert, left[:, number :: len(start)], own, dtype)

    def _merged(self, name: str, start: Tensor, left: Tensor, right: Tensor, dtype: torch.dtype) -> Iterator[Tensor]:
        """Yield the rows of a matrix with its adapter, in blocks."""
        if name in self.transposed:
            right, left = left.T, right.T
        rows = max(1, BLOCK // right.shape[1])
        for frozen, some in zip(start.split(rows), left.split(rows), strict=True):
            yield torch.addmm(frozen.float(), some, right, alpha=self.scale).to(dtype)


def cast(tensor: Tensor, dtype: torch.dtype) -> Iterator[Tensor]:
    """Yield the numbers of a tensor in their order, in another dtype."""
    return (block.to(dtype) for block in tensor.reshape(-1).split(BLOCK))
