"""The training loop: one, over both backends, any number of processes.

Steps, order of rows and noise depend only on the settings and the seed, so that a run that was cut off and resumed
gives the same losses as one that was not: to the last bit on the same number of processes (and threads), within
rounding on another.
"""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TextIO

import numpy as np
import torch
from torch import Tensor

from latxa_cli.launch import alike
from latxa_cli.model import writing
from latxa_cli.stream.errors import LatxaError, UsageError
from latxa_cli.stream.records import keyed_hash
from latxa_cli.training.backends.torch_backend import TorchBackend
from latxa_cli.training.checkpoints import checkpoint
from latxa_cli.training.config import TrainConfig
from latxa_cli.training.data.rows import PreparedRows
from latxa_cli.training.network import attention, parameters, throughput
from latxa_cli.training.network.forward import PackedLoss, noise_for, to_device
from latxa_cli.training.network.kernels import use_kernels
from latxa_cli.training.plan import TrainingPlan
from latxa_cli.training.processes import Processes
from latxa_cli.training.validation import ValidationSets, batch_of

METRICS = "metrics.jsonl"
TRIAL_STEPS = 4  # of `estimate`, the first of which makes moments and buffers and is not timed
SHOWN = 60  # characters of a text that is named in an error
SMALLER_STEPS = "a smaller `--learning-rate` or a longer warm-up; `--resume` goes on from the last checkpoint"
Report = Callable[[dict[str, Any]], None]


class Backend(checkpoint.ParameterStates, Protocol):
    """What computes gradients and takes steps: see `TorchBackend`, whose methods say what they do."""

    def before_loading(self) -> None: ...

    def wrap(self, network: PackedLoss) -> None: ...

    def accumulate(self, arguments: Mapping[str, Any], factor: float, *, last: bool) -> Tensor: ...

    def update(self, learning_rate: float) -> float: ...


def open_backend(config: TrainConfig, processes: Processes) -> Backend:
    """Return the backend of the settings, ready for its model to be loaded; raises LatxaError."""
    processes.meet(always=config.backend == "deepspeed")
    if config.backend == "torch":
        return TorchBackend(config, processes)
    from latxa_cli.training.backends.deepspeed_backend import DeepSpeedBackend

    backend = DeepSpeedBackend(config, processes)
    backend.before_loading()
    return backend


