"""Models for all verbs: finding and loading them in a directory or on the hub, and their files.

Weights are read as safetensors only. Code that comes with a model is run only when the user says so.
"""

from __future__ import annotations

import errno
import json
import logging
import os
import re
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from latxa_cli import hub
from latxa_cli.architecture import auto_class, check_reads_text
from latxa_cli.stream.errors import LatxaError, UsageError, first_line
from latxa_cli.stream.inputs import fingerprint_of
from latxa_cli.stream.records import JsonObject
from latxa_cli.stream.writer import write_file

if TYPE_CHECKING:
    import torch

# Models of fewer parameters get one CPU thread, since threads wait for each other in a busy loop. Two threads on two
# CPUs train 0.9 million parameters a third faster on an idle machine (13,000 tokens/s against 9,500), but ten times
# slower on a busy one.
SMALL = 20_000_000
FULL = (errno.ENOSPC, errno.EDQUOT)  # the operating system's errors for a full disk
TOKENIZER_FILES = ("tokenizer.json", "tokenizer.model", "tokenizer_config.json", "vocab.json", "spiece.model")

# The files of a model as patterns. `*.safetensors` would also match the weights of a second form, which some models
# have.
CHAT_TEMPLATE_PATTERNS = ("chat_template*", "additional_chat_templates/*")
TOKENIZER_PATTERNS = (
    "tokenizer*", "special_tokens_map.json", "added_tokens.json", "vocab*", "merges.txt", "*.model",
    *CHAT_TEMPLATE_PATTERNS,
)  # fmt: skip
CONFIG, GENERATION, TOKENIZER_CONFIG = "config.json", "generation_config.json", "tokenizer_config.json"
CONFIG_FILES = (CONFIG, GENERATION)
ADAPTER = "adapter_config.json"
WEIGHTS = ("*.safetensors", "*.safetensors.index.json")
MODEL_PATTERNS = ("model*.safetensors", "model.safetensors.index.json", *CONFIG_FILES, *TOKENIZER_PATTERNS)


def short_name(model: str) -> str:
    """Return the name of a model in records: the last part of its path or hub name."""
    return Path(model).resolve().name if Path(model).exists() else model.rstrip("/").split("/")[-1]


def weights_id(model: str) -> str | None:
    """Return 16 hex digits of the weights of a directory, or the commit of a model in the hub's cache; else None.

    Of each file of weights its name, its size and the first and last MiB are hashed.
    """
    directory = Path(model)
    if directory.is_dir():
        files = [file for pattern in WEIGHTS for file in directory.glob(pattern)]
        return str(fingerprint_of(files)["xxh3_128"])[:16] if files else None
    from huggingface_hub import try_to_load_from_cache

    cached = try_to_load_from_cache(model, CONFIG)
    return Path(cached).parent.name[:16] if isinstance(cached, str) else None


def check(model: str) -> None:
    """Check that `model` can be a model, before any library is loaded.

    Raises LatxaError for a missing directory, a directory without configuration or tokenizer, one with an adapter
    (transformers would look for its model elsewhere, or add it to the weights), or an unreachable hub, unless the model
    is in the hub's local cache.
    """
    directory = Path(model)
    if directory.is_dir():
        if (directory / ADAPTER).is_file():
            merged, hint = (
                any(directory.glob("model*.safetensors")),
                "merge it into its model (`merge_and_unload` of peft)",
            )
            raise LatxaError(
                f"`{model}` holds an adapter beside weights"
                if merged
                else f"`{model}` is an adapter, without its model",
                hint=f"{hint}, or remove `{ADAPTER}` if the weights have it in them" if merged else hint,
            )
        if not (directory / "config.json").is_file():
            raise LatxaError(
                f"`{model}` has no `config.json`",
                hint="give the directory of a model: weights, configuration, tokenizer",
            )
        if not any((directory / name).is_file() for name in TOKENIZER_FILES):
            raise LatxaError(
                f"`{model}` has no tokenizer", hint="copy `tokenizer.json` and `tokenizer_config.json` into it"
            )
    elif not hub.is_a_name(model):
        raise LatxaError(f"there is no model directory `{model}`", hint="`latxa init` and `latxa train` make one")
    elif not hub.is_cached(model) and not hub.can_be_reached():
        raise LatxaError(
            f"there is no directory `{model}`, and the hub cannot be reached to look for a model of that name",
            hint="give the path of a model directory",
        )


