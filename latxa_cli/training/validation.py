"""Loss on texts that are not trained on, by named set: each set is rows that were prepared like those of training."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from latxa_cli.training.data.rows import IGNORED, PackedRows, PreparedRows
from latxa_cli.training.network.forward import PackedLoss, to_device
from latxa_cli.training.plan import shares
from latxa_cli.training.processes import Processes


class ValidationSets:
    """Named sets, of which each process computes its share of rows."""

    def __init__(
        self,
        sets: Mapping[str, PreparedRows],
        processes: Processes,
        tokenizer: Any,
        *,
        batch_size: int,
        alive: Callable[[], None] = lambda: None,
    ) -> None:
        """`alive` is called after each forward pass, so that a watchdog knows."""
        self.sets, self.processes, self.batch_size, self.alive = sets, processes, batch_size, alive
        self.bytes = {name: self._bytes(rows, tokenizer) for name, rows in sets.items()}

    def __call__(self, network: PackedLoss) -> dict[str, dict[str, Any]]:
        """Return for each set the mean loss of its trained tokens, in nats, and what follows from it.

        perplexity: e^loss, a token; bits_per_byte: the loss of all over the bytes of UTF-8 that they stand for, which
        does not depend on the tokenizer.
        """
        training = network.training
        network.eval()
        try:
            with torch.no_grad():
                return {name: self._validate(network, name) for name in self.sets}
        finally:
            network.train(training)

    def _validate(self, network: PackedLoss, name: str) -> dict[str, Any]:
        rows, device = self.sets[name], next(network.parameters()).device
        total = torch.zeros((), dtype=torch.float64, device=device)
        for numbers in self._mine(rows):
            total += network(*to_device(batch_of(rows, numbers), device))
            self.alive()
        (nats,) = self.processes.sum(total.item())
        loss = nats / rows.trained
        figures: dict[str, Any] = {"loss": loss, "perplexity": math.exp(min(loss, 700.0)), "tokens": rows.trained}
        if self.bytes[name]:
            figures["bits_per_byte"] = nats / math.log(2) / self.bytes[name]
        return figures

    def _mine(self, rows: PreparedRows) -> list[NDArray[np.int64]]:
        return shares(np.arange(len(rows)), self.batch_size, self.processes.rank, self.processes.world)

    def _bytes(self, rows: PreparedRows, tokenizer: Any) -> int:
        """Return how many bytes of text the trained tokens of a set stand for."""
        mine = (trained_bytes(rows.batch(numbers), tokenizer) for numbers in self._mine(rows) if len(numbers))
        return round(self.processes.sum(sum(mine))[0])


def trained_bytes(batch: PackedRows, tokenizer: Any) -> int:
    """Return the bytes of UTF-8 that the trained tokens of rows stand for; special tokens stand for none."""

    def size(ids: NDArray[np.int32]) -> int:
        return len(tokenizer.decode(ids.tolist(), skip_special_tokens=True).encode("utf-8", "replace"))

    total = 0
    for ids, positions, labels in zip(*batch, strict=True):
        for start, end in pairwise([*np.flatnonzero(positions == 0).tolist(), len(ids)]):
            trained = (labels[start:end] != IGNORED).astype(np.int8)
            turns = np.flatnonzero(np.diff(np.concatenate([[0], trained, [0]])))
            for first, last in turns.reshape(-1, 2).tolist():  # what goes before decides how a token is written
                total += size(ids[start : start + last]) - size(ids[start : start + first])
    return total


def batch_of(rows: PreparedRows, numbers: Any) -> PackedRows:
    """Return these rows; where there are none, one of which nothing is trained, for a process that must take part."""
    if len(numbers):
        return rows.batch(numbers)
    batch = rows.batch([0])
    return batch._replace(labels=np.full_like(batch.labels, IGNORED))
