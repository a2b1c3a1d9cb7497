"""Answers as columns: a sheet holds those of one model to one task through one filter.

Of a prompt, a target and choices a sheet keeps hashes of 64 bits, so that it takes some 100 bytes an answer.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from latxa_cli.comparison.inputs import Part
from latxa_cli.stream.errors import LatxaError
from latxa_cli.stream.records import Record

# Metrics whose value for one item says whether its answer is right, the one that counts first.
RIGHT_OR_WRONG = ("acc", "exact_match", "em")
CORRECT, VALUE = "correct", "value"  # metrics of answers that do not name theirs
FACTS = ("num_fewshot", "chat", "format", "target_delimiter", "language", "group", "group_mean")
Numbers = NDArray[np.float64]
Integers = NDArray[np.int64]
LARGEST = 1e100  # a score, whose square is a number too
MASK = (1 << 64) - 1
Draws = dict[int | None, int]  # the row of an item's answer by the seed of its shots
NOTHING = math.nan  # the score of an item without an answer


class Identity(NamedTuple):
    """What tells a model from others: its name for people, and its path and weights as far as they are known."""

    name: str
    path: str | None = None
    weights: str | None = None


class Place(NamedTuple):
    """Whose answers a sheet holds, to which task, through which filter."""

    model: Identity
    task: str
    filter: str


class Kept(NamedTuple):
    """What the record of a changed item says."""

    answer: Any
    target: Any
    prompt: str | None
    choices: list[Any] | None


@dataclass
class Sheet:
    """The answers of one model to one task through one filter; the n-th of each column belongs to the n-th item.

    Attributes:
        items, seeds: which item, and which draw of shots (None where there is one).
        scores: by metric; NaN for an item without an answer. `CORRECT` is the one that says right or wrong, which has
            other names in answers (`called`).
        prompts, targets, contents: hashes, 0 where there is none. `prompt_form` and `content_form` say of what, since
            only hashes of the same thing can be compared.
        clusters: what items share with others of the task, None where they say nothing.
        sizes: bytes of texts, for metrics per byte; else empty.
        facts: what all answers say of the way they were asked.
        files: the places of the first items of each file.
        kept: what the records of changed items need, where they are asked for.
    """

    facts: tuple[Any, ...]
    items: list[str] = field(default_factory=list)
    seeds: list[int | None] = field(default_factory=list)
    scores: dict[str, array[float]] = field(default_factory=dict)
    prompts: array[int] = field(default_factory=lambda: array("Q"))
    targets: array[int] = field(default_factory=lambda: array("Q"))
    contents: array[int] = field(default_factory=lambda: array("Q"))
    clusters: list[str | None] = field(default_factory=list)
    sizes: array[float] = field(default_factory=lambda: array("d"))
    called: str = CORRECT
    prompt_form: str = ""
    content_form: str = ""
    files: dict[str, int] = field(default_factory=dict)
    kept: list[Kept] = field(default_factory=list)

    def fact(self, name: str) -> Any:
        return self.facts[FACTS.index(name)]

    def score(self, found: dict[str, float]) -> None:
        """Add the scores of the next item; nothing found is no answer."""
        count = len(self.items)
        for name in found:
            if name not in self.scores:
                self.scores[name] = array("d", [NOTHING]) * count
        for name, column in self.scores.items():
            column.append(found.get(name, NOTHING))

    @cached_property
    def draws(self) -> dict[str, Draws]:
        """The rows of each item; of an answer that is there twice, the last."""
        found: dict[str, Draws] = {}
        for row, (item, seed) in enumerate(zip(self.items, self.seeds, strict=True)):
            found.setdefault(item, {})[seed] = row
        return found

    @cached_property
    def repeated(self) -> tuple[int, int] | None:
        """Two rows of one item and one draw, if there are any."""
        if sum(map(len, self.draws.values())) == len(self.items):
            return None
        seen: dict[tuple[str, int | None], int] = {}
        for row, key in enumerate(zip(self.items, self.seeds, strict=True)):
            if key in seen:
                return seen[key], row
            seen[key] = row
        return None

    def file_of(self, place: int) -> str:
        """Return the file that the item at `place` came from."""
        return max((first, file) for file, first in self.files.items() if first <= place)[1]


class Sheets:
    """All sheets, in the order in which they come up.

    Args:
        metrics: the metrics to take; none: the one that says right or wrong, else the first.
        cluster: the field that says what items share.
        keeps: whether changed items are asked for.
    """

    def __init__(self, metrics: Iterable[str] = (), cluster: str = "cluster", *, keeps: bool = False) -> None:
        self.metrics, self.cluster, self.keeps = tuple(metrics), cluster, keeps
        self.sheets: dict[Place, Sheet] = {}
        self.known: set[str] = set()  # metrics that items have, for messages
        self.clustered = False  # whether any item says what it shares
        self._words: dict[str, str] = {}  # every id once

    def read(self, part: Part, records: Iterable[Record]) -> None:
        """Add the answers of one file.

        Raises:
            LatxaError: a score is not a number, or a model was asked a task in two ways.
        """
        make = self._from_sample(part) if part.task else self._from_answers(part)
        last, sheet = None, None
        for record in records:
            place, facts, name, seed = make(record)
            if sheet is None or place != last:
                sheet = self.sheets.get(place)
                if sheet is None:
                    sheet = self.sheets[place] = Sheet(facts)
                sheet.files.setdefault(part.label, len(sheet.items))
                last = place
            if facts != sheet.facts:
                raise _asked_twice(place, sheet.facts, facts, part.label)
            scores, called = self._scores(record, part, name)
            sheet.score(scores)
            sheet.called = called or sheet.called
            sheet.items.append(self._words.setdefault(name, name))
            sheet.seeds.append(seed)
            self._marks(sheet, record)

    # --- whose answer it is, and to what

    def _from_answers(self, part: Part) -> Any:
        def make(record: Record) -> tuple[Place, tuple[Any, ...], str, int | None]:
            key = (part.model or record["model"], record.get("path"), record.get("weights"))
            model = models.get(key) or models.setdefault(key, Identity(*key))
            if part.model and record["model"] != owner.setdefault("is", record["model"]):
                raise LatxaError(
                    f"{part.label}: holds answers of several models (`{owner['is']}`, `{record['model']}`)",
                    hint=f"`{part.model}=` names a file of one model",
                )
            place = Place(model, record["task"], record.get("filter") or "")
            return place, tuple(map(record.get, FACTS)), record["id"], record.get("shot_seed")

        owner: dict[str, str] = {}
        models: dict[tuple[Any, Any, Any], Identity] = {}
        return make

    def _from_sample(self, part: Part) -> Any:
        facts = tuple(map(part.facts.get, FACTS))
        model = Identity(part.model, part.path, part.facts.get("weights"))
        seen: dict[tuple[str, str], int] = {}
        documents: set[tuple[Any, str]] = set()

        def make(record: Record) -> tuple[Place, tuple[Any, ...], str, int | None]:
            doc, filter_ = record.get("doc"), record.get("filter") or ""
            own = doc.get("id") if isinstance(doc, dict) else None
            # As `latxa eval` names items, so that its answers meet those of the harness.
            name = str(own) if own not in (None, "") else (record.get("doc_hash") or "")[:16] or str(record["doc_id"])
            if (document := (record["doc_id"], filter_)) in documents:
                raise LatxaError(f"{part.label}: the item `{name}` (`doc_id` {record['doc_id']}) is there twice")
            documents.add(document)
            count = seen[name, filter_] = seen.get((name, filter_), 0) + 1
            return Place(model, part.task, filter_), facts, name if count == 1 else f"{name}-{count}", None

        return make

    # --- how good it is

    def _scores(self, record: Record, part: Part, name: str) -> tuple[dict[str, float], str]:
        """Return the scores of one item by metric, none where it has no answer, and what right or wrong is called."""
        given = _sample_metrics(record) if part.task else record.get("metrics") or {}
        if not self.known.issuperset(given):
            self.known.update(given)
        called = ""
        if self.metrics:
            wanted = {metric: given[metric] for metric in self.metrics if metric in given}
        elif part.task:
            wanted, called = _of_sample(given)
        else:
            wanted, called = _of_answer(record, given)
        for metric, value in wanted.items():
            if not isinstance(value, int | float) or not math.isfinite(value):
                raise LatxaError(f"{part.label}: item `{name}`: the metric `{metric}` is not a number")
            if abs(value) > LARGEST:
                raise LatxaError(f"{part.label}: item `{name}`: the metric `{metric}` is more than {LARGEST:g}")
        return {metric: float(value) for metric, value in wanted.items()}, called

    # --- what it must have in common with another model's

    def _marks(self, sheet: Sheet, record: Record) -> None:
        prompt, form = _prompt(record)
        choices, doc_hash = record.get("choices"), record.get("doc_hash")
        target = record.get("target")
        sheet.prompts.append(_hash(prompt) if prompt else 0)
        sheet.targets.append(_hash(str(target)) if target is not None else 0)
        sheet.contents.append(_hash("\0".join(map(str, choices))) if choices else _hash(doc_hash) if doc_hash else 0)
        sheet.prompt_form, sheet.content_form = form, "choices" if choices else "document"
        sheet.clusters.append(self._shared(record))
        if (size := record.get("bytes")) is not None and isinstance(size, int | float):
            sheet.sizes.append(size)
        if self.keeps:
            sheet.kept.append(Kept(_answer(record), target, prompt if form == "text" else None, choices))

    def _shared(self, record: Record) -> str | None:
        """Return what an item shares with others: it stands in the record, its metadata or the harness's item."""
        for holder in (record, record.get("metadata"), record.get("doc")):
            if holder and isinstance(holder, dict) and (shared := holder.get(self.cluster)) is not None:
                self.clustered = True
                return str(shared)
        return None


