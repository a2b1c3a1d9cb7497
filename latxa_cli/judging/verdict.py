"""What a judge answered: a number for every tag, or the kind of its failure, which never counts as a tie."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from latxa_cli.generation.engine import Completion
from latxa_cli.judging.rubric import Criterion
from latxa_cli.text.refusals import refuses

# Why there is no answer by the judge, by why the engine says that its text ended.
ENDINGS = {"too long": "too long", "refused": "failed", "failed": "failed", "filtered": "refused"}
KINDS = ("unreadable", "empty", "refused", "out of range", "failed", "too long", "cut off")
SHOWN = 500  # characters of an answer in a reject


@dataclass(frozen=True, slots=True)
class Invalid:
    """An answer without a verdict: its `kind` (one of `KINDS`), and what it said."""

    kind: str
    detail: str = ""

    @property
    def reason(self) -> str:
        """The reason of a reject, by which it is counted."""
        return f"judge: {self.kind}"


def read(completion: Completion, tags: Mapping[str, Criterion]) -> dict[str, int] | Invalid:
    """Return the number in each of `tags`, or why there is none.

    A tag may come again with the same number. Numbers are whole; `7/10` and `**7**` are read as 7 where 10 is highest.
    """
    text = completion.text
    if kind := ENDINGS.get(completion.finish_reason):
        return Invalid(kind, text[:SHOWN])
    numbers: dict[str, int] = {}
    for tag, criterion in tags.items():
        of = ("", str(criterion.highest))
        found = {number if over in of else "" for number, over in _in_tags(tag).findall(text)}
        number = next(iter(found)) if len(found) == 1 else ""
        if not number:
            return _without(completion)
        if len(number) > 9 or not criterion.lowest <= int(number) <= criterion.highest:
            return Invalid("out of range", f"{tag}: {number[:SHOWN]}")
        numbers[tag] = int(number)
    return numbers


def _without(completion: Completion) -> Invalid:
    """Return what an answer is in which a number is missing, or contradicted by another one."""
    text = completion.text
    if completion.finish_reason == "length":
        kind = "cut off"
    elif not text.strip():
        kind = "empty"
    else:
        kind = "refused" if refuses(text.strip()) else "unreadable"
    return Invalid(kind, text[:SHOWN])


@cache
def _in_tags(tag: str) -> re.Pattern[str]:
    name = re.escape(tag)  # no two runs of white space meet, so that a long one costs no more than its length
    return re.compile(rf"<{name}>[\s*]*([-+]?[0-9]+)[\s*]*(?:/\s*([0-9]+)[\s*]*)?</{name}>", re.ASCII | re.IGNORECASE)
