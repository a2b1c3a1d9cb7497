"""What an instruction and its answer must not be; the first fault is the reason why a conversation is rejected.

The rules that Magpie's authors publish (quality aside) and those whose lack people report of its tools. None of them
knows a language: what a refusal looks like stands in `text/refusals.txt`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from latxa_cli.generation.engine import Completion
from latxa_cli.stream.errors import UsageError, nearest
from latxa_cli.text.loops import ends_in_loop
from latxa_cli.text.refusals import refuses
from latxa_cli.text.turns import begins_a_turn

FILTERS = {
    "short": "instructions of fewer than 3 words",
    "beginning": "instructions that begin in the middle of a sentence",
    "colon": "instructions that end in a colon: what they are about is missing",
    "role": "texts in which another turn begins: a line that is the name of a role",
    "loop": "texts that end in a loop",
    "refusal": "answers that refuse, or ask for what is missing",
    "duplicate": "instructions that an earlier conversation has",
    "near": "instructions that are nearly those of an earlier conversation",
}
OF_INSTRUCTIONS = tuple(name for name in FILTERS if name != "refusal")  # where no answer is written

SHORTEST = 3  # words of an instruction
SURELY = 0.8  # probability from which another language counts


@dataclass(frozen=True)
class Filters:
    """Which rules hold.

    `markers`: the special tokens, as they are written; `language`: that of the instructions, or None, any.
    """

    markers: frozenset[str]
    skip: frozenset[str] = frozenset()
    language: str | None = None

    def does(self, name: str) -> bool:
        return name not in self.skip

    def fault_of_instruction(self, completion: Completion) -> str:
        """Return what is wrong with an instruction as it was written, or the empty string."""
        text = completion.text.strip()
        if completion.finish_reason == "too long":
            return "turns before the instruction longer than the context"
        if fault := self._unfit(completion, text):
            return f"{fault} instruction"
        if self.does("short") and _is_short(text):
            return "short instruction"
        if self.does("beginning") and (text[0].islower() or text[0] in ",.;:!?)]}"):
            return "instruction begins in the middle"
        if self.does("colon") and text.endswith((":", "：")):
            return "instruction ends in a colon"
        if self.language and self._is_foreign(text):
            return "instruction in another language"
        return ""

    def fault_of_answer(self, completion: Completion) -> str:
        """Return what is wrong with an answer as it was written, or the empty string."""
        text = completion.text.strip()
        if completion.finish_reason == "too long":
            return "instruction longer than the context"
        if fault := self._unfit(completion, text):
            return f"{fault} answer"
        if self.does("refusal") and refuses(text):
            return "refusal"
        return ""

    def _unfit(self, completion: Completion, text: str) -> str:
        if completion.finish_reason == "length":
            return "unfinished"
        if any(marker in completion.text for marker in self.markers):
            return "special token in the"
        if not text:
            return "empty"
        if self.does("role") and begins_a_turn(text):
            return "role in the"
        return "loop in the" if self.does("loop") and ends_in_loop(text) else ""

    def _is_foreign(self, text: str) -> bool:
        language, probability = self._identify(text)
        return probability >= SURELY and language != self.language

    @cached_property
    def _identify(self) -> Callable[[str], tuple[str, float]]:
        from latxa_cli.text.language import identifier

        return identifier()


def check_filters(skip: Iterable[str], known: Sequence[str], language: str | None) -> None:
    """Raise UsageError for what is none of the `known` filters, or a language that cannot be identified."""
    for name in skip:
        if name not in known:
            raise UsageError(f"there is no filter `{name}`", hint=nearest(name, list(known)))
    if language:
        from latxa_cli.text.language import check_language

        check_language(language)


def _is_short(text: str) -> bool:
    from latxa_cli.text.words import length

    return length(text) < SHORTEST
