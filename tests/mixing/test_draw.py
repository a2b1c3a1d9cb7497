from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from latxa_cli.mixing.draw import (
    ALL,
    HOLD_OUT,
    ORDER,
    SUBSET,
    TAKE,
    Budget,
    Decision,
    InputOptions,
    Picks,
    bound_of,
    decide,
    draw_hashes,
)
from latxa_cli.mixing.duplicates import RowTable, find_duplicates
from latxa_cli.mixing.plan import MixPlan
from latxa_cli.mixing.rows import InputReading, epoch_of, key_of, key_seeds
from latxa_cli.native.layout import AGAIN, ROW, UNNAMED
from latxa_cli.stream.errors import LatxaError

MEMORY = 1 << 30
HASH = "0123456789abcdef"


def rows_of(names: Sequence[str | None], *, seed: int = 0, name: str = "docs", text_hash: str = HASH) -> np.ndarray:
    """Return rows of records with these ids; None is a record without id whose content hashes to `text_hash`."""
    rows = np.zeros(len(names), ROW)
    for place, given_id in enumerate(names):
        identity, check, again = key_of(key_seeds(seed, name), "", given_id or text_hash)
        rows["identity"][place], rows["check"][place] = identity, check
        rows["flags"][place] = (0 if given_id else UNNAMED) | (AGAIN if again else 0)
    return rows


def parts_of(*parts: np.ndarray, inputs: Sequence[int] | None = None, tokens: Sequence[np.ndarray] = ()) -> RowTable:
    counted: Callable[[int], np.ndarray | None] = (lambda part: tokens[part]) if tokens else lambda _: None
    return RowTable(inputs or [0] * len(parts), lambda part: parts[part], counted)


def picked(rows: RowTable, decision: Decision) -> list[tuple[int, int, int]]:
    """Return (part, row, epoch) of all copies, in their order in the mix."""
    found = []
    for part, those in rows.of():
        picks: Picks = decision.for_part(part, those, rows.inputs[part]).picks()
        found += [(order, part, row, epoch) for row, epoch, order, _ in zip(*(a.tolist() for a in picks), strict=True)]
    return [tuple(place) for _, *place in sorted(found)]  # type: ignore[misc]


def decided(rows: RowTable, *wanted: InputOptions, memory: int = MEMORY, **budget: int) -> Decision:
    return decide(rows, wanted or [InputOptions("docs")], Budget(**budget), memory)


MANY = rows_of([f"d{n}" for n in range(2000)])
IN_PARTS = parts_of(MANY[:700], MANY[700:710], MANY[710:])


# --- keys and draws --------------------------------------------------------------------------------------------------


def test_keys_tell_inputs_sources_ids_and_seeds_apart() -> None:
    keys = {
        key_of(key_seeds(seed, name), source, given)
        for seed in (0, 1) for name in ("a", "b") for source in ("", "s") for given in ("1", "2")
    }  # fmt: skip
    assert len(keys) == 16


def test_the_id_of_repeated_content_has_the_key_that_repeated_content_gets() -> None:
    rows = parts_of(rows_of([None, None, f"{HASH}-2", f"{HASH}-3"]))
    assert find_duplicates(rows, MEMORY).duplicates.tolist() == [2]
    assert find_duplicates(rows, MEMORY).counts.tolist() == [2]


@pytest.mark.parametrize("given_id", [f"{HASH}-1", f"{HASH}-02", f"{HASH}-", "0123456789abcdeg-2", f"{HASH}-2x"])
def test_other_ids_are_as_they_are(given_id: str) -> None:
    rows = parts_of(rows_of([None, None, None, given_id]))
    assert find_duplicates(rows, MEMORY).duplicates.tolist() == []


