"""The few-shot prompt: each shot and the text to translate under the names of their languages.

    English: What colour is the sea?
    Euskara: Zein koloretakoa da itsasoa?

A base model continues the pattern. The paper (arXiv 2506.07597) translates by few-shot prompting of the continued base
model, because sentence-level systems cannot tell the code and the markup of an instruction from its prose.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from latxa_cli.generation.engine import Decoding
from latxa_cli.stream.records import Record


@dataclass(frozen=True, slots=True)
class FewShot:
    """Shots (source and target texts) and the names of the two languages, as the prompt writes them."""

    shots: tuple[tuple[str, str], ...]
    source: str
    target: str

    def prompt(self, text: str) -> str:
        """Return the prompt that a base model continues with the translation of `text`."""
        shots = (f"{self.source}: {source}\n{self.target}: {target}\n\n" for source, target in self.shots)
        return "".join(shots) + f"{self.source}: {text}\n{self.target}:"

    def decoding(self, text: str, longest: int) -> Decoding:
        """Return how to decode the translation of `text`: greedily, to the line's end or to the next shot.

        A text of one line has a translation of one line; a longer one ends where another shot would begin.
        """
        end = f"\n\n{self.source}:" if "\n" in text.strip() else "\n"
        return Decoding(max_tokens=longest, stop=(end,))


def few_shot(pairs: Sequence[Record], source: str, target: str, count: int) -> FewShot:
    """Return the prompt made of the first `count` pair records (`source`, `target`)."""
    return FewShot(tuple((pair["source"].strip(), pair["target"].strip()) for pair in pairs[:count]), source, target)
