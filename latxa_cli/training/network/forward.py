"""The forward pass, from packed rows to the sum of their losses.

- Packed: a model of transformers keeps the texts of a row apart if it is called with position ids that begin again with
  each text, without an attention mask and without a cache.
- Unpacked: of other models, rows are taken apart (`unpacked`).

`isolation` proves that texts do not see each other, for the model at hand.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import cross_entropy

from latxa_cli.stream.records import keyed_hash
from latxa_cli.training.data.rows import IGNORED, PackedRows
from latxa_cli.training.network.attention import takes_boundaries, without_boundaries
from latxa_cli.training.network.balance import Balance
from latxa_cli.training.network.cross_entropy import linear_cross_entropy
from latxa_cli.training.network.unpacked import groups, turning_lengths

if TYPE_CHECKING:
    from transformers import PreTrainedModel


class DeviceRows(NamedTuple):
    """Rows on the device of the model.

    Attributes:
        input_ids, position_ids: i64 [rows, length].
        where: i64 [trained tokens], the places before trained tokens, in all rows one after another.
        targets: i64 [trained tokens], the token that should follow each place.
        boundaries: i32 [texts + 1], the begin of each text and the end of the last one.
        longest: tokens of the longest text.
    """

    input_ids: Tensor
    position_ids: Tensor
    where: Tensor
    targets: Tensor
    boundaries: Tensor
    longest: int


def to_device(batch: PackedRows, device: torch.device) -> DeviceRows:
    """Move rows to the device."""
    length = batch.input_ids.shape[1]
    rows, columns = np.nonzero(batch.labels[:, 1:] != IGNORED)
    begins = np.flatnonzero(batch.position_ids.ravel() == 0)
    boundaries = np.append(begins, batch.input_ids.size).astype(np.int32)
    return DeviceRows(
        _moved(batch.input_ids.astype(np.int64), device),
        _moved(batch.position_ids.astype(np.int64), device),
        _moved(rows * length + columns, device),
        _moved(batch.labels[rows, columns + 1].astype(np.int64), device),
        _moved(boundaries, device),
        int(np.diff(boundaries).max()),
    )


def _moved(array: NDArray[Any], device: torch.device) -> Tensor:
    tensor = torch.from_numpy(np.ascontiguousarray(array))
    # From pinned memory the copy runs while the GPU computes.
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor.to(device)


class PackedLoss(torch.nn.Module):
    """A causal language model with the loss of packed rows; backends wrap it.

    With `casts` it computes in bfloat16, whatever the dtype of the weights.
    """

    def __init__(self, model: PreTrainedModel, *, attention: str, casts: bool = False) -> None:
        super().__init__()
        self.model = model
        self.attention = attention
        self.casts = casts
        self.packed = True  # `isolation` checks it, and may call `unpack`
        self.by_grid = False  # positions are those of texts and of a grid; `isolation` checks it
        self.head_is_plain = True  # logits are the last hidden states times one matrix; `isolation` checks it
        self.calls = 0  # of the model in each forward pass over rows taken apart; 0: as many as are fast
        self.balance: Balance | None = None  # trained beside the cross-entropy
        self.balancing: Tensor | None = None  # that of the last forward pass in training, see `Balance.over`
        self.finish: Callable[[Tensor], Tensor] | None = None  # what a backend does to a loss, see `reached`
        self._noise: Tensor | None = None
        model.get_input_embeddings().register_forward_hook(self._on_embeddings)

    @property
    def is_half(self) -> bool:
        """Whether logits are computed in half precision."""
        return self.casts or next(self.parameters()).dtype in (torch.bfloat16, torch.float16)

    @property
    def has_grid(self) -> bool:
        """Whether the model turns positions in time, height and width each by angles of their own (Qwen2-VL)."""
        return any(getattr(module, "mrope_section", None) for module in self.model.modules())

    def unpack(self) -> None:
        """From now on, take rows apart."""
        self.packed = False
        self.attention = without_boundaries(self.model, self.attention)

    def _on_embeddings(self, module: torch.nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        """Add the noise, and cast where the network `casts`."""
        if self._noise is not None:
            output = output + self._noise.to(output.dtype)
        # Autocast leaves embeddings in float32, and with them the residual stream. A bfloat16 model has neither.
        return output.bfloat16() if self.casts else output

    def forward(
        self,
        input_ids: Tensor,
        position_ids: Tensor,
        where: Tensor,
        targets: Tensor,
        boundaries: Tensor,
        longest: int,
        noise: Tensor | None = None,
    ) -> Tensor:
        """Return the sum of the cross-entropy over trained tokens; in training, its gradient has that of `balance` too.

        The arguments are those of `DeviceRows`, and `noise` [rows, length, size], which is added to the embeddings.
        """
        loss = self._loss(DeviceRows(input_ids, position_ids, where, targets, boundaries, longest), noise)
        return self.finish(loss) if self.finish and loss.requires_grad else loss

    def _loss(self, rows: DeviceRows, noise: Tensor | None) -> Tensor:
        where, targets = rows.where, rows.targets
        if not self.head_is_plain:
            logits, *routed = self._outputs(self.model, "logits", rows, noise)
            return self._balanced(cross_entropy(logits[where].float(), targets, reduction="sum"), rows, routed)
        hidden, *routed = self._outputs(self.model.base_model, "last_hidden_state", rows, noise)
        hidden = hidden[where]
        loss = linear_cross_entropy(
            hidden.bfloat16() if self.casts else hidden, self.model.get_output_embeddings().weight, targets
        )
        return self._balanced(loss, rows, routed)

    def _balanced(self, loss: Tensor, rows: DeviceRows, routed: list[Tensor]) -> Tensor:
        """Return `loss` with the gradient of `balance` too; `routed`: the logits of routers."""
        self.balancing = None
        if self.balance is None or not routed:
            return loss
        balancing = self.balance.over(rows, routed)
        self.balancing = balancing.detach()
        # Its value stays the cross-entropy, which all runs have, to the last bit.
        return loss + self.balance.coefficient * (balancing - self.balancing)

    def logits(self, rows: DeviceRows) -> Tensor:
        """Return all logits of rows, [rows, length, vocabulary], from the model itself."""
        return self.of_tokens(self.model, "logits", rows).view(*rows.input_ids.shape, -1)

    def autocast(self, device: torch.device) -> torch.autocast:
        """Return the context of computing: in bfloat16 where the network `casts`."""
        return torch.autocast(device.type, dtype=torch.bfloat16, enabled=self.casts)

    def of_tokens(self, module: torch.nn.Module, output: str, rows: DeviceRows, noise: Tensor | None = None) -> Tensor:
        """Return an output of `module`, the model or a part of it, for each token of rows, [rows x length, size]."""
        return self._outputs(module, output, rows, noise)[0]

    def _outputs(self, module: torch.nn.Module, output: str, rows: DeviceRows, noise: Tensor | None) -> list[Tensor]:
        """Return what `of_tokens` does, and behind it the logits of each router where these are trained."""
        with self.autocast(rows.input_ids.device):
            if not self.packed:
                return self._unpacked(module, output, rows.input_ids.flatten(), rows.boundaries, noise)
            input_ids, position_ids = rows.input_ids, rows.position_ids
            further: dict[str, Any] = {}
            if takes_boundaries(self.attention):
                input_ids, position_ids = input_ids.view(1, -1), position_ids.view(1, -1)
                noise = None if noise is None else noise.view(1, -1, noise.shape[-1])
                further = {
                    "cu_seq_lens_q": rows.boundaries, "cu_seq_lens_k": rows.boundaries,
                    "max_length_q": rows.longest, "max_length_k": rows.longest,
                }  # fmt: skip
            if self.by_grid:  # those that keep texts apart, then those in time, height and width
                position_ids = position_ids.expand(4, -1, -1)
            return self._call(module, output, noise, input_ids=input_ids, position_ids=position_ids, **further)

    def _unpacked(
        self, module: torch.nn.Module, output: str, input_ids: Tensor, boundaries: Tensor, noise: Tensor | None
    ) -> list[Tensor]:
        limits = turning_lengths(self.model.config.get_text_config())
        texts = groups(boundaries.cpu().numpy().astype(np.int64), limits, self.calls)
        found = []
        for group in texts:
            places = _moved(group.places, input_ids.device)
            some = None if noise is None else noise.flatten(0, 1)[places]
            own = _moved(group.own, input_ids.device)
            found.append([each[own] for each in self._call(module, output, some, input_ids=input_ids[places])])
        for _ in range(self.calls - len(texts)):  # of a text of which nothing is taken
            nothing = self._call(module, output, None, input_ids=input_ids[places[-1:]])
            found[-1][0] = found[-1][0] + 0 * nothing[0].sum()
        order = np.concatenate([group.places.flat[group.own] for group in texts]).argsort()
        return [torch.cat(parts)[_moved(order, input_ids.device)] for parts in zip(*found, strict=True)]

    def _call(self, module: torch.nn.Module, output: str, noise: Tensor | None, **inputs: Any) -> list[Tensor]:
        if module is self.model and self.balance and not self.training:
            # It would compute its balancing loss for nothing, and fail where no router chooses by logits.
            inputs["output_router_logits"] = False
        self._noise = noise
        try:
            found = module(**inputs, use_cache=False)
        finally:
            self._noise = None
        routed = getattr(found, "router_logits", None) if self.balance and self.training else None
        return [getattr(found, output).flatten(0, 1), *(logits.flatten(0, -2) for logits in routed or ())]


def noise_for(
    batch: PackedRows, rows: Sequence[int] | NDArray[np.int64], *, alpha: float, by_row: bool, size: int, seed: int,
    step: int, device: torch.device,
) -> Tensor:  # fmt: skip
    """Return the noise of NEFTune (Jain et al. 2023, arXiv 2310.05914, algorithm 1) for these rows, in float32.

    - It is uniform in ±alpha / √(L·d), where d is the hidden size, and L the length of the token's own text. With
      `by_row`, L is the length of the packed row, as in trainers that treat a row as one sequence.
    - It depends on seed, step and row number alone, not on the process or the batch of a row.
    """
    length = batch.input_ids.shape[1]
    noise = torch.empty((len(rows), length, size), device=device)
    for place, row in enumerate(rows):
        generator = torch.Generator(device).manual_seed(keyed_hash(seed, "neftune", str(step), int(row)) >> 1)
        noise[place].uniform_(-1, 1, generator=generator)
    if by_row:
        return noise.mul_(alpha / (length * size) ** 0.5)
    lengths = torch.from_numpy(text_lengths(batch.position_ids)).to(device)
    return noise.mul_((alpha / (lengths * size).sqrt()).unsqueeze(-1))


def text_lengths(position_ids: NDArray[np.int32]) -> NDArray[np.float32]:
    """Return the length of each token's text, in the shape of `position_ids`."""
    flat = position_ids.ravel()
    begins = np.flatnonzero(flat == 0)
    lengths = np.diff(np.append(begins, flat.size))
    return np.repeat(lengths, lengths).reshape(position_ids.shape).astype(np.float32)
