"""A model for lm-evaluation-harness, checked before anything is loaded."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from latxa_cli.evaluation import hub
from latxa_cli.model import load_model, load_tokenizer, short_name
from latxa_cli.stream.errors import LatxaError, UsageError

TOKENIZER_FILES = ("tokenizer.json", "tokenizer.model", "tokenizer_config.json", "vocab.json", "spiece.model")


def display_names(models: Sequence[str]) -> dict[str, str]:
    """Return the name of each model in records: the last part of its path, or all of it where two would be the same.

    Raises UsageError when a model is given twice.
    """
    short = {model: short_name(model) for model in models}
    if len(short) < len(models):
        raise UsageError("a model is given twice")
    names = list(short.values())
    return {model: name if names.count(name) == 1 else model for model, name in short.items()}


def check(model: str) -> None:
    """Look whether `model` can be a model, before anything is loaded.

    Raises LatxaError: no such directory, a directory without configuration or tokenizer, or a hub out of reach
    (unless the model is in the hub's local cache).
    """
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    directory = Path(model)
    if directory.is_dir():
        if not (directory / "config.json").is_file():
            raise LatxaError(
                f"`{model}` has no `config.json`",
                hint="give the directory of a model: weights, configuration, tokenizer",
            )
        if not any((directory / name).is_file() for name in TOKENIZER_FILES):
            raise LatxaError(
                f"`{model}` has no tokenizer", hint="copy `tokenizer.json` and `tokenizer_config.json` into it"
            )
        return
    try:
        cached = isinstance(try_to_load_from_cache(model, "config.json"), str)
    except HFValidationError:
        raise LatxaError(f"there is no model directory `{model}`") from None
    if not cached and not hub.can_be_reached():
        raise LatxaError(
            f"there is no directory `{model}`, and the hub cannot be reached to look for a model of that name",
            hint="give the path of a model directory",
        )


def load(model: str, *, device: str | None, batch_size: int, trust_remote_code: bool = False) -> Any:
    """Return the harness's wrapper (HFLM) round `model`, which `latxa_cli.model` loads.

    Loaded by the harness itself, a local path such as `models/base` would be looked up on the hub, and weights would
    be read in other formats than safetensors. Raises LatxaError when the model cannot be loaded.
    """
    from lm_eval.models.huggingface import HFLM
    from safetensors import SafetensorError

    check(model)
    tokenizer = load_tokenizer(model, trust_remote_code=trust_remote_code)
    try:
        network = load_model(model, device=device, trust_remote_code=trust_remote_code)
    except SafetensorError as error:
        raise LatxaError(f"`{model}`: its weights are damaged: {first_line(error)}") from None
    return HFLM(pretrained=network, tokenizer=tokenizer, batch_size=batch_size)


def first_line(error: BaseException) -> str:
    """Return the first line of an error's message, or its kind where it has none."""
    lines = str(error).strip().splitlines()
    return lines[0].strip() if lines else type(error).__name__