def test_draws_of_different_purposes_and_epochs_are_independent() -> None:
    identity = MANY["identity"]
    halves = [
        set(np.argsort(draw_hashes(identity, p, e))[:1000].tolist())
        for p, e in ((ORDER, 1), (TAKE, 1), (TAKE, 2), (SUBSET, 1))
    ]
    for place, one in enumerate(halves):
        for other in halves[:place]:
            assert abs(len(one & other) - 500) < 6 * 11.2  # standard deviations


@given(
    st.lists(st.tuples(st.integers(0, ALL - 1), st.integers(0, 9)), unique_by=lambda item: item[0], max_size=40),
    st.integers(0, 60),
)
def test_a_budget_is_filled_and_not_exceeded(items: list[tuple[int, int]], budget: int) -> None:
    hashes = np.array([item[0] for item in items], np.uint64)
    weights = np.array([item[1] for item in items], float)

    def weighed() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for start in range(0, len(items), 7):
            yield hashes[start : start + 7], weights[start : start + 7]

    bound = bound_of(weighed, budget)
    expected, used = [], 0
    for item, weight in sorted(items):
        if used + weight > budget:
            break
        expected.append(item)
        used += weight
    assert sorted(item for item, _ in items if item < bound) == expected


def test_hashes_that_share_their_high_bits_are_told_apart() -> None:
    hashes = np.array([3 << 48 | low for low in (5, 1, 9, 7)], np.uint64)
    assert bound_of(lambda: [(hashes, np.ones(4))], 2) == 3 << 48 | 7


def test_a_copy_s_key_says_that_it_is_one() -> None:
    """Copies of a record, and repeats of a content, share the first hash with the first, and nothing else."""
    seeds = key_seeds(0, "docs")
    first, *others = (key_of(seeds, "", HASH + ending, epoch) for ending in ("", "-2", "-3") for epoch in (1, 2, 3))
    assert not first[2] and all(again for _, _, again in others)
    assert {identity for identity, _, _ in others} == {first[0]}
    assert len({check for _, check, _ in (first, *others)}) == 9


@pytest.mark.parametrize(
    ("given_epoch", "expected"),
    [(None, 1), (0, 1), (1, 1), (2, 2), (2**40, 2**40), (2**40 + 1, 1), (-2, 1), (True, 1), (2.0, 1), ("2", 1)],
)
def test_which_copy_of_a_record_it_is(given_epoch: object, expected: int) -> None:
    assert epoch_of({"metadata": {"epoch": given_epoch}}) == expected


# --- records that come twice -----------------------------------------------------------------------------------------


@settings(max_examples=200)
@given(
    st.lists(st.lists(st.sampled_from(["a", "b", "c", None, f"{HASH}-2", f"{HASH}-3"]), max_size=6), max_size=4),
    st.integers(1, 2000),
)
def test_the_first_of_a_key_is_kept_in_however_many_rounds(parts: list[list[str | None]], memory: int) -> None:
    decision = find_duplicates(parts_of(*map(rows_of, parts)), memory)
    seen: set[str] = set()
    numbers: Counter[str] = Counter()
    duplicates, repeats = [], {}
    for part, names in enumerate(parts):
        for row, name in enumerate(names):
            ordinal = part << 32 | row
            if name is None:
                numbers[HASH] += 1
                if numbers[HASH] > 1:
                    repeats[ordinal] = numbers[HASH]
                name = HASH if numbers[HASH] == 1 else f"{HASH}-{numbers[HASH]}"
            if name in seen:
                duplicates.append(ordinal)
            seen.add(name)
    assert decision.duplicates.tolist() == duplicates
    assert dict(zip(decision.repeats.tolist(), decision.counts.tolist(), strict=True)) == repeats


def test_a_collision_of_one_hash_is_no_duplicate() -> None:
    rows = rows_of(["a", "b"])
    rows["identity"] = rows["identity"][0]
    assert find_duplicates(parts_of(rows), MEMORY).duplicates.tolist() == []


# --- order, subsets, copies ------------------------------------------------------------------------------------------


