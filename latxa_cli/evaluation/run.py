"""Running (model, task) pairs with lm-evaluation-harness: each model loaded once, one list of results for each pair."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, NamedTuple

from latxa_cli.evaluation import model as models
from latxa_cli.evaluation import records
from latxa_cli.evaluation.libraries import Talk, quiet_libraries
from latxa_cli.evaluation.tasks import Found, LoadedTask, count_requests, load
from latxa_cli.stream.errors import LatxaError, UsageError, first_line
from latxa_cli.stream.records import Record

HARNESS_SEED = 1234  # the harness's own for shots, and so the one of most published numbers


class Pair(NamedTuple):
    """One unit of work: a model (its path or hub name) and a task (as given to `--task`)."""

    model: str
    task: str


@dataclass(frozen=True)
class Settings:
    """How tasks are run; `few_shot` None leaves the number of shots to each task's file."""

    few_shot: int | None = None
    chat: bool = False
    limit: int | None = None
    batch_size: int = 16
    seed: int = HARNESS_SEED
    device: str | None = None
    trust_remote_code: bool = False


class Evaluation(NamedTuple):
    """What one pair gave."""

    pair: Pair
    results: list[Record]
    answers: list[Record]


def pairs(models_given: Sequence[str], tasks: Iterable[str]) -> list[Pair]:
    """Return the units of work in order: all tasks of the first model, then of the second, ..."""
    tasks = list(tasks)
    return [Pair(model, task) for model in models_given for task in tasks]


def load_tasks(found: dict[str, Found], units: Iterable[Pair], settings: Settings, talk: Talk) -> dict[str, LoadedTask]:
    """Load the tasks that `units` name, before any model: what is wrong with a task shows before hours of work."""
    needed = dict.fromkeys(unit.task for unit in units)
    return {name: load(found[name], few_shot=settings.few_shot, seed=settings.seed, talk=talk) for name in needed}


def preview(loaded: dict[str, LoadedTask], names: dict[str, str], settings: Settings, talk: Talk) -> None:
    """Say what a run would do: models, tasks, items, and requests to each model."""
    total = 0
    for task in loaded.values():
        for name, (items, requests) in count_requests(task, settings.limit).items():
            shots = task.tasks[name].get_config("num_fewshot")
            talk.say(f"`{name}`: {items:,} items, {requests:,} requests, {shots} shots")
            total += requests
    talk.say(f"models: {', '.join(names.values())}; {total * len(names):,} requests in all; nothing was run")


def evaluate(
    units: Iterable[Pair], loaded: dict[str, LoadedTask], names: dict[str, str], settings: Settings, talk: Talk
) -> Iterator[Evaluation]:
    """Yield one Evaluation for each pair of `units`, in order.

    `loaded` holds the tasks by the name given to `--task`, `names` each model's name in records. A model stays loaded
    while consecutive pairs ask for it. Raises LatxaError when a model cannot be loaded or a task cannot be run.
    """
    harness_model, holder = None, ""
    warned: set[str] = set()
    for pair in units:
        if harness_model is None or pair.model != holder:
            harness_model = None  # free the memory of the one before
            talk.detail(f"loading `{pair.model}`")
            with quiet_libraries(talk):
                harness_model = models.load(
                    pair.model,
                    device=settings.device,
                    batch_size=settings.batch_size,
                    trust_remote_code=settings.trust_remote_code,
                )
            holder = pair.model
        yield _evaluate_pair(pair, harness_model, loaded[pair.task], names[pair.model], settings, talk, warned)


def _evaluate_pair(
    pair: Pair, harness_model: Any, loaded: LoadedTask, name: str, settings: Settings, talk: Talk, warned: set[str]
) -> Evaluation:
    template = _template(pair.model, harness_model, settings.chat)
    with quiet_libraries(talk) as notices:
        report = _run(pair, harness_model, loaded, settings)
    if notices.cut:
        talk.say(
            f"`{loaded.name}`, `{name}`: {notices.cut} prompts are longer than the model's context; "
            "their beginnings were cut off"
        )
    circumstances = {"versions": versions(), "chat template": template, "seed": settings.seed}
    fingerprints: dict[str, str] = {}
    answers: list[Record] = []
    for task_name, samples in report["samples"].items():
        task = loaded.tasks[task_name]
        records.check_finite(pair.model, samples)
        _warn(task, samples, talk, warned)
        fingerprints[task_name] = records.fingerprint(task, samples, circumstances)
        answers += records.answers(name, task, samples)
    for group in report["group_subtasks"]:
        fingerprints[group] = records.joint_fingerprint(fingerprints[leaf] for leaf in records.leaves(group, report))
    results = list(records.results(name, report, fingerprints))
    if not results:
        raise LatxaError(
            f"the task `{loaded.name}` gives no metric", hint="does its `metric_list` name metrics of the harness?"
        )
    return Evaluation(pair, results, answers)


def _run(pair: Pair, harness_model: Any, loaded: LoadedTask, settings: Settings) -> dict[str, Any]:
    """Return the harness's report.

    This is the inner function of its `simple_evaluate`, with the seeds set as there; what is left out is the report on
    the environment, which calls `pip` and `git` and takes seven seconds for each pair.
    """
    import random

    import numpy
    import torch
    from jinja2 import TemplateError
    from lm_eval.evaluator import evaluate as run_harness

    for task in loaded.tasks.values():
        task.set_fewshot_seed(seed=settings.seed)
    random.seed(0)
    numpy.random.seed(settings.seed)
    torch.manual_seed(settings.seed)
    try:
        return run_harness(
            lm=harness_model,
            task_dict=loaded.harness,
            limit=settings.limit,
            apply_chat_template=settings.chat,
            fewshot_as_multiturn=settings.chat,
        )
    except torch.OutOfMemoryError:
        raise LatxaError(
            f"`{loaded.name}`, `{pair.model}`: the memory of the device is full", hint="try a smaller `--batch-size`"
        ) from None
    except (TemplateError, ValueError, KeyError, TypeError, IndexError, SyntaxError, AssertionError) as error:
        raise LatxaError(f"the task `{loaded.name}` cannot be run: {first_line(error)}") from error


def _template(model: str, harness_model: Any, chat: bool) -> str | None:
    """Return a hash of the chat template that is applied; None when none is.

    Raises UsageError when one is asked for and the model has none.
    """
    if not chat:
        return None
    template = harness_model.tokenizer.chat_template
    if not template:
        raise UsageError(f"the tokenizer of `{model}` has no chat template", hint="leave `--chat` out")
    return sha256(str(template).encode()).hexdigest()[:16]


def _warn(task: Any, samples: list[dict[str, Any]], talk: Talk, warned: set[str]) -> None:
    """Say once of each task what makes its figures doubtful."""
    if task.task_name in warned:
        return
    warned.add(task.task_name)
    if count := records.leaked(task, samples):
        talk.say(
            f"`{task.task_name}`: {count} of {len(samples)} items stand, with their answers, among their own shots; "
            f"a `fewshot_split` in the task file keeps them out"
        )
    if count := records.without_target(task, samples):
        talk.say(f"`{task.task_name}`: {count} of {len(samples)} items name an answer that is none of their choices")


def versions() -> dict[str, str]:
    """Return the versions of the libraries on which figures depend."""
    from importlib.metadata import version

    return {name: version(name) for name in ("lm_eval", "transformers", "torch")}
