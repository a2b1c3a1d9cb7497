"""Suites: the tasks of a publication, or those of a language, under one name."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import TypedDict

from latxa_cli.stream.errors import UsageError, nearest

FILE = Path(__file__).parent / "suites.toml"
SHIPPED = Path(__file__).parent / "shipped"  # task files of our own, each called after its task


class Suite(TypedDict, total=False):
    """An entry of the file: what it is, its tasks, the shots of some of them, and the suites that it holds."""

    about: str
    few_shot: dict[str, int]
    tasks: list[str]
    suites: list[str]


def tasks_of(names: Iterable[str]) -> list[str]:
    """Return the tasks of suites in order, each once; raises UsageError for a suite that does not exist."""
    found: dict[str, None] = {}
    for name in names:
        suite = _suites().get(name)
        if suite is None:
            raise UsageError(f"there is no suite `{name}`", hint=nearest(name, list(_suites())))
        found |= dict.fromkeys([*suite.get("tasks", ()), *tasks_of(suite.get("suites", ()))])
    return list(found)


def shots_of(names: Iterable[str]) -> dict[str, int]:
    """Return the numbers of shots that suites set for tasks, which are other than those of their files."""
    return {task: count for name in names for task, count in _suites()[name].get("few_shot", {}).items()}


def suites() -> dict[str, str]:
    """Return what each suite is, by its name."""
    return {name: suite["about"] for name, suite in _suites().items()}


def shipped(task: str) -> Path | None:
    """Return the file of a task that comes with latxa, if it is one."""
    path = SHIPPED / f"{task}.yaml"
    return path if Path(task).name == task and path.is_file() else None


@cache
def _suites() -> dict[str, Suite]:
    return tomllib.loads(FILE.read_text(encoding="utf-8"))
