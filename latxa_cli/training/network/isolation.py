"""Proofs on the model at hand, before its first step.

- The texts of a row do not see each other. Where they do if packed, rows are taken apart.
- The loss in blocks (`cross_entropy`) is that of the model's own logits.

What a model says of a text must not depend on another text: its gradient there is zero, to the last bit, in any dtype.
And it must be what the model says of the text alone, within rounding, in rows as long as those of the run.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from latxa_cli.stream.errors import LatxaError
from latxa_cli.training.data.rows import PackedRows, PreparedRows
from latxa_cli.training.network import parameters
from latxa_cli.training.network.forward import DeviceRows, PackedLoss, to_device
from latxa_cli.training.network.unpacked import turning_lengths
from latxa_cli.training.processes import Processes

ROWS_COMPARED = 512  # the row with most texts among these is compared
TOKENS_COMPARED = 2048  # of a row, so that their logits fit into memory
TEXTS_COMPARED = 24  # of a batch
TOKENS_FOLLOWED = 256  # of the row whose gradient is computed
SHORT = 8  # tokens: texts of fewer are compared all together
# The largest allowed difference of logits, as a share of their spread over the vocabulary. Rounding causes some 1e-6 in
# float32 and 1e-2 in bfloat16 on a model of two layers, and more on deep ones. Texts at wrong positions differ by more.
EXACT, HALF = 1e-3, 1e-1
# Of losses, as a share of them.
EXACT_LOSS, HALF_LOSS = 1e-3, 5e-2
# Of the tokens of a text, so many must be as close: rounding sends a few to other experts.
MOST = 0.75
# Factor of hidden states that makes a soft cap show. Logits of an untrained model are a few units, and soft caps lie at
# 30 or 50 (Gemma 2).
LOUD = 100.0


@dataclass(frozen=True, slots=True)
class Proof:
    """What is found of the texts in rows.

    Attributes:
        difference: of the logits in a row from those of the text alone, as a share of their spread.
        mixed: that of packed rows, where these are taken apart for it.
    """

    difference: float
    mixed: float | None = None

    @property
    def note(self) -> str:
        """A line for people on why rows are taken apart, or an empty text."""
        if self.mixed is None:
            return ""
        return (
            f"texts of a packed row would see each other in this model ({_shown(self.mixed)}): rows are taken apart, "
            "and texts of like length computed together"
        )


def _shown(difference: float) -> str:
    if difference <= EXACT:
        return f"a gradient shows it; logits differ by {difference:.2g} of their spread"
    return f"logits differ by {difference:.2g} of their spread"


def choose(network: PackedLoss, rows: PreparedRows, packing: str, processes: Processes | None = None) -> Proof:
    """Compute rows packed, or else take them apart, as `packing` wants it; prove that texts do not see each other.

    It also finds whether the head is one plain matrix, as `cross_entropy` needs it, and tells the network.

    Args:
        network: the network, which is told.
        rows: the data.
        packing: `always`, `never`, or `auto`: where the model allows it.
        processes: all of which take the same way.

    Raises:
        LatxaError: texts see each other; or logits are not finite.
    """
    processes = processes or Processes()
    with _evaluating(network):
        if packing == "never":
            network.unpack()
        sees, difference = _findings(network, rows, processes)
        mixed = None
        if sees and network.packed and network.has_grid:
            sees, difference = _by_grid(network, rows, processes) or (sees, difference)
        if sees and packing == "auto":
            mixed = difference
            network.unpack()
            sees, difference = _findings(network, rows, processes)
        if sees:
            raise _mixes(network, difference)
        with torch.no_grad():
            row = _row_of_most_texts(rows)
            network.head_is_plain = _is_plain(
                network, _on_device(network, PackedRows(*(array[:, :TOKENS_COMPARED] for array in row)))
            )
    return Proof(difference, mixed)


def _by_grid(network: PackedLoss, rows: PreparedRows, processes: Processes) -> tuple[bool, float] | None:
    """Return the `_findings` of positions in a grid, which the network then takes, or None where they do not help."""
    network.by_grid = True
    try:
        found = _findings(network, rows, processes)
    except (IndexError, RuntimeError):  # a grid of other axes
        found = None
    network.by_grid = found is not None and not found[0]
    return found if network.by_grid else None


def check(network: PackedLoss, rows: PreparedRows) -> float:
    """Prove that packed texts do not see each other, as `choose` does; return the difference."""
    return choose(network, rows, "always").difference


@contextmanager
def _evaluating(network: PackedLoss) -> Iterator[None]:
    """Switch dropout off, which would differ between a text in a row and alone."""
    training = network.training
    network.eval()
    try:
        yield
    finally:
        network.train(training)


def _mixes(network: PackedLoss, difference: float) -> LatxaError:
    others = " or ".join(f'"{name}"' for name in ("eager", "sdpa") if name != network.attention)
    row, hint = "a row that is taken apart", f"`attention = {others}` in `--config`, or another version of transformers"
    if network.packed:
        row, hint = "a packed row", "`--packing auto` takes rows apart"
    return LatxaError(
        f"this model mixes the texts of {row} ({_shown(difference)}, attention `{network.attention}`)",
        hint=hint,
    )


def _findings(network: PackedLoss, rows: PreparedRows, processes: Processes) -> tuple[bool, float]:
    """Return whether texts see each other in any process, and the largest difference of logits."""
    row = _row_of_most_texts(rows)
    # DeepSpeed would take this gradient for one of a step where it has hooks on modules: on mixtures in ZeRO-3.
    hooked = any(module._backward_hooks for module in network.modules())
    sees = not hooked and _sees(network, _followed(row))
    with torch.no_grad():
        difference = float(np.max([_difference(network, batch) for batch in _compared(row, network)]))
    sees = sees or not difference <= (HALF if network.is_half else EXACT)
    sees_of_all, differences = zip(*processes.all((sees, difference)), strict=True)
    return any(sees_of_all), float(np.max(differences))


def _row_of_most_texts(rows: PreparedRows) -> PackedRows:
    sample = rows.batch(range(min(len(rows), ROWS_COMPARED)))
    row = int((sample.position_ids == 0).sum(axis=1).argmax())
    return PackedRows(*(array[[row]] for array in sample))


def _on_device(network: PackedLoss, batch: PackedRows) -> DeviceRows:
    return to_device(batch, next(network.parameters()).device)


# --- what a text depends on ------------------------------------------------------------------------------------------


def _sees(network: PackedLoss, row: PackedRows) -> bool:
    """Whether the logits of a row's even texts have a gradient at its odd ones, that of a noise of zeros."""
    size = parameters.shape(cast(Tensor, network.model.get_input_embeddings().weight))[-1]
    device = next(network.parameters()).device
    noise = torch.zeros((*row.input_ids.shape, size), device=device, requires_grad=True)
    even = torch.from_numpy((row.position_ids[0] == 0).cumsum() % 2 == 0).to(device)
    logits = network.of_tokens(network.model, "logits", _on_device(network, row), noise)[even].float()
    weights = torch.randn(logits.shape, generator=torch.Generator().manual_seed(0)).to(device)
    (gradient,) = torch.autograd.grad((logits * weights).sum(), noise)
    return bool(gradient[0, ~even].abs().max() > 0)


