"""Writing a model and its tokenizer where transformers finds them; a full disk is one line."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from latxa_cli.stream.errors import LatxaError

FULL = (errno.ENOSPC, errno.EDQUOT)


@contextmanager
def writing(directory: Path) -> Iterator[None]:
    """Turn the system's refusal to write into `directory` into a LatxaError; other errors pass.

    Python raises OSError; safetensors and tokenizers raise their own kind and a bare `Exception`, whose texts end in
    the system's number: `(os error 28)`.
    """
    from safetensors import SafetensorError

    try:
        yield
    except Exception as error:
        number = error.errno if isinstance(error, OSError) else None
        if type(error) in (Exception, SafetensorError) and (found := re.search(r"\(os error (\d+)\)", str(error))):
            number = int(found[1])
        if number is None:
            raise
        hint = "free some space, then `--resume`" if number in FULL else ""
        raise LatxaError(f"{directory}: cannot be written ({os.strerror(number)})", hint=hint) from None


def count_parameters(model: Any) -> int:
    """Return the number of weights, tied ones counted once."""
    return sum(parameter.numel() for parameter in model.parameters())


def export(model: Any, tokenizer: Any, directory: Path, *, dtype: str) -> None:
    """Write weights (safetensors), configuration, generation configuration, tokenizer and template into `directory`.

    `AutoModelForCausalLM.from_pretrained(directory)` and `AutoTokenizer.from_pretrained(directory)` read them.
    `dtype` is that of the weights in the file: float32 or bfloat16.

    Raises:
        LatxaError: the directory cannot be written.
    """
    import torch

    model.to(getattr(torch, dtype))
    model.config.use_cache = True  # whatever the training before ours left there: it makes generation slow
    with writing(directory):
        directory.mkdir(parents=True, exist_ok=True)
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