def directory_of(model: str) -> Path:
    """Return the directory of the model's files; those of a model on the hub are taken from its cache or downloaded.

    Raises LatxaError as `check` does, and where the hub refuses.
    """
    check(model)
    if is_local(model):
        return Path(model)
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError

    quiet_libraries()
    try:
        offline = not hub.can_be_reached()
        return Path(snapshot_download(model, allow_patterns=list(MODEL_PATTERNS), local_files_only=offline))
    except (OSError, ValueError, HfHubHTTPError) as error:
        raise cannot_load(model, "files", error) from None


def load_config(model: str, *, trust_remote_code: bool = False) -> Any:
    """Return the model's configuration with the defaults of transformers; raises LatxaError."""
    check(model)
    from huggingface_hub.errors import StrictDataclassError
    from transformers import AutoConfig

    quiet_libraries()
    try:
        return AutoConfig.from_pretrained(model, trust_remote_code=trust_remote_code, local_files_only=is_local(model))
    except (OSError, ValueError, KeyError, TypeError, ImportError, StrictDataclassError) as error:
        raise cannot_load(model, "configuration", error) from None


def load_text_config(model: str, *, trust_remote_code: bool = False) -> Any:
    """Return the configuration of the text part; raises LatxaError, also for a model that does not take text alone."""
    config = load_config(model, trust_remote_code=trust_remote_code)
    check_reads_text(model, config, trust_remote_code=trust_remote_code)
    return config.get_text_config()


def by_layer(config: Any, name: str) -> list[int]:
    """Return a size of each layer by its name in a configuration, such as `head_dim`; 0 where there is none.

    Layers may each have one of their own (Gemma 4), and a configuration then refuses to name one for all.
    """
    if name in (getattr(config, "per_layer_attributes", None) or ()):
        return [getattr(layer, name, None) or 0 for layer in config.per_layer_config]
    value = getattr(config, name, None) or 0
    return list(value) if isinstance(value, list | tuple) else [value] * getattr(config, "num_hidden_layers", 1)


def load_model(
    model: str,
    *,
    device: str | None = None,
    dtype: str | None = None,
    trust_remote_code: bool = False,
    form: Literal["AutoModelForSequenceClassification"] | None = None,
) -> Any:
    """Return the model of this form (by default a model that continues text) on a device.

    - device: by default a GPU if there is one, else the CPU.
    - dtype: that of the weights in memory; by default float32 on the CPU, and on a GPU the one in the file.
    - A small model (`SMALL`) on the CPU sets torch to one thread.

    Raises LatxaError where the model cannot be loaded, lacks weights or does not fit, UsageError for an unknown device.
    """
    check(model)
    loaded_as = form or auto_class(model, load_config(model, trust_remote_code=trust_remote_code))
    import torch
    import transformers
    from safetensors import SafetensorError

    quiet_libraries()
    place = choose_device(device)
    kind = dtype or ("float32" if place.type == "cpu" else "auto")
    try:
        loaded: Any = getattr(transformers, loaded_as).from_pretrained(
            model,
            output_loading_info=True,
            dtype=kind if kind == "auto" else getattr(torch, kind),
            use_safetensors=True,
            trust_remote_code=trust_remote_code,
            local_files_only=is_local(model),
        )
        network, report = loaded
        network.to(place)
    except torch.cuda.OutOfMemoryError:
        raise LatxaError(f"`{model}` does not fit the memory of `{place}`", hint="another `--device`?") from None
    except (
        OSError, ValueError, TypeError, LookupError, AttributeError, RuntimeError, ImportError, SafetensorError,
    ) as error:  # fmt: skip
        raise cannot_load(model, "weights", error) from None
    if missing := sorted(report["missing_keys"]):  # the library would fill them with random numbers
        hint = "is the copy complete, and `config.json` that of these weights?"
        if transformers.integrations.is_deepspeed_zero3_enabled():  # it renames weights of some families otherwise
            hint += " Or does a lower `zero_stage` find them?"
        raise LatxaError(
            f"`{model}`: its weights lack {len(missing)} of the model's parameters, `{missing[0]}` first", hint=hint
        )
    if place.type == "cpu" and network.num_parameters() < SMALL:
        torch.set_num_threads(1)
    return network


def choose_device(name: str | None) -> torch.device:
    """Return the torch device called `name`, by default a GPU if there is one, else the CPU; raises UsageError."""
    import torch

    try:
        device = torch.device(name or ("cuda" if torch.cuda.is_available() else "cpu"))
        torch.zeros(1, device=device).tolist()  # fails for a missing GPU, and for `meta`, which holds no numbers
    except (RuntimeError, AssertionError):
        raise UsageError(f"there is no device `{name}`", hint="`cpu`, or `cuda` where torch finds a GPU") from None
    return device


