"""Loading a model or tokenizer from a directory or the hub, with errors in one line.

Weights are read as safetensors only; code that comes with a model is run only when the user says so.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from latxa_cli.stream.errors import LatxaError

TINY = 50_000_000  # parameters; below, a second thread costs more than it gives (measured: up to 5 x slower on CPU)


def load_tokenizer(model: str, *, trust_remote_code: bool = False) -> Any:
    """Return the model's tokenizer; raises LatxaError when there is none or it cannot be had."""
    from transformers import AutoTokenizer

    _check_directory(model)
    try:
        return AutoTokenizer.from_pretrained(
            model, trust_remote_code=trust_remote_code, local_files_only=_is_local(model)
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _cannot_load(model, "tokenizer", error) from None


def load_model(model: str, *, device: str | None = None, trust_remote_code: bool = False) -> Any:
    """Return the causal language model in float32 on CPU, in its own dtype on a GPU, on `device` or the best there is.

    Raises LatxaError when it cannot be had or does not fit.
    """
    import torch
    from transformers import AutoModelForCausalLM

    _check_directory(model)
    chosen = device or ("cuda" if torch.cuda.is_available() else "cpu")
    try:
        network: Any = AutoModelForCausalLM.from_pretrained(
            model,
            dtype=torch.float32 if chosen == "cpu" else "auto",
            use_safetensors=True,
            trust_remote_code=trust_remote_code,
            local_files_only=_is_local(model),
        )
        network.to(chosen)
    except torch.cuda.OutOfMemoryError:
        raise LatxaError(f"the model `{model}` does not fit the memory of `{chosen}`", hint="`--device cpu`?") from None
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise _cannot_load(model, "weights", error) from None
    if chosen == "cpu" and network.num_parameters() < TINY:
        torch.set_num_threads(1)
    return network


def short_name(model: str) -> str:
    """Return the name under which a model stands in records: the last part of its path or hub name."""
    return Path(model).resolve().name if Path(model).exists() else model.rstrip("/").split("/")[-1]


def _is_local(model: str) -> bool:
    return Path(model).is_dir()


def _check_directory(model: str) -> None:
    path = Path(model)
    if path.is_file():
        raise LatxaError(f"`{model}` is a file, not a model directory")
    if path.is_dir() and not (path / "config.json").is_file():
        raise LatxaError(f"`{model}` holds no `config.json`: it is not a model directory")
    if not path.exists() and (model.startswith(("/", ".", "~")) or model.count("/") > 1):
        raise LatxaError(f"`{model}`: no such directory")


def _cannot_load(model: str, what: str, error: Exception) -> LatxaError:
    if _is_local(model):
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        return LatxaError(f"`{model}`: its {what} cannot be loaded: {reason}")
    return LatxaError(
        f"`{model}` is no directory here, and the hub does not give its {what}",
        hint="is the name right, the hub within reach, `HF_TOKEN` set if it is gated?",
    )
