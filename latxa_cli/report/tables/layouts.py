"""Layouts of benchmark tables: which tasks, in which order, and how a score and a row are found. Data files hold them.

`latxa report results.jsonl --table basque`, or `--table mine.toml`
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from latxa_cli.stream.errors import LatxaError, nearest
from latxa_cli.stream.kinds import SHARES
from latxa_cli.stream.tables import find_files, load_toml, read_table

SHIPPED = Path(__file__).resolve().parents[1] / "shipped"
TABLES = SHIPPED / "tables"
KEYS = ("title", "language", "scores", "names", "labels", "remarks", "tasks")
TASK_KEYS = ("category", "family", "scores", "in_mean")

Score = tuple[str, str]  # the metric, the filter; the empty string for `none`


@dataclass(frozen=True, slots=True)
class Task:
    """One column.

    - family: what the task has in common with those of other languages; the empty string for nothing.
    - scores: where its value stands in results, the first one that a model has.
    """

    name: str
    category: str
    family: str
    scores: Sequence[Score]
    in_mean: bool


@dataclass(frozen=True)
class Layout:
    """A table of benchmarks; `names`, `labels` and `remarks` are those of its file before those of all tables."""

    name: str
    title: str
    language: str
    tasks: Sequence[Task]
    names: dict[str, str] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    remarks: dict[str, str] = field(default_factory=dict)


def layouts(names: Sequence[str]) -> list[Layout]:
    """Return the layouts that values of `--table` name: those that come with latxa, or TOML files.

    Raises UsageError for a name that is none, and LatxaError for a file with something that no layout has.
    """
    return [read_table(path, KEYS, _layout) for path in find_files("--table", names, TABLES)]


def _layout(name: str, table: dict[str, Any]) -> Layout:
    scores = _scores("scores", table.get("scores", ["acc,none"]))
    tasks = _of_type("tasks", table.get("tasks", {}), dict)
    if not tasks:
        raise ValueError("`tasks` is empty: it has a table `[tasks.NAME]` for each column")
    shared = _all_tables()
    words = {key: {**shared[key], **_texts(key, table.get(key, {}))} for key in ("names", "labels", "remarks")}
    title, language = (_of_type(key, table.get(key, name), str) for key in ("title", "language"))
    return Layout(name, title, language, [_task(task, one, scores) for task, one in tasks.items()], **words)


@cache
def _all_tables() -> dict[str, dict[str, str]]:
    return load_toml(SHIPPED / "models.toml")


def _task(name: str, table: object, scores: Sequence[Score]) -> Task:
    given = _of_type(f"tasks.{name}", table, dict)
    for key in given:
        if key not in TASK_KEYS:
            raise ValueError(f"there is no setting `tasks.{name}.{key}`: {nearest(key, TASK_KEYS)}")
    own = _scores(f"tasks.{name}.scores", given["scores"]) if "scores" in given else scores
    category, family = (_of_type(f"tasks.{name}.{key}", given.get(key, ""), str) for key in ("category", "family"))
    in_mean = _of_type(f"tasks.{name}.in_mean", given.get("in_mean", True), bool)
    other = next((metric for metric, _ in own if metric not in SHARES), None)
    if in_mean and other:
        raise ValueError(f"`tasks.{name}`: `{other}` is no share, so that no mean can hold it; say `in_mean = false`")
    return Task(name, category, family, own, in_mean)


def _scores(key: str, values: object) -> list[Score]:
    scores = []
    for value in _of_type(key, values, list):
        metric, _, name = _of_type(key, value, str).partition(",")
        scores.append((metric.strip(), "" if name.strip() == "none" else name.strip()))
    if not scores or not all(metric for metric, _ in scores):
        raise ValueError(f"`{key}` is not a list of `metric,filter`")
    return scores


def _texts(key: str, table: object) -> dict[str, str]:
    return {name: _of_type(f"{key}.{name}", text, str) for name, text in _of_type(key, table, dict).items()}


def _of_type(key: str, value: Any, expected: type) -> Any:
    if type(value) is not expected:
        words = {str: "a string", dict: "a table", list: "a list", bool: "true or false"}
        raise ValueError(f"`{key}` is not {words[expected]}")
    return value


def none_of(layout: Layout, tasks: Sequence[str]) -> LatxaError:
    """Return the error for results of `tasks`, none of which is a task of the layout."""
    wanted = ", ".join(f"`{task.name}`" for task in layout.tasks)
    given = ", ".join(f"`{task}`" for task in tasks[:5]) + (f" and {len(tasks) - 5} more" if len(tasks) > 5 else "")
    have = f"the results are of {given}" if tasks else "there are no results"
    return LatxaError(f"the table `{layout.name}` has none of its tasks: {have}", hint=f"it looks for {wanted}")
