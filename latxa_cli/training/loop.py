"""The training loop on plain torch: one process, on the CPU or on one GPU.

Steps, order of rows and noise depend only on the settings and the seed, so that a run that was cut off and resumed
gives the same losses, to the last bit, as one that was not (on one machine with the same number of threads).
"""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import cross_entropy

from latxa_cli.model import count_parameters, writing
from latxa_cli.stream.errors import LatxaError
from latxa_cli.training import checkpoint
from latxa_cli.training.config import TrainConfig
from latxa_cli.training.rows import IGNORED, Batch, Rows

METRICS = "metrics.jsonl"
TRIAL_STEPS = 4  # of `estimate`
ROWS_COMPARED = 512  # among which `check_isolation` takes the one of most pieces
Report = Callable[..., None]  # report(step, total, loss=…, tokens_per_second=…)


@dataclass(frozen=True, slots=True)
class Plan:
    """Which rows each optimiser step takes: a function of the seed, so that any step can be the next one."""

    rows: int
    config: TrainConfig

    @property
    def rows_per_step(self) -> int:
        return self.config.batch_size * self.config.gradient_accumulation

    @property
    def steps_per_epoch(self) -> int:
        return math.ceil(self.rows / self.rows_per_step)

    @property
    def steps(self) -> int:
        return max(1, round(self.config.epochs * self.steps_per_epoch))

    def epoch(self, step: int) -> int:
        return step // self.steps_per_epoch

    def batches(self, step: int) -> list[NDArray[np.int64]]:
        """Row numbers of the forward passes of optimiser step `step`, counted from 0."""
        order = _order(self.config.seed, self.epoch(step), self.rows)
        start = step % self.steps_per_epoch * self.rows_per_step
        rows = order[start : start + self.rows_per_step]
        return [rows[at : at + self.config.batch_size] for at in range(0, len(rows), self.config.batch_size)]

    def learning_rate(self, step: int) -> float:
        """Linear warm-up, then a cosine from the peak down to the floor, reached at the last step."""
        peak = self.config.learning_rate
        warmup = round(self.config.warmup_ratio * self.steps)
        if step < warmup:
            return peak * (step + 1) / warmup
        floor = peak * self.config.minimum_learning_rate_ratio
        done = (step - warmup) / max(1, self.steps - 1 - warmup)
        return floor + (peak - floor) * (1 + math.cos(math.pi * min(1.0, done))) / 2


@lru_cache(maxsize=1)
def _order(seed: int, epoch: int, rows: int) -> NDArray[np.int64]:
    return np.random.default_rng([seed, epoch]).permutation(rows)


def forward(model: Any, input_ids: Tensor, position_ids: Tensor, neftune_alpha: float = 0.0) -> Tensor:
    """Return the logits, shape (rows, sequence, vocabulary), of packed rows.

    Of the ways to call a transformers model this one keeps packed pieces apart: position ids that begin anew with
    each piece, no attention mask, no cache. `check_isolation` proves it for the model at hand.

    With `neftune_alpha`, noise of NEFTune (Jain et al. 2023, arXiv 2310.05914, algorithm 1) is added to the
    embeddings: uniform in ±alpha / √(L·d), where L is the length of the token's own piece and d the hidden size.
    """
    if not neftune_alpha:
        return model(input_ids=input_ids, position_ids=position_ids, use_cache=False).logits
    embeddings = model.get_input_embeddings()(input_ids)
    scale = neftune_alpha / (piece_lengths(position_ids) * embeddings.shape[-1]).sqrt()
    noise = torch.empty_like(embeddings).uniform_(-1, 1) * scale.unsqueeze(-1)
    return model(inputs_embeds=embeddings + noise, position_ids=position_ids, use_cache=False).logits


def piece_lengths(position_ids: Tensor) -> Tensor:
    """Return for each token the length of the piece it lies in; shape as `position_ids`."""
    flat = position_ids.flatten()
    piece = (flat == 0).cumsum(0) - 1
    return torch.bincount(piece)[piece].view(position_ids.shape)


