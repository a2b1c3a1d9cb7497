"""What the completions of a server cost, and the most that a run may spend."""

from __future__ import annotations

from typing import Any

from latxa_cli.generation.engine import Completion
from latxa_cli.stream.errors import LatxaError


class Budget:
    """`price`: of a million prompt tokens and of a million completion tokens; `limit`: what is spent at the most.

    What failed tries cost is not known.
    """

    def __init__(self, price: tuple[float, float] | None = None, limit: float | None = None) -> None:
        self.price, self.limit = price, limit
        self.prompt_tokens = self.completion_tokens = 0

    def cost(self, prompt_tokens: int, completion_tokens: int) -> float:
        """Return the cost of so many tokens, in the currency of the price."""
        prompt, completion = self.price or (0.0, 0.0)
        return (prompt_tokens * prompt + completion_tokens * completion) / 1e6

    @property
    def spent(self) -> float:
        """The cost of the completions that came."""
        return self.cost(self.prompt_tokens, self.completion_tokens)

    def covers(self, cost: float) -> bool:
        """Whether so much may be spent further."""
        return self.limit is None or self.spent + cost <= self.limit

    def count(self, completion: Completion) -> Completion:
        """Add the tokens of a completion, and return it."""
        self.prompt_tokens += completion.prompt_tokens
        self.completion_tokens += completion.completion_tokens
        return completion

    def exhausted(self) -> LatxaError:
        """Return the error that ends a run which may not spend more."""
        return LatxaError(
            f"`--max-cost {self.limit:g}` does not cover another request: {self.spent:,.6g} is spent in this run "
            f"({self.prompt_tokens:,} prompt and {self.completion_tokens:,} completion tokens)",
            hint="with `-o FILE`, `--resume` goes on from here, and counts from nothing again",
        )

    def facts(self) -> dict[str, Any]:
        """Return what a manifest says of it."""
        priced = {"price": list(self.price), "spent": round(self.spent, 6)} if self.price else {}
        return {"prompt_tokens": self.prompt_tokens, "completion_tokens": self.completion_tokens, **priced}
