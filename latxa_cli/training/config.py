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
from latxa_cli.stream.named import named_values
from latxa_cli.stream.records import JsonObject

CHOICES: dict[str, tuple[str, ...]] = {
    "chat_loss": ("assistant", "all"),
    "dtype": ("float32", "bfloat16"),
    "neftune_scale": ("sequence", "row"),
    "backend": ("torch", "deepspeed"),
    "attention": ("auto", "sdpa", "eager", "varlen", "flash_attention_2", "flash_attention_3"),
    "kernels": ("auto", "torch", "liger", "compile"),
    "packing": ("auto", "always", "never"),
}
AT_LEAST_ONE = ("sequences_per_step", "batch_size")
SHARES = ("warmup_ratio", "minimum_learning_rate_ratio", "beta1", "beta2")
NOT_NEGATIVE = (
    "max_steps", "weight_decay", "neftune_alpha", "checkpoint_every", "validate_every", "keep", "seed", "lora_rank",
    "lora_alpha", "watchdog_minutes",
)  # fmt: skip
# Settings that change the speed or place of a run but not its result: a resumed run may have others.
WAYS_OF_COMPUTING = (
    "batch_size", "checkpoint_every", "keep", "validate_every", "backend", "zero_stage", "deepspeed",
    "gradient_checkpointing", "attention", "kernels", "packing", "watchdog_minutes",
)  # fmt: skip
LENGTH = ("epochs", "max_steps")  # settings that a resumed run may have others of, to train longer


@dataclass(frozen=True, slots=True)
class TrainConfig:
    """The settings of a run; defaults are those of the Basque study (arXiv 2506.07597, appendix), at a smaller scale.

    The study has longer sequences and larger batches.

    Raises:
        UsageError: a value is out of range.
    """

    epochs: float = 1.0
    max_steps: int = 0  # so many steps, in place of `epochs`; 0: by `epochs`
    learning_rate: float = 1e-5  # peak
    sequences_per_step: int = 8  # rows of one optimiser step, over all processes
    sequence_length: int = 1024  # tokens of a row
    warmup_ratio: float = 0.1  # share of the steps over which the learning rate rises
    minimum_learning_rate_ratio: float = 0.33  # the cosine ends at this share of the peak
    weight_decay: float = 0.1  # on matrices only
    beta1: float = 0.9
    beta2: float = 0.95
    clip: float = 1.0  # largest norm of the gradient
    seed: int = 0
    chat_loss: str = "assistant"  # turns that the loss counts; "all": user turns too
    source_loss: dict[str, str] = field(default_factory=dict)  # {source: the loss of its conversations}
    fold_system: bool = False  # system turns become part of the user's, for templates that have none
    neftune_alpha: float = 0.0  # noise on the embeddings (arXiv 2310.05914); 0: none
    neftune_scale: str = "sequence"  # noise by the length of the token's own text; "row": by that of the packed row
    dtype: str = "float32"  # or "bfloat16": forward and backward in bfloat16, weights and optimiser in float32
    lora_rank: int = 0  # low-rank adapters (arXiv 2106.09685), which alone are trained; 0: none
    lora_alpha: float = 0.0  # adapters are scaled by alpha / rank; 0: twice the rank
    # Layers with adapters, by the end of their names; []: all linear layers but the head.
    lora_targets: list[str] = field(default_factory=list)
    lora_experts: bool = False  # adapters for each expert of a mixture too, which are no layers of their own
    # Parameters with one of these in their name are trained whole beside adapters, such as embeddings of new tokens.
    lora_whole: list[str] = field(default_factory=list)
    freeze: list[str] = field(default_factory=list)  # parameters with one of these in their name are not trained

    batch_size: int = 8  # rows in one forward pass of one process
    gradient_checkpointing: bool = False  # less memory for a third more computation
    attention: str = "auto"  # "varlen" (torch's FlashAttention) on a GPU in bfloat16, else "sdpa"
    kernels: str = "auto"  # "liger" on a GPU where it is installed; or "compile": torch.compile
    # "auto": all texts of a row in one pass, where the model keeps them apart; else, or "never", rows are taken apart.
    packing: str = "auto"
    backend: str = "torch"  # or "deepspeed"
    zero_stage: int = 2  # DeepSpeed shares out moments (1), gradients too (2), weights too (3)
    deepspeed: str = ""  # a JSON file of DeepSpeed's own settings, which win over ours
    checkpoint_every: int = 500  # steps; the last step always has one. 0: the last step alone
    keep: int = 0  # checkpoints that stay, also after the end. 0: two, and none after the end
    validate_every: int = 0  # steps; the last step always validates. 0: with every checkpoint
    watchdog_minutes: float = 30.0  # without a step, after which the run ends itself; 0: never

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
            if not 0 <= getattr(self, name) < float("inf"):
                _refuse(name, getattr(self, name), "must be a number that is not negative")
        if self.seed >= 2**31:
            _refuse("seed", self.seed, "must be below 2147483648")
        for name in ("epochs", "learning_rate", "clip"):
            if not 0 < getattr(self, name) < float("inf"):
                _refuse(name, getattr(self, name), "must be above 0")
        if self.lora_experts and not self.lora_rank:
            _refuse("lora_experts", "true", "needs `lora_rank`")
        if self.lora_experts and self.shares_weights:
            _refuse("lora_experts", "true", "does not go with `zero_stage` 3, which shares out the experts: take 2")
        if self.zero_stage not in range(4):
            _refuse("zero_stage", self.zero_stage, "must be 0, 1, 2 or 3")
        if self.lora_whole and not self.lora_rank:
            _refuse("lora_whole", self.lora_whole, "needs `lora_rank`: without adapters, all is trained whole")
        if self.sequence_length < 2:
            _refuse("sequence_length", self.sequence_length, "must be at least 2: nothing predicts the first token")

    @property
    def shares_weights(self) -> bool:
        """Whether each process holds a part of the weights."""
        return self.backend == "deepspeed" and self.zero_stage == 3