class Trainer:
    """A model, what trains it, and the rows; `step` does one optimiser step. All processes have one."""

    def __init__(
        self,
        model: Any,
        rows: PreparedRows,
        config: TrainConfig,
        *,
        processes: Processes | None = None,
        backend: Backend | None = None,
        tokenizer: Any = None,
    ) -> None:
        """`tokenizer`: names texts in errors. Raises UsageError for settings that the model does not take."""
        self.model, self.rows, self.config, self.tokenizer = model, rows, config, tokenizer
        self.processes = processes or Processes()
        self.plan = TrainingPlan(len(rows), config, self.processes.rank, self.processes.world)
        self.device = next(model.parameters()).device
        half = config.dtype == "bfloat16"
        parameters.choose(model, config)
        attention_name = attention.choose(model, config.attention, half=half, text_length=rows.text_length)
        self.kernels = use_kernels(model, config.kernels, self.device)
        if config.gradient_checkpointing:
            if not model.supports_gradient_checkpointing:
                raise UsageError(f"`{type(model).__name__}` has no `gradient_checkpointing`", hint="leave it out")
            model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
        self.network = PackedLoss(model, attention=attention_name, casts=half)
        self.backend = backend or TorchBackend(config, self.processes)
        self.backend.wrap(self.network)
        self.network.train()

    def step(self, step: int) -> dict[str, Any]:
        """Do optimiser step `step`, counted from 0; return its metrics (see `train`).

        Raises:
            LatxaError: the loss or the gradient is not a number, or infinite.
        """
        started = time.perf_counter()
        # Dropout depends on seed and step alone; hashed, since torch's draws on a CPU know the lower 32 bits only.
        torch.manual_seed(keyed_hash(self.config.seed, "dropout", str(step)) >> 1)
        batches = self.plan.batches(step)
        of_all = self.plan.rows_of(step)
        trained = self.rows.trained_in(of_all)
        total = torch.zeros((), dtype=torch.float64, device=self.device)
        pairs = 0
        for place, numbers in enumerate(batches):
            arguments, attended = self._arguments(numbers, step)
            pairs += attended
            last = place + 1 == len(batches)
            total += self.backend.accumulate(arguments, 1 / max(1, trained), last=last)
        loss_sum, all_pairs = self.processes.sum(total.item(), pairs)
        loss = loss_sum / max(1, trained)
        if not math.isfinite(loss):
            with alike(self.processes.launch):
                raise self._not_finite(loss, step, mine=not math.isfinite(total.item()))
        rate = self.plan.learning_rate(step)
        norm = self.backend.update(rate)
        if not 0 <= norm < math.inf:  # DeepSpeed says -1; the weights are spoilt now, and no checkpoint may have them
            what = f"the gradient became infinite, or no number, at step {step + 1}"
            with alike(self.processes.launch):
                raise LatxaError(what, hint=SMALLER_STEPS)
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        seconds = time.perf_counter() - started
        tokens = len(of_all) * self.rows.sequence_length
        figures = {
            "step": step + 1,
            "epoch": round((step + 1) / self.plan.steps_per_epoch, 4),
            "loss": loss,
            "learning_rate": rate,
            "gradient_norm": norm,
            "tokens": tokens,
            "trained_tokens": trained,
            "seconds": round(seconds, 4),
        }
        if (peak := throughput.peak(self.device)) and not self.config.lora_rank and not self.config.freeze:
            done = throughput.operations(self.model, round(tokens * self.rows.fill), round(all_pairs))
            figures["mfu"] = round(done / seconds / peak / self.processes.world, 4)
        return figures

    def _arguments(self, numbers: Any, step: int) -> tuple[dict[str, Any], int]:
        """Return what the network takes for rows, and how many pairs of tokens attend in them."""
        batch = batch_of(self.rows, numbers)
        arguments = to_device(batch, self.device)._asdict()
        config = self.config
        if config.neftune_alpha and len(numbers):
            size = parameters.shape(self.model.get_input_embeddings().weight)[-1]
            arguments["noise"] = noise_for(
                batch, numbers, alpha=config.neftune_alpha, by_row=config.neftune_scale == "row", size=size,
                seed=config.seed, step=step, device=self.device,
            )  # fmt: skip
        return arguments, throughput.attended_pairs(batch.position_ids) if len(numbers) else 0

    def _not_finite(self, loss: float, step: int, *, mine: bool) -> LatxaError:
        """Return the error that names the texts whose loss is not finite; `mine`: some are this process's."""
        found: list[str] = []
        own = [int(number) for batch in self.plan.batches(step) for number in batch] if mine else []
        numbers = [number for each in self.processes.all(own) for number in each]
        if self.processes.world == 1:  # else the others wait elsewhere: a forward pass may need them
            with torch.no_grad():
                for number in numbers:
                    arguments, _ = self._arguments([number], step)
                    if not math.isfinite(self.network(**arguments).item()):
                        found.append(f"row {number} ({self._beginning(number)})" if self.tokenizer else f"row {number}")
        if len(found) == len(numbers):
            where = f"in all rows, the first is {found[0]}: the weights are not finite, or the data are not to blame"
        elif found:
            where = f"in {', '.join(found[:3])}" + (f" and {len(found) - 3} more" if len(found) > 3 else "")
        else:
            where = f"in one of the rows {', '.join(map(str, sorted(numbers)[:8]))}"
        return LatxaError(
            f"the loss became `{loss}` at step {step + 1}, {where}",
            hint=SMALLER_STEPS,
        )

    def _beginning(self, number: int) -> str:
        batch = self.rows.batch([number])
        starts = np.flatnonzero(batch.position_ids[0] == 0)[:3]
        texts = (self.tokenizer.decode(batch.input_ids[0, start : start + 32].tolist()) for start in starts)
        return ", ".join(f"`{' '.join(text.split())[:SHOWN]}`" for text in texts)


