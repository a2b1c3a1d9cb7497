"""Find and load tasks of lm-evaluation-harness: in a user's folder, by file, of our own, or among the harness's.

Relative data paths in a task file start from that file, so that a folder of tasks works from anywhere.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from latxa_cli import hub
from latxa_cli.evaluation.asking.take import give_shots_to
from latxa_cli.evaluation.libraries import Console, quiet_libraries
from latxa_cli.evaluation.tasks.files import FILE_FORMATS, broken_line, data_files, has_files, read
from latxa_cli.evaluation.tasks.items import columns_of, lacking_column
from latxa_cli.evaluation.tasks.suites import shipped
from latxa_cli.stream.errors import LatxaError, UsageError, first_line, nearest
from latxa_cli.stream.records import JsonObject

if TYPE_CHECKING:
    from lm_eval.api.task import ConfigurableTask
    from lm_eval.tasks import TaskManager

UNKNOWN_KEY = re.compile(r"TaskConfig.*unexpected keyword argument '(\w+)'")


@dataclass(frozen=True)
class TaskSource:
    """A task, group or tag that is not loaded yet.

    Attributes:
        name: its name.
        manager: the harness's object that loads it.
        specification: the argument for that: a name, or a configuration.
        configurations: those of all its tasks.
    """

    name: str
    manager: TaskManager
    specification: str | JsonObject
    configurations: list[JsonObject]


class Found(NamedTuple):
    """What was found of a task, by places of its items: those in the training data, and those long enough for that."""

    contaminated: frozenset[int]
    searched: frozenset[int]


@dataclass(frozen=True)
class LoadedTask:
    """The harness's task objects and groups behind one `--task`, ready to run.

    `found`: what of each task's items stands in training data, where that was asked.
    """

    name: str
    harness: dict[str, Any]
    found: Mapping[str, Found] | None = None

    @property
    def tasks(self) -> dict[str, ConfigurableTask]:
        """The tasks by name, without groups."""
        return self.harness["tasks"]

    def aggregation(self, group: str) -> list[JsonObject]:
        """Return how a group makes one figure of those of its members: `metric`, `aggregation`, `weight_by_size` …"""
        groups = self.harness.get("groups", {})
        metrics = groups[group].aggregate_metric_list if group in groups else None
        return [dict(metric if isinstance(metric, dict) else vars(metric)) for metric in metrics or []]


def is_file(task: str) -> bool:
    """Whether `--task` names a file, not a task."""
    return task.endswith((".yaml", ".yml"))


def find(names: Sequence[str], folder: Path | None, console: Console) -> dict[str, TaskSource]:
    """Find each of `names`: a YAML file, a task in `folder`, one that comes with latxa, or one of the harness's own.

    The harness's own tasks are indexed, which takes some 15 s, only for a name that is none of the others.

    Raises:
        UsageError: a name is unknown or given twice, or a folder or file does not exist.
        LatxaError: a file cannot be read.
    """
    if folder is not None and not folder.is_dir():
        raise UsageError(f"{folder}: there is no such folder of tasks")
    if repeated := sorted({name for name in names if list(names).count(name) > 1}):
        raise UsageError(f"the task `{repeated[0]}` is given twice")
    index = _index(folder, harness=False, console=console)
    files = {name: Path(name) for name in names if is_file(name)}
    files |= {name: path for name in names if name not in index.task_index and (path := shipped(name))}
    if unknown := [name for name in names if name not in files and name not in index.task_index]:
        console.detail(f"`{unknown[0]}` is not in a task folder: indexing the harness's own tasks, about 15 s")
        index = _index(folder, harness=True, console=console)
    with quiet_libraries(console):
        return {name: _from_file(files[name]) if name in files else _from_index(name, index, folder) for name in names}


def _index(folder: Path | None, *, harness: bool, console: Console) -> TaskManager:
    with quiet_libraries(console):
        from lm_eval.tasks import TaskManager

        return TaskManager(include_path=[folder] if folder else [], include_defaults=harness)


def _from_index(name: str, manager: TaskManager, folder: Path | None) -> TaskSource:
    index = manager.task_index
    if name not in index:
        raise UsageError(f"there is no task `{name}`", hint=_unreadable(folder) or nearest(name, list(index)))
    configurations = []
    for leaf in _leaves(index, name):
        entry = index[leaf]
        if entry.yaml_path is None:
            continue
        if has_files(entry.cfg):
            # The harness takes relative data paths from the current directory, so it gets absolute ones.
            index[leaf] = replace(entry, yaml_path=None, cfg=read(entry.yaml_path))
        configurations.append(index[leaf].cfg)
    configurations += _inner(index, name)
    return TaskSource(name, manager, name, configurations)


def _from_file(path: Path) -> TaskSource:
    from lm_eval.tasks import TaskManager

    if not path.is_file():
        raise UsageError(f"{path}: there is no such task file")
    configuration = read(path)
    if "group" in configuration:
        manager = TaskManager(include_path=[path.parent], include_defaults=False)
        return _from_index(configuration["group"], manager, path.parent)
    if not isinstance(configuration.get("task"), str):
        raise LatxaError(f"{path}: names no `task`", hint="give the task a name: `task: NAME`")
    manager = TaskManager(include_defaults=False)
    return TaskSource(configuration["task"], manager, configuration, [configuration])


def _leaves(index: dict[str, Any], name: str) -> Iterator[str]:
    """Yield the names of the tasks in a tag or group, or of the task itself, as far as the index knows them."""
    entry = index.get(name)
    if entry is None:
        return
    if entry.kind.name == "TAG":
        for member in sorted(entry.tags):
            yield from _leaves(index, member)
    elif entry.kind.name == "GROUP":
        members = (entry.cfg or {}).get("task") or []
        for member in members if isinstance(members, list) else [members]:
            inner = member.get("group") or member.get("task") if isinstance(member, dict) else member
            if isinstance(inner, str) and inner != name:
                yield from _leaves(index, inner)
    else:
        yield name


def _inner(index: dict[str, Any], name: str) -> Iterator[JsonObject]:
    """Yield the configurations of the tasks that a group defines itself: its own fields, and theirs before these."""
    group = index[name].cfg or {} if index[name].kind.name == "GROUP" else {}
    members = group.get("task")
    for member in members if isinstance(members, list) else ():
        if isinstance(member, dict) and member.get("task") not in index and "dataset_path" in {**group, **member}:
            yield {**group, **member}


def _unreadable(folder: Path | None) -> str:
    """Return the error of the folder's first unreadable task file, which the harness's index leaves out silently."""
    for path in sorted(folder.rglob("*.yaml")) if folder else []:
        try:
            read(path)
        except LatxaError as error:
            return error.message
    return ""


# --- loading


def load(source: TaskSource, *, few_shot: int | None, seed: int, console: Console) -> LoadedTask:
    """Load a task and its data, with `few_shot` shots (None: the number in its file) drawn by `seed`.

    Raises:
        LatxaError: the data cannot be reached, found or read, or do not fit the task's templates.
    """
    for configuration in source.configurations:
        _check_reachable(source.name, configuration, console)
        _check_metrics(source.name, configuration)
    with quiet_libraries(console):
        harness = _build(source)
    loaded = LoadedTask(source.name, harness)
    for name, task in loaded.tasks.items():
        if lacking := [metric for metric, function in task.aggregation().items() if function is None]:
            raise _unknown_aggregation(name, task, lacking[0])
    if without := [name for name, task in loaded.tasks.items() if not _set_shots(task, few_shot, seed)]:
        console.say(f"`{without[0]}` has no shots, as its file says: `--few-shot` has no effect on it")
    return loaded


def _unknown_aggregation(name: str, task: ConfigurableTask, metric: str) -> LatxaError:
    from lm_eval.api.registry import AGGREGATION_REGISTRY

    entries = [entry for entry in task.config.metric_list or [] if entry.get("metric") == metric]
    unknown = str(entries[0].get("aggregation")) if entries else ""
    return LatxaError(
        f"the task `{name}` names the aggregation `{unknown}` for `{metric}`, which the harness lacks",
        hint=nearest(unknown, list(AGGREGATION_REGISTRY)),
    )


def _build(source: TaskSource) -> dict[str, Any]:
    import random

    import numpy
    from datasets.exceptions import DatasetsError
    from jinja2 import TemplateError

    random.seed(0)  # as the harness does before it loads tasks: some shuffle their choices while loading
    numpy.random.seed(1234)
    try:  # a task file holds templates, functions and names of metrics: a wrong one fails in any of these ways
        return source.manager.load([source.specification])
    except (
        DatasetsError, TemplateError, OSError, ValueError, LookupError, TypeError, AttributeError, AssertionError,
        SyntaxError, ImportError, StopIteration,
    ) as error:  # fmt: skip
        raise _cannot_load(source, error) from error


def _cannot_load(source: TaskSource, error: Exception) -> LatxaError:
    """Return the error to show: the place in a data file where one is broken, else the cause."""
    for path in (path for configuration in source.configurations for path in data_files(configuration)):
        if path.suffix in (".jsonl", ".json") and path.is_file() and (broken := broken_line(path)):
            return LatxaError(f"{path}{broken}", hint=f"the task `{source.name}` reads this file")
    for configuration in source.configurations:
        if lacking := lacking_column(configuration, columns_of(configuration), loaded=False):
            return lacking
    if isinstance(error, KeyError):
        return LatxaError(
            f"the task `{source.name}` cannot be loaded: there is no {error}", hint="is it a split or a field?"
        )
    if isinstance(error, IndexError):
        return LatxaError(
            f"the first item of the task `{source.name}` cannot be scored ({error})",
            hint="is its answer among its choices, and none of these empty?",
        )
    cause = error.__cause__ or error
    if key := UNKNOWN_KEY.search(str(cause)):
        from lm_eval.api.task import TaskConfig

        known = [field.name for field in fields(TaskConfig)]
        return LatxaError(f"the task `{source.name}` has an unknown key `{key[1]}`", hint=nearest(key[1], known))
    return LatxaError(f"the task `{source.name}` cannot be loaded: {first_line(cause)}")


def _check_reachable(name: str, configuration: JsonObject, console: Console) -> None:
    for path in data_files(configuration):
        if path.is_absolute() and not path.exists() and "*" not in str(path):
            raise LatxaError(f"{path}: no such file", hint=f"the task `{name}` reads it")
    dataset = str(configuration.get("dataset_path") or "")
    if not dataset or dataset in FILE_FORMATS or Path(dataset).exists() or configuration.get("custom_dataset"):
        return
    if hub.can_be_reached():
        return
    if not _is_cached(dataset):
        raise LatxaError(
            f"the task `{name}` needs the dataset `{dataset}`, and the hub cannot be reached",
            hint="run it once where the hub can be reached, or name local files: `dataset_path: json` and `data_files`",
        )
    console.say(f"the hub cannot be reached: `{name}` uses the copy of `{dataset}` in the local cache")


def _check_metrics(name: str, configuration: JsonObject) -> None:
    """Raise LatxaError for a metric that the harness lacks while the hub cannot be reached.

    The harness looks for it on the hub, and leaves it out silently when it is not there.
    """
    import lm_eval.api.metrics  # noqa: F401  (registers them)
    from lm_eval.api.registry import METRIC_REGISTRY

    if configuration.get("process_results") is not None:
        return
    for entry in configuration.get("metric_list") or []:
        metric = entry.get("metric") if isinstance(entry, dict) else entry
        if isinstance(metric, str) and metric not in METRIC_REGISTRY and not hub.can_be_reached():
            raise LatxaError(
                f"the task `{name}` names the metric `{metric}`, which the harness lacks, and no hub can be reached",
                hint=nearest(metric, list(METRIC_REGISTRY)),
            )


def _is_cached(dataset: str) -> bool:
    from datasets import config

    cache = Path(config.HF_DATASETS_CACHE)
    return (cache / dataset.replace("/", "___")).is_dir() or (cache / dataset.rpartition("/")[2]).is_dir()


def _set_shots(task: ConfigurableTask, few_shot: int | None, seed: int) -> bool:
    """Set the number of shots and their seed; return False where the task's file says 0, which is final.

    Raises:
        LatxaError: there are fewer examples than shots.
    """
    own = task.get_config("num_fewshot")
    final = own == 0 and bool(few_shot)
    shots = 0 if final else (own or 0) if few_shot is None else few_shot
    examples = getattr(getattr(task, "sampler", None), "df", None)
    if examples is not None and shots > len(examples):
        raise LatxaError(
            f"`{task.task_name}` has {len(examples)} examples to draw shots from, not {shots}",
            hint="give fewer with `--few-shot`",
        )
    task.set_config("num_fewshot", shots)
    task.set_fewshot_seed(seed)
    return not final


def items_of(names: Sequence[str], folder: Path | None, console: Console) -> Iterator[tuple[str, JsonObject]]:
    """Yield (`TASK:NUMBER`, item) for every item of the tasks in `names`; raises as `find` and `load` do."""
    for task in find(names, folder, console).values() if names else ():
        yield from items(load(task, few_shot=0, seed=0, console=console))


def items(loaded: LoadedTask) -> Iterator[tuple[str, JsonObject]]:
    """Yield (`TASK:NUMBER`, item) for every item that is evaluated."""
    with quiet_libraries(Console()):
        for name, task in loaded.tasks.items():
            for number, item in enumerate(task.eval_docs):
                yield f"{name}:{number}", dict(item)


def files_of(sources: Iterable[TaskSource]) -> list[Path]:
    """Return the local data files that tasks read."""
    return [path for source in sources for configuration in source.configurations for path in data_files(configuration)]


def count_requests(loaded: LoadedTask, places: dict[str, list[int]] | None = None) -> dict[str, tuple[int, int]]:
    """Return {task: (items, requests to a model)} for the items at `places`; building requests needs no model."""
    counts = {}
    with quiet_libraries(Console()):
        for name, task in loaded.tasks.items():
            if places is not None:
                give_shots_to(task, places[name])
            task.build_all_requests(samples=None if places is None else places[name])
            counts[name] = len({request.doc_id for request in task.instances}), len(task.instances)
    return counts
