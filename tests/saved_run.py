"""What `latxa train` leaves of a run, written by hand: checkpoints, `run.json`, the files of the model, metrics."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
import xxhash
from safetensors.torch import save_file
from torch import Tensor

from latxa_cli.training.config import TrainConfig

SOURCES = {
    "web": {"records": 60, "tokens": 3000, "trained": 2900},
    "chats": {"records": 40, "tokens": 1000, "trained": 300},
}


def trained_parameters(network: Any) -> dict[str, Tensor]:
    """Return what a checkpoint holds: parameters that are trained, tied ones once, in float32."""
    named = network.named_parameters()
    return {name: value.detach().float().clone() for name, value in named if value.requires_grad}


def write_run(
    directory: Path, model: str | Path, parameters: Mapping[str, Tensor], *, sources: Any = None,
    metrics: list[dict[str, Any]] | None = None, model_files: Path | None = None, **settings: Any,
) -> Path:  # fmt: skip
    """Write a run that began with `model` and trained these parameters, without a checkpoint yet."""
    checkpoints = directory / "checkpoints"
    shutil.copytree(
        model_files or Path(model),
        checkpoints / "model",
        ignore=shutil.ignore_patterns("*.safetensors*", "manifest.json"),
    )
    run = {
        "format": 1, "model": str(model), "trust_remote_code": False,
        "settings": asdict(TrainConfig(sequence_length=64)) | {"lora_rank": 0, "lora_alpha": 16.0} | settings,
        "parameters": {name: list(value.shape) for name, value in parameters.items()},
        "starting_model": "0123abcd", "data": "4567ef",
        "prepared": {
            "sources": SOURCES if sources is None else sources, "sequence_length": 64, "rows": 70,
            "model": str(model), "fill": 0.9123,
        },
        "versions": {"latxa": "0.1.0", "torch": torch.__version__}, "processes": 1,
    }  # fmt: skip
    (checkpoints / "run.json").write_text(json.dumps(run))
    lines = [json.dumps(figures) + "\n" for figures in metrics or []]
    (directory / "metrics.jsonl").write_text("".join(lines))
    return directory


def write_checkpoint(run: Path, step: int, parameters: Mapping[str, Tensor], *, files: int = 1) -> Path:
    """Write the checkpoint of a step, its parameters shared out among some files."""
    folder = run / "checkpoints" / f"step-{step}"
    folder.mkdir()
    names = sorted(parameters)
    for number in range(files):
        part = {name: parameters[name].contiguous() for name in names[number::files]}
        save_file(part, folder / f"weights-{number:05}.safetensors")
        save_file(
            {f"{name}:exp_avg": value for name, value in part.items()}, folder / f"moments-{number:05}.safetensors"
        )
    described = {
        path.name: {"bytes": path.stat().st_size, "xxh3": xxhash.xxh3_128(path.read_bytes()).hexdigest()}
        for path in sorted(folder.iterdir())
    }
    (folder / "state.json").write_text(json.dumps({"step": step, "files": described}))
    return folder
