"""The answers of many models, kept compactly: what was asked once an item, what was answered in a few bytes.

Prompts are cut into paragraphs, each of which is kept once a task, since examples of one item stand in the prompts of
many others. Prompts that differ between models are all kept: such models were asked unlike things.
"""

from __future__ import annotations

import gzip
import re
from array import array
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
from xxhash import xxh3_64_intdigest

from latxa_cli.stream.records import JsonObject, Record, Reject

LONGEST, LONGEST_NAME = 20_000, 300  # characters of a text, and of a name, that a page shows; the rest is left out
NONE = -1  # no answer, and no text
# What tells answers of one model's name apart, with its words where they are needed.
SETTINGS = {"path": "{}", "weights": "{:.8}", "chat": "{}", "format": "{}", "num_fewshot": "{}-shot"}
# Between paragraphs, and the tags of chat templates, so that an example is one text in whatever prompt it stands.
_BETWEEN = re.compile(r"(\n{2,}|<[^<>\s]{1,40}>(?:\w*\n+)?)")

Identity = tuple[str, ...]  # a model's name, and its values of SETTINGS


@dataclass(slots=True)
class Column:
    """The answers of one model to a task, by the place of the item; `mark` is one of the MARKS."""

    mark: bytearray = field(default_factory=bytearray)
    variant: array[int] = field(default_factory=lambda: array("H"))
    answer: array[int] = field(default_factory=lambda: array("l"))
    response: array[int] = field(default_factory=lambda: array("l"))

    def put(self, place: int, mark: int, variant: int, answer: int, response: int) -> None:
        """Set the answer to the item at `place`; items in between have none."""
        missing = place + 1 - len(self.mark)
        if missing > 0:
            self.mark += b" " * missing
            self.variant.extend([0] * missing)
            self.answer.extend([NONE] * missing)
            self.response.extend([NONE] * missing)
        self.mark[place], self.variant[place] = mark, variant
        self.answer[place], self.response[place] = answer, response


MARKS = b"10? "  # right, wrong, neither, not asked


@dataclass
class TaskAnswers:
    """The answers of all models to one task, by one filter.

    Attributes:
        texts: each text that is kept, with its number.
        places: by id and seed of shots, the place of the item.
        asked: by place, what the item asked of some model: hash, paragraphs, choices (or None) and target, as numbers
            of texts.
        columns: by the number of the model.
    """

    texts: dict[str, int] = field(default_factory=dict)
    places: dict[tuple[str, str], int] = field(default_factory=dict)
    asked: list[list[tuple[int, tuple[int, ...], tuple[int, ...] | None, int]]] = field(default_factory=list)
    columns: dict[int, Column] = field(default_factory=dict)

    def add(self, model: int, record: Record) -> bool:
        """Add an answer of the model number `model`; return False where the model has one to the same item."""
        seed = record.get("shot_seed")
        place = self.places.setdefault((str(record["id"]), "" if seed is None else str(seed)), len(self.places))
        if place == len(self.asked):
            self.asked.append([])
        column = self.columns.setdefault(model, Column())
        if place < len(column.mark) and column.mark[place] != MARKS[3]:
            return False
        correct, answer = record.get("correct"), record.get("answer")
        response = record.get("response")
        column.put(
            place,
            MARKS[2] if correct is None else MARKS[not correct],
            self._variant(place, record),
            self._answer(answer, record),
            NONE if response is None or response == answer else self._text(_cut(response)),
        )
        return True

    def _variant(self, place: int, record: Record) -> int:
        """Return the number of what was asked, among all that the item at `place` asked."""
        prompt, choices, target = record.get("prompt"), record.get("choices"), record.get("target")
        key = xxh3_64_intdigest(orjson.dumps([prompt, choices, target], default=str))
        for number, (known, *_) in enumerate(self.asked[place]):
            if known == key:
                return number
        paragraphs = tuple(map(self._text, filter(None, _BETWEEN.split(_end_of(prompt or "")))))
        listed = None if choices is None else tuple(self._text(_words(choice)) for choice in choices)
        self.asked[place].append((key, paragraphs, listed, self._answer(target, record)))
        return min(len(self.asked[place]), 1 << 16) - 1

    def _answer(self, answer: object, record: Record) -> int:
        """Return the place of a choice as it is, and a text as its number below `NONE`."""
        if answer is None:
            return NONE
        choices = record.get("choices")
        if choices is not None and type(answer) is int and 0 <= answer < len(choices):
            return answer
        return NONE - 1 - self._text(_words(answer))

    def _text(self, text: str) -> int:
        return self.texts.setdefault(text, len(self.texts))

    def as_json(self) -> JsonObject:
        """Return what the page's program reads of the task, when it is chosen."""
        return {
            "ids": [_named(f"{name} (shots {seed})" if seed else name) for name, seed in self.places],
            "asked": [[variant[1:] for variant in variants] for variants in self.asked],
            "texts": list(self.texts),
            "answers": {model: column.answer.tolist() for model, column in self.columns.items()},
            "responses": {
                model: column.response.tolist() for model, column in self.columns.items() if max(column.response) >= 0
            },
        }

    def outline(self) -> JsonObject:
        """Return what the page's program reads of every task when the page opens."""
        return {
            "items": len(self.places),
            "marks": {model: column.mark.decode() for model, column in self.columns.items()},
            "variants": {model: _short(column.variant.tolist()) for model, column in self.columns.items()},
        }