def _prompt(record: Record) -> tuple[str, str]:
    """Return the prompt, or the harness's hash of it, and which of the two it is."""
    if isinstance(prompt := record.get("prompt"), str):
        return prompt, "text"
    try:
        prompt = record["arguments"]["gen_args_0"]["arg_0"]
    except (KeyError, TypeError):
        return record.get("prompt_hash") or "", "hash"
    return (prompt, "text") if isinstance(prompt, str) else (record.get("prompt_hash") or "", "hash")


def _answer(record: Record) -> Any:
    """Return what the model answered; of a choice that the harness logged, its place among the choices."""
    if "answer" in record:
        return record["answer"]
    answers = record.get("filtered_resps") or [None]
    if all(isinstance(one, list) and one and isinstance(one[0], int | float | str) for one in answers):
        likelihoods = [_likelihood(one[0]) for one in answers]
        return max(range(len(likelihoods)), key=likelihoods.__getitem__)
    return answers[0]


def _likelihood(value: object) -> float:
    try:
        return float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return -math.inf


def _sample_metrics(record: Record) -> dict[str, Any]:
    """Return the metrics of an item that the harness logged; older versions do not list their names."""
    names = record.get("metrics") or [name for name in (*RIGHT_OR_WRONG, "acc_norm") if name in record]
    return {str(name): record[name] for name in names if name in record}