def test_order_depends_on_keys_and_not_on_parts() -> None:
    other = parts_of(MANY[::-1])
    one = [MANY[[0, 700, 710][part] + row]["identity"] for part, row, _ in picked(IN_PARTS, decided(IN_PARTS))]
    assert one == [MANY[::-1][row]["identity"] for _, row, _ in picked(other, decided(other))]
    assert one != MANY["identity"].tolist()


def test_the_order_is_spread_evenly() -> None:
    """Of 2,000 records, the first half of the order holds about half of the first thousand (6 standard deviations)."""
    rows = parts_of(MANY)
    first = sum(row < 1000 for _, row, _ in picked(rows, decided(rows))[:1000])
    assert abs(first - 500) < 6 * 11.2


def test_seeds_give_different_orders_and_draws() -> None:
    orders = []
    for seed in (0, 1):
        rows = parts_of(rows_of([f"d{n}" for n in range(200)], seed=seed))
        orders.append((picked(rows, decided(rows)), set(picked(rows, decided(rows, records=100)))))
    assert orders[0][0] != orders[1][0] and orders[0][1] != orders[1][1]


def test_smaller_draws_are_part_of_larger_ones_in_the_same_order() -> None:
    whole = picked(IN_PARTS, decided(IN_PARTS))
    larger, smaller = (picked(IN_PARTS, decided(IN_PARTS, records=count)) for count in (300, 100))
    assert len(larger) == 300 and len(smaller) == 100
    assert larger == [place for place in whole if place in set(larger)]
    assert smaller == [place for place in larger if place in set(smaller)]
    assert picked(IN_PARTS, decided(IN_PARTS, records=5000)) == whole
    assert smaller != whole[:100], "the draw is not the head of the order"


@pytest.mark.parametrize(
    ("weight", "counts"), [(1.0, {1: 2000}), (2.0, {2: 2000}), (2.5, {2: 1000, 3: 1000}), (0.25, {1: 500})]
)
def test_weights_are_numbers_of_copies(weight: float, counts: dict[int, int]) -> None:
    places = picked(IN_PARTS, decided(IN_PARTS, InputOptions("docs", weight=weight)))
    copies: dict[tuple[int, int], list[int]] = {}
    for part, row, epoch in places:
        copies.setdefault((part, row), []).append(epoch)
    assert Counter(map(len, copies.values())) == counts
    assert all(sorted(epochs) == list(range(1, len(epochs) + 1)) for epochs in copies.values())
    if weight == 2.0:  # the copies of a record are anywhere
        order = {place: number for number, place in enumerate(places)}
        near = sum(abs(order[part, row, 1] - order[part, row, 2]) < 400 for part, row in copies)
        assert near < 600  # of two places among 4,000, 19 % are so near


def test_fractions_are_part_of_larger_ones() -> None:
    quarter, half = (
        set(picked(IN_PARTS, decided(IN_PARTS, InputOptions("docs", weight=weight)))) for weight in (0.25, 0.5)
    )
    more = {place for place in picked(IN_PARTS, decided(IN_PARTS, InputOptions("docs", weight=1.5))) if place[2] == 2}
    assert quarter < half
    assert {place[:2] for place in half} == {place[:2] for place in more}


def test_what_is_held_out_does_not_depend_on_the_rest_and_is_in_no_copy() -> None:
    held: list[set[tuple[int, int]]] = []
    for wanted, budget in (
        (InputOptions("docs", 50), {}),
        (InputOptions("docs", 50, 3.5), {}),
        (InputOptions("docs", 50, take_from=70), {"records": 9}),
    ):
        decision = decided(IN_PARTS, wanted, **budget)
        looks = [(part, decision.for_part(part, rows, 0)) for part, rows in IN_PARTS.of()]
        held.append({(part, row) for part, part_decision in looks for row in part_decision.held_out().rows.tolist()})
        assert not held[-1] & {place[:2] for place in picked(IN_PARTS, decision)}
    assert len(held[0]) == 50 and held[0] == held[1] == held[2]
    larger = decided(IN_PARTS, InputOptions("docs", 80))
    assert held[0] < {
        (p, row) for p, rows in IN_PARTS.of() for row in larger.for_part(p, rows, 0).held_out().rows.tolist()
    }


