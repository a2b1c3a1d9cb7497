"""The kernels of `corpus.greedy`, which apply the rule of `corpus.duplicates` document after document.

Most candidates are not similar, and a sketch shows that cheaply. Each bit of a sketch is the parity of the number of
hashes that map to it. Sets that differ in d hashes differ in at most d bits, so a candidate is excluded when its sketch
differs in more bits than the required similarity allows (the bitmap filter of Sandes, Teodoro and Melo, Information
Systems 88, 2020). Only the others are compared in full. The decisions are the same as without sketches.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from latxa_cli.native.kernel import kernel
from latxa_cli.native.minhash import jaccard

KEPT, EXACT, URL, NEAR = 0, 1, 2, 3
LISTED = 1024  # kept documents per band key that later ones are compared with: the first ones, which bounds the work

_BITS_PER_HASH = 8  # of a sketch, at least; its size is a power of 2


class ShingleSets(NamedTuple):
    """Sets of shingles: that of document i is `hashes[bounds[i] : bounds[i + 1]]`, sorted."""

    hashes: np.ndarray  # u64
    bounds: np.ndarray  # i64 [documents + 1]


class GroupTable(NamedTuple):
    """The groups of documents that share a key; those of document i are `groups[bounds[i] : bounds[i + 1]]`.

    Groups by text have the lowest numbers, then come groups by URL, then groups by band; those of a document are in
    this order too. A slot is a place in `groups`.
    """

    bounds: np.ndarray  # i64 [documents + 1]
    groups: np.ndarray  # i64


class GroupState(NamedTuple):
    """The state of each group while documents are decided in order; -1 stands for none."""

    holders: np.ndarray  # i64, the first kept document
    followed: np.ndarray  # i64, of a group by text: the kept document that the text is a near duplicate of
    similarities: np.ndarray  # f64, the similarity to that document
    listed: np.ndarray  # i64, of a group by band: the number of listed documents

    @classmethod
    def of(cls, groups: int) -> GroupState:
        """Return the state of so many groups before any document is decided."""
        none = np.full(groups, -1)
        return cls(none, none.copy(), np.zeros(groups), np.zeros(groups, np.int64))


class EarlierMatches(NamedTuple):
    """The matches in earlier chunks for each document of this one."""

    url_similarities: np.ndarray  # f64, the similarity to the kept document with the same URL
    similarities: np.ndarray  # f64, the similarity to the nearest candidate
    nearest: np.ndarray  # i64, the number of that candidate; -1 for none

    @classmethod
    def of(cls, documents: int) -> EarlierMatches:
        """Return the matches of so many documents where there are no earlier chunks."""
        return cls(np.zeros(documents), np.zeros(documents), np.full(documents, -1))


class NearRules(NamedTuple):
    """The rules for duplicates, and the numbers of groups by which their kinds are told apart."""

    exact: bool  # an equal text is a reason to drop a document
    similarity: float  # the smallest similarity of near duplicates
    urls: int  # the first group by URL
    bands: int  # the first group by band


class _Sets(NamedTuple):
    """Sets of shingles with their sketches; that of document i is `sketches[places[i] : places[i + 1]]`, 2^k words."""

    hashes: np.ndarray
    bounds: np.ndarray
    sketches: np.ndarray  # u64
    places: np.ndarray  # i64 [documents + 1]


class _Lists(NamedTuple):
    """The places of each group's kept documents, in rising order; `members[starts[g] : starts[g] + counts[g]]`."""

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
    """Decide which documents of a chunk to keep.

    - numbers: i64, of the documents, in rising order.
    - state, found: from earlier chunks; `state` is updated.

    Returns (reasons, keepers, similarities, listed): for each document the reason for dropping it (u8, KEPT for none),
    the number of the document that is kept in its place (i64) and their similarity (f64); for each slot whether the
    document is listed there, to be compared with later ones.
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
    """Compare the documents of a chunk with the kept ones of an earlier chunk, and update `state` and `found`.

    - numbers, earlier, listed: of the kept documents their numbers, sets and listed groups.
    - texts, keys: the sets and groups of this chunk's documents. `listed` and `keys` number groups alike.

    Earlier chunks must come in their order.
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
    """Decide by text and URL alone, and return (reason, keeper, similarity); that of an equal URL is not computed."""
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
    """List a kept document in a group unless that is full, and return whether it was listed."""
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
    """Return (similarity, place among `others`) of the most similar listed candidate, the first of several; or (0, -1).

    seen: i64 [others], the document that each was last compared with, so that none is compared twice.
    """
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
    """Return the number of hashes in which two sets with `total` hashes may differ at a similarity of `least`."""
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
    """Return the number of bits in which two sketches differ; the larger one is folded to the size of the other."""
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
    """Return the number of bits in which two sketches of equal size differ.

    The bits of a word are counted in parallel (Warren, Hacker's Delight, section 5-1).
    """
    count = np.uint64(0)
    for word in range(len(left)):
        bits = left[word] ^ right[word]
        bits -= bits >> np.uint64(1) & np.uint64(0x5555555555555555)
        bits = (bits & np.uint64(0x3333333333333333)) + (bits >> np.uint64(2) & np.uint64(0x3333333333333333))
        bits = bits + (bits >> np.uint64(4)) & np.uint64(0x0F0F0F0F0F0F0F0F)
        count += bits * np.uint64(0x0101010101010101) >> np.uint64(56)
    return np.int64(count)  # type: ignore[return-value]