def is_local(model: str) -> bool:
    """Whether a model is a directory, not a name on the hub."""
    return Path(model).is_dir()


def cannot_load(model: str, item: str, error: Exception) -> LatxaError:
    """Return the error that says why a library loads no such item of a model."""
    if is_local(model):
        file = {"configuration": CONFIG, "tokenizer": "tokenizer.json", "weights": "model.safetensors"}[item]
        hint = f"is `{file}` in it whole, and of this model?"
        if not (Path(model) / file).exists():
            hint = "give a directory with `config.json`, `model.safetensors` and a tokenizer"
        return LatxaError(f"`{model}`: its {item} cannot be loaded: {first_line(error)}", hint=hint)
    return LatxaError(
        f"the hub does not give the {item} of `{model}`: {first_line(error)}",
        hint="is the name right, and `HF_TOKEN` set if the model is gated?",
    )


def quiet_libraries() -> None:
    """Silence the progress bars and notices of libraries; DeepSpeed would log to stdout on import."""
    from transformers.utils import logging as transformers_logging

    transformers_logging.disable_progress_bar()
    transformers_logging.set_verbosity_error()
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)
    logging.getLogger("DeepSpeed").addFilter(lambda entry: entry.levelno >= logging.ERROR)


# --- writing


@contextmanager
def writing(directory: Path) -> Iterator[None]:
    """Turn the operating system's errors of writing into `directory` into a LatxaError; other errors pass.

    Python raises OSError. safetensors raises an error of its own and tokenizers a bare `Exception`, whose texts end in
    the system's number, as in `(os error 28)`.
    """
    from safetensors import SafetensorError

    try:
        yield
    except Exception as error:  # tokenizers raises a bare `Exception`; errors without a number are raised again
        number = error.errno if isinstance(error, OSError) else None
        if type(error) in (Exception, SafetensorError) and (found := re.search(r"\(os error (\d+)\)", str(error))):
            number = int(found[1])
        if number is None:
            raise
        hint = "free some space, then `--resume`" if number in FULL else ""
        raise LatxaError(f"{directory}: cannot be written ({os.strerror(number)})", hint=hint) from None


def count_parameters(model: Any) -> int:
    """Return the number of weights; tied ones count once."""
    return sum(parameter.numel() for parameter in model.parameters())


def synchronise(path: Path) -> None:
    """Wait until a file's bytes, or a directory's entries, are on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


# --- the files of a model other than weights


def matching(directory: Path, patterns: Iterable[str]) -> list[Path]:
    """Return the files in `directory` that match any of the patterns, sorted."""
    return sorted({path for pattern in patterns for path in directory.glob(pattern) if path.is_file()})


def clear(directory: Path) -> None:
    """Remove the files of a model that an interrupted run left in `directory`; raises LatxaError."""
    with writing(directory):
        for path in matching(directory, [pattern.rstrip("*") + "*" for pattern in MODEL_PATTERNS]):
            path.unlink()


def copy_files(source: Path, target: Path, patterns: Iterable[str], *, but: Iterable[str] = ()) -> None:
    """Copy the files that match `patterns` but none of `but`, and wait until they are on the disk; raises OSError."""
    exceptions = set(matching(source, but))
    for path in matching(source, patterns):
        if path not in exceptions:
            copy = target / path.relative_to(source)
            copy.parent.mkdir(exist_ok=True)
            shutil.copyfile(path, copy)
            synchronise(copy)


def has_chat_template(directory: Path) -> bool:
    """Whether the tokenizer in `directory` has a chat template; raises LatxaError as `read_settings` does."""
    in_files = bool(matching(directory, CHAT_TEMPLATE_PATTERNS))
    return in_files or bool(read_settings(directory / TOKENIZER_CONFIG).get("chat_template"))


def read_settings(path: Path) -> JsonObject:
    """Return the JSON object in a file, or an empty one where there is no file; raises LatxaError for other content."""
    try:
        loaded = json.loads(path.read_bytes())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError):
        loaded = None
    if not isinstance(loaded, dict):
        raise LatxaError(f"{path}: cannot be read as a JSON object")
    return loaded


def write_settings(path: Path, settings: JsonObject) -> None:
    """Write a JSON object atomically; raises LatxaError."""
    write_file(path, (json.dumps(settings, indent=2, ensure_ascii=False) + "\n").encode())