def test_more_than_there_is_cannot_be_held_out() -> None:
    with pytest.raises(LatxaError, match="`docs` has 2,000 records, of which 2,001"):
        decided(IN_PARTS, InputOptions("docs", 2001))


# Forty contents, each three times: without ids, or with the ids that a mix of them gives.
CONTENTS = [f"{number:016x}" for number in range(40)]
REPEATED = {
    "without ids": np.concatenate([rows_of([None], text_hash=content) for content in CONTENTS * 3]),
    "with ids": rows_of([content + ending for ending in ("", "-2", "-3") for content in CONTENTS]),
}


def held_and_rest(rows: RowTable, decision: Decision) -> tuple[list[int], list[int]]:
    """Return the rows that are held out, and those in the mix, counted through all parts."""
    starts = np.cumsum([0, *(len(those) for _, those in rows.of())]).tolist()
    looks = [(starts[part], decision.for_part(part, those, rows.inputs[part])) for part, those in rows.of()]
    held = [start + row for start, part_decision in looks for row in part_decision.held_out().rows.tolist()]
    return held, [start + row for start, part_decision in looks for row in part_decision.picks().rows.tolist()]


@pytest.mark.parametrize("what", REPEATED)
def test_contents_are_held_out_and_not_records(what: str) -> None:
    """Those with the least hashes: the first record of each is held out, and no other of that content is in the mix."""
    found = REPEATED[what]
    rows = parts_of(found[:50], found[50:])
    order = np.argsort(draw_hashes(found["identity"][:40], HOLD_OUT))
    for count in (1, 7, 39):
        held, rest = held_and_rest(rows, decided(rows, InputOptions("docs", count)))
        assert sorted(held) == sorted(order[:count].tolist()), "each is the first of its content"
        assert rest == [row for row in range(120) if row % 40 not in held]


@pytest.mark.parametrize("what", REPEATED)
def test_as_many_contents_as_there_are_can_be_held_out(what: str) -> None:
    rows = parts_of(REPEATED[what])
    assert held_and_rest(rows, decided(rows, InputOptions("docs", 40))) == (list(range(40)), [])
    with pytest.raises(LatxaError, match="`docs` has 40 records, of which 41 are to be held out"):
        decided(rows, InputOptions("docs", 41))


@pytest.mark.parametrize("what", REPEATED)
def test_those_that_repeat_a_content_are_drawn_each_for_itself(what: str) -> None:
    rows = parts_of(REPEATED[what])
    half = (InputOptions("docs", take_from=60), InputOptions("docs", weight=0.5), InputOptions("docs"))
    for wanted, budget in zip(half, ({}, {}, {"records": 60}), strict=True):
        _, rest = held_and_rest(rows, decided(rows, wanted, **budget))
        assert len(rest) == 60 and set(Counter(row % 40 for row in rest).values()) >= {1, 2}
    assert len(set(decided(rows).for_part(0, REPEATED[what], 0).picks().order.tolist())) == 120


