"""The loss in blocks, against torch's own on whole logits."""

from __future__ import annotations

import pytest
import torch
from torch.nn.functional import cross_entropy

from latxa_cli.training.network import cross_entropy as module
from latxa_cli.training.network.cross_entropy import linear_cross_entropy


def gradients(loss_of, hidden, weight, targets, factor):
    hidden, weight = hidden.clone().requires_grad_(), weight.clone().requires_grad_()
    loss = loss_of(hidden, weight, targets)
    (loss * factor).backward()
    return loss.detach(), hidden.grad, weight.grad


def whole(hidden, weight, targets):
    return cross_entropy((hidden @ weight.to(hidden.dtype).T).float(), targets, reduction="sum")


@pytest.mark.parametrize("block", [1, 3, 7, 1000])
def test_blocks_give_loss_and_gradients_of_the_whole(monkeypatch, block):
    draw = torch.Generator().manual_seed(1)
    hidden = torch.randn(7, 12, generator=draw, dtype=torch.float64).float()
    weight = torch.randn(50, 12, generator=draw, dtype=torch.float64).float()
    targets = torch.randint(50, (7,), generator=draw)
    monkeypatch.setitem(module.BLOCK_LOGITS, "cpu", block * 50)
    found = gradients(linear_cross_entropy, hidden, weight, targets, 0.25)
    for ours, expected in zip(found, gradients(whole, hidden, weight, targets, 0.25), strict=True):
        assert torch.allclose(ours, expected, rtol=1e-5, atol=1e-6)


def test_half_precision_with_weights_in_float32():
    draw = torch.Generator().manual_seed(2)
    hidden, weight = (torch.randn(size, 64, generator=draw) for size in (40, 300))
    targets = torch.randint(300, (40,), generator=draw)
    loss, on_hidden, on_weight = gradients(linear_cross_entropy, hidden.bfloat16(), weight, targets, 1.0)
    exact = gradients(whole, hidden, weight, targets, 1.0)
    assert loss.dtype == torch.float32 and on_hidden.dtype == torch.bfloat16 and on_weight.dtype == torch.float32
    for ours, expected in zip((loss, on_hidden.float(), on_weight), exact, strict=True):
        assert (ours - expected).norm() < 0.02 * expected.norm()


def test_a_frozen_head_gets_no_gradient_and_nothing_trained_costs_nothing():
    hidden, weight = torch.randn(5, 4).requires_grad_(), torch.randn(9, 4)
    linear_cross_entropy(hidden, weight, torch.tensor([0, 8, 3, 3, 1])).backward()
    assert hidden.grad.abs().sum() > 0 and weight.grad is None
    none = linear_cross_entropy(hidden[:0], weight.requires_grad_(), torch.empty(0, dtype=torch.long))
    none.backward()
    assert none.item() == 0.0 and weight.grad.abs().sum() == 0


def test_the_gradient_of_a_number_by_differences():
    draw = torch.Generator().manual_seed(3)
    hidden, weight = (torch.randn(size, 5, generator=draw, dtype=torch.float64).requires_grad_() for size in (3, 8))
    targets = torch.tensor([1, 7, 7])

    def loss(one, other):
        return linear_cross_entropy(one, other, targets).double()

    assert torch.autograd.gradcheck(loss, (hidden, weight), eps=1e-3, atol=1e-2)