def loss_sum(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the cross-entropy summed over trained tokens: logits at t against the label at t + 1.

    Only the logits of trained tokens are made float32, which is most of the memory with a large vocabulary.
    """
    targets = labels[:, 1:]
    trained = targets != IGNORED
    return cross_entropy(logits[:, :-1][trained].float(), targets[trained].long(), reduction="sum")


def check_isolation(model: Any, rows: Rows) -> None:
    """Compare a packed row with its pieces computed one by one.

    Raises:
        LatxaError: the logits differ by more than 0.001 of the largest: this model looks across pieces.
    """
    looked_at = rows.batch(range(min(len(rows), ROWS_COMPARED)))
    row = int((looked_at.position_ids == 0).sum(axis=1).argmax())
    begins = np.flatnonzero(looked_at.position_ids[row] == 0).tolist()
    ids, positions = _tensor(looked_at.input_ids[[row]], model), _tensor(looked_at.position_ids[[row]], model)
    training = model.training
    model.eval()  # without dropout
    with torch.no_grad():
        together = forward(model, ids, positions)[0]
        spans = list(pairwise([*begins, rows.sequence_length]))[:8]
        alone = [forward(model, ids[:, a:b], positions[:, a:b])[0] for a, b in spans]
    model.train(training)
    difference = (torch.cat(alone) - together[: spans[-1][1]]).abs().max().item()
    if not difference <= 1e-3 * max(1.0, together.abs().max().item()):
        raise LatxaError(
            f"this model mixes the texts of a packed row (logits differ by {difference:.2g})",
            hint="it cannot be trained packed with this version of transformers",
        )


def make_optimizer(model: torch.nn.Module, config: TrainConfig) -> torch.optim.AdamW:
    """AdamW (Loshchilov and Hutter 2019, arXiv 1711.05101) with no decay on norms, biases and other vectors."""
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    groups = [
        {"params": [p for p in parameters if p.ndim >= 2], "weight_decay": config.weight_decay},
        {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=config.learning_rate, betas=(config.beta1, config.beta2), fused=True)


class Trainer:
    """A model, its optimiser and the rows; `step` does one optimiser step."""

    def __init__(self, model: Any, rows: Rows, config: TrainConfig) -> None:
        self.model, self.rows, self.config = model, rows, config
        self.plan = Plan(len(rows), config)
        self.optimizer = make_optimizer(model, config)
        self.device = next(model.parameters()).device

    def step(self, step: int) -> dict[str, Any]:
        """Do optimiser step `step`, counted from 0; return its metrics (see `train`).

        Raises:
            LatxaError: the loss is not a number, or infinite.
        """
        started = time.perf_counter()
        torch.manual_seed((self.config.seed << 32) + step)  # dropout and noise depend on the step alone
        batches = [self.rows.batch(numbers) for numbers in self.plan.batches(step)]
        trained = sum(int((batch.labels != IGNORED).sum()) for batch in batches)
        total = sum(self._backward(batch, trained) for batch in batches)
        if not math.isfinite(total):
            raise LatxaError(
                f"the loss became `{total}` at step {step + 1}",
                hint="a smaller `--learning-rate` or a longer warm-up; `--resume` goes on from the last checkpoint",
            )
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.config.clip)
        rate = self.plan.learning_rate(step)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        return {
            "step": step + 1,
            "epoch": round((step + 1) / self.plan.steps_per_epoch, 4),
            "loss": total,
            "learning_rate": rate,
            "tokens": sum(batch.input_ids.size for batch in batches),
            "trained_tokens": trained,
            "seconds": round(time.perf_counter() - started, 4),
        }

    def _backward(self, batch: Batch, trained: int) -> float:
        """Add the gradient of one forward pass: its summed loss over the trained tokens of the whole step."""
        ids, positions, labels = (_tensor(array, self.model) for array in batch)
        half = self.config.dtype == "bfloat16"
        with torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=half):
            logits = forward(self.model, ids, positions, self.config.neftune_alpha)
        loss = loss_sum(logits, labels) / max(1, trained)
        loss.backward()
        return loss.item()


def train(trainer: Trainer, directory: Path, *, resume: bool, report: Report) -> Iterator[dict[str, Any]]:
    """Train to the end, yielding the metrics of each step after they are in `directory/metrics.jsonl`.

    A step's metrics: step (from 1), epoch (done, a fraction), loss (mean over trained tokens, before the step),
    learning_rate, tokens (padding included), trained_tokens, seconds. With `resume`, the newest complete checkpoint
    is the beginning, and metrics after it are cut off. The last step too has a checkpoint, unless there are none.

    Raises:
        LatxaError: the loss is not finite, the checkpoint is of another run, or `directory` cannot be written.
    """
    config, plan = trainer.config, trainer.plan
    made_of = checkpoint.fingerprint(trainer.model, trainer.rows, config)
    if not resume:
        checkpoint.remove(directory)
    done = checkpoint.restore(directory, trainer.model, trainer.optimizer, made_of)
    trainer.model.train()
    with writing(directory), (directory / METRICS).open("a+", encoding="utf-8") as metrics:
        _truncate(metrics, done)
        for step in range(done, plan.steps):
            figures = trainer.step(step)
            metrics.write(json.dumps(figures) + "\n")
            metrics.flush()
            speed = figures["tokens"] / max(1e-9, figures["seconds"])
            report(step + 1, plan.steps, loss=figures["loss"], tokens_per_second=speed)
            last = step + 1 == plan.steps
            if config.checkpoint_every and (last or (step + 1) % config.checkpoint_every == 0):
                os.fsync(metrics.fileno())  # a checkpoint must not be ahead of the metrics on the disk
                checkpoint.save(directory, step + 1, trainer.model, trainer.optimizer, made_of)
            yield figures


def _truncate(metrics: TextIO, steps: int) -> None:
    """Keep the metrics of the first `steps` steps: nothing is written again, so that a full disk loses nothing."""
    metrics.seek(0)
    for _ in range(steps):
        metrics.readline()
    metrics.truncate(metrics.tell())


def _tensor(array: NDArray[np.int32], model: Any) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(array)).long().to(next(model.parameters()).device)


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a run would cost: `peak_bytes` and speed are measured in the trial."""

    steps: int
    parameters: int
    peak_bytes: int
    tokens_per_second: float
    seconds: float

    @property
    def state_bytes(self) -> int:
        """Weights, gradients and two moments in float32."""
        return 16 * self.parameters


def estimate(trainer: Trainer) -> Estimate:
    """Do some real steps and extrapolate; the model is changed by them. The first one warms up and is not timed."""
    import resource

    trainer.model.train()
    figures = [trainer.step(step % trainer.plan.steps) for step in range(TRIAL_STEPS)][1:]
    tokens_per_second = sum(f["tokens"] for f in figures) / max(1e-9, sum(f["seconds"] for f in figures))
    if trainer.device.type == "cuda":
        peak = torch.cuda.max_memory_allocated()
    else:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    row_tokens = len(trainer.rows) * trainer.rows.sequence_length
    return Estimate(
        steps=trainer.plan.steps,
        parameters=count_parameters(trainer.model),
        peak_bytes=peak,
        tokens_per_second=tokens_per_second,
        seconds=trainer.config.epochs * row_tokens / tokens_per_second,
    )
