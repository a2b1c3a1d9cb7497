"""A seeded part of the items of a task or group: in proportion to its subtasks, a smaller part in a larger one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from heapq import heapify, heapreplace
from typing import TYPE_CHECKING, Any

import orjson

from latxa_cli.stream.records import keyed_hash

if TYPE_CHECKING:
    from lm_eval.api.task import ConfigurableTask


def taken(items: Mapping[str, Sequence[Any]], count: int, seed: int) -> dict[str, list[int]]:
    """Return the places of the items that are taken of each subtask, in order.

    - Every subtask gives one, and then each further item comes from the subtask for which items / (taken + 1/2) is
      largest (the method of Webster and Sainte-Laguë), so that the shares of a larger part never fall below those of a
      smaller one.
    - Within a subtask, those with the smallest keyed hashes of their identity (`id`, else content) are taken.

    Args:
        items: the items of each subtask.
        count: how many to take in all; more than there are takes all.
        seed: of the hashes.
    """
    places = {}
    for name, share in _shares({name: len(some) for name, some in items.items()}, count).items():
        keys = [(keyed_hash(seed, "take", _identity(item)), place) for place, item in enumerate(items[name])]
        places[name] = sorted(place for _, place in sorted(keys)[:share])
    return places


def give_shots_to(task: ConfigurableTask, places: Sequence[int]) -> None:
    """Have a task draw shots for the items at `places`: those that they have where all items are asked."""
    sampler = getattr(task, "sampler", None)
    if sampler is not None:
        sampler.take(places)


def _shares(sizes: Mapping[str, int], count: int) -> dict[str, int]:
    """Return how many items each subtask gives."""
    shares = {name: min(1, size) for name, size in sizes.items()}

    def priority(name: str) -> float:
        return -sizes[name] / (shares[name] + 0.5) if shares[name] < sizes[name] else 1.0

    waiting = [(priority(name), number, name) for number, name in enumerate(sizes)]
    heapify(waiting)
    for _ in range(min(count, sum(sizes.values())) - sum(shares.values())):
        _, number, name = waiting[0]
        shares[name] += 1
        heapreplace(waiting, (priority(name), number, name))
    return shares


def _identity(item: Any) -> str:
    own = item.get("id") if isinstance(item, dict) else None
    return str(own) if own not in (None, "") else orjson.dumps(item, default=str, option=orjson.OPT_SORT_KEYS).hex()
