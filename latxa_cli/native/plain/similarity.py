"""The rule of `corpus.duplicates`, with every candidate compared in full."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from latxa_cli.native.plain.minhash import jaccard
from latxa_cli.native.similarity import (
    EXACT,
    KEPT,
    LISTED,
    NEAR,
    URL,
    EarlierMatches,
    GroupState,
    GroupTable,
    NearRules,
    ShingleSets,
)

Lists = dict[int, list[int]]  # the places of each group's listed documents


def decide(
    numbers: np.ndarray,
    texts: ShingleSets,
    keys: GroupTable,
    state: GroupState,
    found: EarlierMatches,
    rules: NearRules,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    lists: Lists = {}
    outcomes, listed = [], []
    for document, number in enumerate(numbers.tolist()):
        reason, keeper, similarity = _by_key(document, keys, state, rules)
        if reason == URL and keeper < numbers[0]:
            similarity = float(found.url_similarities[document])
        elif reason == URL:
            similarity = _similarity(texts, document, texts, numbers.tolist().index(keeper))
        elif reason == KEPT:
            best = [(-found.similarities[document], found.nearest[document])] if found.nearest[document] >= 0 else []
            best += [(-one, numbers[place]) for one, place in _similar(texts, document, texts, keys, lists, rules)]
            if best:
                reason, similarity, keeper = NEAR, -min(best)[0], min(best)[1]
        outcomes.append((reason, keeper, similarity))
        for group in _groups(keys, document):
            listed.append(reason == KEPT and _list(document, group, number, state, lists, rules))
            if reason == NEAR and group < rules.urls:
                state.followed[group], state.similarities[group] = keeper, similarity
    reasons, keepers, similarities = (list(column) for column in zip(*outcomes, strict=True)) if outcomes else [[]] * 3
    return (
        np.array(reasons, np.uint8),
        np.array(keepers, np.int64),
        np.array(similarities, np.float64),
        np.array(listed, bool),
    )


def match_earlier(
    numbers: np.ndarray,
    earlier: ShingleSets,
    listed: GroupTable,
    texts: ShingleSets,
    keys: GroupTable,
    state: GroupState,
    found: EarlierMatches,
    rules: NearRules,
) -> None:
    lists: Lists = {}
    for place, number in enumerate(numbers.tolist()):
        for group in _groups(listed, place):
            _list(place, group, number, state, lists, rules)
    for document in range(len(texts.bounds) - 1):
        for group in _groups(keys, document):
            if rules.urls <= group < rules.bands and group in lists:
                found.url_similarities[document] = _similarity(texts, document, earlier, lists[group][0])
        best = [(-one, place) for one, place in _similar(texts, document, earlier, keys, lists, rules)]
        if best and -min(best)[0] > found.similarities[document]:
            found.similarities[document], found.nearest[document] = -min(best)[0], numbers[min(best)[1]]


def _groups(keys: GroupTable, document: int) -> list[int]:
    return [int(group) for group in keys.groups[keys.bounds[document] : keys.bounds[document + 1]]]


def _by_key(document: int, keys: GroupTable, state: GroupState, rules: NearRules) -> tuple[int, int, float]:
    for group in _groups(keys, document):
        holder, followed = int(state.holders[group]), int(state.followed[group])
        if group < rules.urls and rules.exact and holder >= 0:
            return EXACT, holder, 1.0
        if group < rules.urls and followed >= 0:
            return NEAR, followed, float(state.similarities[group])
        if rules.urls <= group < rules.bands and holder >= 0:
            return URL, holder, 0.0
    return KEPT, -1, 0.0


def _list(place: int, group: int, number: int, state: GroupState, lists: Lists, rules: NearRules) -> bool:
    if state.holders[group] < 0:
        state.holders[group] = number
    if group >= rules.bands:
        if state.listed[group] >= LISTED:
            return False
        state.listed[group] += 1
    lists.setdefault(group, []).append(place)
    return True


def _similar(
    texts: ShingleSets, document: int, others: ShingleSets, keys: GroupTable, lists: Lists, rules: NearRules
) -> Iterator[tuple[float, int]]:
    """Yield the similarity and the place of every listed candidate that is similar enough."""
    groups = [group for group in _groups(keys, document) if group >= rules.bands]
    for other in sorted({place for group in groups for place in lists.get(group, [])}):
        similarity = _similarity(texts, document, others, other)
        if similarity >= rules.similarity:
            yield similarity, other


def _similarity(texts: ShingleSets, one: int, others: ShingleSets, other: int) -> float:
    left = texts.hashes[texts.bounds[one] : texts.bounds[one + 1]]
    right = others.hashes[others.bounds[other] : others.bounds[other + 1]]
    return jaccard(left, right, len(left) + len(right))
