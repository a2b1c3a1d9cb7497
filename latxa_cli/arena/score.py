"""Rating records out of counted votes: the maximum-likelihood ratings of all votes, bootstrap intervals, ranks.

`latxa arena-score battles.jsonl`
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from latxa_cli.arena.battles import Votes
from latxa_cli.arena.connectivity import check_finite
from latxa_cli.arena.intervals import Bootstrap, intervals
from latxa_cli.arena.ratings import Wins, fit, to_ratings
from latxa_cli.stream.records import Record

DIGITS = 6  # what the solver's rounding leaves alone: equal strengths give equal ratings


@dataclass(frozen=True)
class Board:
    """Rating records, best first, and the share of bootstrap rounds without finite ratings for all models."""

    ratings: list[Record]
    non_finite: float = 0.0


def rate(votes: Votes, how: Bootstrap, criterion: str = "winner") -> Board:
    """Return the board of `votes`; empty for no votes.

    A rank is 1 + the number of models with a higher rating (point estimate): equal ratings share it. A bound that is
    not finite is None. Raises LatxaError when the ratings are not finite.
    """
    if not votes.models:
        return Board([])
    wins = Wins.of(votes.counts[None], how.prior)
    check_finite(wins.beats(votes)[0], votes.models)
    point = to_ratings(fit(votes, wins)[0]).round(DIGITS)
    bounds = intervals(votes, point, how)
    battles = votes.battles()
    ratings = [
        {
            "model": model,
            "rating": float(point[number]),
            "lower": _finite(bounds.lower[number]),
            "upper": _finite(bounds.upper[number]),
            "rank": 1 + int((point > point[number]).sum()),
            "battles": int(battles[number]),
            "criterion": criterion,
        }
        for number, model in enumerate(votes.models)
    ]
    return Board(sorted(ratings, key=lambda rating: (rating["rank"], rating["model"])), bounds.non_finite)


def _finite(value: float) -> float | None:
    return round(float(value), DIGITS) if np.isfinite(value) else None
