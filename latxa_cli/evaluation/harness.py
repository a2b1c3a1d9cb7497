"""The call of lm-evaluation-harness: a task on a model, all its items or some, once or with several draws of shots."""

from __future__ import annotations

from typing import TYPE_CHECKING

from latxa_cli.evaluation.asking.take import give_shots_to, taken
from latxa_cli.evaluation.seeds import joined
from latxa_cli.stream.errors import LatxaError, first_line
from latxa_cli.stream.records import JsonObject

if TYPE_CHECKING:
    from lm_eval.models.huggingface import HFLM

    from latxa_cli.evaluation.settings import Settings
    from latxa_cli.evaluation.tasks.loading import LoadedTask


def places_of(loaded: LoadedTask, settings: Settings) -> dict[str, list[int]] | None:
    """Return the places of the items that are asked, by task; None for all."""
    if settings.take is None:
        return None
    return taken({name: list(task.eval_docs) for name, task in loaded.tasks.items()}, settings.take, settings.seed)


def seeds_of(loaded: LoadedTask, settings: Settings) -> list[int]:
    """Return the seeds by which shots are drawn: one where another would draw the same shots."""
    vary = any(getattr(getattr(task, "sampler", None), "vary", False) for task in loaded.tasks.values())
    return [settings.seed + number for number in range(settings.shot_seeds if vary else 1)]


def run(loaded: LoadedTask, harness_model: HFLM, name: str, settings: Settings, *, chat: bool) -> JsonObject:
    """Return the harness's report on a task, or that of several draws of shots together (`seeds.joined`).

    The harness's `simple_evaluate` calls the same inner function with the same seeds. Beyond it, it describes the
    environment with `pip` and `git`, which takes seven seconds for each pair.

    Raises:
        LatxaError: the task cannot be run on the model, which errors call `name`.
    """
    import torch
    from jinja2 import TemplateError

    if hasattr(harness_model, "exact"):
        harness_model.exact = frozenset(task for task, one in loaded.tasks.items() if getattr(one, "recipe", False))
    try:
        places, seeds = places_of(loaded, settings), seeds_of(loaded, settings)
        reports = [_run(loaded, harness_model, settings, places, seed, chat=chat) for seed in seeds]
        return joined(reports, seeds, loaded.harness.get("groups", {}))
    except torch.OutOfMemoryError:
        raise LatxaError(
            f"`{loaded.name}`, `{name}`: the memory of the device is full", hint="try a smaller `--batch-size`"
        ) from None
    except (TemplateError, ValueError, KeyError, TypeError, IndexError, SyntaxError, AssertionError) as error:
        raise LatxaError(f"the task `{loaded.name}` cannot be run: {first_line(error)}") from error


def _run(
    loaded: LoadedTask,
    harness_model: HFLM,
    settings: Settings,
    places: dict[str, list[int]] | None,
    seed: int,
    *,
    chat: bool,
) -> JsonObject:
    import random

    import numpy
    import torch
    from lm_eval.evaluator import evaluate

    for name, task in loaded.tasks.items():
        task.set_fewshot_seed(seed=seed)
        if places is not None:
            give_shots_to(task, places[name])
    random.seed(0)
    numpy.random.seed(settings.seed)
    torch.manual_seed(settings.seed)
    return evaluate(  # type: ignore[no-any-return]
        lm=harness_model,
        task_dict=loaded.harness,
        samples=places,
        apply_chat_template=chat,
        fewshot_as_multiturn=chat,
    )
