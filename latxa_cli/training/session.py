"""A training run from end to end: load, train, export. The pieces are in the other modules of this folder."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from latxa_cli.model import count_parameters, export, load_model, load_tokenizer, writing
from latxa_cli.stream.errors import LatxaError
from latxa_cli.training import loop
from latxa_cli.training.config import TrainConfig, to_toml
from latxa_cli.training.prepare import digest_of
from latxa_cli.training.rows import Rows


@dataclass(frozen=True, slots=True)
class Loaded:
    """A model on its device, and its tokenizer."""

    model: Any
    tokenizer: Any


def load(
    name: str, config: TrainConfig, *, device: str | None, threads: int | None, trust_remote_code: bool = False
) -> Loaded:
    """Read model and tokenizer, put the model on the device, and set the number of CPU threads.

    `threads` None: as many as `latxa_cli.model.load_model` finds right for the model.

    Raises:
        LatxaError: one of them cannot be read, or the sequence is longer than the model's context.
        UsageError: there is no such device.
    """
    import torch

    tokenizer = load_tokenizer(name, trust_remote_code=trust_remote_code)
    model = load_model(name, device=device, dtype="float32", trust_remote_code=trust_remote_code)
    context = getattr(model.config.get_text_config(), "max_position_embeddings", None)
    if context and config.sequence_length > context:
        raise LatxaError(
            f"`{name}` takes at most {context} tokens, `sequence_length` is {config.sequence_length}",
            hint=f"`--sequence-length {context}`",
        )
    if threads is not None:
        torch.set_num_threads(threads)
    return Loaded(model, tokenizer)


def check_rows(rows: Rows, loaded: Loaded, name: str) -> None:
    """Raise LatxaError where rows that were prepared are not for this model."""
    if rows.facts["tokenizer"] != digest_of(loaded.tokenizer):
        raise LatxaError(
            f"the data were prepared with the tokenizer of `{rows.facts['model']}`, and that of `{name}` is another",
            hint="prepare them again with this model",
        )
    loaded.tokenizer.chat_template = rows.facts["chat_template"]  # the model learns this one


def cost(loaded: Loaded, rows: Rows, config: TrainConfig) -> list[str]:
    """Do a few steps and say what the whole run would take."""
    estimate = loop.estimate(loop.Trainer(loaded.model, rows, config))
    gigabyte = 1 << 30
    return [
        f"{estimate.steps:,} steps; {estimate.parameters:,} parameters",
        f"memory: {estimate.state_bytes / gigabyte:.2f} GiB for weights, gradients and moments; "
        f"{estimate.peak_bytes / gigabyte:.2f} GiB at the peak of {loop.TRIAL_STEPS} steps",
        f"time: {estimate.seconds:,.0f} s at {estimate.tokens_per_second:,.0f} tokens/s",
    ]


def run(
    loaded: Loaded, rows: Rows, config: TrainConfig, directory: Path, *, resume: bool, report: loop.Report
) -> dict[str, Any]:
    """Train and export into `directory`; return facts for the manifest.

    `directory` then holds the model as transformers reads it, `metrics.jsonl` and `train.toml`; and the checkpoints,
    which the caller removes when all is done. Until then `resume` finds the last one and goes straight to the export.

    Raises:
        LatxaError: as `loop.check_isolation`, `loop.train` and `export` do.
    """
    import torch

    loop.check_isolation(loaded.model, rows)
    with writing(directory):
        directory.mkdir(parents=True, exist_ok=True)
    trainer = loop.Trainer(loaded.model, rows, config)
    for _ in loop.train(trainer, directory, resume=resume, report=report):
        pass
    with writing(directory):  # now and not before: settings that `loop.train` refuses must not stand there
        (directory / "train.toml").write_text(to_toml(config), encoding="utf-8")
    export(loaded.model, loaded.tokenizer, directory, dtype=config.dtype)
    last = json.loads((directory / loop.METRICS).read_text(encoding="utf-8").splitlines()[-1])
    return {
        "steps": last["step"],
        "loss": last["loss"],
        "parameters": count_parameters(loaded.model),
        "rows": len(rows),
        "tokens": rows.tokens,
        "trained_tokens": rows.trained,
        "fill": round(rows.fill, 4),
        "sources": rows.shares,
        "threads": torch.get_num_threads(),
        "device": str(trainer.device),
    }
