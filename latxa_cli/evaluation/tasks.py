"""Finding and loading tasks of lm-evaluation-harness: by name in a folder of one's own, by file, or among its own.

Relative data files of a task file are looked for beside that file, so that a folder of tasks can be moved and used
from anywhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from latxa_cli import hub
from latxa_cli.evaluation.libraries import Talk, quiet_libraries
from latxa_cli.evaluation.taskfiles import FILE_FORMATS, broken_line, data_files, has_files, read
from latxa_cli.stream.errors import LatxaError, UsageError, first_line, nearest


@dataclass(frozen=True)
class Found:
    """A task, group or tag that has been found, and not loaded yet: `manager` can build `specification`."""

    name: str
    manager: Any
    specification: Any
    configurations: list[dict[str, Any]]


@dataclass(frozen=True)
class LoadedTask:
    """What one `--task` stands for: the harness's task objects and groups, ready to run."""

    name: str
    harness: dict[str, Any]

    @property
    def tasks(self) -> dict[str, Any]:
        return self.harness["tasks"]


def is_file(task: str) -> bool:
    """Whether `--task` names a file, not a task."""
    return task.endswith((".yaml", ".yml"))


def find(names: Sequence[str], folder: Path | None, talk: Talk) -> dict[str, Found]:
    """Return what each of `names` stands for: a YAML file, or a name in `folder`, or one of the harness's own tasks.

    The harness's own tasks are indexed (about 15 s) only when a name is not in `folder`. Raises UsageError for an
    unknown name, a name given twice, and a folder or file that is not there; LatxaError for a file that cannot be read.
    """
    if folder is not None and not folder.is_dir():
        raise UsageError(f"{folder}: there is no such folder of tasks")
    if repeated := sorted({name for name in names if list(names).count(name) > 1}):
        raise UsageError(f"the task `{repeated[0]}` is given twice")
    index = _index(folder, harness=False, talk=talk)
    if unknown := [name for name in names if not is_file(name) and name not in index.task_index]:
        talk.detail(f"`{unknown[0]}` is not in a task folder: indexing the harness's own tasks, about 15 s")
        index = _index(folder, harness=True, talk=talk)
    with quiet_libraries(talk):
        return {name: _from_file(name) if is_file(name) else _from_index(name, index, folder) for name in names}


def _index(folder: Path | None, *, harness: bool, talk: Talk) -> Any:
    with quiet_libraries(talk):
        from lm_eval.tasks import TaskManager

        return TaskManager(include_path=[folder] if folder else [], include_defaults=harness)


def _from_index(name: str, manager: Any, folder: Path | None) -> Found:
    index = manager.task_index
    if name not in index:
        raise UsageError(f"there is no task `{name}`", hint=_unreadable(folder) or nearest(name, list(index)))
    configurations = []
    for leaf in _leaves(index, name):
        entry = index[leaf]
        if entry.yaml_path is None:
            continue
        if has_files(entry.cfg):
            # The harness has no notion of data beside a task file: give it the task with absolute paths instead.
            index[leaf] = replace(entry, yaml_path=None, cfg=read(entry.yaml_path))
        configurations.append(index[leaf].cfg)
    return Found(name, manager, name, configurations)


def _from_file(name: str) -> Found:
    from lm_eval.tasks import TaskManager

    path = Path(name)
    if not path.is_file():
        raise UsageError(f"{name}: there is no such task file")
    configuration = read(path)
    if "group" in configuration:
        manager = TaskManager(include_path=[path.parent], include_defaults=False)
        return _from_index(configuration["group"], manager, path.parent)
    if not isinstance(configuration.get("task"), str):
        raise LatxaError(f"{name}: names no `task`", hint="give the task a name: `task: NAME`")
    manager = TaskManager(include_defaults=False)
    return Found(configuration["task"], manager, configuration, [configuration])


def _leaves(index: dict[str, Any], name: str) -> Iterator[str]:
    """Yield the names of the tasks that a task, tag or group consists of, as far as the index knows them."""
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


def _unreadable(folder: Path | None) -> str:
    """Return which of the folder's task files cannot be read: the harness's index leaves them out without a word."""
    for path in sorted(folder.rglob("*.yaml")) if folder else []:
        try:
            read(path)
        except LatxaError as error:
            return error.message
    return ""


# --- loading


