from hypothesis import given
from hypothesis import strategies as st

from latxa_cli.mixing.shuffle import drawn, shuffled

NAMES = st.text(alphabet="ab/1é", min_size=1, max_size=3)
KEYS = st.lists(st.tuples(NAMES, NAMES), unique=True, max_size=30)
MANY = [("source", str(number)) for number in range(2000)]


@given(KEYS, st.integers(0, 2**64), st.randoms())
def test_order_does_not_depend_on_the_order_of_the_input(keys: list, seed: int, random: object) -> None:
    other = list(keys)
    random.shuffle(other)  # type: ignore[attr-defined]
    assert shuffled(keys, seed) == shuffled(other, seed)
    assert sorted(shuffled(keys, seed)) == sorted(keys)


@given(KEYS, st.integers(0, 99), st.integers(0, 30), st.integers(0, 30), st.randoms())
def test_a_smaller_draw_is_part_of_a_larger_one(keys: list, seed: int, one: int, two: int, random: object) -> None:
    smaller, larger = sorted((one, two))
    other = list(keys)
    random.shuffle(other)  # type: ignore[attr-defined]
    few = drawn(keys, seed, smaller)
    assert len(few) == min(smaller, len(keys))
    assert set(few) <= set(drawn(other, seed, larger))


def test_seeds_give_different_orders_and_draws() -> None:
    assert shuffled(MANY, 1) != shuffled(MANY, 2)
    assert set(drawn(MANY, 1, 1000)) != set(drawn(MANY, 2, 1000))


def test_adding_a_source_keeps_the_order_of_the_others() -> None:
    more = MANY + [("other", str(number)) for number in range(500)]
    assert [key for key in shuffled(more, 5) if key[0] == "source"] == shuffled(MANY, 5)


def test_the_order_is_spread_evenly() -> None:
    """Of 2,000 records, the first half of the order holds about half of the first thousand (6 standard deviations)."""
    first = sum(int(number) < 1000 for _, number in shuffled(MANY, 33)[:1000])
    assert abs(first - 500) < 6 * 11.2


def test_the_draw_is_not_the_head_of_the_order() -> None:
    assert len(set(drawn(MANY, 7, 1000)) & set(shuffled(MANY, 7)[:1000])) < 600
