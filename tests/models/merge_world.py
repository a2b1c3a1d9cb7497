"""Models for the tests of `latxa merge`: the tiny one of the fixtures with other weights, tokens and files."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from latxa_cli.models import merge
from latxa_cli.weights import Entry, ShardWriter, Weights

NAMES = {torch.float64: "F64", torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16"}
EMBEDDING, HEAD = "model.embed_tokens.weight", "lm_head.weight"


class World:
    """Makes models in `folder` out of the one in `origin`, whose output layer is tied."""

    def __init__(self, folder: Path, origin: Path) -> None:
        self.folder, self.origin = folder, origin
        self.shapes = {name: tensor.shape for name, tensor in load_file(origin / "model.safetensors").items()}

    def random(self, seed: int, dtype: torch.dtype = torch.float32) -> dict[str, Tensor]:
        """Return weights of the origin's shapes."""
        generator = torch.Generator().manual_seed(seed)
        return {name: torch.randn(shape, generator=generator).to(dtype) for name, shape in self.shapes.items()}

    def model(self, name: str, weights: dict[str, Tensor], **config: Any) -> Path:
        """Write a model with these weights; `config` changes its `config.json`."""
        directory = self.folder / name
        shutil.copytree(self.origin, directory)
        save_file(weights, directory / "model.safetensors", metadata={"format": "pt"})
        change(directory / "config.json", **config)
        return directory

    def three(self, dtype: torch.dtype = torch.float32) -> list[Path]:
        """Write a base, a taught model and the one that it was made from."""
        return [self.model(name, self.random(seed, dtype)) for seed, name in enumerate(("base", "plus", "minus"))]

    def merged(self, models: list[Path], scale: float = 1.0, **more: Any) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Merge base, plus, minus into `out`; return the weights and the facts."""
        planned = merge.plan(*(merge.load(str(model)) for model in models))
        out = self.folder / "out"
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir()
        facts = merge.merge(planned, out, scale=scale, parts=planned.parts, report=lambda _: None, **more)
        return read(out), facts


def change(path: Path, **values: Any) -> None:
    """Change values of a JSON object in a file; None removes one."""
    settings = json.loads(path.read_text()) | values
    path.write_text(json.dumps({key: value for key, value in settings.items() if value is not None}))


def read(directory: Path) -> dict[str, Tensor]:
    weights = Weights(directory, str(directory))
    return {name: weights.tensor(name).clone() for name in weights.entries}


def shard(directory: Path, most: int) -> None:
    """Cut the weights of a model into files of at most `most` bytes."""
    tensors = read(directory)
    (directory / "model.safetensors").unlink()
    planned = [Entry(name, NAMES[tensor.dtype], tuple(tensor.shape)) for name, tensor in tensors.items()]
    with ShardWriter(directory, planned, shard_bytes=most) as writer:
        for name, tensor in tensors.items():
            writer.write(name, [tensor])
        writer.finish()


def same_bits(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(bits(one[name]) == bits(other[name]) for name in one)


def bits(tensor: Tensor) -> tuple[Any, ...]:
    return tensor.dtype, tuple(tensor.shape), tensor.contiguous().view(-1).view(torch.uint8).numpy().tobytes()
