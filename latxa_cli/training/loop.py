"""The training loop, the same for both backends and any number of processes.

Steps, the order of rows and noise depend only on the settings and the seed. So an interrupted run that is resumed gives
the losses of an uninterrupted one: to the last bit on the same number of processes and threads, else within rounding.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import Parameter

from latxa_cli.launch import alike
from latxa_cli.model import writing
from latxa_cli.stream.errors import LatxaError, UsageError
from latxa_cli.stream.records import Record, keyed_hash
from latxa_cli.training.backends.torch_backend import TorchBackend
from latxa_cli.training.checkpoints import checkpoint
from latxa_cli.training.config import TrainConfig
from latxa_cli.training.data.rows import PreparedRows
from latxa_cli.training.interruption import Interruption
from latxa_cli.training.metrics import MetricsFile
from latxa_cli.training.network import attention, balance, parameters, throughput
from latxa_cli.training.network.forward import PackedLoss, noise_for, to_device
from latxa_cli.training.network.kernels import use_kernels
from latxa_cli.training.plan import TrainingPlan
from latxa_cli.training.processes import Processes
from latxa_cli.training.validation import ValidationSets, batch_of

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

CALLS_OF_ZERO_3 = 4  # of the model in a pass over rows taken apart
TRIAL_STEPS = 4  # steps of `estimate`; the first one allocates moments and buffers, and is not timed
EXCERPT = 60  # characters of a text that an error names
SMALLER_STEPS = "a new run with a smaller `--learning-rate`, or a longer warm-up (`warmup_ratio` in `--config`)"
NO_STEP_YET = "it comes of the starting model's weights: is the row of a token all zeros, perhaps that of padding?"
NOT_BALANCED = (
    "the loss that balances experts (`output_router_logits`) is not trained: transformers has no such loss for `{}`"
)
Report = Callable[[Record], None]


class Backend(checkpoint.ParameterStates, Protocol):
    """A library that computes gradients and takes steps; `TorchBackend` documents the methods."""

    def before_loading(self) -> None: ...

    def wrap(self, network: PackedLoss) -> None: ...

    def accumulate(self, arguments: Mapping[str, Any], factor: float, *, last: bool) -> Tensor: ...

    def update(self, learning_rate: float) -> float: ...


def open_backend(config: TrainConfig, processes: Processes) -> Backend:
    """Return the backend of the settings, ready to load its model; raises LatxaError where it cannot start."""
    processes.meet(always=config.backend == "deepspeed")
    if config.backend == "torch":
        return TorchBackend(config, processes)
    from latxa_cli.training.backends.deepspeed_backend import DeepSpeedBackend

    backend = DeepSpeedBackend(config, processes)
    backend.before_loading()
    return backend


class Trainer:
    """A model, its backend and its rows, in each process; `step` does one optimiser step."""

    def __init__(
        self,
        model: PreTrainedModel,
        rows: PreparedRows,
        config: TrainConfig,
        *,
        processes: Processes | None = None,
        backend: Backend | None = None,
        tokenizer: PreTrainedTokenizerBase | None = None,
    ) -> None:
        """Prepare `model` for training; `tokenizer` serves errors, which quote texts.

        Raises:
            UsageError: the model does not allow these settings.
        """
        self.model, self.rows, self.config, self.tokenizer = model, rows, config, tokenizer
        self.processes = processes or Processes()
        self.plan = TrainingPlan(len(rows), config, self.processes.rank, self.processes.world)
        self.device = next(model.parameters()).device
        half = config.dtype == "bfloat16"
        self.notes = parameters.choose(model, config)
        attention_name = attention.choose(model, config.attention, half=half, text_length=rows.text_length)
        self.kernels = use_kernels(model, config.kernels, self.device)
        if config.gradient_checkpointing:
            if not model.supports_gradient_checkpointing:
                raise UsageError(f"`{type(model).__name__}` has no `gradient_checkpointing`", hint="leave it out")
            # The reentrant kind gives no gradients where a layer's input has none, as behind frozen embeddings.
            model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
        self.network = PackedLoss(model, attention=attention_name, casts=half)
        if balance.is_wanted(model):
            self.network.balance = balance.of_family(model)
            if self.network.balance is None:
                self.notes.append(NOT_BALANCED.format(model.config.model_type))
        if config.shares_weights:  # DeepSpeed records the calls of modules then, as of all passes
            self.network.calls = CALLS_OF_ZERO_3
        self.backend = backend or TorchBackend(config, self.processes)
        self.backend.wrap(self.network)
        self.network.train()

    def step(self, step: int) -> Record:
        """Do optimiser step `step`, counted from 0; return its metrics (see `train`).

        Raises:
            LatxaError: the loss or the gradient is infinite or NaN.
        """
        started = time.perf_counter()
        # Dropout depends on seed and step alone. They are hashed, since torch uses the lower 32 bits only on a CPU.
        torch.manual_seed(keyed_hash(self.config.seed, "dropout", str(step)) >> 1)
        batches = self.plan.batches(step)
        rows_of_all = self.plan.rows_of(step)
        trained = self.rows.trained_in(rows_of_all)
        total, balancing = torch.zeros(2, dtype=torch.float64, device=self.device)
        pairs = 0
        for place, numbers in enumerate(batches):
            arguments, attended = self._arguments(numbers, step)
            pairs += attended
            last = place + 1 == len(batches)
            # Divided by the trained tokens of the whole step: a mean of means would favour tokens of short batches.
            total += self.backend.accumulate(arguments, 1 / max(1, trained), last=last)
            if self.network.balancing is not None:
                balancing += self.network.balancing
        loss_sum, balancing_sum, all_pairs = self.processes.sum(total.item(), balancing.item(), pairs)
        loss = loss_sum / max(1, trained)
        if not math.isfinite(loss):
            with alike(self.processes.launch):
                raise self._not_finite(loss, step, mine=not math.isfinite(total.item()))
        rate = self.plan.learning_rate(step)
        norm = self.backend.update(rate)
        if not 0 <= norm < math.inf:  # DeepSpeed gives -1; its weights are spoilt now, and no checkpoint may hold them
            with alike(self.processes.launch):
                raise self._gradient_not_finite(step)
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)  # kernels run on after their call, and the clock would miss them
        seconds = time.perf_counter() - started
        tokens = len(rows_of_all) * self.rows.sequence_length
        figures = {
            "step": step + 1,
            "epoch": round((step + 1) / self.plan.steps_per_epoch, 4),
            "loss": loss,
            **({} if self.network.balancing is None else {"balancing_loss": balancing_sum / max(1, trained)}),
            "learning_rate": rate,
            "gradient_norm": norm,
            "tokens": tokens,
            "trained_tokens": trained,
            "seconds": round(seconds, 4),
        }
        if (peak := throughput.peak(self.device)) and not self.config.lora_rank and not self.config.freeze:
            operations = throughput.operations(self.model, round(tokens * self.rows.fill), round(all_pairs))
            figures["mfu"] = round(operations / seconds / peak / self.processes.world, 4)
        return figures

    def _arguments(self, numbers: Sequence[int] | NDArray[np.int64], step: int) -> tuple[dict[str, Any], int]:
        """Return the arguments of the network for these rows, and the number of pairs of tokens that attend."""
        batch = batch_of(self.rows, numbers)
        arguments = to_device(batch, self.device)._asdict()
        config = self.config
        if config.neftune_alpha and len(numbers):
            size = parameters.shape(cast(Tensor, self.model.get_input_embeddings().weight))[-1]
            arguments["noise"] = noise_for(
                batch, numbers, alpha=config.neftune_alpha, by_row=config.neftune_scale == "row", size=size,
                seed=config.seed, step=step, device=self.device,
            )  # fmt: skip
        return arguments, throughput.attended_pairs(batch.position_ids) if len(numbers) else 0

    def _not_finite(self, loss: float, step: int, *, mine: bool) -> LatxaError:
        """Return an error that quotes the texts whose loss is not finite; `mine`: this process has some of them."""
        texts: list[str] = []
        own = [int(number) for batch in self.plan.batches(step) for number in batch] if mine else []
        numbers = [number for each in self.processes.all(own) for number in each]
        if self.processes.world == 1:  # of several, each forward pass may need all, and the others do not come
            with torch.no_grad():
                for number in numbers:
                    arguments, _ = self._arguments([number], step)
                    if not math.isfinite(self.network(**arguments).item()):
                        texts.append(self._excerpt(number))
        if len(texts) == len(numbers):
            where = f"in all rows, the first is {texts[0]}: the weights are not finite, or the data are not to blame"
        elif texts:
            where = f"in {', '.join(texts[:3])}" + (f" and {len(texts) - 3} more" if len(texts) > 3 else "")
        else:
            where = f"in one of the rows {', '.join(map(str, sorted(numbers)[:8]))}"
        return LatxaError(
            f"the loss became `{loss}` at step {step + 1}, {where}",
            hint=SMALLER_STEPS if step else NO_STEP_YET,
        )

    def _gradient_not_finite(self, step: int) -> LatxaError:
        """Return an error that names the first parameter with such a gradient, and tokens, if it has rows of them."""
        where = ""
        for name, parameter in self.backend.trained.items():
            if parameter.grad is not None and not parameter.grad.isfinite().all():
                where = f": that of `{name}`{self._tokens_of(parameter)}"
                break
        return LatxaError(
            f"the gradient became infinite, or no number, at step {step + 1}{where}",
            hint=SMALLER_STEPS if step else NO_STEP_YET,
        )

    def _tokens_of(self, parameter: Parameter) -> str:
        """Return the first tokens whose rows have a gradient that is not finite, if this is the embedding."""
        if not self.tokenizer or parameter is not self.model.get_input_embeddings().weight:
            return ""
        assert parameter.grad is not None
        rows = (~parameter.grad.isfinite()).any(dim=1).nonzero()[:3, 0].tolist()
        return f" (of {', '.join(f'`{token}`' for token in self.tokenizer.convert_ids_to_tokens(rows))})"

    def _excerpt(self, number: int) -> str:
        """Return the number of a row, with the beginnings of its first texts if there is a tokenizer."""
        if not self.tokenizer:
            return f"row {number}"
        batch = self.rows.batch([number])
        starts = np.flatnonzero(batch.position_ids[0] == 0)[:3]
        texts = (str(self.tokenizer.decode(batch.input_ids[0, start : start + 32].tolist())) for start in starts)
        excerpts = (f"`{' '.join(text.split())[:EXCERPT]}`" for text in texts)
        return f"row {number} ({', '.join(excerpts)})"


def train(
    trainer: Trainer,
    directory: Path,
    *,
    done: int = 0,
    report: Report,
    validation: ValidationSets | None = None,
) -> Iterator[Record]:
    """Train from step `done` to the end; yield the metrics of each step when `directory/metrics.jsonl` has them.

    The metrics of a step:

    - `step`: from 1.
    - `epoch`: those done, a fraction.
    - `loss`: the mean over trained tokens, before the step.
    - `balancing_loss`: of mixtures that are trained with it (see `balance`), without its coefficient.
    - `learning_rate`.
    - `gradient_norm`: before clipping.
    - `tokens`: with padding.
    - `trained_tokens`.
    - `seconds`.
    - `mfu`: where the device's peak is known.

    After a validation, a line for each set follows. The last step always has a checkpoint, and so has the step in
    which a process hears SIGTERM or Ctrl-C. A validation that they cut short is done when the run goes on.

    Raises:
        LatxaError: the loss or the gradient is not finite, or `directory` cannot be written.
        KeyboardInterrupt: after the checkpoint of the step at hand (`Terminated` after SIGTERM).
    """
    plan, processes = trainer.plan, trainer.processes
    validation = validation if validation and validation.sets else None
    with (
        writing(directory), Interruption() as interruption,
        MetricsFile(directory, done, writes=processes.is_first) as metrics,
    ):  # fmt: skip

        def write(lines: list[Record]) -> None:
            metrics.write(lines)
            for line in lines:
                report(line)

        def validate(step: int) -> list[Record]:
            if validation is None or not _validates_after(step, plan):
                return []
            return validation.lines(trainer.network, step, stop=lambda: interruption.agreed(processes) is not None)

        if done and not processes.from_first(metrics.validated):
            write(validate(done))
        for step in range(done, plan.steps):
            figures = trainer.step(step)
            write([figures, *validate(step + 1)])
            end = interruption.agreed(processes)
            if end or _saves_after(step + 1, plan):
                if processes.is_first:
                    metrics.synchronise()  # a checkpoint must not be ahead of the metrics on the disk
                checkpoint.save(directory, step + 1, trainer.backend, processes, keep=trainer.config.keep)
            yield figures
            if end:
                raise end


def _validates_after(step: int, plan: TrainingPlan) -> bool:
    every = plan.config.validate_every or plan.config.checkpoint_every
    return step == plan.steps or (every > 0 and step % every == 0)


def _saves_after(step: int, plan: TrainingPlan) -> bool:
    every = plan.config.checkpoint_every
    return step == plan.steps or (every > 0 and step % every == 0)


def go_on(trainer: Trainer, path: Path) -> int:
    """Load the state of the checkpoint `path`; return its step."""
    step = checkpoint.step_of(path)
    if trainer.config.backend == "deepspeed":  # its first step makes the moments, which the checkpoint overwrites
        arguments, _ = trainer._arguments([], 0)
        trainer.backend.accumulate(arguments, 1.0, last=True)
        trainer.backend.update(0.0)
    trainer.backend.load(checkpoint.CheckpointReader(path), step)
    return step


@dataclass(frozen=True, slots=True)
class CostEstimate:
    """The cost of a run.

    Attributes:
        steps: optimiser steps.
        parameters, trained_parameters: their numbers.
        state_bytes: the weights, and in float32 the gradients and two moments of those that are trained.
        peak_bytes: the largest memory of one process in the trial.
        tokens_per_second: the speed of all processes in the trial.
        seconds: of the whole run.
        mfu: the share of the device's peak, where that is known.
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
    """Do some real steps, which change the model, and extrapolate from all but the first."""
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
        seconds=trainer.plan.steps / trainer.plan.steps_per_epoch * row_tokens / tokens_per_second,
        mfu=sum(shares) / len(shares) if shares else None,
    )
