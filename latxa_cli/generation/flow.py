"""Many exchanges with an engine at once, each written as if it were the only one.

An exchange is a generator: it yields lists of requests, is sent their completions, and returns what became of it:

    def answer(prompt):
        (completion,) = yield [Request(decoding, messages=prompt["messages"])]
        return prompt | {"answer": completion.text}
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from typing import TypeVar

from latxa_cli.generation.engine import Completion, Engine, Request
from latxa_cli.stream.errors import LatxaError
from latxa_cli.stream.records import Outcome

Item = TypeVar("Item")
Result = TypeVar("Result")
Steps = Generator[list[Request], list[Completion], Result]  # asks, and comes to a result
Exchange = Steps[Outcome]
MOST_FAILED = 32  # exchanges in a row: then it is not they that are at fault


def converse(engine: Engine, items: Iterable[Item], begin: Callable[[Item], Exchange]) -> Iterator[Outcome]:
    """Yield the outcome of the exchange that `begin` makes of each item, in the order of the items.

    As many are under way as the engine's `window` says: so many a kill can cost, and no more are held.

    Raises LatxaError where requests of `MOST_FAILED` items in a row failed. The outcomes of these are not yielded, so
    that `--resume` asks again.
    """
    flow, failures = _Flow(items, begin, engine.window), _FailuresInARow()
    while not flow.exhausted or flow.open:
        yield from failures.sift(flow.over())
        for place, completion in engine.generate(flow.requests()):
            flow.take(place, completion)
            yield from failures.sift(flow.over())
    yield from failures.held


def side_by_side(all_steps: Sequence[Steps[Result]]) -> Steps[list[Result]]:
    """Return the results of several generators of requests, whose requests are asked together, round by round."""
    results: dict[int, Result] = {}
    asked: dict[int, list[Request]] = {}

    def go_on(place: int, completions: list[Completion] | None) -> None:
        try:
            steps = all_steps[place]
            asked[place] = next(steps) if completions is None else steps.send(completions)
        except StopIteration as end:
            results[place] = end.value

    for place in range(len(all_steps)):
        go_on(place, None)
    while asked:
        waiting, asked = asked, {}
        completions = iter((yield [request for requests in waiting.values() for request in requests]))
        for place, requests in waiting.items():
            go_on(place, [next(completions) for _ in requests])
    return [results[place] for place in range(len(all_steps))]


class _OpenExchange:
    """One that is under way: what it has been sent of what it waits for, and in the end its outcome."""

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange
        self.completions: list[Completion | None] = []
        self.missing = 0
        self.has_asked = False
        self.failure = ""  # why one of its requests failed
        self.outcome: Outcome | None = None

    def ask(self, completions: list[Completion] | None) -> list[Request]:
        """Return what it asks next (None: at first): nothing where it is over."""
        try:
            requests = next(self.exchange) if completions is None else self.exchange.send(completions)
            while not requests:
                requests = self.exchange.send([])
        except StopIteration as end:
            self.outcome = end.value
            return []
        self.completions, self.missing, self.has_asked = [None] * len(requests), len(requests), True
        return requests


class _FailuresInARow:
    """Holds back exchanges that failed until another has gone well.

    They are counted in the order of the items: those that were tried again and again finish late, one after the other.
    """

    def __init__(self) -> None:
        self.held: list[Outcome] = []
        self.count = 0

    def sift(self, exchanges: Iterable[_OpenExchange]) -> Iterator[Outcome]:
        """Yield the outcomes of exchanges that are over, as far as one of these or of later ones has gone well."""
        for exchange in exchanges:
            if exchange.failure:
                self.count += 1
            elif exchange.has_asked:
                self.count = 0
            if self.count == MOST_FAILED:
                raise LatxaError(
                    f"{self.count} requests in a row failed, at last: {exchange.failure}",
                    hint="what came before them is kept: with `-o FILE`, `--resume` goes on there",
                )
            self.held.append(exchange.outcome)  # type: ignore[arg-type]  # it is over
            if not self.count:
                yield from self.held
                self.held = []


class _Flow:
    """The exchanges that are under way, in their order, and the requests that are with the engine or wait."""

    def __init__(self, items: Iterable[Item], begin: Callable[[Item], Exchange], limit: int) -> None:
        self.items, self.begin, self.limit = iter(items), begin, limit
        self.open: deque[_OpenExchange] = deque()
        self.waiting: deque[tuple[_OpenExchange, int, Request]] = deque()
        self.asked: dict[int, tuple[_OpenExchange, int]] = {}  # by the place of the request
        self.exhausted = False

    def requests(self) -> Iterator[Request | None]:
        """Yield requests, those of exchanges that go on first; None where another needs a completion before."""
        place = 0
        while True:
            while not self.waiting and not self.exhausted and len(self.open) < self.limit:
                self._begin()
            if self.waiting:
                exchange, slot, request = self.waiting.popleft()
                self.asked[place] = exchange, slot
                place += 1
                yield request
            elif self.asked:
                yield None
            else:
                return

    def _begin(self) -> None:
        for item in self.items:
            self.open.append(_OpenExchange(self.begin(item)))
            self._go_on(self.open[-1], None)
            return
        self.exhausted = True

    def _go_on(self, exchange: _OpenExchange, completions: list[Completion] | None) -> None:
        for slot, request in enumerate(exchange.ask(completions)):
            self.waiting.append((exchange, slot, request))

    def take(self, place: int, completion: Completion) -> None:
        """Give a completion to the exchange that asked for it."""
        exchange, slot = self.asked.pop(place)
        exchange.completions[slot] = completion
        if completion.finish_reason == "failed":
            exchange.failure = completion.text
        exchange.missing -= 1
        if not exchange.missing:
            self._go_on(exchange, [one for one in exchange.completions if one is not None])

    def over(self) -> Iterator[_OpenExchange]:
        """Yield the first exchanges, as far as they are over."""
        while self.open and self.open[0].outcome is not None:
            yield self.open.popleft()
