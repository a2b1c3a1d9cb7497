"""Units of resampling: by what votes hang together, and which of that makes intervals widest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from latxa_cli.arena.clusters import Clusters, Dependence
from latxa_cli.arena.rankings.intervals import RatingMethod, Reach
from latxa_cli.arena.rankings.ranking import Ranking, rank
from latxa_cli.arena.votes import Votes, preferred
from latxa_cli.stream.errors import UsageError

Unit = Literal["vote", "user", "prompt", "both"]
FIELDS = {"user": "user", "prompt": "prompt_id"}
NAMES = {"vote": "vote", "user": "user", "prompt": "prompt", "both": "user and prompt"}
SAID = {
    "vote": "intervals by vote: votes are taken for independent",
    "user": "intervals by user: the votes of a user are taken together",
    "prompt": "intervals by prompt: the votes on a prompt are taken together",
    "both": "intervals by user and prompt: the votes of a user, and those on a prompt, are taken together",
}
NOBODY = "intervals by vote: votes are taken for independent, since no battle names a user or a prompt"
WIDER = 1.001  # than what is simpler; less is rounding


@dataclass(frozen=True)
class Units:
    """How votes may depend on each other, by unit; None where each is for itself."""

    kinds: dict[Unit, Dependence | None]

    @classmethod
    def of(cls, votes: Votes, *, paper: bool = False) -> Units:
        """Return what the votes name. paper: a vote is a vote, also where it is one of both orders of a pair."""
        each = Dependence.by(Clusters.each(len(votes))) if preferred(votes, "winner") is not None else None
        kinds: dict[Unit, Dependence | None] = {"vote": None if paper else _ballots(votes) or each}
        clusters: dict[Unit, Clusters] = {}
        for unit, field in FIELDS.items():
            column = votes.columns.get(field)
            if column is not None and column.given.any():
                clusters[unit] = Clusters.of(column)  # type: ignore[index]
        kinds |= {unit: Dependence.by(one) for unit, one in clusters.items()}
        if len(clusters) == 2:
            kinds["both"] = Dependence.by(*clusters.values())
        return cls(kinds)

    def dependence(self, unit: Unit) -> Dependence | None:
        """Return how votes depend on each other by a unit. Raises UsageError where they do not name it."""
        if unit not in self.kinds:
            lacking = [name for name in FIELDS if unit in (name, "both") and name not in self.kinds]
            raise UsageError(f"`--resample {unit}`: no battle has a `{FIELDS[lacking[0]]}`")
        return self.kinds[unit]

    def widest(self, votes: Votes, criterion: str, method: RatingMethod) -> Unit:
        """Return the unit of the widest intervals that the votes name; of equal ones the simplest.

        A unit of which there is one is none: nothing could be drawn. Of one user's votes, intervals hold for
        no other user, and none are given.
        """
        named: list[Unit] = [unit for unit in self.kinds if unit != "vote"]
        if not named:
            return "vote"
        single = [unit for unit in named if self._number(unit) < 2]
        several = [unit for unit in named if unit not in single]
        if len(several) < 2:
            return (several or named)[0]
        [board] = rank(votes, [criterion], replace(method, rounds=0, ties="half"))
        widths = widths_of(board, self, several, method.confidence)
        best = several[0]
        for unit in several[1:]:
            if widths[unit] > WIDER * widths[best]:
                best = unit
        return best

    def _number(self, unit: Unit) -> int:
        dependence = self.kinds[unit]
        return min(way.number for way in dependence.ways) if dependence else 0


def widths_of(board: Ranking, units: Units, chosen: Sequence[Unit], confidence: float) -> dict[Unit, float]:
    """Return how wide intervals by each of the `chosen` units are, as a root mean square over the models."""
    widths = {}
    for unit in chosen:
        dependence = units.kinds[unit]
        variance = float(np.trace(board.covariance_by(dependence)))
        reach = Reach.of(dependence, board.place).errors(confidence)
        widths[unit] = np.inf if reach == np.inf else float(np.sqrt(max(0.0, variance))) * reach
    return widths


def _ballots(votes: Votes) -> Dependence | None:
    """Return which votes are one: a user's on one prompt, of two models in either order; None where each is one."""
    prompt, user = votes.columns.get("prompt_id"), votes.columns.get("user")
    if prompt is None or not len(votes):
        return None
    low, high = np.minimum(votes.a, votes.b).astype(np.int64), np.maximum(votes.a, votes.b)
    key = low * len(votes.models) + high
    for column in (prompt, *([user] if user else [])):
        key = np.unique(key, return_inverse=True)[1] * np.int64(len(column.names) + 1) + column.codes + 1
    key[~prompt.given] = -1 - np.arange(np.count_nonzero(~prompt.given))
    found, codes = np.unique(key, return_inverse=True)
    return None if len(found) == len(votes) else Dependence.by(Clusters(codes.astype(np.int32), len(found)))