def train(
    trainer: Trainer,
    directory: Path,
    *,
    done: int = 0,
    report: Report,
    validation: ValidationSets | None = None,
) -> Iterator[dict[str, Any]]:
    """Train from step `done` to the end, yielding the metrics of each step after they are in `directory/metrics.jsonl`.

    A step's metrics: step (from 1), epoch (done, a fraction), loss (mean over trained tokens, before the step),
    learning_rate, gradient_norm (before clipping), tokens (padding included), trained_tokens, seconds, and mfu where
    the device's peak is known. A line a set of `validation` follows where it was looked at. The last step too has a
    checkpoint.

    Raises:
        LatxaError: the loss or the gradient is not finite, or `directory` cannot be written.
    """
    config, plan, processes = trainer.config, trainer.plan, trainer.processes
    every = config.validate_every or config.checkpoint_every
    with writing(directory), _metrics_file(directory, done, processes) as metrics:
        for step in range(done, plan.steps):
            figures = trainer.step(step)
            lines = [figures]
            last = step + 1 == plan.steps
            if validation and (last or (every and (step + 1) % every == 0)):
                found = validation(trainer.network)
                lines += [{"step": step + 1, "validation": name, **values} for name, values in found.items()]
            metrics.write("".join(json.dumps(line) + "\n" for line in lines))
            metrics.flush()
            for line in lines:
                report(line)
            if last or (config.checkpoint_every and (step + 1) % config.checkpoint_every == 0):
                if processes.is_first:
                    os.fsync(metrics.fileno())  # a checkpoint must not be ahead of the metrics on the disk
                checkpoint.save(directory, step + 1, trainer.backend, processes)
            yield figures


def _metrics_file(directory: Path, done: int, processes: Processes) -> TextIO:
    """Open the metrics, of which the lines up to step `done` stay; the first process alone writes them."""
    if not processes.is_first:
        return Path(os.devnull).open("a", encoding="utf-8")
    metrics = (directory / METRICS).open("a+", encoding="utf-8", errors="replace")
    metrics.seek(0)
    while True:  # nothing is written again, so that a full disk loses nothing
        place = metrics.tell()
        if not _is_of_steps_up_to(done, metrics.readline()):
            break
    metrics.truncate(place)
    metrics.seek(0, os.SEEK_END)
    return metrics


def _is_of_steps_up_to(done: int, line: str) -> bool:
    """Whether a line is whole, and of a step that is done; what is behind one that a disk has spoilt goes too."""
    try:
        return line.endswith("\n") and json.loads(line)["step"] <= done
    except (ValueError, KeyError, TypeError):
        return False


def go_on(trainer: Trainer, path: Path) -> int:
    """Take over the state of the checkpoint `path`; return its step."""
    step = checkpoint.step_of(path)
    if trainer.config.backend == "deepspeed":  # which makes its moments in its first step; they are written over
        arguments, _ = trainer._arguments([], 0)
        trainer.backend.accumulate(arguments, 1.0, last=True)
        trainer.backend.update(0.0)
    trainer.backend.load(checkpoint.CheckpointReader(path), step)
    return step


@dataclass(frozen=True, slots=True)
class CostEstimate:
    """What a run would cost: `peak_bytes`, of one process, and the speed of all are measured in the trial.

    `state_bytes`: weights; of what is trained, which is float32, also gradients and two moments.
    """

    steps: int
    parameters: int
    trained_parameters: int
    state_bytes: int
    peak_bytes: int
    tokens_per_second: float
    seconds: float
    mfu: float | None


def estimate(trainer: Trainer) -> CostEstimate:
    """Do some real steps and extrapolate; the model is changed by them. The first one warms up and is not timed."""
    figures = [trainer.step(step % trainer.plan.steps) for step in range(TRIAL_STEPS)][1:]
    tokens_per_second = sum(f["tokens"] for f in figures) / max(1e-9, sum(f["seconds"] for f in figures))
    row_tokens = len(trainer.rows) * trainer.rows.sequence_length
    shares = [f["mfu"] for f in figures if "mfu" in f]
    return CostEstimate(
        steps=trainer.plan.steps,
        parameters=parameters.count(trainer.model),
        trained_parameters=parameters.count(trainer.model, trained_only=True),
        state_bytes=parameters.state_bytes(trainer.model),
        peak_bytes=throughput.memory(trainer.device),
        tokens_per_second=tokens_per_second,
        seconds=trainer.config.epochs * row_tokens / tokens_per_second,
        mfu=sum(shares) / len(shares) if shares else None,
    )
