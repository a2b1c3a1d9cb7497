"""Proofs on the model at hand, before its first step.

- The texts of a row do not see each other. Where they do if packed, rows are taken apart.
- The loss in blocks (`cross_entropy`) is that of the model's own logits.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import torch

from latxa_cli.stream.errors import LatxaError
from latxa_cli.training.data.rows import PackedRows, PreparedRows
from latxa_cli.training.network.forward import DeviceRows, PackedLoss, to_device
from latxa_cli.training.processes import Processes

ROWS_COMPARED = 512  # the row with most texts among these is compared
TOKENS_COMPARED = 2048  # of that row, so that its logits fit into memory
# The largest allowed difference, as a share of the largest logit. Measured on a model of two layers, before and after
# training, rounding causes 4e-7 in float32 and 6e-3 in bfloat16. Texts that see each other differ by far more.
EXACT, HALF = 1e-3, 5e-2
# Factor of hidden states that makes a soft cap show. Logits of an untrained model are a few units, and soft caps lie at
# 30 or 50 (Gemma 2).
LOUD = 100.0


@dataclass(frozen=True, slots=True)
class Proof:
    """What the comparison of texts in rows with each text alone has found.

    Attributes:
        difference: the largest one of logits.
        mixed: that of packed rows, where these are taken apart for it.
    """

    difference: float
    mixed: float | None = None

    @property
    def note(self) -> str:
        """Return a line for people on why rows are taken apart, or an empty text."""
        if self.mixed is None:
            return ""
        return (
            f"texts of a packed row see each other in this model (logits differ by {self.mixed:.2g}): rows are taken "
            "apart, and texts of like length computed together, which is slower"
        )


def choose(network: PackedLoss, rows: PreparedRows, packing: str, processes: Processes | None = None) -> Proof:
    """Compute rows packed, or else take them apart, as `packing` wants it; prove that texts do not see each other.

    Args:
        network: the network, which is told.
        rows: the data.
        packing: `always`, `never`, or `auto`: where the model allows it.
        processes: all of which take the same way.

    Raises:
        LatxaError: texts see each other; or logits are not finite.
    """
    processes = processes or Processes()
    if packing == "never":
        network.unpack()
    found, allowed = _difference(network, rows, processes)
    mixed = None
    if not found <= allowed and packing == "auto":
        mixed = found
        network.unpack()
        found, allowed = _difference(network, rows, processes)
    if not found <= allowed:
        raise _mixes(network, found)
    return Proof(found, mixed)


def check(network: PackedLoss, rows: PreparedRows) -> float:
    """Prove that packed texts do not see each other, as `choose` does; return the largest difference."""
    return choose(network, rows, "always").difference


def _mixes(network: PackedLoss, found: float) -> LatxaError:
    others = " or ".join(f'"{name}"' for name in ("eager", "sdpa") if name != network.attention)
    hint = f"`attention = {others}` in `--config`, or another version of transformers"
    row = "a row that is taken apart"
    if network.packed:
        row, hint = "a packed row", '`packing = "auto"` takes rows apart'
    return LatxaError(
        f"this model mixes the texts of {row} (logits differ by {found:.2g}, attention `{network.attention}`)",
        hint=hint,
    )


def _difference(network: PackedLoss, rows: PreparedRows, processes: Processes) -> tuple[float, float]:
    """Return the largest difference of logits in a row and alone, over all processes, and what is allowed of it.

    It also finds whether the head is one plain matrix, as `cross_entropy` needs it, and tells the network.
    """
    device = next(network.parameters()).device
    texts = _texts(rows)
    together = _joined(texts)
    training = network.training
    network.eval()  # dropout would differ between the two
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
    allowed = (HALF if network.is_half else EXACT) * max(1.0, logits.abs().max().item())
    return max(processes.all((difference, allowed)), key=lambda found: (not found[0] <= found[1], found[0]))


def _texts(rows: PreparedRows) -> list[PackedRows]:
    """Return the first texts of the row with most texts, each as a batch of one row."""
    sample = rows.batch(range(min(len(rows), ROWS_COMPARED)))
    row = int((sample.position_ids == 0).sum(axis=1).argmax())
    begins = np.flatnonzero(sample.position_ids[row] == 0).tolist()
    spans = list(pairwise([*begins, rows.sequence_length]))
    first_spans = [span for span in spans if span[1] <= TOKENS_COMPARED] or [(0, TOKENS_COMPARED)]
    return [PackedRows(*(array[[row], start:end] for array in sample)) for start, end in first_spans]


def _joined(texts: list[PackedRows]) -> PackedRows:
    return PackedRows(*(np.concatenate(arrays, axis=1) for arrays in zip(*texts, strict=True)))


def _is_plain(network: PackedLoss, rows: DeviceRows) -> bool:
    """Whether hidden states and the head's matrix give the loss of the model's own logits.

    Hidden states are scaled up for this, since a soft cap shows on large logits alone, and training may reach those.
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
        plain = network(*rows).item()
    finally:
        hook.remove()
    return abs(plain - expected) <= (HALF if network.is_half else EXACT) * max(1.0, abs(expected))
