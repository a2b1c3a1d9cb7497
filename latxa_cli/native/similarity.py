"""The kernels behind `greedy`: the rule of `duplicates` followed document after document, with as few looks at sets of
shingles as will do.

Most candidates are not similar, and that is cheap to see. A sketch says of each of its bits whether the set has an odd
number of hashes that end in it. Sets that differ in d hashes differ in at most d bits, so that more bits than the
required similarity allows for exclude a candidate (the bitmap filter of Sandes, Teodoro and Melo, Information Systems
88, 2020). Only what passes is compared in full, as far as need be. The decisions are those of comparing everything.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from latxa_cli.native.kernel import kernel
from latxa_cli.native.minhash import jaccard

KEPT, EXACT, URL, NEAR = 0, 1, 2, 3
LISTED = 1024  # kept documents that are compared for one band key: the first ones that have it

_BITS_PER_HASH = 8  # of a sketch, or up to twice as many


class ShingleSets(NamedTuple):
    """Sets of shingles: that of document i is `hashes[bounds[i] : bounds[i + 1]]`, sorted."""

    hashes: np.ndarray  # u64
    bounds: np.ndarray  # i64 [documents + 1]


class GroupTable(NamedTuple):
    """The groups of documents that share a key: those of document i are `groups[bounds[i] : bounds[i + 1]]`.

    Groups are numbered, and those of a document stand: first by text, then by URL, then by bands. A slot is a place in
    `groups`.
    """

    bounds: np.ndarray  # i64 [documents + 1]
    groups: np.ndarray  # i64


class GroupState(NamedTuple):
    """What is known of each group: its first kept document (-1: none); for a text, what it is a near duplicate of
    (-1: nothing) and the similarity; for a band, how many kept documents are listed."""

    holders: np.ndarray  # i64
    followed: np.ndarray  # i64
    similarities: np.ndarray  # f64
    listed: np.ndarray  # i64

    @classmethod
    def of(cls, groups: int) -> GroupState:
        nothing = np.full(groups, -1)
        return cls(nothing, nothing.copy(), np.zeros(groups), np.zeros(groups, np.int64))


class EarlierMatches(NamedTuple):
    """What was found in earlier chunks for each document: its similarity to the one with its URL; the best of its
    candidates (-1: none) and the similarity to that."""

    url_similarities: np.ndarray  # f64
    similarities: np.ndarray  # f64
    nearest: np.ndarray  # i64

    @classmethod
    def of(cls, documents: int) -> EarlierMatches:
        return cls(np.zeros(documents), np.zeros(documents), np.full(documents, -1))


class NearRules(NamedTuple):
    """`exact`: a text that a kept document has is a reason; `similarity`: the least of near duplicates; the groups by
    URL begin at `urls`, those by bands at `bands`."""

    exact: bool
    similarity: float
    urls: int
    bands: int


class _Sets(NamedTuple):
    """Texts with their sketches: that of document i is `sketches[places[i] : places[i + 1]]`, 2^k words."""

    hashes: np.ndarray
    bounds: np.ndarray
    sketches: np.ndarray  # u64
    places: np.ndarray  # i64 [documents + 1]


class _Lists(NamedTuple):
    """The kept documents of each group, as places: `members[starts[g] : starts[g] + counts[g]]`, rising."""

    starts: np.ndarray  # i64 [groups + 1]
    counts: np.ndarray  # i64 [groups]
    members: np.ndarray  # i64 [slots]


@kernel
def decide(
    numbers: np.ndarray,
    texts: ShingleSets,
    keys: GroupTable,
    state: GroupState,
    found: EarlierMatches,
    rules: NearRules,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Decide documents, whose `numbers` (i64) rise; `state` and `found` come from earlier chunks, `state` is updated.

    Return for each document the reason (u1, KEPT: none), for whom it is dropped (its number, i64) and the similarity
    (f64), and for each slot whether the document is listed there for later ones.
    """
    count = len(numbers)
    reasons, keepers, similarities = np.zeros(count, np.uint8), np.zeros(count, np.int64), np.zeros(count)
    listed = np.zeros(len(keys.groups), np.bool_)
    sets, lists, seen = _sketched(texts), _no_lists(keys, len(state.holders)), np.full(count, -1)
    for document in range(count):
        reason, keeper, similarity = _by_key(document, keys, state, rules)
        if reason == URL and keeper < numbers[0]:
            similarity = found.url_similarities[document]
        elif reason == URL:
            similarity = _similarity(sets, document, sets, int(np.searchsorted(numbers, keeper)), 0.0)
        elif reason == KEPT:
            similarity, nearest = _nearest(sets, document, sets, keys, lists, seen, rules)
            keeper = numbers[nearest] if nearest >= 0 else -1
            if found.nearest[document] >= 0 and found.similarities[document] >= similarity:
                similarity, keeper = found.similarities[document], found.nearest[document]
            reason = NEAR if keeper >= 0 else KEPT
        reasons[document], keepers[document], similarities[document] = reason, keeper, similarity
        for slot in range(keys.bounds[document], keys.bounds[document + 1]):
            if reason == KEPT:
                listed[slot] = _list(document, keys.groups[slot], numbers[document], state, lists, rules)
            elif reason == NEAR and keys.groups[slot] < rules.urls:
                state.followed[keys.groups[slot]] = keeper
                state.similarities[keys.groups[slot]] = similarity
    return reasons, keepers, similarities, listed


