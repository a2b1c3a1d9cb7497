"""`latxa eval`: models on lm-evaluation-harness tasks."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from latxa_cli.options import (
    DryRun,
    EngineOptions,
    OutputFile,
    Run,
    Seed,
    Shard,
    TemplateDate,
    Thinking,
    argument,
    excludes,
    flag,
    needs,
    verb,
)

OF_TASKS = (
    "task_folder", "few_shot", "format", "chat", "thinking", "max_tokens", "paper", "shot_seeds", "take", "trained_on",
    "seed",
)  # fmt: skip


@verb(
    generates=True,
    conditions=[
        *(needs(name, "task", "suite") for name in OF_TASKS),
        excludes("date", ("chat", False), hint="the plain prompt holds no date"),
        excludes("thinking", ("chat", False), hint="the plain prompt says nothing of thoughts"),
        excludes("paper", "few_shot", "shot_seeds", "seed", hint="the paper had 5 shots, drawn by seed 1234"),
        *(
            excludes("paper", ("format", other), hint="the paper had no such format")
            for other in ("mcqa", "cloze", "cot")
        ),
    ],
)
def eval_(
    run: Run,
    models: Annotated[list[str], argument("Model directories, or names on the hub.", "MODEL")],
    *,
    task: Annotated[
        list[str] | None, flag("A task, a group, a tag or a task's YAML file; repeat it.", metavar="NAME")
    ] = None,
    suite: Annotated[
        list[str] | None, flag("`paper`, `basque`, `eu`, `ca` …: tasks under one name; repeat it.", metavar="NAME")
    ] = None,
    task_folder: Annotated[
        Path | None, flag("A folder of task files; its names win over the harness's.", metavar="DIR")
    ] = None,
    perplexity: Annotated[
        list[str] | None,
        flag("Documents or chats to predict, under a name such as their language; repeat it.", metavar="NAME=FILE"),
    ] = None,
    few_shot: Annotated[
        int | None, flag("Examples in each prompt. [default: the task's, else 0]", metavar="N", min=0)
    ] = None,
    format: Annotated[
        Literal["mcqa", "cloze", "generate", "cot"] | None,
        flag("How choices are asked: by letter, by text, by a letter that is written. [default: the task's]"),
    ] = None,
    chat: Annotated[
        bool | None,
        flag("Ask through the model's chat template. [default: where it has one]", "--chat/--no-chat"),
    ] = None,
    thinking: Thinking = None,
    max_tokens: Annotated[
        int | None, flag("The most tokens of an answer. [default: the task's, and room for thoughts]", min=1)
    ] = None,
    paper: Annotated[bool, flag("The prompts of arXiv 2506.07597 exactly, for its benchmarks.", "--paper")] = False,
    shot_seeds: Annotated[
        int, flag("Ask each item with N draws of shots, so that intervals hold their variance.", metavar="N", min=1)
    ] = 1,
    take: Annotated[
        int | None, flag("Take only N items of each task, drawn by `--seed`, of all its parts.", metavar="N", min=1)
    ] = None,
    answers: Annotated[OutputFile, flag("Write a record for each item here.", metavar="FILE")] = None,
    trained_on: Annotated[
        list[str] | None, flag("Training data, in which the tasks' items are looked for; repeat it.", metavar="FILE")
    ] = None,
    date: TemplateDate = None,
    seed: Seed = 1234,
    shard: Shard = None,
    engine: EngineOptions,
    offline: Annotated[
        bool, flag("Never ask the hub: models and data come from folders and the cache.", "--offline")
    ] = False,
    dry_run: DryRun = False,
) -> None:
    """Evaluate models on lm-evaluation-harness tasks.

    in:  models, and tasks: a suite, those of the harness, or your own YAML files with data files beside them
    out: results {model, task, metric, value, stderr, n, filter, num_fewshot, language, fingerprint}

    --trained-on counts the items that share 13 words in a row with training data, and gives the value without them.
    --perplexity measures what a model has kept or learnt of a language: perplexity per token, and bits per byte,
    which compares models with different tokenizers. Of conversations it predicts the answers.

    A model with a chat template is asked through it, with shots as turns; --no-chat asks plainly. No item is among
    its own shots. Results with the same fingerprint can be compared: they share task, items, shots, seed, template
    and versions. The unit of work for --shard is a pair of model and task; --resume asks no request again.

    --engine openai --base-url URL asks a server, vllm runs vLLM here. Both write answers, and compare letters where
    the server tells log-probabilities; --format generate has a letter written. An item without an answer (refused,
    cut off, thought past the budget, failed …) is counted in `outcomes`, and is not in `n`. --dry-run asks a few
    items and tells the cost of all.

    memory: a task's items and answers, and the model

    examples:
      latxa eval models/base --suite basque --suite english -o results.jsonl --resume
      latxa eval models/base models/instruct --task towns --task-folder tasks > results.jsonl
      latxa eval models/instruct --task tasks/towns.yaml --few-shot 5 --answers answers.jsonl -o results.jsonl
      latxa eval models/base --task xstorycloze_eu --take 100 | latxa report
    """
    from latxa_cli.evaluation.model import for_models
    from latxa_cli.evaluation.settings import Settings
    from latxa_cli.evaluation.wiring import Wanted, carry_out
    from latxa_cli.hub import stay_offline

    if offline:
        stay_offline()
    engine = for_models(models, engine, predicts=bool(perplexity))
    settings = Settings(
        few_shot, chat, take, engine.batch_size, seed, engine.device, engine.trust_remote_code,
        None if chat is False else run.day(date), format, engine, thinking, max_tokens, paper, shot_seeds,
    )  # fmt: skip
    wanted = Wanted(models, task or (), suite or (), task_folder, perplexity or (), trained_on or ())
    carry_out(run, wanted, settings, answers, dry_run=dry_run)
