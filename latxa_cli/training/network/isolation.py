"""Proofs on the model at hand, before its first step: packed texts do not see each other, and the loss is that of the
model's own logits."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import torch

from latxa_cli.stream.errors import LatxaError
from latxa_cli.training.data.rows import PackedRows, PreparedRows
from latxa_cli.training.network.forward import DeviceRows, PackedLoss, to_device

ROWS_COMPARED = 512  # among which the one of most texts is taken
TOKENS_COMPARED = 2048  # of it, so that the logits fit
# The largest difference, as a share of the largest logit. Rounding makes 4e-7 of it in float32 and 6e-3 in bfloat16 (a
# model of two layers, before and after training); other texts change it by far more.
EXACT, HALF = 1e-3, 5e-2
# Times as large as they are, hidden states show what a head does to large logits: those of an untrained model are of
# some units, and soft caps are of 30 or 50 (Gemma 2).
LOUD = 100.0


def check(network: PackedLoss, rows: PreparedRows) -> float:
    """Compare the logits of packed texts with those of each text alone; return the largest difference.

    Also sees whether the head is one plain matrix, so that `cross_entropy` may compute its loss in blocks.

    Raises:
        LatxaError: the logits differ: this model looks across texts; or they are no finite numbers.
    """
    device = next(network.parameters()).device
    texts = _texts(rows)
    together = _joined(texts)
    training = network.training
    network.eval()  # without dropout
    try:
        with torch.no_grad():
            logits = network.logits(to_device(together, device))[0]
            alone = torch.cat([network.logits(to_device(text, device))[0] for text in texts])
            network.head_is_plain = _is_plain(network, to_device(together, device))
    finally:
        network.train(training)
    if not logits.isfinite().all():
        raise LatxaError("the logits of this model are not finite before any training", hint="are its weights whole?")
    difference = (alone - logits).abs().max().item()
    allowed = HALF if network.is_half else EXACT
    if not difference <= allowed * max(1.0, logits.abs().max().item()):
        raise LatxaError(
            f"this model mixes the texts of a packed row (logits differ by {difference:.2g}, "
            f"attention `{network.attention}`)",
            hint='`attention = "eager"` or "sdpa" in `--config`, or another version of transformers',
        )
    return difference


def _texts(rows: PreparedRows) -> list[PackedRows]:
    """Return the first texts of the row that holds most, each as a batch of one row."""
    looked_at = rows.batch(range(min(len(rows), ROWS_COMPARED)))
    row = int((looked_at.position_ids == 0).sum(axis=1).argmax())
    begins = np.flatnonzero(looked_at.position_ids[row] == 0).tolist()
    spans = list(pairwise([*begins, rows.sequence_length]))
    kept = [span for span in spans if span[1] <= TOKENS_COMPARED] or [(0, TOKENS_COMPARED)]
    return [PackedRows(*(array[[row], start:end] for array in looked_at)) for start, end in kept]


def _joined(texts: list[PackedRows]) -> PackedRows:
    return PackedRows(*(np.concatenate(arrays, axis=1) for arrays in zip(*texts, strict=True)))


def _is_plain(network: PackedLoss, rows: DeviceRows) -> bool:
    """Whether the loss out of hidden states and the head's matrix is that of the model's logits.

    Hidden states are made so large for it that logits are too: a soft cap shows only there, which training may reach.
    """
    base, head = network.model.base_model, network.model.get_output_embeddings()
    if base is network.model or type(head) is not torch.nn.Linear or head.bias is not None or not len(rows.where):
        return False

    def louder(_: torch.nn.Module, __: Any, output: Any) -> Any:
        output.last_hidden_state = output.last_hidden_state * LOUD
        return output

    hook = base.register_forward_hook(louder)
    try:
        network.head_is_plain = False
        expected = network(*rows).item()
        network.head_is_plain = True
        found = network(*rows).item()
    finally:
        hook.remove()
    return abs(found - expected) <= (HALF if network.is_half else EXACT) * max(1.0, abs(expected))