@kernel
def gather(
    numbers: np.ndarray,
    earlier: ShingleSets,
    listed: GroupTable,
    texts: ShingleSets,
    keys: GroupTable,
    state: GroupState,
    found: EarlierMatches,
    rules: NearRules,
) -> None:
    """Compare documents with those kept of one earlier chunk, with these `numbers`; update `state` and `found`.

    The groups of `listed` and of `keys` have the same numbers. Chunks are to be taken in their order.
    """
    before, sets = _sketched(earlier), _sketched(texts)
    lists, seen = _no_lists(listed, len(state.holders)), np.full(len(numbers), -1)
    for place in range(len(numbers)):
        for slot in range(listed.bounds[place], listed.bounds[place + 1]):
            _list(place, listed.groups[slot], numbers[place], state, lists, rules)
    for document in range(len(texts.bounds) - 1):
        for slot in range(keys.bounds[document], keys.bounds[document + 1]):
            group = keys.groups[slot]
            if rules.urls <= group < rules.bands and lists.counts[group]:
                holder = lists.members[lists.starts[group]]
                found.url_similarities[document] = _similarity(sets, document, before, holder, 0.0)
        similarity, nearest = _nearest(sets, document, before, keys, lists, seen, rules)
        if nearest >= 0 and similarity > found.similarities[document]:
            found.similarities[document], found.nearest[document] = similarity, numbers[nearest]


@kernel
def _by_key(document: int, keys: GroupTable, state: GroupState, rules: NearRules) -> tuple[int, int, float]:
    """Return (reason, keeper, similarity) as far as text and URL decide; the similarity of a URL is left open."""
    for slot in range(keys.bounds[document], keys.bounds[document + 1]):
        group = keys.groups[slot]
        if group >= rules.bands:
            break
        holder = state.holders[group]
        if group >= rules.urls:
            if holder >= 0:
                return URL, holder, 0.0
        elif rules.exact and holder >= 0:
            return EXACT, holder, 1.0
        elif state.followed[group] >= 0:
            return NEAR, state.followed[group], state.similarities[group]
    return KEPT, -1, 0.0


# --- lists


@kernel
def _no_lists(keys: GroupTable, groups: int) -> _Lists:
    starts = np.zeros(groups + 1, np.int64)
    for group in keys.groups:
        starts[group + 1] += 1
    return _Lists(np.cumsum(starts), np.zeros(groups, np.int64), np.empty(len(keys.groups), np.int64))


@kernel
def _list(place: int, group: int, number: int, state: GroupState, lists: _Lists, rules: NearRules) -> bool:
    """List a kept document in a group, unless there are enough."""
    if state.holders[group] < 0:
        state.holders[group] = number
    if group >= rules.bands:
        if state.listed[group] >= LISTED:
            return False
        state.listed[group] += 1
    lists.members[lists.starts[group] + lists.counts[group]] = place
    lists.counts[group] += 1
    return True


