"""What is around every engine: order, windows, the choice of an engine."""

from __future__ import annotations

import pytest
from fake_engine import FakeEngine, stopped
from hypothesis import given
from hypothesis import strategies as st

from latxa_cli.generation.engine import Decoding, EngineOptions, Request, in_order, open_engine, windows
from latxa_cli.stream.errors import UsageError


@given(st.permutations(range(12)))
def test_completions_come_back_in_the_order_of_requests(order: list[int]) -> None:
    completions = [(place, stopped(str(place))) for place in order]
    assert [completion.text for completion in in_order(completions)] == [str(place) for place in range(12)]


def test_a_completion_is_given_as_soon_as_all_before_it_are_there() -> None:
    taken = []

    def completions():
        for place in (1, 0, 3, 2):
            taken.append(place)
            yield place, stopped(str(place))

    ordered = in_order(completions())
    assert (next(ordered).text, taken) == ("0", [1, 0])
    assert (next(ordered).text, taken) == ("1", [1, 0])
    assert (next(ordered).text, taken) == ("2", [1, 0, 3, 2])


@given(st.lists(st.integers(), max_size=20), st.integers(1, 7))
def test_windows_are_the_items_in_parts(items: list[int], size: int) -> None:
    parts = list(windows(items, size))
    assert [item for part in parts for item in part] == items
    assert all(len(part) == size for part in parts[:-1]) and all(parts)


def test_windows_take_no_more_than_they_give() -> None:
    numbers = iter(range(10))
    next(windows(numbers, 3))
    assert next(numbers) == 3


def test_the_fake_engine_keeps_the_protocol() -> None:
    engine = FakeEngine(lambda request: str(request.seed))
    requests = [Request(Decoding(), seed, "x") for seed in range(10)]
    assert [completion.text for completion in in_order(engine.generate(requests))] == [str(seed) for seed in range(10)]


def test_an_unknown_engine_names_the_nearest() -> None:
    with pytest.raises(UsageError, match="there is no engine `transformer`") as caught:
        open_engine("tiny", EngineOptions(engine="transformer"))
    assert "`transformers`" in caught.value.hint
