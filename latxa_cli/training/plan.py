"""The rows of every optimiser step, their process and the learning rate: a function of settings and seed.

So a run can resume at any step, on any number of processes, without a saved state of the data.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from latxa_cli.training.config import TrainConfig


@dataclass(frozen=True, slots=True)
class TrainingPlan:
    """The steps of a run over `rows` rows, as one of `world` processes sees it."""

    rows: int
    config: TrainConfig
    rank: int = 0
    world: int = 1

    @property
    def steps_per_epoch(self) -> int:
        """The steps of a pass over all rows; the last one may have fewer rows."""
        return math.ceil(self.rows / self.config.sequences_per_step)

    @property
    def steps(self) -> int:
        """The steps of the whole run, at least one."""
        if self.config.max_steps:
            return self.config.max_steps
        return max(1, round(self.config.epochs * self.steps_per_epoch))

    def epoch(self, step: int) -> int:
        """Return the pass over the data to which a step belongs."""
        return step // self.steps_per_epoch

    def rows_of(self, step: int) -> NDArray[np.int64]:
        """Return the row numbers of optimiser step `step`, counted from 0, for all processes together."""
        order = _order(self.config.seed, self.epoch(step), self.rows)
        start = step % self.steps_per_epoch * self.config.sequences_per_step
        return order[start : start + self.config.sequences_per_step]

    def batches(self, step: int) -> list[NDArray[np.int64]]:
        """Return the row numbers of this process's forward passes in optimiser step `step`.

        All processes have the same number of passes, since they meet in each; a process without rows left has an empty
        one.
        """
        rows = self.rows_of(step)
        return shares(rows, self.config.batch_size, self.rank, self.world)

    def learning_rate(self, step: int) -> float:
        """Return the learning rate: a linear warm-up, then a cosine from the peak to the floor at the last step."""
        peak = self.config.learning_rate
        warmup = round(self.config.warmup_ratio * self.steps)
        if step < warmup:
            return peak * (step + 1) / warmup
        floor = peak * self.config.minimum_learning_rate_ratio
        done = (step - warmup) / max(1, self.steps - 1 - warmup)
        return floor + (peak - floor) * (1 + math.cos(math.pi * min(1.0, done))) / 2


def shares(rows: NDArray[np.int64], batch_size: int, rank: int, world: int) -> list[NDArray[np.int64]]:
    """Deal `rows` to `world` processes in turn; return the batches of `rank`, which has as many as the others."""
    most = math.ceil(len(rows) / world)
    mine = rows[rank::world]
    return [mine[at : at + batch_size] for at in range(0, most, batch_size)]


@lru_cache(maxsize=1)  # all steps of an epoch share one order
def _order(seed: int, epoch: int, rows: int) -> NDArray[np.int64]:
    return np.random.default_rng([seed, epoch]).permutation(rows)
