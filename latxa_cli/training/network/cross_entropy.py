"""The cross-entropy of a linear head, a block of tokens at a time, so that the logits of all never exist at once.

With a vocabulary of 128,000 tokens, the logits of one row of 8,192 take 4 GB in float32, and their gradient as much.
The forward pass computes the loss of a block and its part of both gradients, and then drops its logits (as Liger does,
arXiv 2410.10989, section 3.2). The backward pass computes nothing again.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

# Logits in a block, 1 GiB and 16 MiB in float32: enough to keep the device busy, and little more.
BLOCK_LOGITS = {"cuda": 1 << 28, "cpu": 1 << 22}


def linear_cross_entropy(hidden: Tensor, weight: Tensor, targets: Tensor) -> Tensor:
    """Return the sum of the cross-entropy of logits `hidden @ weight.T` against `targets`, a float32 scalar.

    Matrices are multiplied in the dtype of `hidden`; probabilities are float32.

    Args:
        hidden: [tokens, size], in the dtype of computing.
        weight: [vocabulary, size].
        targets: i64 [tokens].
    """
    loss: Tensor = _LinearCrossEntropy.apply(hidden, weight, targets)
    return loss


class _LinearCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, hidden: Tensor, weight: Tensor, targets: Tensor) -> Tensor:
        needs_hidden, needs_weight, _ = ctx.needs_input_grad
        with torch.autocast(hidden.device.type, enabled=False):  # dtypes are chosen below
            matrix = weight.to(hidden.dtype)
            total = hidden.new_zeros((), dtype=torch.float32)
            hidden_gradient = torch.empty_like(hidden) if needs_hidden else None
            weight_gradient = torch.zeros_like(weight) if needs_weight else None
            block = max(1, BLOCK_LOGITS.get(hidden.device.type, 1 << 22) // len(weight))
            for start in range(0, len(hidden), block):
                part, right = hidden[start : start + block], targets[start : start + block, None]
                logits = (part @ matrix.T).float()
                normaliser = logits.logsumexp(dim=-1, keepdim=True)
                total += (normaliser - logits.gather(1, right)).sum()
                if not (needs_hidden or needs_weight):
                    continue
                gradient = logits.sub_(normaliser).exp_()
                gradient.scatter_add_(1, right, torch.full_like(right, -1, dtype=gradient.dtype))
                gradient = gradient.to(hidden.dtype)
                if hidden_gradient is not None:
                    torch.mm(gradient, matrix, out=hidden_gradient[start : start + block])
                if weight_gradient is not None:
                    _add_product(weight_gradient, gradient.T, part)
        ctx.save_for_backward(*(each for each in (hidden_gradient, weight_gradient) if each is not None))
        return total

    @staticmethod
    def backward(ctx: Any, *incoming: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        (factor,) = incoming
        saved = list(ctx.saved_tensors)
        needs_hidden, needs_weight, _ = ctx.needs_input_grad
        hidden = saved.pop(0) if needs_hidden else None
        weight = saved.pop(0) if needs_weight else None
        return (
            None if hidden is None else hidden * factor.to(hidden.dtype),
            None if weight is None else weight * factor.to(weight.dtype),
            None,
        )


def _add_product(total: Tensor, left: Tensor, right: Tensor) -> None:
    """Add a product of matrices to `total`, which may be of a wider dtype."""
    if total.dtype == right.dtype:
        total.addmm_(left, right)
    else:
        total += left @ right
