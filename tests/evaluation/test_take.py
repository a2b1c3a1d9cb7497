"""`--take`: a part of the items by their identities, of every subtask, and a smaller one in a larger one."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from latxa_cli.evaluation.asking.take import taken

SIZES = st.lists(st.integers(1, 60), min_size=1, max_size=8)


def items(sizes: list[int]) -> dict[str, list[dict[str, str]]]:
    return {f"task{number}": [{"id": f"{number}-{item}"} for item in range(size)] for number, size in enumerate(sizes)}


@given(SIZES, st.integers(1, 400), st.integers(1, 400), st.integers(0, 3))
def test_a_smaller_part_is_within_a_larger_one(sizes: list[int], one: int, other: int, seed: int) -> None:
    few, many = (taken(items(sizes), count, seed) for count in sorted((one, other)))
    assert all(set(few[name]) <= set(many[name]) for name in few)
    assert sum(map(len, few.values())) == min(max(min(one, other), len(sizes)), sum(sizes))
    assert all(places == sorted(set(places)) and places for places in few.values())


@given(SIZES)
def test_shares_are_in_proportion(sizes: list[int]) -> None:
    count = max(len(sizes), sum(sizes) // 2)
    for size, places in zip(sizes, taken(items(sizes), count, 1).values(), strict=True):
        share = size * count / sum(sizes)
        assert len(places) >= 1
        assert len(places) <= max(1, share + 1)


def test_items_are_drawn_by_their_identity_and_the_seed() -> None:
    whole = items([50])
    first = taken(whole, 10, 1)["task0"]
    chosen = {whole["task0"][place]["id"] for place in first}
    backwards = {"task0": whole["task0"][::-1]}
    assert {backwards["task0"][place]["id"] for place in taken(backwards, 10, 1)["task0"]} == chosen
    assert taken(whole, 10, 2)["task0"] != first != [*range(10)]
    unnamed = {"task0": [{"question": str(number)} for number in range(50)]}
    assert len(taken(unnamed, 10, 1)["task0"]) == 10 != len(taken(unnamed, 99, 1)["task0"]) == 50
