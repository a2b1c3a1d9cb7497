"""Rows of the network's input: the requests of one item as a tree of tokens, in which a shared beginning stands once.

A tree is written flat, branch after branch. Each token sees the tokens above it, and has its depth as its position.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Numbers: TypeAlias = NDArray[np.int64]

WORTH = 0.8  # a tree of at most this share of its sequences' tokens is worth its mask, which knows no empty half
MOST = 4096  # tokens in a tree; masks grow with the square


@dataclass(frozen=True, eq=False)
class Request:
    """One log-likelihood to compute: the `targets` are predicted from the last `len(targets)` places of `tokens`.

    Attributes:
        number: its place in the order of requests.
        tokens: what the network reads: prompt and continuation without its last token.
        targets: the tokens of the continuation.
    """

    number: int
    tokens: Numbers
    targets: Numbers

    @property
    def first(self) -> int:
        """The place from which the first target is predicted."""
        return len(self.tokens) - len(self.targets)


@dataclass
class Row:
    """A tree of tokens, from depth `start` on: what lies above is common to all rows of a batch.

    Attributes:
        tokens: of all branches, one after the other.
        depths: of each token, counted from the beginning of the text.
        branches: (from, to, what it sees above: ranges of tokens) of each branch, in places of this row.
        wanted: (request, the places that predict its targets) of each request.
    """

    start: int = 0
    tokens: list[int] = field(default_factory=list)
    depths: list[int] = field(default_factory=list)
    branches: list[tuple[int, int, list[tuple[int, int]]]] = field(default_factory=list)
    wanted: list[tuple[Request, Numbers]] = field(default_factory=list)

    @property
    def is_chain(self) -> bool:
        return len(self.branches) <= 1

    @property
    def needed(self) -> int:
        """The number of different places whose predictions are wanted."""
        return len({int(place) for _, places in self.wanted for place in places})


def tree(requests: Sequence[Request], start: int = 0) -> Row:
    """Return the row of `requests`, which share their first `start` tokens at least."""
    row = Row(start)
    path: list[int] = []  # the places of the sequence before, by depth
    before: Numbers = np.empty(0, np.int64)
    for request in sorted(requests, key=lambda request: request.tokens.tolist()):
        shared = max(common(before, request.tokens), start)
        above = path[: shared - start]
        new = request.tokens[shared:]
        if len(new):
            at = len(row.tokens)
            row.tokens += new.tolist()
            row.depths += range(shared, shared + len(new))
            if above and above[-1] == at - 1:  # the sequence before goes on
                begun, _, seen = row.branches.pop()
                row.branches.append((begun, at + len(new), seen))
            else:
                row.branches.append((at, at + len(new), _ranges(above)))
            path = above + list(range(at, at + len(new)))
        before = request.tokens
        row.wanted.append((request, np.array(path[request.first - start : len(request.tokens) - start])))
    return row


def _ranges(places: Sequence[int]) -> list[tuple[int, int]]:
    """Return rising places as ranges (from, to)."""
    ranges: list[tuple[int, int]] = []
    for place in places:
        if ranges and ranges[-1][1] == place:
            ranges[-1] = ranges[-1][0], place + 1
        else:
            ranges.append((place, place + 1))
    return ranges


def common(first: Numbers, second: Numbers) -> int:
    """Return the number of tokens that two sequences have in common from their beginning on."""
    size = min(len(first), len(second))
    unlike = np.flatnonzero(first[:size] != second[:size])
    return int(unlike[0]) if len(unlike) else size


def families(items: Sequence[Sequence[Request]], *, trees: bool) -> list[list[Request]]:
    """Return what shall share a row: the requests of an item where that saves tokens, else each different sequence.

    `trees` says that the network can read trees; without it only equal sequences, such as those of single letters,
    share a row.
    """
    found: list[list[Request]] = []
    for item in items:
        ordered = sorted(item, key=lambda request: request.tokens.tolist())
        family: list[Request] = []
        size = 0
        for request in ordered:
            shared = common(family[-1].tokens, request.tokens) if family else 0
            new = len(request.tokens) - shared
            joins = new == 0 or (trees and size + new <= MOST and new <= WORTH * len(request.tokens))
            if family and not joins:
                found.append(family)
                family, size = [], 0
            family.append(request)
            size += new
        if family:
            found.append(family)
    return found
