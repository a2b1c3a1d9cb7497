"""Reading a model and its tokenizer for training, and writing them where transformers finds them."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any

from latxa_cli.stream.errors import LatxaError


def load_tokenizer(name: str, *, trust_remote_code: bool = False) -> Any:
    """Read the tokenizer of a model directory or of a model on the hub.

    Raises:
        LatxaError: there is none, or it has no end-of-text token.
    """
    from transformers import AutoTokenizer

    _check_directory(name)
    try:
        tokenizer = AutoTokenizer.from_pretrained(name, trust_remote_code=trust_remote_code)
    except (OSError, ValueError, KeyError, TypeError, ImportError) as error:
        raise LatxaError(
            f"`{name}` has no tokenizer that can be read: {_first_line(error)}",
            hint="give a directory with `tokenizer.json` and `tokenizer_config.json`, or a model that can be reached",
        ) from error
    if tokenizer.eos_token_id is None:
        raise LatxaError(
            f"the tokenizer of `{name}` has no end-of-text token",
            hint="name it as `eos_token` in `tokenizer_config.json`",
        )
    return tokenizer


def load_model(name: str, *, trust_remote_code: bool = False) -> Any:
    """Read the weights of a causal language model as float32, from safetensors only.

    Raises:
        LatxaError: there is no such model, or it has no safetensors weights.
    """
    import torch
    from safetensors import SafetensorError
    from transformers import AutoModelForCausalLM

    _check_directory(name)
    quiet_libraries()
    try:
        return AutoModelForCausalLM.from_pretrained(
            name, dtype=torch.float32, use_safetensors=True, trust_remote_code=trust_remote_code
        )
    except (OSError, ValueError, KeyError, RuntimeError, ImportError, SafetensorError) as error:
        raise LatxaError(
            f"`{name}` is not a language model that can be read: {_first_line(error)}",
            hint="give a directory with `config.json` and `model.safetensors`, or a model that can be reached",
        ) from error


def quiet_libraries() -> None:
    """Keep transformers' progress bars off stderr, and off stdout what DeepSpeed logs there when it is imported."""
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()
    logging.getLogger("DeepSpeed").addFilter(_only_errors)


def _only_errors(entry: logging.LogRecord) -> bool:
    return entry.levelno >= logging.ERROR


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
            synchronise(path)
    synchronise(directory)


def synchronise(path: Path) -> None:
    """Wait until a file's bytes, or a directory's entries, are on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _check_directory(name: str) -> None:
    """A path that is not there would otherwise be looked for on the hub, and give a message about that."""
    looks_like_path = name.startswith((".", "/", "~")) or name.endswith("/") or name.count("/") > 1
    if looks_like_path and not Path(name).is_dir():
        raise LatxaError(f"there is no model directory `{name}`", hint="make one with `latxa init` or `latxa train`")


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0].strip() if lines else type(error).__name__