def test_each_input_holds_out_for_itself_and_by_the_seed() -> None:
    names = [f"d{number}" for number in range(100)]
    rows = parts_of(*(rows_of(names, name=name, seed=seed) for name in "ab" for seed in (0, 1)), inputs=[0, 1, 2, 3])
    decision = decided(rows, InputOptions("a", 10), InputOptions("a1", 10), InputOptions("b"), InputOptions("b1", 90))
    held, rest = held_and_rest(rows, decision)
    counts = Counter(row // 100 for row in held)
    assert counts == {0: 10, 1: 10, 3: 90}
    assert Counter(row // 100 for row in rest) == {0: 90, 1: 90, 2: 100, 3: 10}
    assert {row for row in held if row < 100} != {row - 100 for row in held if 100 <= row < 200}


def test_what_is_held_out_is_in_the_order_of_a_mix() -> None:
    found = decided(IN_PARTS, InputOptions("docs", 50)).for_part(0, MANY[:700], 0).held_out()
    assert found.order.tolist() == draw_hashes(MANY["identity"][found.rows], ORDER).tolist()
    assert set(found.epochs.tolist()) == {1}


def test_a_subset_of_an_input_comes_before_its_weight() -> None:
    small, large = (
        picked(IN_PARTS, decided(IN_PARTS, InputOptions("docs", weight=1.5, take_from=count))) for count in (20, 60)
    )
    assert (len(small), len({place[:2] for place in small})) == (30, 20)
    assert {place[:2] for place in small} < {place[:2] for place in large}


def test_inputs_have_rules_of_their_own() -> None:
    rows = parts_of(MANY[:1000], MANY[1000:], inputs=[0, 1])
    decision = decided(rows, InputOptions("a", 10, 2.0), InputOptions("b", take_from=7))
    assert Counter(part for part, _, _ in picked(rows, decision)) == {0: 2 * 990, 1: 7}


def test_what_clustering_leaves_out_is_kept_of_every_input() -> None:
    rows = parts_of(MANY[:100], MANY[100:200], inputs=[0, 1])
    asked: list[tuple[int, int]] = []

    def choose(decision: Decision, number: int, count: int) -> np.ndarray:
        asked.append((number, count))
        assert decision.bounds[number].hold_out, "what is held out is not to be chosen"
        return np.arange(50 * number, 100 - count, dtype=np.uint64) | np.uint64(number << 32)

    wanted = (InputOptions("a", 5, diversify=40), InputOptions("b", 5, diversify=30, take_from=10))
    decision = decide(rows, wanted, Budget(), MEMORY, choose)
    assert asked == [(0, 40), (1, 30)]
    places = picked(rows, decision)
    held, _ = held_and_rest(rows, decision)
    assert {row for part, row, _ in places if part == 0} == set(range(60, 100)) - set(held)
    assert len([row for part, row, _ in places if part == 1]) == 10
    assert not {row for part, row, _ in places if part == 1} & set(range(50, 70))


@pytest.mark.parametrize(("count", "weight", "copies"), [(10, 1.75, 18), (7, 0.1, 1), (7, 0.07, 0), (3, 2.5, 8)])
def test_fractions_of_copies_are_rounded(count: int, weight: float, copies: int) -> None:
    rows = parts_of(MANY[:count])
    assert len(picked(rows, decided(rows, InputOptions("docs", weight=weight)))) == copies


def test_the_highest_epoch_of_an_input_is_that_of_all_its_parts() -> None:
    readings = (InputReading("a"), InputReading("b", 1))
    plan = MixPlan(readings, (InputOptions("a", weight=2.25), InputOptions("b", weight=0.5)), Budget(), MEMORY)
    assert plan.last_epochs([0, 0, 0, 1, 1], [1, 5, 2, 1, 1]) == (5, 1)
    assert plan.epochs == 3


def test_a_budget_of_tokens_counts_copies() -> None:
    tokens = [np.full(len(rows), 3, np.uint32) for _, rows in IN_PARTS.of()]
    rows = parts_of(*(those for _, those in IN_PARTS.of()), tokens=tokens)
    found = picked(rows, decided(rows, InputOptions("docs", weight=2.0), tokens=100))
    assert len(found) == 33
    assert set(found) < set(picked(rows, decided(rows, InputOptions("docs", weight=2.0), tokens=1000)))


def test_nothing_at_all() -> None:
    for rows in (parts_of(), parts_of(rows_of([]))):
        assert picked(rows, decided(rows, InputOptions("docs", weight=2.5, take_from=3), records=5)) == []