def _followed(row: PackedRows) -> PackedRows:
    """Return the first tokens of a row, as four texts of unequal lengths."""
    length = min(TOKENS_FOLLOWED, row.input_ids.shape[1])
    return _cut(row, length, [0, length // 8, length // 2, length - 1 - length // 4])


def _cut(row: PackedRows, length: int, begins: Sequence[int]) -> PackedRows:
    """Return the first `length` tokens of a row as texts that begin at other places."""
    begin_of = np.zeros(length, np.int32)
    begin_of[list(begins)] = begins
    positions = np.arange(length, dtype=np.int32) - np.maximum.accumulate(begin_of)
    return PackedRows(row.input_ids[:, :length], positions[None], row.labels[:, :length])


# --- what is said of a text alone ------------------------------------------------------------------------------------


def _compared(row: PackedRows, network: PackedLoss) -> Iterator[PackedRows]:
    """Yield batches whose texts are to have the logits that they have alone.

    - The row of most texts.
    - Its tokens as a short text and a long one behind it.
    - The row beside another of a single text, where the length of that could turn the positions of all.
    """
    length = row.input_ids.shape[1]
    yield row
    yield _cut(row, length, [0, length // 8])
    if any(limit < length for limit in turning_lengths(network.model.config.get_text_config())):
        yield PackedRows(*(np.concatenate(both) for both in zip(row, _cut(row, length, [0]), strict=True)))


def _difference(network: PackedLoss, batch: PackedRows) -> float:
    """Return the largest difference of the logits of a text in a batch and alone, as a share of their spread."""
    together = _states(network, batch)
    step = -(-len(together) // TOKENS_COMPARED)
    length = batch.input_ids.shape[1]
    samples: list[Tensor] = []
    short: list[Tensor] = []
    for row, begin, end in _some_texts(batch):
        alone = _states(network, PackedRows(*(array[[row], begin:end] for array in batch)))
        expected, found = (
            _scores(network, states) for states in (alone[::step], together[row * length :][begin:end:step])
        )
        if not found.isfinite().all():
            raise LatxaError(
                "the logits of this model are not finite before any training", hint="are its weights whole?"
            )
        share = (found - expected).square().mean(dim=-1).sqrt() / expected.std(dim=-1).mean().clamp_min(1e-12)
        (samples if end - begin >= SHORT else short).append(share)
    if short:
        samples.append(torch.cat(short))
    return float(np.max([sample.quantile(MOST).item() for sample in samples]))


def _some_texts(batch: PackedRows) -> list[tuple[int, int, int]]:
    """Return (row, begin, end) of texts of a batch, from the first to the last."""
    texts = [
        (row, *span)
        for row, positions in enumerate(batch.position_ids)
        for span in pairwise([*np.flatnonzero(positions == 0).tolist(), len(positions)])
    ]
    return [texts[place] for place in np.unique(np.linspace(0, len(texts) - 1, TEXTS_COMPARED).round().astype(int))]


def _states(network: PackedLoss, batch: PackedRows) -> Tensor:
    """Return what the head gets of each token; of a model without a head of its own, the logits."""
    base, output = (network.model.base_model, "last_hidden_state") if _has_head(network) else (network.model, "logits")
    return network.of_tokens(base, output, _on_device(network, batch))


def _scores(network: PackedLoss, states: Tensor) -> Tensor:
    """Return the logits of some `_states`, in float32; what a model does to logits of the head is left out."""
    if not _has_head(network):
        return states.float()
    with network.autocast(states.device):
        scores: Tensor = network.model.get_output_embeddings()(states)
    return scores.float()


def _has_head(network: PackedLoss) -> bool:
    return network.model.base_model is not network.model and network.model.get_output_embeddings() is not None


# --- the head --------------------------------------------------------------------------------------------------------


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
    return abs(plain - expected) <= (HALF_LOSS if network.is_half else EXACT_LOSS) * max(1.0, abs(expected))
