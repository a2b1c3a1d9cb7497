"""Items of tasks that stand in a model's training data, found by long n-grams of words (see `text.ngrams`)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from latxa_cli.evaluation.records import leaves
from latxa_cli.evaluation.tasks.loading import Found, LoadedTask
from latxa_cli.stream.records import JsonObject, Record
from latxa_cli.text.items import texts
from latxa_cli.text.ngrams import NgramIndex
from latxa_cli.text.normalise import normalise
from latxa_cli.text.words import segment

if TYPE_CHECKING:
    from lm_eval.api.task import ConfigurableTask


def search(tasks: Mapping[str, ConfigurableTask], training: Iterable[Record]) -> dict[str, Found]:
    """Return {task: what was found of it} for tasks whose items are looked for in records of any form.

    An item is contaminated where one of its texts (question, passage, choice …) shares an n-gram with a record.
    """
    index = NgramIndex(
        (_key(name, place), text)
        for name, task in tasks.items()
        for place, item in enumerate(task.eval_docs)
        for text in texts(dict(item))
    )
    searched = _by_task(index.keys)
    found = _by_task(
        {key for record in training for text in texts(record) for key, _ in index.find(segment(normalise(text)))}
    )
    return {name: Found(found.get(name, frozenset()), searched.get(name, frozenset())) for name in tasks}


def _key(task: str, place: int) -> str:
    return f"{place}:{task}"


def _by_task(keys: Iterable[str]) -> dict[str, frozenset[int]]:
    places: dict[str, set[int]] = {}
    for key in keys:
        place, _, task = key.partition(":")
        places.setdefault(task, set()).add(int(place))
    return {task: frozenset(some) for task, some in places.items()}


def searched(
    loaded: Mapping[str, LoadedTask], training: Iterable[Record], say: Callable[[str], None]
) -> dict[str, LoadedTask]:
    """Return the tasks with what of them stands in `training`, and tell the user of each."""
    tasks = {name: task for one in loaded.values() for name, task in one.tasks.items()}
    found = search(tasks, training)
    _tell(found, tasks, say)
    return {name: replace(one, found={task: found[task] for task in one.tasks}) for name, one in loaded.items()}


def _tell(found: Mapping[str, Found], tasks: Mapping[str, ConfigurableTask], say: Callable[[str], None]) -> None:
    for name, one in found.items():
        total = len(tasks[name].eval_docs)
        short = total - len(one.searched)
        notes = [f"{len(one.contaminated):,} of {total:,} items stand in the training data"]
        notes += [f"{short:,} are too short to be looked for"] if short else []
        say(f"`{name}`: {'; '.join(notes)}")


def figures(result: Record, report: JsonObject, found: Mapping[str, Found]) -> Record:
    """Return what a result says of contamination.

    - `contaminated`, `searched`: how many of its items were found, and how many are long enough for that.
    - `clean_value`: the metric over the items that were not found, where it is a mean over items; None without any.
    """
    name, metric = str(result["task"]), str(result["metric"])
    samples = {
        leaf: [sample for sample in report["samples"][leaf] if sample["filter"] == result["filter"]]
        for leaf in _leaves(name, report)
    }
    items = {(leaf, sample["doc_id"]) for leaf, some in samples.items() for sample in some}
    counts = {
        kind: sum(place in getattr(found[leaf], kind) for leaf, place in items) for kind in Found._fields
    }  # fmt: skip
    every = [sample.get(metric) for sample in samples.get(name, ())]
    if not every or not all(isinstance(value, (int, float)) for value in every):
        return counts
    if not math.isclose(sum(every) / len(every), result["value"], abs_tol=1e-9):
        return counts
    clean = [sample[metric] for sample in samples[name] if sample["doc_id"] not in found[name].contaminated]
    return {**counts, "clean_value": sum(clean) / len(clean) if clean else None}


def _leaves(task: str, report: JsonObject) -> list[str]:
    """Return the tasks of a task or group in the report, each once."""
    return list(dict.fromkeys(leaves(task, report)))