def load(found: Found, *, few_shot: int | None, seed: int, talk: Talk) -> LoadedTask:
    """Load a task's data and make it ready to run with `few_shot` shots (default: as its file says) drawn by `seed`.

    Raises LatxaError when the data cannot be reached, found or read, or do not fit the task's templates.
    """
    for configuration in found.configurations:
        _check_reachable(found.name, configuration, talk)
        _check_metrics(found.name, configuration)
    with quiet_libraries(talk):
        harness = _build(found)
    loaded = LoadedTask(found.name, harness)
    for name, task in loaded.tasks.items():
        if lacking := [metric for metric, function in task.aggregation().items() if function is None]:
            raise LatxaError(f"the task `{name}` names an aggregation for `{lacking[0]}` that the harness lacks")
    if kept := [name for name, task in loaded.tasks.items() if not _set_shots(task, few_shot, seed)]:
        talk.say(f"`{kept[0]}` is a task without shots by its own file: `--few-shot` has no effect on it")
    return loaded


def _build(found: Found) -> dict[str, Any]:
    import random

    import numpy
    from datasets.exceptions import DatasetsError
    from jinja2 import TemplateError

    random.seed(0)  # as the harness does before it loads tasks: some shuffle their choices while loading
    numpy.random.seed(1234)
    try:
        return found.manager.load([found.specification])
    except (
        DatasetsError, TemplateError, OSError, ValueError, LookupError, TypeError, AttributeError, AssertionError,
        SyntaxError, ImportError, StopIteration,
    ) as error:  # fmt: skip
        raise _cannot_load(found, error) from error


def _cannot_load(found: Found, error: Exception) -> LatxaError:
    """Return the error that says best what is wrong: a data file's line where one can be named."""
    for path in (path for configuration in found.configurations for path in data_files(configuration)):
        if path.suffix in (".jsonl", ".json") and path.is_file() and (broken := broken_line(path)):
            return LatxaError(f"{path}{broken}", hint=f"the task `{found.name}` reads this file")
    if isinstance(error, KeyError):
        return LatxaError(
            f"the task `{found.name}` cannot be loaded: there is no {error}", hint="is it a split or a field?"
        )
    cause = error.__cause__ or error
    return LatxaError(f"the task `{found.name}` cannot be loaded: {first_line(cause)}")


def _check_reachable(name: str, configuration: dict[str, Any], talk: Talk) -> None:
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
    talk.say(f"the hub cannot be reached: `{name}` uses the copy of `{dataset}` in the local cache")


def _check_metrics(name: str, configuration: dict[str, Any]) -> None:
    """Metrics that the harness lacks are looked for on the hub, and silently left out when they are not there."""
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


def _set_shots(task: Any, few_shot: int | None, seed: int) -> bool:
    """Set the number of shots and the seed that draws them; False when the task's file says 0, which is final.

    Raises LatxaError when there are not so many examples to draw from.
    """
    own = task.get_config("num_fewshot")
    final = own == 0 and bool(few_shot)
    shots = 0 if final else (own or 0) if few_shot is None else few_shot
    examples = getattr(getattr(task, "sampler", None), "df", None)
    if examples is not None and shots > len(examples):
        raise LatxaError(f"`{task.task_name}` has {len(examples)} examples to draw shots from, not {shots}")
    task.set_config("num_fewshot", shots)
    task.set_fewshot_seed(seed)
    return not final


def items_of(names: Sequence[str], folder: Path | None, talk: Talk) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield (`TASK:NUMBER`, item) for every item of the tasks with these names; raises as `find` and `load` do."""
    for task in find(names, folder, talk).values() if names else ():
        yield from items(load(task, few_shot=0, seed=0, talk=talk))


def items(loaded: LoadedTask) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield (`TASK:NUMBER`, item) for every item that is evaluated."""
    with quiet_libraries(Talk()):
        for name, task in loaded.tasks.items():
            for number, item in enumerate(task.eval_docs):
                yield f"{name}:{number}", dict(item)


def files_of(found: Iterable[Found]) -> list[Path]:
    """Return the local data files that tasks read."""
    return [path for one in found for configuration in one.configurations for path in data_files(configuration)]


def count_requests(loaded: LoadedTask, limit: int | None) -> dict[str, tuple[int, int]]:
    """Return {task: (items, requests to a model)}, from the requests that are built without a model."""
    counts = {}
    with quiet_libraries(Talk()):
        for name, task in loaded.tasks.items():
            task.build_all_requests(limit=limit)
            counts[name] = len({request.doc_id for request in task.instances}), len(task.instances)
    return counts
