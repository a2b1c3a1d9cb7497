"""Checkpoints of a training run: written whole or not at all, read without running code.

`DIR/checkpoints/step-N/` holds `model.safetensors`, `optimizer.safetensors` and `state.json`, written last. Random
draws depend only on seed and step, so that the step is all the state there is beside weights and moments.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from latxa_cli.model import synchronise
from latxa_cli.stream.errors import LatxaError
from latxa_cli.training.config import TrainConfig
from latxa_cli.training.rows import Rows

KEPT = 2  # checkpoints that stay: the newest, and the one before it in case a disk loses the newest
HARMLESS = ("checkpoint_every",)  # settings that do not change what is learnt


def fingerprint(model: torch.nn.Module, rows: Rows, config: TrainConfig) -> dict[str, str]:
    """Return digests of what a run is made of: starting weights, data and settings."""
    import xxhash

    weights = xxhash.xxh3_128()
    for name, tensor in _tensors(model).items():
        weights.update(name.encode())
        weights.update(tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().data)
    settings = {name: value for name, value in asdict(config).items() if name not in HARMLESS}
    return {
        "starting model": weights.hexdigest(),
        "data": rows.digest,
        "settings": json.dumps(settings, sort_keys=True),
    }


def save(
    directory: Path, step: int, model: torch.nn.Module, optimizer: torch.optim.Optimizer, made_of: Mapping[str, str]
) -> None:
    """Write the checkpoint of `step` (optimiser steps done) and remove all but the newest.

    It is written under another name, synchronised with the disk and renamed, so that a checkpoint that can be seen is
    complete.
    """
    final = _folder(directory) / f"step-{step}"
    part = final.with_name(final.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    weights = {name: tensor.detach().contiguous() for name, tensor in _tensors(model).items()}
    save_file(weights, part / "model.safetensors")
    save_file(_moments(model, optimizer), part / "optimizer.safetensors")
    (part / "state.json").write_text(json.dumps({"step": step, **made_of}, indent=1), encoding="utf-8")
    for path in part.iterdir():
        synchronise(path)
    synchronise(part)
    shutil.rmtree(final, ignore_errors=True)
    part.rename(final)
    synchronise(final.parent)
    for old in _complete(directory)[:-KEPT]:
        shutil.rmtree(old)


def restore(
    directory: Path, model: torch.nn.Module, optimizer: torch.optim.Optimizer, made_of: Mapping[str, str]
) -> int:
    """Load the newest checkpoint into model and optimiser; return its step, 0 when there is none.

    Raises:
        LatxaError: it was made from another model, other data or other settings.
    """
    for part in _folder(directory).glob("step-*.part"):
        shutil.rmtree(part)
    complete = _complete(directory)
    if not complete:
        return 0
    newest = complete[-1]
    state = json.loads((newest / "state.json").read_text(encoding="utf-8"))
    different = [name for name, value in made_of.items() if state.get(name) != value]
    if different:
        raise LatxaError(
            f"`{newest}` is of a run with other {' and '.join(different)}",
            hint=f"remove `{directory}` to start again, or give what it was begun with",
        )
    tensors = _tensors(model)
    with torch.no_grad():
        for name, value in load_file(newest / "model.safetensors").items():
            tensors[name].copy_(value)
    _load_moments(model, optimizer, load_file(newest / "optimizer.safetensors"))
    return int(state["step"])


def remove(directory: Path) -> None:
    """Remove all checkpoints: a new run begins, or one is complete, manifest and all."""
    shutil.rmtree(_folder(directory), ignore_errors=True)


def _folder(directory: Path) -> Path:
    return directory / "checkpoints"


def _complete(directory: Path) -> list[Path]:
    """Complete checkpoints, oldest first."""
    found = [path for path in _folder(directory).glob("step-*") if path.name.removeprefix("step-").isdecimal()]
    return sorted(found, key=lambda path: int(path.name.removeprefix("step-")))


def _tensors(model: torch.nn.Module) -> dict[str, Tensor]:
    """Parameters (tied ones once) and the buffers that belong to the weights."""
    kept = model.state_dict().keys()
    buffers = {name: buffer for name, buffer in model.named_buffers() if name in kept}
    return dict(model.named_parameters()) | buffers


def _moments(model: torch.nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The optimiser's state, flat: `NAME:exp_avg`, `NAME:exp_avg_sq`, `NAME:step`."""
    moments = {}
    for name, parameter in model.named_parameters():
        for key, value in optimizer.state.get(parameter, {}).items():
            moments[f"{name}:{key}"] = value.detach().contiguous()
    return moments


def _load_moments(model: torch.nn.Module, optimizer: torch.optim.Optimizer, moments: dict[str, Tensor]) -> None:
    parameters = dict(model.named_parameters())
    for flat, value in moments.items():
        name, _, key = flat.rpartition(":")
        parameter = parameters[name]
        optimizer.state[parameter][key] = value.to(parameter.device)  # the step count too: AdamW is fused
