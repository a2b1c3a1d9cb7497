"""The loss on held-out texts, in named sets of rows that are prepared like those of training."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from latxa_cli.chat.loss_mask import text_size, trained_runs
from latxa_cli.stream.records import Record
from latxa_cli.training.data.rows import IGNORED, PackedRows, PreparedRows
from latxa_cli.training.network.forward import PackedLoss, to_device
from latxa_cli.training.plan import shares
from latxa_cli.training.processes import Processes

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


class ValidationSets:
    """Named sets; each process computes the loss of its share of their rows."""

    def __init__(
        self,
        sets: Mapping[str, PreparedRows],
        processes: Processes,
        tokenizer: PreTrainedTokenizerBase,
        *,
        batch_size: int,
        alive: Callable[[], None] = lambda: None,
    ) -> None:
        """Prepare the sets; `alive` is called after each forward pass, for a watchdog."""
        self.sets, self.processes, self.batch_size, self.alive = sets, processes, batch_size, alive
        self.bytes = {name: self._bytes(rows, tokenizer) for name, rows in sets.items()}

    def lines(self, network: PackedLoss, step: int, *, stop: Callable[[], bool] = lambda: False) -> list[Record]:
        """Return a line of metrics for each set after so many steps, or none if `stop` says so on the way.

        All processes must get the same from `stop`, which they ask before each forward pass.

        - `loss`: the mean over trained tokens, in nats.
        - `perplexity`: e^loss, of a token.
        - `bits_per_byte`: the loss of all trained tokens over their bytes in UTF-8, whatever the tokenizer.
        - `tokens`: the number of trained tokens.
        """
        training = network.training
        network.eval()
        try:
            with torch.no_grad():
                lines = []
                for name in self.sets:
                    figures = self._validate(network, name, stop)
                    if figures is None:
                        return []
                    lines.append({"step": step, "validation": name, **figures})
                return lines
        finally:
            network.train(training)

    def _validate(self, network: PackedLoss, name: str, stop: Callable[[], bool]) -> dict[str, float] | None:
        rows, device = self.sets[name], next(network.parameters()).device
        total = torch.zeros((), dtype=torch.float64, device=device)
        for numbers in self._mine(rows):
            if stop():
                return None
            total += network(*to_device(batch_of(rows, numbers), device))
            self.alive()
        (nats,) = self.processes.sum(total.item())
        loss = nats / rows.trained
        perplexity = math.exp(min(loss, 700.0))  # e^710 is more than a float holds
        figures = {"loss": loss, "perplexity": perplexity, "tokens": rows.trained}
        if self.bytes[name]:
            figures["bits_per_byte"] = nats / math.log(2) / self.bytes[name]
        return figures

    def _mine(self, rows: PreparedRows) -> list[NDArray[np.int64]]:
        return shares(np.arange(len(rows)), self.batch_size, self.processes.rank, self.processes.world)

    def _bytes(self, rows: PreparedRows, tokenizer: PreTrainedTokenizerBase) -> int:
        """Return the bytes of text of a set's trained tokens, over all processes."""
        mine = (trained_bytes(rows.batch(numbers), tokenizer) for numbers in self._mine(rows) if len(numbers))
        return round(self.processes.sum(sum(mine))[0])


def trained_bytes(batch: PackedRows, tokenizer: PreTrainedTokenizerBase) -> int:
    """Return the bytes in UTF-8 of the trained tokens of rows; special tokens have none."""
    total = 0
    for ids, positions, labels in zip(*batch, strict=True):
        for start, end in pairwise([*np.flatnonzero(positions == 0).tolist(), len(ids)]):
            text, runs = ids[start:end].tolist(), trained_runs((labels[start:end] != IGNORED).tolist())
            total += sum(text_size(tokenizer, text, *run) for run in runs)
    return total


def batch_of(rows: PreparedRows, numbers: Sequence[int] | NDArray[np.int64]) -> PackedRows:
    """Return these rows; for no rows one without trained tokens, since every process must take part."""
    if len(numbers):
        return rows.batch(numbers)
    batch = rows.batch([0])
    return batch._replace(labels=np.full_like(batch.labels, IGNORED))
