"""Batches: rows that begin alike share a beginning that the network reads once, and rows of like length go together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from latxa_cli.evaluation.scoring.rows import Numbers, Request, Row, common, tree

SHORT = 16  # tokens of a common beginning that are not worth a pass of their own
ALIKE = 0.9  # the length of a row, as a share of the longest one's, from which on it joins a pass that is long enough
SHARE = 0.25  # of the tokens of a group that its common beginning must save, to be worth the masks


@dataclass(frozen=True)
class Limits:
    """What one pass through the network may hold.

    Attributes:
        tokens: those of all rows, with what fills up short ones, and the beginning of each.
        places: those whose scores over the vocabulary are kept.
        enough: tokens from which on a pass is efficient; beyond it, rows much shorter than the longest wait.
        rows: as the user says.
    """

    tokens: int
    places: int
    enough: int
    rows: int | None = None


@dataclass(frozen=True)
class Group:
    """Families of requests whose sequences all begin with `beginning`; it may be empty."""

    beginning: Numbers
    families: list[list[Request]]


class Part(NamedTuple):
    """Neighbours: those in groups, of (common tokens, places), and those in none."""

    groups: list[tuple[int, list[int]]]
    loose: list[int]


def groups(families: Sequence[list[Request]], *, share: bool) -> list[Group]:
    """Return `families` in groups whose common beginnings save most tokens; without `share`, in one group."""
    ordered = sorted(families, key=lambda family: family[0].tokens.tolist())
    if not ordered:
        return []
    free = ordered[0][0].tokens[:0]
    if not share:
        return [Group(free, ordered)]
    found, rest = [], []
    part = divided(ordered)
    for size, places in part.groups:
        total = sum(len(ordered[place][0].tokens) for place in places)
        if size >= SHORT and size * (len(places) - 1) >= SHARE * total:
            found.append(Group(ordered[places[0]][0].tokens[:size], [ordered[place] for place in places]))
        else:
            rest += places
    rest += part.loose
    return [*found, Group(free, [ordered[place] for place in rest])] if rest else found


def divided(ordered: Sequence[Sequence[Request]]) -> Part:
    """Return groups of sorted families, made from those with most in common down to those with least.

    The numbers of tokens that neighbours have in common form a tree, in which the least stands above what is on either
    side of it. A stack builds it: when a part ends, its families that are in no group yet become one with what the part
    has in common, together with those groups for which that is better.
    """
    own = [_own(family) for family in ordered]
    between = [
        min(common(first[0].tokens, second[0].tokens), a, b)
        for first, second, a, b in zip(ordered, ordered[1:], own, own[1:], strict=False)
    ]
    stack: list[tuple[int, list[Part]]] = [(-1, [])]  # (common tokens of these parts, the parts), rising
    for place, size in enumerate([*between, -1]):
        part = Part([], [place])
        while stack[-1][0] > size:
            level, parts = stack.pop()
            part = _joined([*parts, part], level)
        if stack[-1][0] == size:
            stack[-1][1].append(part)
        else:
            stack.append((size, [part]))
    (_, parts), *_ = stack
    return Part([group for part in parts for group in part.groups], [place for part in parts for place in part.loose])


def _own(family: Sequence[Request]) -> int:
    """Return how many tokens of a family may be read beforehand: common to it, and before its first prediction."""
    shared = min(common(family[0].tokens, request.tokens) for request in family)
    return min(shared, *(request.first for request in family))


def _joined(parts: Sequence[Part], size: int) -> Part:
    """Return parts that have `size` tokens in common as one, with a new group where that saves tokens."""
    loose = [place for part in parts for place in part.loose]
    kept, gain = [], size * (len(loose) - 1)
    for level, places in (group for part in parts for group in part.groups):
        better = size * len(places) - level * (len(places) - 1)
        if better > 0:
            gain += better
            loose += places
        else:
            kept.append((level, places))
    if gain > 0:
        return Part([*kept, (size, loose)], [])
    return Part([group for part in parts for group in part.groups], [place for part in parts for place in part.loose])


def batches(group: Group, limits: Limits) -> Iterator[list[Row]]:
    """Yield the rows of a group, the longest first, as many at a time as the limits allow; one at least."""
    rows = [tree(family, len(group.beginning)) for family in group.families]
    rows.sort(key=lambda row: -len(row.tokens))
    waiting: list[Row] = []
    for row in rows:
        if waiting and _is_full(waiting, row, len(group.beginning), limits):
            yield waiting
            waiting = []
        waiting.append(row)
    if waiting:
        yield waiting


def _is_full(waiting: Sequence[Row], row: Row, beginning: int, limits: Limits) -> bool:
    """Whether `row`, which is no longer than those that wait, must not join them."""
    longest, count = len(waiting[0].tokens), len(waiting)
    return (
        (count + 1) * (longest + beginning) > limits.tokens
        or sum(one.needed for one in waiting) + row.needed > limits.places
        or count == limits.rows
        or (count * longest >= limits.enough and len(row.tokens) < ALIKE * longest)
    )
