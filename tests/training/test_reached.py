"""Gradients of weights that a pass does not reach, and their order among processes."""

from __future__ import annotations

import pytest
import torch
from torch.nn import Parameter

from latxa_cli.training.network.reached import in_one_order, reaching_all
from latxa_cli.training.processes import Processes


class Two(Processes):
    """One of two processes; the other one lacks what `lacks` says, of the members in turn."""

    def __init__(self, *lacks):
        super().__init__()
        self.lacks = lacks

    @property
    def world(self):
        return 2

    def sum(self, *values):
        return [mine + other for mine, other in zip(values, self.lacks, strict=True)]


@pytest.fixture
def members():
    return [Parameter(torch.tensor([float(number)])) for number in (2, 3, 5)]


def in_order(members):
    """Return the list that will hold the numbers of members, in the order in which their gradients come."""
    come = []
    for number, member in enumerate(members):
        member.register_post_accumulate_grad_hook(lambda _, number=number: come.append(number))
    return come


def loss_of(first, second):
    return (first * second.square()).sum()


def gradients(members):
    return [None if member.grad is None else member.grad.item() for member in members]


def test_what_is_not_reached_gets_zeros_and_the_rest_its_own(members):
    loss = reaching_all(loss_of(members[0], members[1]), members)
    assert loss.item() == 18.0
    (loss * 0.5).backward()
    assert gradients(members) == [4.5, 6.0, 0.0]
    whole = loss_of(members[0], members[1]) + members[2].sum()
    assert reaching_all(whole, members) is whole


def test_where_processes_reach_others_all_gradients_come_in_one_order(members):
    come = in_order(members)
    loss = in_one_order(loss_of(members[2], members[1]), members, Two(0, 1, 0))
    (loss * 0.5).backward()
    assert loss.item() == 45.0 and gradients(members) == [0.0, 15.0, 4.5] and come == [0, 1, 2]


def test_where_all_reach_the_same_nothing_is_changed(members):
    come = in_order(members)
    loss = loss_of(members[2], members[1])
    assert in_one_order(loss, members, Two(1, 0, 0)) is loss
    loss.backward()
    assert gradients(members) == [None, 30.0, 9.0] and sorted(come) == [1, 2]
