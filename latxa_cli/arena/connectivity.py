"""When ratings exist: who met whom, and Ford's condition on the graph of wins.

Models of two islands, between which there was no battle, cannot be compared. On one island the Bradley-Terry maximum is
finite and unique exactly when, however the models are split in two, each side has won against the other (a tie is half
a win both ways): when the graph of wins is strongly connected (Ford, 1957, "Solution of a ranking problem from binary
comparisons", American Mathematical Monthly 64). Where it is not, its largest strongly connected set of models is the
core: these have ratings among themselves; whoever has won against it (perhaps by way of others) and has not lost is
infinitely far above, and the other way round.

Graphs come in batches: `beats` is (rounds, p, p) of booleans, true where the row has won against the column.
"""

from __future__ import annotations

import numpy as np

from latxa_cli.arena.votes import Booleans, Counts, Floats, Integers


def strongly_connected(beats: Booleans) -> Booleans:
    """Return (rounds,) whether the first model reaches all others, and all others reach it."""
    edges = beats.astype(np.float32)
    return _reached(edges) & _reached(edges.transpose(0, 2, 1))


def _reached(edges: np.ndarray) -> Booleans:
    reached: Booleans = np.zeros(edges.shape[:2], dtype=bool)
    further = reached.copy()
    further[:, :1] = True
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


def islands(counts: Counts) -> list[Integers]:
    """Return the models that battles connect, set by set: most battles first; models without any are on none."""
    battles = counts.battles
    met = counts.cells.sum(axis=1) > 0
    reach = reachable((counts.matrix(met, met) > 0)[None])[0]
    left = battles > 0
    found = []
    while left.any():
        members = reach[left.argmax()] & left
        found.append(np.flatnonzero(members))
        left &= ~members
    return sorted(found, key=lambda models: (-battles[models].sum(), models[0]))


def core(beats: Booleans, least: Floats | float = 2) -> tuple[Booleans, Floats]:
    """Return (rounds, p) the models of each round's core, and what the others count as.

    Above the core is inf, below it -inf, neither nan. A set of fewer than `least` models (or of no more than that where
    it is no whole number) is no core: then nobody is in it, and a model counts as inf or -inf where it is above, or
    below, all others, else as nan.
    """
    reach = reachable(beats)
    mutual = reach & reach.transpose(0, 2, 1)
    size = mutual.sum(axis=2)
    rounds = np.arange(len(beats))
    head = size.argmax(axis=1)  # some model of the largest set
    is_core = size[rounds, head] >= least
    above = np.where(is_core[:, None], reach[rounds, :, head], reach.all(axis=2))
    below = np.where(is_core[:, None], reach[rounds, head, :], reach.all(axis=1))
    outside = np.where(above, np.inf, np.where(below, -np.inf, np.nan))
    return mutual[rounds, head] & is_core[:, None], outside
