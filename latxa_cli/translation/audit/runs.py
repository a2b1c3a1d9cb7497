"""Runs: where faults lie so dense that a job broke there, or files were joined wrongly; a weak model errs everywhere.

Each record adds to a score: log(p / q) where it is at fault, log((1 - p) / (1 - q)) where not; q is the share of faults
in the whole file, p that in a run. A run is a stretch of the highest score (Karlin and Altschul, 1990, "Methods for
assessing the statistical significance of molecular sequence features", PNAS 87), and it counts if chance gives a score
like it in less than one of 1000 files.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log

import numpy as np

_SHARE, _LEAST = 0.6, 0.03  # the share of faults in a run, and the least that is taken for that of a file
_CHANCE = 1e-3  # how often chance may give a run
_SHORTEST = 5  # records
_OUTSIDE = 0.25  # of a file that must be outside of runs, else the file as a whole is at fault
MOST = 20  # runs that are told, the longest


@dataclass(frozen=True, slots=True)
class Run:
    """A stretch of records from one place to another (both included), and how many of them are at fault."""

    first: int
    last: int
    faults: int

    @property
    def length(self) -> int:
        return self.last - self.first + 1


def runs_of(faults: np.ndarray) -> list[Run]:
    """Return the runs in a file of records, `MOST` at most, in their order; `faults`: bool, which are at fault.

    Where most records are at fault, the file as a whole is, and no part of it a run.
    """
    if not len(faults):
        return []
    found = _stretches(faults, max(_LEAST, float(faults.mean())))
    # A long run makes the share of a short file large: then it is that of the records outside of the densest stretches.
    for share in (_share_outside(faults, found), _share_outside(faults, _stretches(faults, _LEAST))):
        if share is not None:
            found = _stretches(faults, share) or found
    found = found if _share_outside(faults, found) is not None else []
    return sorted(sorted(found, key=lambda run: -run.length)[:MOST], key=lambda run: run.first)


def _share_outside(faults: np.ndarray, runs: list[Run]) -> float | None:
    """Return the share of faults outside of `runs`, or None where too little is outside to know it."""
    outside = len(faults) - sum(run.length for run in runs)
    if outside < _OUTSIDE * len(faults):
        return None
    # One record of each kind more, so that a few without a fault are no proof.
    return max(_LEAST, (int(faults.sum()) - sum(run.faults for run in runs) + 1) / (outside + 2))


def _stretches(faults: np.ndarray, share: float) -> list[Run]:
    inside = max(_SHARE, min(0.95, 2 * share))
    if share >= inside:
        return []
    fault, good = log(inside / share), log((1 - inside) / (1 - share))
    wanted = log(len(faults) / _CHANCE)
    # The score is never below 0. A stretch goes from where it leaves 0 to its highest point.
    found: list[tuple[int, int]] = []
    score = best = 0.0
    start = top = before = 0
    for place in np.flatnonzero(faults).tolist():
        score += (place - before - 1) * good
        if score <= 0 or score < best - wanted:  # what follows is another stretch
            if best >= wanted:
                found.append((start, top))
            score, best, start = 0.0, 0.0, place
        score += fault
        if score > best:
            best, top = score, place
        before = place
    if best >= wanted:
        found.append((start, top))
    runs = [Run(first, last, int(faults[first : last + 1].sum())) for first, last in found]
    return [run for run in runs if run.length >= _SHORTEST]