def chat_losses(values: Sequence[str] | None) -> JsonObject:
    """Return as `chat_loss` the loss of all conversations, and as `source_loss` {source: loss} from each `SOURCE=LOSS`.

    Each is None where `values` have none.

    Raises:
        UsageError: a loss is unknown.
    """

    def loss(text: str) -> str:
        if text not in CHOICES["chat_loss"]:
            raise ValueError("a loss is `assistant` or `all`")
        return text

    losses = named_values("--chat-loss", values or [], "[SOURCE=]LOSS", loss, last=True)
    return {"chat_loss": losses.pop("", None), "source_loss": losses or None}


def resolve(path: Path | None, prepared: Mapping[str, Any] = MappingProxyType({}), **flags: Any) -> TrainConfig:
    """Return the settings from the TOML file `path`, from `flags` that are not None, and from the prepared data.

    Args:
        path: the file, whose settings `flags` overrule.
        prepared: the settings with which the data were prepared, and which cannot change any more.
        flags: settings by name.

    Raises:
        LatxaError: the file cannot be read.
        UsageError: the file is not TOML, has an unknown key (the hint names the nearest one) or a value of a wrong
            type; or a setting differs from that of the prepared data.
    """
    of_file = _from_toml(path) if path is not None else {}
    settings = of_file | {name: value for name, value in flags.items() if value is not None}
    for name, value in prepared.items():
        if settings.get(name, value) != value:
            was, now = (str(one).lower() if isinstance(one, bool) else one for one in (value, settings[name]))
            raise UsageError(
                f"`{name}` is `{now}`, and the data were prepared with `{was}`",
                hint="leave it out, or prepare them again",
            )
    try:
        return TrainConfig(**{**settings, **prepared})
    except SettingError as error:
        if error.name in of_file and flags.get(error.name) is None:
            raise UsageError(f"`{path}`: {error.message}") from None
        raise


def _from_toml(path: Path) -> JsonObject:
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
        elif types[name] is list and not all(isinstance(item, str) for item in value):
            raise UsageError(f"`{path}`: `{name}` must be a list of texts, not `{value}`")
    if settings.get("deepspeed"):
        settings["deepspeed"] = str((path.parent / settings["deepspeed"]).absolute())
    return settings


def to_toml(config: TrainConfig) -> str:
    """Return the settings as TOML that `resolve` reads back."""
    lines, tables = [], []
    for name, value in asdict(config).items():
        if isinstance(value, dict):
            tables += (
                [f"\n[{name}]", *(f"{_quoted(key)} = {_quoted(item)}" for key, item in value.items())] if value else []
            )
        else:
            lines.append(f"{name} = {_written(value)}")
    return "\n".join(lines + tables) + "\n"


def _written(value: object) -> str:
    if isinstance(value, str):
        return _quoted(value)
    if isinstance(value, list):
        return "[" + ", ".join(map(_quoted, value)) + "]"
    return str(value).lower() if isinstance(value, bool) else repr(value)


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")  # the one character that TOML alone forbids


class SettingError(UsageError):
    """The setting called `name` has a value that it may not have."""

    def __init__(self, name: str, value: object, rule: str) -> None:
        super().__init__(f"`{name}` is `{value}`: it {rule}")
        self.name = name.partition(".")[0]


def _refuse(name: str, value: object, rule: str) -> None:
    raise SettingError(name, value, rule)
