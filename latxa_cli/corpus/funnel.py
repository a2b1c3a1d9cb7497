"""The funnel: documents, words, bytes and estimated tokens of each source after each step; and the data card."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from latxa_cli.corpus.steps import STEPS
from latxa_cli.stream.display import render
from latxa_cli.stream.records import Record

# A tokenizer that has seen little of a language needs many tokens: Llama 3.1's makes 3.5 billion tokens of the 1.2
# billion words in the Basque corpus of arXiv 2506.07597. With `--tokenizer` this figure is measured instead.
BYTES_PER_TOKEN = 3.0
COLUMNS = ("documents", "words", "bytes", "tokens")
_ALL = "all sources"


@dataclass
class Losses:
    """The losses of one source: [documents, words, bytes] of text that were read, and that each step removed."""

    read: list[int] = field(default_factory=lambda: [0, 0, 0])
    lost: dict[str, list[int]] = field(default_factory=dict)
    reasons: Counter[str] = field(default_factory=Counter)
    licences: Counter[str] = field(default_factory=Counter)
    splits: Counter[str] = field(default_factory=Counter)

    def lose(self, step: str, counts: list[int]) -> None:
        """Add [documents, words, bytes] to the losses of `step`."""
        self.lost[step] = _sum(self.lost.get(step, [0, 0, 0]), counts)

    def after(self) -> dict[str, list[int]]:
        """Return {step: [documents, words, bytes] after it} for the steps that were taken, `read` first."""
        left = {"read": self.read}
        now = self.read
        for step in STEPS:
            if step in self.lost:
                now = [have - gone for have, gone in zip(now, self.lost[step], strict=True)]
                left[step] = now
        return left


def _sum(one: list[int], other: list[int]) -> list[int]:
    return [a + b for a, b in zip(one, other, strict=True)]


@dataclass
class Funnel:
    """The losses of all sources, by name, in order of priority."""

    sources: dict[str, Losses]
    steps: frozenset[str]
    bytes_per_token: float = BYTES_PER_TOKEN
    counts_words: bool = True  # False where no step needed words

    def __post_init__(self) -> None:
        for losses in self.sources.values():
            losses.lost |= {step: [0, 0, 0] for step in STEPS if step in self.steps and step != "split"}

    def as_dict(self) -> dict[str, dict[str, dict[str, int | None]]]:
        """Return {source: {step: {documents, words, bytes, tokens}}} for the manifest; words may be None."""
        return {
            name: {step: self._figures(counts) for step, counts in losses.after().items()}
            for name, losses in self.sources.items()
        }

    def _figures(self, counts: list[int]) -> dict[str, int | None]:
        documents, words, size = counts
        tokens = round(size / self.bytes_per_token)
        return dict(zip(COLUMNS, (documents, words if self.counts_words else None, size, tokens), strict=True))

    def lines(self) -> list[str]:
        """Return a table for people, one line for each source and step."""
        rows = [
            {"source": name, "after": step} | {unit: _shown(amount) for unit, amount in figures.items()}
            for name, steps in self.as_dict().items()
            for step, figures in steps.items()
        ]
        return render(rows, ("source", "after", *COLUMNS), "table").splitlines()

    def card(self, title: str, facts: dict[str, str]) -> str:
        """Return a data card in Markdown: `facts`, sources with licences and splits, steps, and reasons of rejects."""
        kept = [self._row(name, losses) for name, losses in self.sources.items()]
        kept.append(self._row(_ALL, _together(list(self.sources.values()), self)))
        steps = [
            {"source": name, "after": step} | {unit: _shown(amount) for unit, amount in figures.items()}
            for name, all_steps in self.as_dict().items()
            for step, figures in all_steps.items()
        ]
        reasons = [
            {"source": name, "reason": reason, "documents": f"{count:,}"}
            for name, losses in self.sources.items()
            for reason, count in losses.reasons.most_common()
        ]
        return "\n".join(
            (
                f"# {title}\n",
                render([{"": name, " ": value} for name, value in facts.items()], ("", " "), "markdown"),
                "## Sources\n",
                "Tokens are estimated at " + f"{self.bytes_per_token:.2f} bytes each.\n",
                render(kept, ("source", *COLUMNS, "licences", "splits"), "markdown"),
                "## What each step left\n",
                render(steps, ("source", "after", *COLUMNS), "markdown"),
                "## What was left out\n",
                render(reasons, ("source", "reason", "documents"), "markdown"),
            )
        )

    def _row(self, name: str, losses: Losses) -> Record:
        counts = list(losses.after().values())[-1]
        figures = {unit: _shown(amount) for unit, amount in self._figures(counts).items()}
        return {"source": name} | figures | {"licences": _listed(losses.licences), "splits": _listed(losses.splits)}


def _shown(amount: int | None) -> str:
    return "-" if amount is None else f"{amount:,}"


def _listed(counts: Counter[str]) -> str:
    return ", ".join(f"{name or 'not stated'}: {count:,}" for name, count in counts.most_common() if count)


def _together(sources: list[Losses], funnel: Funnel) -> Losses:
    whole = Losses()
    for losses in sources:
        whole.read = _sum(whole.read, losses.read)
        for step, counts in losses.lost.items():
            whole.lose(step, counts)
        whole.reasons += losses.reasons
        whole.licences += losses.licences
        whole.splits += losses.splits
    return whole
