"""Texts to tokens: many at a time, with the beginning (BOS) that the model's tokenizer gives to a text, and once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from latxa_cli.stream.errors import LatxaError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

SAMPLE = "a"  # a text, to see what the tokenizer puts before it


@dataclass(frozen=True)
class Encoded:
    """A prompt and one continuation of it, as tokens."""

    context: list[int]
    continuation: list[int]


class Encoder:
    """A tokenizer that begins every text as the model knows it.

    Attributes:
        beginning: the tokens that the tokenizer puts before a text (BOS, as a rule), perhaps none.
        first: the token from which a text without a prompt is predicted: BOS, else EOS.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, first: int) -> None:
        self.tokenizer = tokenizer
        self.first = first
        self.beginning = _beginning(tokenizer)

    def texts(self, texts: Sequence[str]) -> list[list[int]]:
        """Return the tokens of each text, with exactly one beginning, also where the text itself spells it.

        A chat template may write BOS, before or after a line break, and some write it twice. The tokens that a
        tokenizer puts after a text (EOS) are left out: the text goes on.
        """
        bare = self.bare(texts)
        if not self.beginning:
            return bare
        return [self._begun(tokens, text) for tokens, text in zip(bare, texts, strict=True)]

    def bare(self, texts: Sequence[str]) -> list[list[int]]:
        """Return the tokens of each text without a beginning; equal texts are read once."""
        distinct = list(dict.fromkeys(texts))
        if not distinct:
            return []
        read = self.tokenizer(distinct, add_special_tokens=False, return_attention_mask=False, verbose=False)
        tokens = dict(zip(distinct, read["input_ids"], strict=True))
        return [tokens[text] for text in texts]

    def _begun(self, tokens: list[int], text: str) -> list[int]:
        size, start = len(self.beginning), 0
        while tokens[start : start + size] == self.beginning:
            start += size
        if start:
            return tokens[start - size :]
        spelled = self.tokenizer.bos_token
        if spelled and text.lstrip().startswith(str(spelled)):
            return tokens
        return self.beginning + tokens

    def pairs(self, pairs: Sequence[tuple[str, str]]) -> list[Encoded]:
        """Return the tokens of each (prompt, continuation), divided where lm-evaluation-harness divides them.

        - Space at the end of a prompt goes to the continuation.
        - The continuation is what prompt and continuation together have beyond the tokens of the prompt.
        - Without a prompt, the continuation is predicted from `first`.

        Raises:
            LatxaError: a continuation has no token.
        """
        moved = [_space_moved(prompt, continuation) for prompt, continuation in pairs]
        prompts = self.texts([prompt for prompt, _ in moved])
        wholes = self.texts([prompt + continuation for prompt, continuation in moved])
        alone = self.bare([continuation if not prompt else "" for prompt, continuation in moved])
        encoded = []
        for (prompt, continuation), before, whole, rest in zip(moved, prompts, wholes, alone, strict=True):
            one = self._after(before, whole) if prompt else self._without_prompt(rest)
            if not one.continuation:
                raise LatxaError(
                    f"the choice {continuation[:40]!r} of an item is empty, or has no token of its own",
                    hint=f"it follows the prompt `…{' '.join(prompt[-60:].split())}`",
                )
            encoded.append(one)
        return encoded

    def _after(self, before: list[int], whole: list[int]) -> Encoded:
        return Encoded(before or [self.first], whole[len(before) :])

    def _without_prompt(self, tokens: list[int]) -> Encoded:
        if tokens[:1] == [self.first]:
            return Encoded(tokens[:1], tokens[1:])
        return Encoded([self.first], tokens)

    def check(self, prompts: Sequence[list[int]]) -> None:
        """Raise LatxaError unless every prompt has one beginning, where the tokenizer begins texts with one."""
        size = len(self.beginning)
        for tokens in prompts if size else ():
            times = 0
            while tokens[times * size : (times + 1) * size] == self.beginning:
                times += 1
            if times > 1 or (times == 0 and self.beginning[0] not in tokens):
                raise LatxaError(f"a prompt begins with {times} BOS tokens, where the model knows one")


def _space_moved(prompt: str, continuation: str) -> tuple[str, str]:
    kept = prompt.rstrip()
    return kept, prompt[len(kept) :] + continuation


def _beginning(tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """Return the tokens that `tokenizer` puts before a text."""
    bare = tokenizer(SAMPLE, add_special_tokens=False)["input_ids"]
    whole = tokenizer(SAMPLE)["input_ids"]
    for start in range(len(whole) - len(bare) + 1):
        if whole[start : start + len(bare)] == bare:
            return whole[:start]
    raise LatxaError(f"the tokenizer reads {SAMPLE!r} in two ways, with and without its special tokens")
