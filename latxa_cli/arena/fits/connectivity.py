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

from latxa_cli.arena.fits.arithmetic import reachable
from latxa_cli.arena.votes import Booleans, Floats, Integers, PairCounts


def strongly_connected(beats: Booleans) -> Booleans:
    """Return (rounds,) whether chains of wins lead from every model to every other."""
    return np.asarray(reachable(beats).all(axis=(1, 2)))


def islands(counts: PairCounts) -> list[Integers]:
    """Return the models that battles connect, set by set: most battles first; models without any are on none."""
    battles = counts.battles
    groups = connected(counts)
    sets = [np.flatnonzero(groups == group) for group in np.unique(groups[battles > 0])]
    return sorted(sets, key=lambda models: (-battles[models].sum(), models[0]))


def connected(counts: PairCounts) -> Integers:
    """Return (p,) for each model the first one that battles connect it with, by way of others or as itself."""
    met = counts.cells.sum(axis=1) > 0
    return np.asarray(reachable(counts.matrix(met, met)).argmax(axis=1))


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
