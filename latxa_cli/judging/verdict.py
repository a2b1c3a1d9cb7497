"""What a judge answered: a number for every tag, or the kind of its failure, which never counts as a tie."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from latxa_cli.generation.engine import Completion
from latxa_cli.judging.rubric import Criterion
from latxa_cli.text.refusals import refuses

# Why there is no answer by the judge, by why the engine says that its text ended.
ENDINGS = {"too long": "too long", "refused": "failed", "failed": "failed", "filtered": "refused"}
# Kinds of answers that are asked for once more, as an object of JSON. Who refuses has said so.
ASKED_AGAIN = ("unreadable", "out of range", "cut off")
KINDS = ("unreadable", "empty", "refused", "out of range", "failed", "too long", "cut off")
_FENCE = re.compile(r"\A```(?:json)?\n|\n```\Z")
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


@dataclass(frozen=True, slots=True)
class Verdict:
    """The number of every tag, and what the judge answered; `asked_again`: it had to be asked for them once more."""

    numbers: dict[str, int]
    answer: str
    asked_again: bool = False


def read(completion: Completion, tags: Mapping[str, Criterion]) -> Verdict | Invalid:
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
    return Verdict(numbers, text.strip())


def read_object(completion: Completion, tags: Mapping[str, Criterion], first: str) -> Verdict | None:
    """Return the verdict of an answer to the second question: an object of JSON and nothing else, perhaps in a block of
    code. None where one of `tags` is missing, or is no whole number within its range. `first`: the first answer."""
    try:
        found = json.loads(_FENCE.sub("", completion.text.strip()))
    except (ValueError, RecursionError):
        return None
    if completion.finish_reason in ENDINGS or not isinstance(found, dict) or found.keys() != tags.keys():
        return None
    of_range = all(type(found[tag]) is int and one.lowest <= found[tag] <= one.highest for tag, one in tags.items())
    return Verdict({tag: found[tag] for tag in tags}, first.strip(), asked_again=True) if of_range else None


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
