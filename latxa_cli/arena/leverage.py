"""A finding: how few votes, or whose, decide who is first.

Removing one vote (i, j, y) moves the lead c' theta of the first model over another by about
-c' H+ (e_i - e_j) (y - p) / (1 - h), h the vote's leverage: all votes of one cell of `Counts` alike. Those that lower
the lead most are taken first; how many it takes is found by fits without them. Some other set may be smaller still.

Broderick, Giordano & Meager, 2020, "An automatic finite-sample robustness metric"; on arenas: Huang et al., 2025,
"Dropping just a handful of preferences can change top large language model rankings".
"""

from __future__ import annotations

import numpy as np

from latxa_cli.arena.finding import Board, chosen, percent, several
from latxa_cli.arena.ratings import Wins, chances, fit
from latxa_cli.arena.votes import SCORES, Floats, Integers
from latxa_cli.stream.records import Record

MOST_RIVALS = 10  # behind the first
MOST_USERS = 5  # whose votes are left out in turn
HANDFUL = 10  # votes
SMALL_SHARE = 0.01  # of the battles of the two models
EQUAL = 1e-9  # natural units


def leverage(board: Board) -> Record:
    """Find how few votes, removed, would end the lead of the first model; and users without whom it would not lead.

    value: how many votes (at most), None where no removal does it, or where it is not known who is first; share: of
    all votes; rival: who catches up; users: those of whom each alone, left out, changes who is first.
    It matters below 10 votes, or below 1 % of the battles of the two, or where there are such users.
    """
    name = "votes that decide the first rank"
    order = _ranked(board)
    if len(order) < 2:
        return board.finding(name, None, False, "the first rank: one cannot say who is first", **_details(board))
    first, second = int(order[0]), int(order[1])
    if board.theta[first] - board.theta[second] <= EQUAL:
        text = f"the first rank is shared: {board.votes.models[first]}, {board.votes.models[second]}"
        return board.finding(name, 0, True, text, **_details(board, second, 0))
    rival, removals = _nearest_rival(board, first, order[1 : 1 + MOST_RIVALS])
    votes = _fewest(board, first, removals)
    users = _deciding_users(board, first, rival)
    details = _details(board, rival, votes, users)
    battles = int(board.counts.battles[[first, rival]].sum())
    few = votes is not None and votes < max(HANDFUL, SMALL_SHARE * battles)
    text = "no removal of votes changes the first rank"
    if votes is not None:
        text = f"without {several(votes, 'vote')} ({percent(votes / board.total)} of all) {board.votes.models[first]}"
        text += " would not be first"
    if users:
        text += f"; the votes of one user alone, {' or '.join(users)}, decide it"
    return board.finding(name, votes, few or bool(users), text, **details)


def _details(
    board: Board, rival: int | None = None, votes: int | None = None, users: list[str] | None = None
) -> Record:
    return {
        "share": None if votes is None else votes / board.total,
        "rival": None if rival is None else board.votes.models[rival],
        "users": users or [],
    }


def _ranked(board: Board) -> Integers:
    """Return models with battles, best first; none of them where some two are not comparable."""
    played = np.flatnonzero(board.counts.battles)
    if len(played) < 2:
        return played[:0]
    contrasts = np.zeros((len(board.theta), len(played) - 1))
    contrasts[played[0]] = 1
    contrasts[played[1:], np.arange(len(played) - 1)] = -1
    if np.abs(board.hessian @ (board.inverse @ contrasts) - contrasts).max() > 1e-6:
        return played[:0]
    return played[np.argsort(-board.theta[played], kind="stable")]


def _influence(board: Board, first: int, rival: int) -> Floats:
    """Return (P, 4) by how much the lead of `first` over `rival` grows when one vote of a cell is removed."""
    counts, inverse = board.counts, board.inverse
    chance = chances(counts, board.theta)
    column = inverse[first] - inverse[rival]
    moved = column[counts.first] - column[counts.second]
    diagonal = np.diag(inverse)
    variance = diagonal[counts.first] + diagonal[counts.second] - 2 * inverse[counts.first, counts.second]
    alone = np.maximum(1 - chance * (1 - chance) * variance, 0.05)  # the only vote of its pair would be infinite
    influence: Floats = -(moved / alone)[:, None] * (SCORES - chance[:, None])
    return influence


def _nearest_rival(board: Board, first: int, rivals: Integers) -> tuple[int, Integers]:
    """Return who needs the fewest votes removed to catch up, as influence foretells, and in which order of cells."""
    cells = board.counts.cells.reshape(-1)
    best, fewest, removals = int(rivals[0]), np.inf, np.zeros(0, dtype=np.int64)
    for rival in rivals.tolist():
        influence = _influence(board, first, rival).reshape(-1)
        order = np.argsort(influence, kind="stable")
        order = order[(influence[order] < 0) & (cells[order] > 0)]
        gained = np.cumsum(cells[order] * -influence[order])
        lead = board.theta[first] - board.theta[rival]
        last = int(np.searchsorted(gained, lead))
        needed = np.inf
        if last < len(order):
            before = gained[last - 1] if last else 0.0
            needed = cells[order[:last]].sum() + (lead - before) / -influence[order[last]]
        if needed < fewest or not len(removals):
            best, fewest, removals = rival, needed, order
    return best, removals


def _fewest(board: Board, first: int, order: Integers) -> int | None:
    """Return the smallest number of votes, taken from cells in that order, without which `first` does not lead."""
    cells = board.counts.cells.reshape(-1)[order]
    until = np.cumsum(cells)

    def leads(removed: int) -> bool:
        left = board.counts.cells.reshape(-1).copy()
        left[order] -= np.clip(removed - (until - cells), 0, cells)
        return _leads(board, first, left.reshape(-1, 4))

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


def _leads(board: Board, first: int, cells: Integers) -> bool:
    members = board.counts.battles[None] > 0
    theta = fit(board.counts, Wins.of(cells[None].astype(np.int64), board.prior), members, board.theta)[0]
    others = np.delete(theta, first)[np.delete(members, first)]
    return bool(theta[first] > others.max() + EQUAL)


def _deciding_users(board: Board, first: int, rival: int) -> list[str]:
    column = board.column("user")
    if column is None:
        return []
    kept = (board.place >= 0) & column.given
    influence = _influence(board, first, rival).reshape(-1)
    some = chosen(kept)
    moved = np.bincount(column.codes[some], influence[board.place[some]], len(column.names))
    users = []
    for code in np.argsort(moved, kind="stable")[:MOST_USERS].tolist():
        theirs = board.place[kept & (column.codes == code)]
        left = board.counts.cells - np.bincount(theirs, minlength=board.counts.cells.size).reshape(-1, 4)
        if moved[code] < 0 and not _leads(board, first, left):
            users.append(column.names[code])
    return users
