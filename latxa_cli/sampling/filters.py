"""What an instruction and its answer must not be; the first fault is the reason why a conversation is rejected.

The rules that Magpie's authors publish (quality aside) and those whose lack people report of its tools. None of them
knows a language: what a refusal looks like stands in `refusals.txt`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

from latxa_cli.generation.engine import Completion
from latxa_cli.stream.errors import UsageError, nearest

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
LOOPS, LOOP_WORDS = 4, 16  # a loop is a run of words that stands so often in a row, and has so many words in all
SURELY = 0.8  # probability from which another language counts

_ROLE = re.compile(
    r"^[#*<\[\s]*(?:user|assistant|system|human|instruction|response|model)[#*>\]\s]*:?\s*$", re.I | re.M
)


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
        if self.does("short") and len(text.split()) < SHORTEST and not _is_long_without_spaces(text):
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
        if self.does("refusal") and text.casefold().replace("’", "'").startswith(refusals()):
            return "refusal"
        return ""

    def _unfit(self, completion: Completion, text: str) -> str:
        if completion.finish_reason == "length":
            return "unfinished"
        if any(marker in completion.text for marker in self.markers):
            return "special token in the"
        if not text:
            return "empty"
        if self.does("role") and _ROLE.search(text):
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


def ends_in_loop(text: str) -> bool:
    """Whether a text ends in `LOOPS` times the same words or more, `LOOP_WORDS` in all at least."""
    last = text.rsplit(None, 1)[-1:]
    if not last or text.count(last[0]) < LOOPS:  # as nearly always; then the words need not be looked at
        return len(text.split(None, LOOP_WORDS)) < LOOP_WORDS and _is_loop_of_characters(text)
    words = text.split()
    if len(words) < LOOP_WORDS or len(set(words)) * 2 > len(words):  # half of the words of most texts are new
        return len(words) < LOOP_WORDS and _is_loop_of_characters(text)
    words.reverse()
    for period in range(1, len(words) // LOOPS + 1):
        run = period
        while run < len(words) and words[run] == words[run - period]:
            run += 1
        if run >= max(LOOPS * period, LOOP_WORDS):
            return True
    return False


def _is_loop_of_characters(text: str) -> bool:
    """Whether a text without many spaces ends in a loop (`hahahaha…`, or one in a script without spaces)."""
    tail = text[-200:][::-1]
    if len(tail) < 200:
        return False
    return any(tail[period:] == tail[: len(tail) - period] for period in range(1, len(tail) // LOOPS + 1))


def _is_long_without_spaces(text: str) -> bool:
    """Whether a text of one or two words may be a sentence in a script that has no spaces."""
    return len(text) >= 10 and not text.isascii() and len(text.split()) < SHORTEST and _words(text) >= SHORTEST


def _words(text: str) -> int:
    from latxa_cli.text.words import segment

    return len(segment(text))


@cache
def refusals() -> tuple[str, ...]:
    lines = (Path(__file__).parent / "refusals.txt").read_text(encoding="utf-8").splitlines()
    return tuple(line for line in lines if line and not line.startswith("#"))
