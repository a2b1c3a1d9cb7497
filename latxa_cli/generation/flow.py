"""Many conversations with an engine at once, each written as if it were the only one.

A conversation is a generator: it yields lists of requests, is sent their completions, and returns what became of it:

    def answer(prompt):
        (completion,) = yield [Request(decoding, messages=prompt["messages"])]
        return prompt | {"answer": completion.text}
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from typing import TypeVar

from latxa_cli.generation.engine import Completion, Engine, Request
from latxa_cli.stream.records import Outcome

Item = TypeVar("Item")
Talk = Generator[list[Request], list[Completion], Outcome]


def converse(engine: Engine, items: Iterable[Item], begin: Callable[[Item], Talk]) -> Iterator[Outcome]:
    """Yield the outcome of the conversation that `begin` makes of each item, in the order of the items.

    As many are under way as the engine's `window` says: so many a kill can cost, and no more are held.
    """
    flow = _Flow(items, begin, engine.window)
    while not flow.exhausted or flow.conversations:
        yield from flow.over()
        for place, completion in engine.generate(flow.requests()):
            flow.take(place, completion)
            yield from flow.over()


class _Conversation:
    """One that is under way: what it has been sent of what it waits for, and in the end its outcome."""

    def __init__(self, talk: Talk) -> None:
        self.talk = talk
        self.completions: list[Completion | None] = []
        self.missing = 0
        self.outcome: Outcome | None = None

    def ask(self, completions: list[Completion] | None) -> list[Request]:
        """Return what it asks next (None: at first): nothing where it is over."""
        try:
            requests = next(self.talk) if completions is None else self.talk.send(completions)
            while not requests:
                requests = self.talk.send([])
        except StopIteration as end:
            self.outcome = end.value
            return []
        self.completions, self.missing = [None] * len(requests), len(requests)
        return requests


class _Flow:
    """The conversations that are under way, in their order, and the requests that are with the engine or wait."""

    def __init__(self, items: Iterable[Item], begin: Callable[[Item], Talk], limit: int) -> None:
        self.items, self.begin, self.limit = iter(items), begin, limit
        self.conversations: deque[_Conversation] = deque()
        self.waiting: deque[tuple[_Conversation, int, Request]] = deque()
        self.asked: dict[int, tuple[_Conversation, int]] = {}  # by the place of the request
        self.exhausted = False

    def requests(self) -> Iterator[Request | None]:
        """Yield requests, those of conversations that go on first; None where another needs a completion before."""
        place = 0
        while True:
            while not self.waiting and not self.exhausted and len(self.conversations) < self.limit:
                self._begin()
            if self.waiting:
                conversation, slot, request = self.waiting.popleft()
                self.asked[place] = conversation, slot
                place += 1
                yield request
            elif self.asked:
                yield None
            else:
                return

    def _begin(self) -> None:
        for item in self.items:
            self.conversations.append(_Conversation(self.begin(item)))
            self._go_on(self.conversations[-1], None)
            return
        self.exhausted = True

    def _go_on(self, conversation: _Conversation, completions: list[Completion] | None) -> None:
        for slot, request in enumerate(conversation.ask(completions)):
            self.waiting.append((conversation, slot, request))

    def take(self, place: int, completion: Completion) -> None:
        """Give a completion to the conversation that asked for it."""
        conversation, slot = self.asked.pop(place)
        conversation.completions[slot] = completion
        conversation.missing -= 1
        if not conversation.missing:
            self._go_on(conversation, [one for one in conversation.completions if one is not None])

    def over(self) -> Iterator[Outcome]:
        """Yield the outcomes of the first conversations, as far as they are over."""
        while self.conversations and self.conversations[0].outcome is not None:
            yield self.conversations.popleft().outcome  # type: ignore[misc]