@dataclass
class Answers:
    """The answers of all files, by task and filter."""

    tasks: dict[tuple[str, str], TaskAnswers] = field(default_factory=dict)
    models: dict[Identity, int] = field(default_factory=dict)
    count: int = 0

    def add(self, record: Record) -> Iterator[Reject]:
        """Add an answer record; yield a Reject for a second answer of a model to one item."""
        settings = ("" if record.get(name) is None else str(record[name]) for name in SETTINGS)
        model = self.models.setdefault((record["model"], *settings), len(self.models))
        key = (record["task"], record.get("filter") or "none")
        if self.tasks.setdefault(key, TaskAnswers()).add(model, record):
            self.count += 1
        else:
            yield Reject(record, "repeated answer", "the first one is shown")

    def blobs(self) -> Iterator[str]:
        """Yield the outline of all, then each task, compressed and in letters that mean nothing in HTML."""
        filters: dict[str, set[str]] = {}
        for task, name in self.tasks:
            filters.setdefault(task, set()).add(name)
        names = [f"{task} ({name})" if len(filters[task]) > 1 else task for task, name in self.tasks]
        outlines = [
            {"name": _named(name), **answers.outline()}
            for name, answers in zip(names, self.tasks.values(), strict=True)
        ]
        yield _packed({"models": [*map(_named, names_of(list(self.models)))], "tasks": outlines})
        for answers in self.tasks.values():
            yield _packed(answers.as_json())


def names_of(models: Sequence[Identity]) -> list[str]:
    """Return a name for each model: its own, and the settings in which models of that name differ."""
    named = []
    for name, *values in models:
        alike = [other[1:] for other in models if other[0] == name]
        words = [
            _setting(setting, value)
            for place, (setting, value) in enumerate(zip(SETTINGS, values, strict=True))
            if len({other[place] for other in alike}) > 1
        ]
        named.append(f"{name} ({', '.join(words)})" if words else name)
    return named


def _setting(name: str, value: str) -> str:
    if name == "chat":
        return {"True": "chat", "False": "plain"}.get(value, "chat not known")
    return SETTINGS[name].format(value) if value else f"{name.replace('_', ' ')} not known"


def _words(value: object) -> str:
    return _cut(value) if isinstance(value, str) else orjson.dumps(value, default=str).decode()


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[:LONGEST]} … ({len(text):,} characters)"


def _named(name: str) -> str:
    """Return an id or the name of a task or model, cut in its middle if it is very long."""
    half = LONGEST_NAME // 2
    return name if len(name) <= LONGEST_NAME else f"{name[:half]} … {name[-half:]}"


def _end_of(prompt: str) -> str:
    """Return a prompt without its beginning where it is long, since its own question stands at the end."""
    return prompt if len(prompt) <= LONGEST else f"({len(prompt):,} characters) … {prompt[-LONGEST:]}"


def _short(numbers: list[int]) -> Any:
    """Return one number for a list of equal ones."""
    return numbers[0] if len(set(numbers)) == 1 else numbers


def _packed(value: Mapping[str, object]) -> str:
    data = orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS)
    return b64encode(gzip.compress(data, compresslevel=9, mtime=0)).decode()
