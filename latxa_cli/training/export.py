"""Writing a model and its tokenizer where transformers finds them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any


def count_parameters(model: Any) -> int:
    """Return the number of weights, tied ones counted once."""
    return sum(parameter.numel() for parameter in model.parameters())


def export(model: Any, tokenizer: Any, directory: Path, *, dtype: str) -> None:
    """Write weights (safetensors), configuration, generation configuration, tokenizer and template into `directory`.

    `AutoModelForCausalLM.from_pretrained(directory)` and `AutoTokenizer.from_pretrained(directory)` read them.
    `dtype` is that of the weights in the file: float32 or bfloat16.
    """
    import torch

    model.to(getattr(torch, dtype))
    model.config.use_cache = True
    model.save_pretrained(directory)
    tokenizer.save_pretrained(directory)
    for path in directory.iterdir():
        if path.is_file():
            path.chmod((directory / "config.json").stat().st_mode)  # safetensors makes its files private
            synchronise(path)
    synchronise(directory)


def synchronise(path: Path) -> None:
    """Wait until a file's bytes, or a directory's entries, are on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