@kernel
def _nearest(
    sets: _Sets, document: int, others: _Sets, keys: GroupTable, lists: _Lists, seen: np.ndarray, rules: NearRules
) -> tuple[float, int]:
    """Return (similarity, place among `others`) of the listed candidate that is most similar to a document, the first
    of several; or (0, -1). seen: i64 [others], who each was compared with last."""
    best, nearest = 0.0, -1
    own = sets.hashes[sets.bounds[document] : sets.bounds[document + 1]]
    sketch = sets.sketches[sets.places[document] : sets.places[document + 1]]
    for slot in range(keys.bounds[document], keys.bounds[document + 1]):
        group = keys.groups[slot]
        if group < rules.bands:
            continue
        for entry in range(lists.starts[group], lists.starts[group] + lists.counts[group]):
            other = lists.members[entry]
            if seen[other] == document:
                continue
            seen[other] = document
            size = others.bounds[other + 1] - others.bounds[other]
            spare = _spare(len(own) + size, rules.similarity)
            if abs(len(own) - size) > spare:
                continue
            if _distance(sketch, others.sketches[others.places[other] : others.places[other + 1]]) > spare:
                continue
            similarity = jaccard(own, others.hashes[others.bounds[other] : others.bounds[other + 1]], spare)
            if similarity > best or (similarity == best and other < nearest):
                best, nearest = similarity, other
    return best, nearest


# --- similarity


@kernel
def _similarity(sets: _Sets, one: int, others: _Sets, other: int, least: float) -> float:
    """Return the Jaccard similarity of two sets, or 0 where it is less than `least`."""
    left = sets.hashes[sets.bounds[one] : sets.bounds[one + 1]]
    right = others.hashes[others.bounds[other] : others.bounds[other + 1]]
    return jaccard(left, right, _spare(len(left) + len(right), least))


@kernel
def _spare(total: int, least: float) -> int:
    """Return in how many hashes two sets may differ that have `total` together and a similarity of at least `least`."""
    differ = min(total, int((1 - least) / (1 + least) * total) + 2)
    differ -= (total - differ) & 1
    while differ > 0 and (total - differ) / (total + differ) < least:
        differ -= 2
    return differ


@kernel
def _sketched(texts: ShingleSets) -> _Sets:
    count = len(texts.bounds) - 1
    places = np.zeros(count + 1, np.int64)
    for document in range(count):
        size = 1
        while size * 64 < (texts.bounds[document + 1] - texts.bounds[document]) * _BITS_PER_HASH:
            size *= 2
        places[document + 1] = places[document] + size
    sketches = np.zeros(places[count], np.uint64)
    for document in range(count):
        mask = np.uint64(places[document + 1] - places[document] - 1)
        for hash_ in texts.hashes[texts.bounds[document] : texts.bounds[document + 1]]:
            word = places[document] + np.int64(hash_ >> np.uint64(6) & mask)
            sketches[word] ^= np.uint64(1) << (hash_ & np.uint64(63))
    return _Sets(texts.hashes, texts.bounds, sketches, places)


@kernel
def _distance(left: np.ndarray, right: np.ndarray) -> int:
    """Return in how many bits two sketches differ, at the size of the smaller one."""
    if len(left) == len(right):
        return _differing(left, right)
    size = min(len(left), len(right))
    return _differing(_folded(left, size), _folded(right, size))


@kernel
def _folded(sketch: np.ndarray, size: int) -> np.ndarray:
    folded = np.zeros(size, np.uint64)
    for word in range(len(sketch)):
        folded[word & (size - 1)] ^= sketch[word]
    return folded


@kernel
def _differing(left: np.ndarray, right: np.ndarray) -> int:
    """Return in how many bits two sketches of one size differ; the bits of a word are counted in parallel (Warren,
    Hacker's Delight, section 5-1)."""
    count = np.uint64(0)
    for word in range(len(left)):
        bits = left[word] ^ right[word]
        bits -= bits >> np.uint64(1) & np.uint64(0x5555555555555555)
        bits = (bits & np.uint64(0x3333333333333333)) + (bits >> np.uint64(2) & np.uint64(0x3333333333333333))
        bits = bits + (bits >> np.uint64(4)) & np.uint64(0x0F0F0F0F0F0F0F0F)
        count += bits * np.uint64(0x0101010101010101) >> np.uint64(56)
    return np.int64(count)  # type: ignore[return-value]
