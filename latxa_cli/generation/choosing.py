"""Which tokens may come next in a text that is made of one of each of several choices.

It is for engines that do not constrain decoding themselves. A text is compared as it reads, and not by its tokens: any
tokenizer will do, and each text can be written in all ways that the tokenizer has for it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import cached_property

from latxa_cli.generation.lines import Choices

LONGEST = 24  # signs of a token; what a longer one says, several say too
MOST = 500  # texts that are looked at


class Chooser:
    """Knows the texts of all tokens. `decode`: the text of tokens; `ends`: the tokens that end a text."""

    def __init__(self, decode: Callable[[list[int]], str], size: int, ends: Sequence[int]) -> None:
        self.decode, self.size, self.ends = decode, size, list(ends)

    def allowed(self, choices: Choices, written: list[int]) -> list[int]:
        """Return the tokens that may follow; nothing where no text of `choices` begins so."""
        text = self.decode(written)
        texts, complete = ahead(choices, text)
        nexts = {one[len(text) : end] for one in texts for end in range(len(text) + 1, len(text) + LONGEST + 1)}
        tokens = {token for one in nexts for token in self._by_text.get(one.removeprefix(" "), ())}
        longer = {token: self.decode([*written, token]) for token in tokens}
        found = [
            token
            for token, one in longer.items()
            if len(one) > len(text) and any(whole.startswith(one) for whole in texts)
        ]
        return sorted(found) + (self.ends if complete else [])

    @cached_property
    def _by_text(self) -> dict[str, list[int]]:
        """Tokens by their text without a space before it, which some tokenizers leave out at the beginning."""
        found = defaultdict(list)
        for token in range(self.size):
            found[self.decode([token]).removeprefix(" ")].append(token)
        return found


def ahead(choices: Choices, written: str) -> tuple[list[str], bool]:
    """Return the beginnings of all texts that begin with `written`, some signs longer, and whether it is one itself."""
    texts = [""]
    for options in choices:
        if min(map(len, texts), default=0) > len(written) + LONGEST:
            return texts, False
        longer = [text + option for text in texts for option in options if _agree(text + option, written)]
        if len(longer) > MOST and min(map(len, texts)) > len(written):
            return texts, False
        texts = longer
    return texts, written in texts


def _agree(one: str, other: str) -> bool:
    """Whether one of two texts begins with the other."""
    return one.startswith(other) or other.startswith(one)
