"""A finding: how few votes, or whose, decide who is first.

Removing one vote (i, j, y) moves the lead c' theta of the first model over another by about
-c' H+ (e_i - e_j) (y - p) / (1 - h), h the vote's leverage: all votes of one cell of `PairCounts` alike. Those that
lower the lead most are taken first; how many it takes is found by fits without them. Some other set may be smaller
still.

Broderick, Giordano & Meager, 2020, "An automatic finite-sample robustness metric"; on arenas: Huang et al., 2025,
"Dropping just a handful of preferences can change top large language model rankings".
"""

from __future__ import annotations

import numpy as np

from latxa_cli.arena.findings.evidence import Evidence, percent, selection, several
from latxa_cli.arena.fits.bradley_terry import Wins, chances, fit
from latxa_cli.arena.votes import SCORES, Floats, Integers, Numbers
from latxa_cli.stream.records import Record

MOST_RIVALS = 10  # behind the first
MOST_USERS = 5  # whose votes are left out in turn
HANDFUL = 10  # votes
SMALL_SHARE = 0.01  # of the battles of the two models
EQUAL = 1e-9  # natural units


def leverage(evidence: Evidence) -> Record:
    """Find how few votes, removed, would end the lead of the first model; and users without whom it would not lead.

    value: how many votes (at most), None where no removal does it, or where it is not known who is first; share: of
    all votes; rival: who catches up; users: those of whom each alone, left out, changes who is first.
    It matters below 10 votes, or below 1 % of the battles of the two, or where there are such users.
    """
    name = "votes that decide the first rank"
    order = _ranked(evidence)
    if len(order) < 2:
        return evidence.finding(name, None, False, "the first rank: one cannot say who is first", **_details(evidence))
    first, second = int(order[0]), int(order[1])
    if evidence.theta[first] - evidence.theta[second] <= EQUAL:
        text = f"the first rank is shared: {evidence.votes.models[first]}, {evidence.votes.models[second]}"
        return evidence.finding(name, 0, True, text, **_details(evidence, second, 0))
    rival, removals = _nearest_rival(evidence, first, order[1 : 1 + MOST_RIVALS])
    votes = _fewest(evidence, first, removals)
    users = _deciding_users(evidence, first, rival)
    details = _details(evidence, rival, votes, users)
    battles = int(evidence.counts.battles[[first, rival]].sum())
    few = votes is not None and votes < max(HANDFUL, SMALL_SHARE * battles)
    text = "no removal of votes changes the first rank"
    if votes is not None:
        text = f"without {several(votes, 'vote')} ({percent(votes / evidence.total)} of all) "
        text += f"{evidence.votes.models[first]} would not be first"
    if users:
        text += f"; the votes of one user alone, {' or '.join(users)}, decide it"
    return evidence.finding(name, votes, few or bool(users), text, **details)


def _details(
    evidence: Evidence, rival: int | None = None, votes: int | None = None, users: list[str] | None = None
) -> Record:
    return {
        "share": None if votes is None else votes / evidence.total,
        "rival": None if rival is None else evidence.votes.models[rival],
        "users": users or [],
    }


def _ranked(evidence: Evidence) -> Integers:
    """Return models with battles, best first; none of them where some two are not comparable."""
    played = np.flatnonzero(evidence.counts.battles)
    if len(played) < 2:
        return played[:0]
    contrasts = np.zeros((len(evidence.theta), len(played) - 1))
    contrasts[played[0]] = 1
    contrasts[played[1:], np.arange(len(played) - 1)] = -1
    if np.abs(evidence.hessian @ (evidence.inverse @ contrasts) - contrasts).max() > 1e-6:
        return played[:0]
    # Equal ones by name, and not by how a processor rounds.
    return played[np.argsort(-np.round(evidence.theta[played] / EQUAL), kind="stable")]


def _influence(evidence: Evidence, first: int, rival: int) -> Floats:
    """Return (P, 4) by how much the lead of `first` over `rival` grows when one vote of a cell is removed."""
    counts, inverse = evidence.counts, evidence.inverse
    chance = chances(counts, evidence.theta)
    column = inverse[first] - inverse[rival]
    shift = column[counts.first] - column[counts.second]
    diagonal = np.diag(inverse)
    variance = diagonal[counts.first] + diagonal[counts.second] - 2 * inverse[counts.first, counts.second]
    alone = np.maximum(1 - chance * (1 - chance) * variance, 0.05)  # the only vote of its pair would be infinite
    influence: Floats = -(shift / alone)[:, None] * (SCORES - chance[:, None])
    return influence


def _nearest_rival(evidence: Evidence, first: int, rivals: Integers) -> tuple[int, Integers]:
    """Return who needs the fewest votes removed to catch up, as influence foretells, and in which order of cells."""
    cells = evidence.counts.cells.reshape(-1)
    best, fewest, removals = int(rivals[0]), np.inf, np.zeros(0, dtype=np.int64)
    for rival in rivals.tolist():
        influence = _influence(evidence, first, rival).reshape(-1)
        order = np.argsort(influence, kind="stable")
        order = order[(influence[order] < 0) & (cells[order] > 0)]
        gained = np.cumsum(cells[order] * -influence[order])
        lead = evidence.theta[first] - evidence.theta[rival]
        last = int(np.searchsorted(gained, lead))
        needed = np.inf
        if last < len(order):
            before = gained[last - 1] if last else 0.0
            needed = cells[order[:last]].sum() + (lead - before) / -influence[order[last]]
        if needed < fewest or not len(removals):
            best, fewest, removals = rival, needed, order
    return best, removals


def _fewest(evidence: Evidence, first: int, order: Integers) -> int | None:
    """Return the smallest number of votes, taken from cells in that order, without which `first` does not lead."""
    cells = evidence.counts.cells.reshape(-1)[order]
    until = np.cumsum(cells)

    def leads(removed: int) -> bool:
        left = evidence.counts.cells.reshape(-1).copy()
        left[order] -= np.clip(removed - (until - cells), 0, cells)
        return _leads(evidence, first, left.reshape(-1, 4))

    most = int(until[-1]) if len(until) else 0
    low, high = 0, 1
    while high < most and leads(high):
        low, high = high, 2 * high
    high = min(high, most)
    if not most or leads(high):
        return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if leads(middle) else (low, middle)
    return high


def _leads(evidence: Evidence, first: int, cells: Numbers) -> bool:
    members = evidence.counts.battles[None] > 0
    theta = fit(evidence.counts, Wins.of(cells[None].astype(np.int64), evidence.prior), members, evidence.theta)[0]
    others = np.delete(theta, first)[np.delete(members, first)]
    return bool(theta[first] > others.max() + EQUAL)


def _deciding_users(evidence: Evidence, first: int, rival: int) -> list[str]:
    column = evidence.column("user")
    if column is None:
        return []
    kept = (evidence.place >= 0) & column.given
    influence = _influence(evidence, first, rival).reshape(-1)
    some = selection(kept)
    shift = np.bincount(column.codes[some], influence[evidence.place[some]], len(column.names))
    users = []
    for code in np.argsort(shift.round(9), kind="stable")[:MOST_USERS].tolist():
        theirs = evidence.place[kept & (column.codes == code)]
        left = evidence.counts.cells - np.bincount(theirs, minlength=evidence.counts.cells.size).reshape(-1, 4)
        if shift[code] < 0 and not _leads(evidence, first, left):
            users.append(column.names[code])
    return users
