"""The loss that balances the experts of a mixture, where the model's configuration asks for it.

That is `output_router_logits`. transformers adds the loss (Fedus et al. 2021, arXiv 2101.03961, equations 4 to 6) to
the cross-entropy of a batch, by a function and with a coefficient of the model's family.

It is not linear in tokens. It is computed over the texts of each row, as transformers does it over a batch of them, and
rows weigh by their trained tokens. So neither the batch size nor the number of processes changes it.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from latxa_cli.training.network.forward import DeviceRows

FUNCTION = "load_balancing_loss_func"  # in the module of a family
TAKES = ("gate_logits", "num_experts", "top_k", "attention_mask")
COEFFICIENTS = ("router_aux_loss_coef", "aux_loss_coef")


@dataclass(frozen=True, slots=True)
class Balance:
    """The balancing loss of a family.

    Attributes:
        function: of (logits of the routers, experts, `chosen`, mask).
        chosen: experts of a token.
        coefficient: of the loss beside the cross-entropy.
    """

    function: Callable[..., Tensor]
    chosen: int
    coefficient: float

    def over(self, rows: DeviceRows, routed: Sequence[Tensor]) -> Tensor:
        """Return the loss of each row times its trained tokens, as a sum over rows.

        Args:
            rows: whose padding is left out, as every text without a trained token.
            routed: [rows x length, experts] of each layer with experts, the logits of its router.
        """
        count, length = rows.input_ids.shape
        weights = torch.zeros(count, device=rows.where.device).index_add_(
            0, rows.where // length, torch.ones_like(rows.where, dtype=torch.float32)
        )
        masks = _trained_texts(rows).view(count, length)
        layers = [logits.float().view(count, length, -1) for logits in routed]
        losses = [
            self.function(
                tuple(logits[row] for logits in layers), layers[0].shape[-1], self.chosen, masks[row : row + 1]
            )
            for row in range(count)
        ]
        return (torch.stack(losses) * weights).sum()


def is_wanted(model: PreTrainedModel) -> bool:
    """Whether the model's configuration asks for this loss."""
    return bool(getattr(model.config.get_text_config(), "output_router_logits", False))


def of_family(model: PreTrainedModel) -> Balance | None:
    """Return the loss of the model's family, or None where transformers has none that is called as others are."""
    function = getattr(sys.modules[type(model).__module__], FUNCTION, None)
    coefficient = next((found for name in COEFFICIENTS if (found := _number(model, name)) is not None), None)
    chosen = _number(model, "num_experts_per_tok")
    if function is None or coefficient is None or chosen is None:
        return None
    if tuple(inspect.signature(function).parameters) != TAKES:
        return None
    return Balance(function, int(chosen), coefficient)


def _number(model: PreTrainedModel, name: str) -> float | None:
    """Return a number of the model, or else of the part of its configuration about text."""
    found: float | None = getattr(model, name, getattr(model.config.get_text_config(), name, None))
    return found


def _trained_texts(rows: DeviceRows) -> Tensor:
    """Return 1 for each token of a text with a trained token, else 0: float32 [rows x length].

    All tokens of a row without any have 1, since its loss, of which nothing is taken, must be a number.
    """
    device, count = rows.where.device, rows.input_ids.numel()
    text_of = torch.searchsorted(rows.boundaries, torch.arange(count, device=device, dtype=torch.int32), right=True) - 1
    is_trained = torch.zeros(len(rows.boundaries) - 1, device=device)
    is_trained[text_of[rows.where]] = 1.0
    found = is_trained[text_of].view(rows.input_ids.shape)
    return torch.where(found.any(dim=1, keepdim=True), found, 1.0).flatten()