def _of_sample(given: dict[str, Any]) -> tuple[dict[str, Any], str]:
    """Return the metric that says right or wrong and what it is called, else the first metric."""
    if name := _right_or_wrong(given):
        return {CORRECT: given[name]}, name
    return dict(list(given.items())[:1]), ""


def _of_answer(record: Record, given: dict[str, Any]) -> tuple[dict[str, Any], str]:
    if (correct := record.get(CORRECT)) is not None:
        return {CORRECT: correct}, _right_or_wrong(given)
    if (value := record.get(VALUE)) is not None:
        return {next((name for name, one in given.items() if one == value), VALUE): value}, ""
    return {}, ""


def _right_or_wrong(given: dict[str, Any]) -> str:
    return next((name for name in RIGHT_OR_WRONG if given.get(name) in (0, 1)), "")


def _hash(text: str) -> int:
    return hash(text) & MASK or 1


def _asked_twice(place: Place, before: tuple[Any, ...], now: tuple[Any, ...], file: str) -> LatxaError:
    name, one, other = next(
        (name, one, other) for name, one, other in zip(FACTS, before, now, strict=True) if one != other
    )
    return LatxaError(
        f"{file}: `{place.model.name}` was asked `{place.task}` in two ways: `{name}` is {one} and {other}",
        hint="are these two runs? Then name them: `NAME=FILE`",
    )


def taken(sheets: Sheets) -> Iterator[tuple[Place, str]]:
    """Yield every place and metric that there are scores of."""
    for place, sheet in sheets.sheets.items():
        for metric in sheet.scores:
            yield place, metric
