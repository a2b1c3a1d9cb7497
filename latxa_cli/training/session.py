"""A training run from end to end: load, prepare, train, export. The pieces are in the other modules of this folder."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from latxa_cli.chat import Loss
from latxa_cli.model import load_model, load_tokenizer
from latxa_cli.stream.errors import LatxaError
from latxa_cli.stream.records import Record
from latxa_cli.training import loop
from latxa_cli.training.config import TrainConfig, to_toml
from latxa_cli.training.export import count_parameters, export, writing
from latxa_cli.training.prepare import Prepared, prepare


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
    if tokenizer.eos_token_id is None:
        raise LatxaError(
            f"the tokenizer of `{name}` has no end-of-text token",
            hint="name it as `eos_token` in `tokenizer_config.json`",
        )
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


def prepare_records(records: Iterable[Record], loaded: Loaded, config: TrainConfig) -> Prepared:
    """Tokenise and pack; see `latxa_cli.training.prepare.prepare`."""
    chat_loss: Loss = "all" if config.chat_loss == "all" else "assistant"
    return prepare(records, loaded.tokenizer, sequence_length=config.sequence_length, chat_loss=chat_loss)


def describe(prepared: Prepared) -> list[str]:
    """Say what was packed: all in all, then each source, then what looks like a mistake."""
    lines = [f"{len(prepared.packed):,} rows, {prepared.tokens:,} tokens, {prepared.fill:.1%} full"]
    for name, share in prepared.shares.items():
        part = share.trained / max(1, share.tokens)
        lines.append(f"{name}: {share.records:,} records, {share.tokens:,} tokens, {part:.1%} trained")
    if prepared.other_split:
        lines.append(f"{prepared.other_split:,} records of other splits are left out")
    lines += [f"warning: nothing of `{name}` is trained" for name in prepared.untrained_sources]
    return lines


def cost(loaded: Loaded, prepared: Prepared, config: TrainConfig) -> list[str]:
    """Do a few steps and say what the whole run would take."""
    estimate = loop.estimate(loop.Trainer(loaded.model, prepared.packed, config))
    gigabyte = 1 << 30
    return [
        f"{estimate.steps:,} steps; {estimate.parameters:,} parameters",
        f"memory: {estimate.state_bytes / gigabyte:.2f} GiB for weights, gradients and moments; "
        f"{estimate.peak_bytes / gigabyte:.2f} GiB at the peak of {loop.TRIAL_STEPS} steps",
        f"time: {estimate.seconds:,.0f} s at {estimate.tokens_per_second:,.0f} tokens/s",
    ]


def run(
    loaded: Loaded, prepared: Prepared, config: TrainConfig, directory: Path, *, resume: bool, report: loop.Report
) -> dict[str, Any]:
    """Train and export into `directory`; return facts for the manifest.

    `directory` then holds the model as transformers reads it, `metrics.jsonl` and `train.toml`; and the checkpoints,
    which the caller removes when all is done. Until then `resume` finds the last one and goes straight to the export.

    Raises:
        LatxaError: as `loop.check_isolation`, `loop.train` and `export` do.
    """
    import torch

    loop.check_isolation(loaded.model, prepared.packed)
    with writing(directory):
        directory.mkdir(parents=True, exist_ok=True)
    trainer = loop.Trainer(loaded.model, prepared.packed, config)
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
        "rows": len(prepared.packed),
        "tokens": prepared.tokens,
        "trained_tokens": prepared.trained,
        "fill": round(prepared.fill, 4),
        "sources": {name: asdict(share) for name, share in prepared.shares.items()},
        **({"other split": prepared.other_split} if prepared.other_split else {}),
        "threads": torch.get_num_threads(),
        "device": str(trainer.device),
    }
