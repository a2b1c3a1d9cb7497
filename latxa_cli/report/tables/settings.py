"""Settings: what must be equal for two results of one task to be compared, and how it is said where it is not.

What a result does not say is not known, and sets it apart from nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from latxa_cli.stream.records import Record

Value = Any  # a JSON value that can be hashed; None where it is not known


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting.

    - name: of the field, or of that in `metadata`.
    - of: returns its value in a result.
    - label: returns its words in the name of a column, where columns of one task differ in it.
    - note: returns its words in a note below a table.
    - under: the field in which two results must be alike for this setting to be compared.
    """

    name: str
    of: Callable[[Record], Value]
    label: Callable[[Value], str]
    note: Callable[[Value], str]
    under: str = ""

    def differs(self, first: Record, second: Record) -> bool:
        """Whether both results say it, and say it differently."""
        if self.under and first.get(self.under) != second.get(self.under):
            return False
        one, other = self.of(first), self.of(second)
        return one is not None and other is not None and one != other


def _field(name: str) -> Callable[[Record], Value]:
    def of(record: Record) -> Value:
        value = record.get(name)
        return orjson.dumps(value).decode() if isinstance(value, list | dict) else value

    return of


def _delimiter(record: Record) -> Value:
    # Results name one that is not the usual one: a space in a plain prompt, nothing under a template.
    return record.get("target_delimiter", "" if record.get("chat") else " ")


def _metadata(name: str) -> Callable[[Record], Value]:
    def of(record: Record) -> Value:
        metadata = record.get("metadata")
        value = metadata.get(name) if isinstance(metadata, dict) else None
        return value if isinstance(value, bool) else None

    return of


def _items(record: Record) -> Value:
    asked = record.get("asked")
    return record.get("n") if asked is None else asked


def _count(number: Value, noun: str) -> str:
    return f"{_number(number)} {noun}" + ("" if number == 1 else "s")


def _number(number: Value) -> str:
    return f"{int(number):,}" if number == number // 1 else f"{number:g}"


def _spelled(delimiter: Value) -> str:
    return {" ": "a space before choices", "": "nothing before choices"}.get(delimiter, f"{delimiter!r} before choices")


SETTINGS = (
    Setting("num_fewshot", _field("num_fewshot"), lambda n: f"{_number(n)}-shot", lambda n: _count(n, "shot")),
    Setting("language", _field("language"), str, lambda code: f"language {code}"),
    Setting(
        "chat", _field("chat"), lambda chat: "chat" if chat else "plain",
        lambda chat: "through a chat template" if chat else "plain prompts",
    ),
    Setting("format", _field("format"), str, lambda form: f"format {form}"),
    Setting("target_delimiter", _delimiter, _spelled, _spelled, under="chat"),
    Setting(
        "bos", _metadata("bos"), lambda bos: "BOS" if bos else "no BOS",
        lambda bos: "a BOS before prompts" if bos else "no BOS before prompts",
    ),
    Setting("shot_seeds", _field("shot_seeds"), lambda of: f"shots {of}", lambda of: f"shots of the seeds {of}"),
    Setting("n", _items, lambda n: f"of {_number(n)}", lambda n: _count(n, "item")),
)  # fmt: skip
# Says whether prompts, items and versions are equal, but not which of them are not: the last one to be asked.
FINGERPRINT = Setting(
    "fingerprint", _field("fingerprint"), lambda digits: f"[{digits[:8]}]",
    lambda _: "prompts, items or versions unlike those of most others (`fingerprint`)",
)  # fmt: skip
ALL = (*SETTINGS, FINGERPRINT)


def unlike(first: Record, second: Record) -> list[Setting]:
    """Return the settings that both results say, and say differently."""
    return [setting for setting in ALL if setting.differs(first, second)]


def unequal(first: Record, second: Record) -> list[Setting]:
    """Return the settings that two results do not say alike, those that one of them says among these."""
    return [setting for setting in ALL if setting.of(first) != setting.of(second)]


def telling(results: Iterable[Sequence[Record]]) -> list[Setting]:
    """Return the fewest settings, in their order, that tell apart the results of each sequence."""
    pairs = [unequal(a, b) for one in results for place, a in enumerate(one) for b in one[:place]]
    chosen: list[Setting] = []
    for setting in ALL:
        open_pairs = [pair for pair in pairs if not any(known in pair for known in chosen)]
        if any(setting in pair for pair in open_pairs):
            chosen.append(setting)
    return chosen


def differences(results: Sequence[Record]) -> list[dict[str, str]]:
    """Return for each result of one column how it differs from most of them: {setting: note}.

    Where as many say one thing as another, the first one is the rule. Unlike fingerprints are named where nothing else
    explains them.
    """
    found: list[dict[str, str]] = [{} for _ in results]
    for setting in ALL:
        values = [setting.of(result) for result in results]
        if len(set(values)) < 2:
            continue  # most columns
        alike = [
            (result.get(setting.under) if setting.under else None, value)
            for result, value in zip(results, values, strict=True)
        ]
        counts: dict[Value, Counter[Value]] = {}
        for group, value in alike:
            if value is not None:
                counts.setdefault(group, Counter())[value] += 1
        most = {group: count.most_common(1)[0][0] for group, count in counts.items()}
        for notes, (group, value) in zip(found, alike, strict=True):
            usual = most.get(group)
            if value is None or value == usual or (setting is FINGERPRINT and notes):
                continue
            rest = f", others {setting.note(usual)}" if setting is not FINGERPRINT else ""
            notes[setting.name] = f"{setting.note(value)}{rest}"
    return found


def unanswered(result: Record) -> str:
    """Return a note for a result of fewer items than were asked, else the empty string."""
    n, asked = result.get("n"), result.get("asked")
    if n is None or asked is None or n >= asked:
        return ""
    return f"{n:,} of {asked:,} items were answered, and the value is of these"
