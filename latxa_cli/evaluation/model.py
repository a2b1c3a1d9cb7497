"""A model for lm-evaluation-harness, checked before anything is loaded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from latxa_cli.model import load_model, load_tokenizer, short_name
from latxa_cli.stream.errors import UsageError


def display_names(models: Sequence[str]) -> dict[str, str]:
    """Return the name of each model in records: the last part of its path, or all of it where two would be the same.

    Raises UsageError when a model is given twice.
    """
    short = {model: short_name(model) for model in models}
    if len(short) < len(models):
        raise UsageError("a model is given twice")
    names = list(short.values())
    return {model: name if names.count(name) == 1 else model for model, name in short.items()}


def load(model: str, *, device: str | None, batch_size: int, trust_remote_code: bool = False) -> Any:
    """Return the harness's wrapper (HFLM) round `model`, which `latxa_cli.model` loads.

    Loaded by the harness itself, a local path such as `models/base` would be looked up on the hub, and weights would
    be read in other formats than safetensors. Raises LatxaError when the model cannot be loaded.
    """
    from lm_eval.models.huggingface import HFLM

    tokenizer = load_tokenizer(model, trust_remote_code=trust_remote_code)
    network = load_model(model, device=device, trust_remote_code=trust_remote_code)
    return HFLM(pretrained=network, tokenizer=tokenizer, batch_size=batch_size)
