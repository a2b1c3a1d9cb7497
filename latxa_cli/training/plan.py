"""Which rows every optimiser step takes, who takes them, and at which learning rate: all a function of the seed.

So any step can be the next one, on any number of processes: a run that goes on after a kill needs no state of the data.
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
        return math.ceil(self.rows / self.config.sequences_per_step)

    @property
    def steps(self) -> int:
        return max(1, round(self.config.epochs * self.steps_per_epoch))

    def epoch(self, step: int) -> int:
        return step // self.steps_per_epoch

    def rows_of(self, step: int) -> NDArray[np.int64]:
        """Row numbers of optimiser step `step`, counted from 0, for all processes together."""
        order = _order(self.config.seed, self.epoch(step), self.rows)
        start = step % self.steps_per_epoch * self.config.sequences_per_step
        return order[start : start + self.config.sequences_per_step]

    def batches(self, step: int) -> list[NDArray[np.int64]]:
        """Row numbers of this process's forward passes in optimiser step `step`.

        Every process has as many, since they meet in each: where rows don't go round, the last ones are empty.
        """
        rows = self.rows_of(step)
        return shares(rows, self.config.batch_size, self.rank, self.world)

    def learning_rate(self, step: int) -> float:
        """Linear warm-up, then a cosine from the peak down to the floor, reached at the last step."""
        peak = self.config.learning_rate
        warmup = round(self.config.warmup_ratio * self.steps)
        if step < warmup:
            return peak * (step + 1) / warmup
        floor = peak * self.config.minimum_learning_rate_ratio
        done = (step - warmup) / max(1, self.steps - 1 - warmup)
        return floor + (peak - floor) * (1 + math.cos(math.pi * min(1.0, done))) / 2


def shares(rows: NDArray[np.int64], batch_size: int, rank: int, world: int) -> list[NDArray[np.int64]]:
    """Deal `rows` round to `world` processes; return those of `rank` in batches, as many as the others have."""
    most = math.ceil(len(rows) / world)
    mine = rows[rank::world]
    return [mine[at : at + batch_size] for at in range(0, most, batch_size)]


@lru_cache(maxsize=1)
def _order(seed: int, epoch: int, rows: int) -> NDArray[np.int64]:
    return np.random.default_rng([seed, epoch]).permutation(rows)
