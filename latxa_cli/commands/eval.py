"""`latxa eval`: models on lm-evaluation-harness tasks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from latxa_cli.options import Device, DryRun, OutputFile, Run, Seed, Shard, TrustRemoteCode, argument, flag, verb

if TYPE_CHECKING:
    from latxa_cli.evaluation.run import Evaluation
    from latxa_cli.stream.records import Record
    from latxa_cli.stream.writer import Writer


@verb
def eval_(
    run: Run,
    models: Annotated[list[str], argument("Model directories, or names on the hub.", "MODEL")],
    *,
    task: Annotated[list[str], flag("A task, group or tag, or a task's YAML file; repeat it.", metavar="NAME")],
    task_folder: Annotated[Path | None, flag("A folder of task files; its names come first.", metavar="DIR")] = None,
    few_shot: Annotated[int | None, flag("Shots. [default: as the task says, else 0]", metavar="N", min=0)] = None,
    chat: Annotated[
        bool, flag("Apply the model's chat template: give it for instructed models.", "--chat/--no-chat")
    ] = False,
    limit: Annotated[int | None, flag("Only the first N items of each task.", metavar="N", min=1)] = None,
    answers: Annotated[OutputFile, flag("Write one record an item here.", metavar="FILE")] = None,
    seed: Seed = 1234,
    shard: Shard = None,
    batch_size: Annotated[int, flag("Sequences that the model reads at once.", min=1)] = 16,
    device: Device = None,
    trust_remote_code: TrustRemoteCode = False,
    dry_run: DryRun = False,
) -> None:
    """Evaluate models on lm-evaluation-harness tasks.

    in:  models, and tasks: those of the harness or your own YAML files, which name data files beside them
    out: results {model, task, metric, value, stderr, n, filter, num_fewshot, language, fingerprint}

    Without --chat every model gets the plain prompt, since base models too may carry a chat template. Results
    with the same fingerprint can be compared: same task, items, shots, seed, template and versions. The unit of
    work for --shard and --resume is a pair of model and task. A task's items and answers are held in memory.

    examples:
      latxa eval models/base models/instruct --task towns --task-folder tasks > results.jsonl
      latxa eval models/instruct --task tasks/towns.yaml --chat --few-shot 5 --answers answers.jsonl -o results.jsonl
      latxa eval models/base --task xstorycloze_eu --limit 100 | latxa report
    """
    from latxa_cli.evaluation.libraries import Talk
    from latxa_cli.evaluation.model import display_names
    from latxa_cli.evaluation.run import Settings, evaluate, load_tasks, pairs, preview, versions
    from latxa_cli.evaluation.tasks import files_of, find
    from latxa_cli.model import check

    talk = Talk(run.say, run.detail, run.destination.verbose, run.terminal.draws)
    settings = Settings(few_shot, chat, limit, batch_size, seed, device, trust_remote_code)
    names = display_names(models)
    for model in models:
        check(model)
    found = find(task, task_folder, talk)
    units = pairs(models, task)
    if dry_run:
        preview(load_tasks(found, units, settings, talk), names, settings, talk)
        return
    run.depends_on(*models, *files_of(found.values()))
    run.note(libraries=versions())
    to_do = list(run.items(units))
    loaded = load_tasks(found, to_do, settings, talk)
    evaluations = evaluate(to_do, loaded, names, settings, talk)
    run.write(_results(evaluations, run.file(answers)), burst=1)


def _results(evaluations: Iterable[Evaluation], answers: Writer | None) -> Iterator[list[Record]]:
    """Yield the results of each pair, when its answers are written: one checkpoint holds both."""
    for evaluation in evaluations:
        if answers is not None:
            for answer in evaluation.answers:
                answers.write(answer)
        yield list(evaluation.results)
