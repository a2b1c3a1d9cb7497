"""By how much a model's rating differs between two rankings: by criteria, or of a subgroup and of all votes.

The two were made of the same redrawn votes, so that the difference has an interval of its own: two intervals that
overlap say little about it.

Ratings of two rankings have one scale only where both rate the same models (or the anchor): the mean of some models is
not that of others. So differences are taken with the mean 0 over the models that both rate.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product

import numpy as np

from latxa_cli.arena.fits.bradley_terry import SCALE
from latxa_cli.arena.rankings.intervals import bounds, widened
from latxa_cli.arena.rankings.ranking import Ranking, rounded
from latxa_cli.arena.votes import Floats, Integers
from latxa_cli.stream.records import Record


def differences(rankings: Sequence[Ranking]) -> Iterator[Record]:
    """Yield by how much each model's rating differs: by each criterion from that by the first, and in each subgroup
    from that of all votes by the same criterion. A bound that the votes do not limit is None.
    """
    whole = [ranking for ranking in rankings if not ranking.group]
    others = [(ranking, whole[0]) for ranking in whole[1:]]
    others += [
        (ranking, next(one for one in whole if one.criterion == ranking.criterion))
        for ranking in rankings
        if ranking.group
    ]
    for ranking, against in others:
        for one, other in product(ranking.cores, against.cores):
            both = np.intersect1d(one.models, other.models)
            if len(both) > 1:
                yield from _differences(ranking, against, both)


def _differences(ranking: Ranking, against: Ranking, models: Integers) -> Iterator[Record]:
    point = SCALE * (ranking.theta[models] - against.theta[models])
    with np.errstate(invalid="ignore"):  # nothing is known of the difference of two infinities
        replicates = SCALE * (ranking.replicates[:, models] - against.replicates[:, models])
    confidence = ranking.method.confidence
    replicates = widened(point, replicates, max(one.reach.widening(confidence) for one in (ranking, against)))
    names = [ranking.counts.models[model] for model in models]
    anchor = ranking.method.anchor[0] if ranking.method.anchor else None
    point, replicates = _on_one_scale(point, replicates, names, anchor)
    low, high = bounds(replicates, confidence)
    for place, name in enumerate(names):
        yield {
            "difference": rounded(point[place]),
            "lower": rounded(low[place]),
            "upper": rounded(high[place]),
            "model": name,
            "criterion": ranking.criterion,
            **({"group": ranking.group} if ranking.group else {}),
            "against": {"criterion": against.criterion},
        }


def _on_one_scale(point: Floats, replicates: Floats, names: Sequence[str], anchor: str | None) -> tuple[Floats, Floats]:
    """Return the differences (q,) and those of the rounds (rounds, q) with the mean 0, or that of the anchor 0."""
    if anchor in names:
        place = names.index(anchor)
        held = replicates[:, place, None]
        return point - point[place], replicates - np.where(np.isfinite(held), held, np.nan)
    point = point - point.mean()
    finite = np.isfinite(replicates)  # who has no finite rating in a round does not move the others
    shift = np.where(finite, replicates - point, 0).sum(axis=1, keepdims=True)
    return point, replicates - shift / np.maximum(1, finite.sum(axis=1, keepdims=True))
