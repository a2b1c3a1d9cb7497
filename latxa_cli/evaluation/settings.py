"""The settings of an evaluation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from latxa_cli.evaluation.asking.letters import Format
    from latxa_cli.generation.engine import EngineOptions

HARNESS_SEED = 1234  # the harness's own seed for shots, and so that of most published numbers


@dataclass(frozen=True)
class Settings:
    """The settings of a run.

    - `few_shot` and `format` None: each task's file sets its shots and its format.
    - `chat` None: a model with a chat template is asked through it.
    - `suite_shots`: shots of tasks, by name, as their suite has them.
    - `take`: items of each task or group in all; None for all.
    """

    few_shot: int | None = None
    chat: bool | None = False
    take: int | None = None
    batch_size: int | None = None
    seed: int = HARNESS_SEED
    device: str | None = None
    trust_remote_code: bool = False
    day: date | None = None
    format: Format | None = None
    engine: EngineOptions | None = None
    thinking: Literal["on", "off"] | None = None
    max_tokens: int | None = None
    paper: bool = False
    shot_seeds: int = 1
    suite_shots: Mapping[str, int] = field(default_factory=dict)
