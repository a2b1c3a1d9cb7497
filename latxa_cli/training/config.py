"""The settings of a training run: defaults, a TOML file, flags, in rising order of precedence.

`latxa train … --config FILE.toml` reads a flat TOML file with the names below; the resolved settings are saved as
`train.toml` beside the model and can be given to `--config` again.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from types import MappingProxyType
from typing import Any

from latxa_cli.stream.errors import LatxaError, UsageError, nearest

CHOICES = {"chat_loss": ("assistant", "all"), "dtype": ("float32", "bfloat16")}
AT_LEAST_ONE = ("batch_size", "gradient_accumulation")
SHARES = ("warmup_ratio", "minimum_learning_rate_ratio", "beta1", "beta2")
NOT_NEGATIVE = ("weight_decay", "neftune_alpha", "checkpoint_every", "seed")


@dataclass(frozen=True, slots=True)
class TrainConfig:
    """How to train. Defaults are those of the Basque study (arXiv 2506.07597, appendix) but for sequence and batch.

    Raises UsageError for a value that cannot be.
    """

    epochs: float = 1.0
    learning_rate: float = 1e-5  # peak
    batch_size: int = 8  # sequences in one forward pass
    gradient_accumulation: int = 1  # forward passes in one optimiser step
    sequence_length: int = 1024  # tokens
    warmup_ratio: float = 0.1  # share of the steps over which the learning rate rises
    minimum_learning_rate_ratio: float = 0.33  # the cosine ends at this share of the peak
    weight_decay: float = 0.1  # on matrices only
    beta1: float = 0.9
    beta2: float = 0.95
    clip: float = 1.0  # largest norm of the gradient
    seed: int = 0
    chat_loss: str = "assistant"  # or "all": user turns too
    source_loss: dict[str, str] = field(default_factory=dict)  # that of the conversations of one source, by its name
    dtype: str = "float32"  # or "bfloat16": forward and backward in bfloat16, weights and optimiser in float32
    checkpoint_every: int = 500  # steps; and one at the end. 0: no checkpoints, a resumed run begins again
    neftune_alpha: float = 0.0  # noise on the embeddings (arXiv 2310.05914); 0: none

    def __post_init__(self) -> None:
        for name, choices in CHOICES.items():
            if getattr(self, name) not in choices:
                _refuse(name, getattr(self, name), "must be " + " or ".join(f"`{choice}`" for choice in choices))
        for source, loss in self.source_loss.items():
            if loss not in CHOICES["chat_loss"]:
                _refuse(f"source_loss.{source}", loss, "must be `assistant` or `all`")
        for name in AT_LEAST_ONE:
            if getattr(self, name) < 1:
                _refuse(name, getattr(self, name), "must be at least 1")
        for name in SHARES:
            if not 0 <= getattr(self, name) <= 1 or (name.startswith("beta") and getattr(self, name) == 1):
                _refuse(name, getattr(self, name), "must lie between 0 and 1")
        for name in NOT_NEGATIVE:
            if getattr(self, name) < 0:
                _refuse(name, getattr(self, name), "must not be negative")
        if self.seed >= 2**31:
            _refuse("seed", self.seed, "must be below 2147483648")
        for name in ("epochs", "learning_rate", "clip"):
            if not 0 < getattr(self, name) < float("inf"):
                _refuse(name, getattr(self, name), "must be above 0")
        if self.sequence_length < 2:
            _refuse("sequence_length", self.sequence_length, "must be at least 2: each token is told from those before")


def chat_losses(values: Sequence[str]) -> tuple[str | None, dict[str, str]]:
    """Return the loss of all conversations, if it is among `values`, and those of single sources (`SOURCE=LOSS`).

    Raises UsageError for another loss.
    """
    default, by_source = None, {}
    for value in values:
        source, equals, loss = value.rpartition("=")
        if loss not in CHOICES["chat_loss"] or (equals and not source):
            raise UsageError(f"`--chat-loss {value}` is neither `assistant` nor `all`", hint="or `SOURCE=all`")
        if equals:
            by_source[source] = loss
        else:
            default = loss
    return default, by_source


def resolve(path: Path | None, prepared: Mapping[str, Any] = MappingProxyType({}), **flags: Any) -> TrainConfig:
    """Return the settings: those of the TOML file `path`, overruled by the `flags` that are not None.

    `prepared`: those that the data were prepared with, which cannot be changed any more.

    Raises:
        LatxaError: the file cannot be read.
        UsageError: it is not TOML, has an unknown key (the nearest known one is named), or a value of a wrong type; or
            a setting is another than that of the prepared data.
    """
    settings = _from_toml(path) if path is not None else {}
    settings.update({name: value for name, value in flags.items() if value is not None})
    for name, value in prepared.items():
        if settings.get(name, value) != value:
            raise UsageError(
                f"`{name}` is `{settings[name]}`, and the data were prepared with `{value}`",
                hint="leave it out, or prepare them again",
            )
    return TrainConfig(**{**settings, **prepared})


def _from_toml(path: Path) -> dict[str, Any]:
    try:
        settings = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise LatxaError(f"`{path}` cannot be read: {error.strerror}") from error
    except ValueError as error:  # TOMLDecodeError and UnicodeDecodeError
        raise UsageError(f"`{path}` is not TOML: {error}") from error
    default = TrainConfig()
    types = {field.name: type(getattr(default, field.name)) for field in fields(TrainConfig)}
    for name, value in settings.items():
        if name not in types:
            raise UsageError(f"`{path}`: unknown setting `{name}`", hint=nearest(name, list(types)))
        if types[name] is float and type(value) is int:
            settings[name] = float(value)
        elif type(value) is not types[name]:
            raise UsageError(f"`{path}`: `{name}` must be of type {types[name].__name__}, not `{value}`")
    return settings


def to_toml(config: TrainConfig) -> str:
    """Write the settings as TOML that `resolve` reads back."""
    lines, tables = [], []
    for name, value in asdict(config).items():
        if isinstance(value, dict):
            tables += (
                [f"\n[{name}]", *(f"{_quoted(key)} = {_quoted(item)}" for key, item in value.items())] if value else []
            )
        else:
            lines.append(f"{name} = {_quoted(value) if isinstance(value, str) else repr(value)}")
    return "\n".join(lines + tables) + "\n"


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)  # TOML's basic strings take all that JSON writes


def _refuse(name: str, value: Any, why: str) -> None:
    raise UsageError(f"`{name}` is `{value}`: it {why}", hint="settings come from `--config` and from flags")
