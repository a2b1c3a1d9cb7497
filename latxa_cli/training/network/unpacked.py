"""Rows taken apart, for models whose packed texts would see each other: calls on texts of like length.

Texts are padded on the right, to the longest of their call. A causal model looks to the left alone, so that it needs no
mask, and says of each token what it says of it in the text alone.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

# The cost of a call, in tokens: so much padding is taken rather than another call. On a CPU, with 2 and 9 million
# parameters, 64 is the fastest of 0 to 2,000, or close to it.
CALL = 64


class Group(NamedTuple):
    """Texts for one call of the model.

    Attributes:
        places: i64 [texts, longest], the places of their tokens in the rows. Padding repeats a text's last token.
        own: i64 [tokens], the places in `places`, as one line, that are no padding.
    """

    places: NDArray[np.int64]
    own: NDArray[np.int64]


def groups(boundaries: NDArray[np.int64], limits: tuple[int, ...] = (), most: int = 0) -> list[Group]:
    """Return the groups of texts with the fewest tokens, padding and calls counted, the longest texts first.

    Args:
        boundaries: [texts + 1], the begin of each text and the end of the last one.
        limits: lengths that no group straddles, see `turning_lengths`.
        most: the largest number of groups, if `limits` allow it; 0: any.
    """
    lengths = np.diff(boundaries)
    order = np.argsort(-lengths, kind="stable")
    sides = np.split(order, np.flatnonzero(np.diff(np.searchsorted(limits, lengths[order]))) + 1)
    call = CALL
    while True:
        found = [texts for side in sides for texts in np.split(side, _cheapest_cuts(lengths[side], call))]
        if not most or len(found) <= max(most, len(sides)):
            return [_group(boundaries[texts], lengths[texts]) for texts in found]
        call *= 2


def _cheapest_cuts(lengths: NDArray[np.int64], call: int) -> list[int]:
    """Return where to cut falling `lengths`, by the cheapest way to each place (dynamic programming)."""
    count = len(lengths)
    costs, last = np.zeros(count + 1, np.int64), np.zeros(count + 1, np.int64)
    for end in range(1, count + 1):
        ways = costs[:end] + call + lengths[:end] * (end - np.arange(end))
        last[end] = ways.argmin()
        costs[end] = ways[last[end]]
    cuts = []
    while count := int(last[count]):
        cuts.append(count)
    return cuts[::-1]


def _group(begins: NDArray[np.int64], lengths: NDArray[np.int64]) -> Group:
    count = np.arange(lengths.max())
    places = begins[:, None] + np.minimum(count, lengths[:, None] - 1)
    return Group(places, np.flatnonzero(count < lengths[:, None]))


def turning_lengths(config: Any) -> tuple[int, ...]:
    """Return the lengths beyond which a model may turn the positions of all texts in a call by other angles.

    Those of Phi-3 with a long context do (LongRoPE, Ding et al. 2024, arXiv 2402.13753).
    """
    name = "original_max_position_embeddings"
    rope = getattr(config, "rope_parameters", None) or {}
    kinds = [kind for kind in (rope, *rope.values()) if isinstance(kind, dict)]  # one for all layers, or by their type
    found = {getattr(config, name, None), *(kind.get(name) for kind in kinds)}
    return tuple(sorted(int(length) for length in found if length))
