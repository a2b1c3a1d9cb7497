"""Many conversations at once: every outcome is that of a conversation held alone, in order, and few are under way."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from typing import Any

import pytest
from fake_engine import FakeEngine, stopped
from hypothesis import given
from hypothesis import strategies as st

from latxa_cli.generation.engine import Completion, Decoding, Request
from latxa_cli.generation.flow import Exchange, converse, side_by_side
from latxa_cli.stream.errors import LatxaError


class Continuous:
    """An engine that works on some requests at once and finishes them in any order; takes None for what it says."""

    tokenizer: Any = None
    context = None
    constrains = weighs = False

    def __init__(self, at_once: int, window: int, seed: int = 0) -> None:
        self.at_once, self.window, self.draw = at_once, window, random.Random(seed)
        self.most = 0

    def generate(self, requests: Iterable[Request | None]) -> Iterator[tuple[int, Completion]]:
        iterator, running, count, more = iter(requests), {}, 0, True
        while more or running:
            while more and len(running) < self.at_once:
                try:
                    request = next(iterator)
                except StopIteration:
                    more = False
                    break
                if request is None:
                    assert running, "it was told to wait for nothing"
                    break
                running[count] = request
                count += 1
            self.most = max(self.most, len(running))
            if running:
                place = self.draw.choice(list(running))
                yield place, stopped(f"<{running.pop(place).seed}>")

    def facts(self) -> dict[str, Any]:
        return {}


def exchange(item: list[int]) -> Exchange:
    """Ask so many things at a time as the numbers of the item say."""
    heard = ""
    for turn, count in enumerate(item):
        completions = yield [Request(Decoding(), 10 * turn + number) for number in range(count)]
        assert len(completions) == count
        heard += "".join(completion.text for completion in completions) + ";"
    return {"heard": heard}


def alone(item: list[int]) -> dict[str, str]:
    turns = ["".join(f"<{10 * turn + number}>" for number in range(count)) for turn, count in enumerate(item)]
    return {"heard": "".join(turn + ";" for turn in turns)}


@given(st.lists(st.lists(st.integers(0, 3), max_size=4), max_size=30), st.integers(1, 9), st.integers(1, 9), st.data())
def test_every_conversation_is_as_if_it_were_alone(
    items: list[list[int]], at_once: int, window: int, data: st.DataObject
) -> None:
    engines = [Continuous(at_once, window, data.draw(st.integers(0, 99))), FakeEngine(lambda r: f"<{r.seed}>", window)]
    for engine in engines:
        assert list(converse(engine, items, exchange)) == [alone(item) for item in items]


def test_few_are_under_way_and_the_engine_is_kept_busy() -> None:
    begun, over = [], 0

    def items() -> Iterator[list[int]]:
        for number in range(200):
            begun.append(number)
            yield [1, 1]

    engine = Continuous(at_once=6, window=8)
    for _ in converse(engine, items(), exchange):
        over += 1
        assert len(begun) - over <= 8
    assert over == 200 and engine.most == 6


def test_conversations_that_ask_nothing_take_no_more_room() -> None:
    begun = []

    def items() -> Iterator[list[int]]:
        for number in range(50):
            begun.append(number)
            yield []

    outcomes = converse(FakeEngine(lambda _: "", window=4), items(), exchange)
    next(outcomes)
    assert len(begun) <= 4
    assert len(list(outcomes)) == 49


def test_an_error_of_the_input_is_that_of_the_run() -> None:
    def items() -> Iterator[list[int]]:
        yield [1]
        raise LatxaError("in.jsonl:2: no")

    with pytest.raises(LatxaError, match="no"):
        list(converse(Continuous(2, 2), items(), exchange))


# --- several within one conversation ---------------------------------------------------------------------------------


@given(st.lists(st.lists(st.integers(0, 3), max_size=4), max_size=5), st.integers(1, 5))
def test_several_side_by_side_come_to_what_each_would_alone(items: list[list[int]], window: int) -> None:
    def together(_: None) -> Exchange:
        outcomes = yield from side_by_side([exchange(item) for item in items])
        return {"all": outcomes}

    engine = FakeEngine(lambda request: f"<{request.seed}>", window)
    assert list(converse(engine, [None], together)) == [{"all": [alone(item) for item in items]}]


def test_they_ask_in_rounds() -> None:
    steps = side_by_side([exchange([1, 2]), exchange([2]), exchange([])])
    assert [request.seed for request in next(steps)] == [0, 0, 1]
    assert [request.seed for request in steps.send([stopped("a"), stopped("b"), stopped("c")])] == [10, 11]
    with pytest.raises(StopIteration) as end:
        steps.send([stopped("d"), stopped("e")])
    assert end.value.value == [{"heard": "a;de;"}, {"heard": "bc;"}, {"heard": ""}]


def test_an_error_of_one_ends_all() -> None:
    def failing() -> Exchange:
        yield [Request(Decoding())]
        raise KeyError("unfit")

    steps = side_by_side([exchange([1]), failing()])
    next(steps)
    with pytest.raises(KeyError):
        steps.send([stopped("a"), stopped("b")])
