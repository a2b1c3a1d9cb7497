"""When ratings exist: Ford's condition on the graph of wins.

The Bradley-Terry maximum is finite and unique exactly when, however the models are split in two, each side has won
against the other (a tie is half a win both ways): when the graph of wins is strongly connected
(Ford, 1957, "Solution of a ranking problem from binary comparisons", American Mathematical Monthly 64).

Graphs come in batches: `beats` is (rounds, p, p) of booleans, true where the row has won against the column.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from latxa_cli.stream.errors import LatxaError

Booleans = NDArray[np.bool_]
NAMED = 5  # how many models a message names before it only counts


def strongly_connected(beats: Booleans) -> Booleans:
    """Return (rounds,) whether the first model reaches all others, and all others reach it."""
    edges = beats.astype(np.float32)
    return _reached(edges) & _reached(edges.transpose(0, 2, 1))


def _reached(edges: NDArray[np.float32]) -> Booleans:
    reached: Booleans = np.zeros(edges.shape[:2], dtype=bool)
    further = reached.copy()
    further[:, 0] = True
    while (further != reached).any():
        reached = further
        further = reached | ((reached[:, None, :].astype(np.float32) @ edges)[:, 0] > 0)
    return np.asarray(reached.all(axis=1))


def reachable(beats: Booleans) -> Booleans:
    """Return (rounds, p, p) whether a chain of wins, possibly empty, leads from the row to the column."""
    size = beats.shape[-1]
    reach = beats | np.eye(size, dtype=bool)
    for _ in range(max(1, (size - 1).bit_length())):  # paths of up to 2, 4, 8 … wins
        edges = reach.astype(np.float32)
        reach = edges @ edges > 0
    return reach


def check_finite(beats: Booleans, models: list[str]) -> None:
    """Raise LatxaError, naming the models, when the ratings of the one graph `beats` (p, p) are not finite."""
    if strongly_connected(beats[None])[0]:
        return
    groups = _groups(reachable((beats | beats.T)[None])[0])
    if len(groups) > 1:
        smallest = min(groups, key=len)
        raise LatxaError(
            f"the models fall into {len(groups)} groups that never met: {_names(models, smallest)} "
            "fought none of the others",
            hint="score each group for itself, or add battles between them",
        )
    reach = reachable(beats[None])[0]
    unbeaten = np.flatnonzero((reach <= reach.T).all(axis=0))  # whoever leads to them is led to by them
    winless = np.flatnonzero((reach <= reach.T).all(axis=1))
    what, who = ("never lost to", unbeaten) if len(unbeaten) <= len(winless) else ("never won against", winless)
    raise LatxaError(
        f"the ratings have no finite value: {_names(models, who)} {what} the others",
        hint="`--prior 1` adds half a win both ways to every pair that met",
    )


def _groups(reach: Booleans) -> list[NDArray[np.int64]]:
    left = np.ones(len(reach), dtype=bool)
    groups = []
    while left.any():
        members = reach[left.argmax()]
        groups.append(np.flatnonzero(members))
        left &= ~members
    return groups


def _names(models: list[str], chosen: NDArray[np.int64]) -> str:
    names = [f"`{models[number]}`" for number in chosen[:NAMED]]
    more = len(chosen) - len(names)
    return ", ".join(names) + (f" and {more} more" if more else "")
