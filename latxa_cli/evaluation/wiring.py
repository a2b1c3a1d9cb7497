"""The verb's work, from what the user wants to results: checks first, then tasks, then models."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from latxa_cli.evaluation.asking.tasks import check_paper
from latxa_cli.evaluation.contamination import searched
from latxa_cli.evaluation.kept import take_over
from latxa_cli.evaluation.libraries import Console
from latxa_cli.evaluation.model import check_templates, display_names
from latxa_cli.evaluation.perplexity import text_sets
from latxa_cli.evaluation.run import evaluate, load_tasks, pairs, preview, versions, with_answers
from latxa_cli.evaluation.settings import Settings
from latxa_cli.evaluation.tasks.loading import files_of, find
from latxa_cli.evaluation.tasks.suites import shots_of, tasks_of
from latxa_cli.stream.errors import UsageError
from latxa_cli.stream.files import remove_work

if TYPE_CHECKING:
    from latxa_cli.stream.run import Run


class Wanted(NamedTuple):
    """What the user wants to be evaluated.

    Attributes:
        models: directories, or names on the hub.
        tasks: names and files of tasks.
        suites: names of suites.
        task_folder: a folder of task files.
        texts: NAME=FILE of documents to predict.
        trained_on: files of training data in which items are looked for.
    """

    models: Sequence[str]
    tasks: Sequence[str]
    suites: Sequence[str]
    task_folder: Path | None
    texts: Sequence[str]
    trained_on: Sequence[str]


def carry_out(run: Run, wanted: Wanted, settings: Settings, answers: Path | None, *, dry_run: bool) -> None:
    """Evaluate what is `wanted`, with a record for each item in the file `answers`; `dry_run`: say what would be done.

    Raises:
        UsageError: nothing is wanted, or what does not exist or go together.
        LatxaError: a model or task cannot be loaded or run.
    """
    tasks = [*wanted.tasks, *(name for name in tasks_of(wanted.suites) if name not in wanted.tasks)]
    texts = text_sets(wanted.texts, run.read_all)
    if not tasks and not texts:
        raise UsageError(
            "there is nothing to evaluate models on", hint="name it with `--task`, `--suite` or `--perplexity`"
        )
    if settings.paper:
        check_paper(tasks)
    console = Console(run.say, run.detail, run.destination.verbose, run.terminal.draws)
    names = display_names(wanted.models)
    if settings.chat and (settings.engine is None or settings.engine.engine != "openai"):
        check_templates(wanted.models, trust_remote_code=settings.trust_remote_code)
    settings = replace(settings, suite_shots=shots_of(wanted.suites))
    task_sources = find(tasks, wanted.task_folder, console)
    if taken := texts.keys() & {*tasks, *(source.name for source in task_sources.values())}:
        raise UsageError(f"`--perplexity {min(taken)}=…` has the name of a task", hint="give the texts another name")
    units = pairs(wanted.models, [*tasks, *texts])
    if dry_run:
        preview({**load_tasks(task_sources, units, settings, console), **texts}, names, settings, console)
        return
    run.depends_on(*wanted.models, *files_of(task_sources.values()))
    run.note(libraries=versions())
    to_do = list(run.items(units))
    loaded = load_tasks(task_sources, to_do, settings, console)
    if wanted.trained_on:
        training = chain.from_iterable(run.read_beside(file, "record") for file in wanted.trained_on)
        loaded = searched(loaded, training, run.say)
    work = run.work_folder(None) if run.output else None
    if work:
        take_over(work, resume=run.destination.resume)
        run.afterwards(remove_work, work)
    evaluations = evaluate(to_do, {**loaded, **texts}, names, settings, console, work)
    run.write(with_answers(evaluations, run.file(answers)), burst=1)
