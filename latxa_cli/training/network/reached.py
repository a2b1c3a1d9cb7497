"""Weights that a forward pass does not reach, such as those of an expert to which none of its texts comes.

Several processes exchange gradients weight by weight, as their backward passes make them. What a pass reaches in one
process and not in another would leave the others waiting, or add up what does not belong together. So every weight that
a pass has not reached gets a gradient of zeros from it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import Parameter

from latxa_cli.training.processes import Processes


def reaching_all(loss: Tensor, members: Sequence[Parameter]) -> Tensor:
    """Return `loss`, whose backward pass gives a gradient to each of `members`: zeros where it reaches none."""
    missing = _missing(loss, members)
    return _Given.apply(loss, [None] * len(missing), *missing) if missing else loss  # type: ignore[no-any-return, no-untyped-call]


def in_one_order(loss: Tensor, members: Sequence[Parameter], processes: Processes) -> Tensor:
    """Return `loss`, whose backward pass reaches the same of `members` in each process, one after the other.

    Where all reach the same, that is the order of the pass. Else all gradients are computed before, and given in the
    order of `members`: what takes them in the order in which they come adds up like with like (ZeRO 2).
    """
    missing = {id(member) for member in _missing(loss, members)}
    lacking = processes.sum(*(float(id(member) in missing) for member in members))
    if all(count in (0, processes.world) for count in lacking):
        return loss
    gradients = list(torch.autograd.grad(loss, members, allow_unused=True))
    return _Given.apply(loss.detach(), gradients, *members)  # type: ignore[no-any-return, no-untyped-call]


def _missing(loss: Tensor, members: Sequence[Parameter]) -> list[Parameter]:
    """Return those of `members` that are not in the graph of a loss."""
    waiting, seen, leaves = [loss.grad_fn], {loss.grad_fn}, set()
    while waiting:
        node = waiting.pop()
        if node is None:
            continue
        if (leaf := getattr(node, "variable", None)) is not None:
            leaves.add(id(leaf))
        for following, _ in node.next_functions:
            if following not in seen:
                seen.add(following)
                waiting.append(following)
    return [member for member in members if id(member) not in leaves]


class _Given(torch.autograd.Function):
    """The identity of a loss, with a given gradient for each of some other tensors; None stands for zeros."""

    @staticmethod
    def forward(context: Any, loss: Tensor, gradients: list[Tensor | None], *others: Tensor) -> Tensor:
        context.gradients, context.others = gradients, others
        return loss.view_as(loss)

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        given = (
            torch.zeros_like(other) if own is None else own * gradient
            for own, other in zip(context.gradients, context.others, strict=True)
        )
        return gradient, None, *given
