"""Faults in the items of tasks, found before a model is loaded: columns, choices and answers that are not there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from latxa_cli.stream.errors import LatxaError, nearest
from latxa_cli.stream.records import JsonObject

if TYPE_CHECKING:
    from lm_eval.api.task import ConfigurableTask

    from latxa_cli.evaluation.libraries import Console

TEMPLATES = ("doc_to_text", "doc_to_choice", "doc_to_target")
FATAL = ("has no choices", "has an empty choice", "names an answer that is none of its choices")
EQUAL = "has two equal choices"


def lacking_column(configuration: JsonObject, columns: Sequence[str], *, loaded: bool) -> LatxaError | None:
    """Return the error for a column that a task's templates name and its data lack, if there is one.

    Args:
        configuration: the task's.
        columns: those of its data.
        loaded: the harness has loaded the task. Then only a template that is a bare name tells, which it takes for a
            text where it is no column: every prompt would be the word `question`.
    """
    if not columns:
        return None
    choices = configuration.get("doc_to_choice")
    for key in TEMPLATES:
        template = configuration.get(key)
        if not isinstance(template, str) or template in columns:
            continue
        if template.isidentifier():
            names = [] if key == "doc_to_target" and (loaded or isinstance(choices, list)) else [template]
        else:
            names = [] if loaded else _variables(template)
        for name in names:
            if name not in columns:
                return LatxaError(
                    f"the task `{configuration.get('task')}` needs the column `{name}`, which its data lack",
                    hint=nearest(name, list(columns)) or f"they have {', '.join(f'`{one}`' for one in columns)}",
                )
    return None


def _variables(template: str) -> list[str]:
    from jinja2 import Environment, TemplateSyntaxError, meta

    try:
        return sorted(meta.find_undeclared_variables(Environment().parse(template)))
    except TemplateSyntaxError:
        return []


def columns_of(configuration: JsonObject) -> list[str]:
    """Return the columns of a task's data; none where they cannot be told without it."""
    from datasets import load_dataset
    from datasets.exceptions import DatasetsError

    if configuration.get("process_docs") is not None or configuration.get("custom_dataset") is not None:
        return []
    try:
        more = configuration.get("dataset_kwargs") or {}
        data = load_dataset(configuration["dataset_path"], configuration.get("dataset_name"), **more)
        return list(data[configuration.get("test_split") or configuration["validation_split"]].column_names)
    except (DatasetsError, OSError, ValueError, LookupError, TypeError):
        return []


def check_items(tasks: Mapping[str, ConfigurableTask], *, own: bool, console: Console) -> None:
    """Tell faults of the items of tasks, before hours of work.

    Args:
        tasks: the tasks, by name.
        own: the data are files of the user, who can mend them; those of others are evaluated as they are.
        console: is told what does not end the run.

    Raises:
        LatxaError: a column is not there; `own` items have no choices, an empty one, or no right one among them.
    """
    for name, task in tasks.items():
        if error := lacking_column(vars(task.config), task.features, loaded=True):
            raise error
        found: dict[str, list[str]] = {}
        for item, fault in _faults(task):
            found.setdefault(fault, []).append(item)
        for fault, items in found.items():
            more = f", and {len(items) - 1:,} more" if len(items) > 1 else ""
            if own and fault in FATAL:
                raise LatxaError(f"`{name}`: {items[0]} {fault}{more}", hint="mend the data that the task reads")
            console.say(f"`{name}`: {items[0]}{more} {fault.replace('has', 'have', 1) if more else fault}")


def _faults(task: ConfigurableTask) -> Iterator[tuple[str, str]]:
    """Yield (item, fault) for the items of a multiple-choice task that cannot be scored, or not well."""
    if task.config.doc_to_choice is None or task.multiple_input or task.config.process_results is not None:
        return
    constant = isinstance(task.config.doc_to_choice, list)
    for number, item in enumerate(task.eval_docs):
        choices = task.doc_to_choice(item)
        own = item.get("id")
        name = f"item {number + 1}" + (f" (`{own}`)" if own not in (None, "") else "")
        if not isinstance(choices, list) or not choices:
            yield name, FATAL[0]
        elif not constant and not all(str(choice).strip() for choice in choices):
            yield name, FATAL[1]
        elif not _has_target(task.doc_to_target(item), choices):
            yield name, FATAL[2]
        elif not constant and len(set(map(str, choices))) < len(choices):
            yield name, EQUAL


def _has_target(target: object, choices: Sequence[Any]) -> bool:
    targets: Iterable[object] = target if isinstance(target, list) else [target]
    return any(0 <= one < len(choices) if isinstance(one, int) else one in choices for one in targets)
