"""How loaded tasks are asked: in which format, and with which shots."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from latxa_cli.evaluation.tasks.loading import LoadedTask
from latxa_cli.evaluation.tasks.suites import tasks_of
from latxa_cli.stream.errors import UsageError
from latxa_cli.stream.records import Record

if TYPE_CHECKING:
    from lm_eval.api.task import ConfigurableTask

    from latxa_cli.evaluation.asking.letters import Format

DELIMITER = " "  # between a plain prompt and its choices, unless a task says otherwise


def check_paper(tasks: Iterable[str]) -> None:
    """Raise UsageError for a task that is no benchmark of the paper, whose prompts nobody knows."""
    for task in tasks:
        if task not in tasks_of(["paper"]):
            raise UsageError(f"`{task}` is no benchmark of the paper", hint="`--suite paper` has all of them")


def asked_as(loaded: LoadedTask, form: Format | None, *, paper: bool = False) -> LoadedTask:
    """Return a task, or all tasks of a group, in a format, with shots that do not tell an item's own answer.

    Args:
        loaded: the task, with its number of shots.
        form: the format; None for that of its file.
        paper: ask as arXiv 2506.07597 did.

    Raises:
        UsageError: a task has not what the format takes.
        LatxaError: there are too few examples for its shots.
    """
    from latxa_cli.evaluation.asking.formats import asked
    from latxa_cli.evaluation.asking.shots import prepare_shots

    tasks = loaded.tasks
    if form is not None:
        tasks = {name: asked(task, form, recipe=paper) for name, task in tasks.items()}
    for task in tasks.values():
        prepare_shots(task, paper=paper)
    if form in ("generate", "cot"):
        for group in loaded.harness.get("groups", {}).values():
            _aggregate_matches(group)
    return replace(loaded, harness={**loaded.harness, "tasks": tasks})


def _aggregate_matches(group: Any) -> None:
    """Have a group of generated answers aggregate their exact match as it does the accuracy of choices."""
    metrics = group.aggregate_metric_list or []
    names = [metric.metric for metric in metrics]
    if "acc" in names and "exact_match" not in names:
        accuracy = metrics[names.index("acc")]
        group.aggregate_metric_list = [*metrics, replace(accuracy, metric="exact_match", filter_list=None)]


def how_asked(tasks: Mapping[str, ConfigurableTask], *, chat: bool) -> dict[str, Record]:
    """Return for each task what its results say of its prompts: the format, and a delimiter that is not the usual one.

    Under a chat template nothing stands between prompt and choice, since the template ends the prompt.
    """
    from latxa_cli.evaluation.asking.formats import format_of

    said: dict[str, Record] = {}
    for name, task in tasks.items():
        form, delimiter = format_of(task), task.get_config("target_delimiter")
        said[name] = {"format": form} if form else {}
        if not chat and isinstance(delimiter, str) and delimiter != DELIMITER:
            said[name]["target_delimiter"] = delimiter
    return said
