"""An engine of generation that has its answers written down, for tests of the rooms that stand on the protocol."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from latxa_cli.generation.engine import Completion, Request, windows


class FakeEngine:
    """Completes every request by `answer`, window by window, and gives each window back in the opposite order."""

    tokenizer: Any = None
    context: int | None = None
    constrains = weighs = False

    def __init__(self, answer: Callable[[Request], Completion | str], window: int = 4) -> None:
        self.answer, self.window = answer, window
        self.requests: list[Request] = []

    def generate(self, requests: Iterable[Request | None]) -> Iterator[tuple[int, Completion]]:
        for window in windows(requests, self.window):
            for place, request in reversed(window):
                self.requests.append(request)
                given = self.answer(request)
                yield place, given if isinstance(given, Completion) else stopped(given)

    def facts(self) -> dict[str, Any]:
        return {"engine": "fake"}


def stopped(text: str) -> Completion:
    return Completion(text, "stop", 1, len(text.split()))


def cut_off(text: str) -> Completion:
    return Completion(text, "length", 1, len(text.split()))


TOO_LONG = Completion("", "too long", 9999, 0)
