"""Run pairs of model and task with lm-evaluation-harness, each model loaded once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from latxa_cli import __version__
from latxa_cli.chat.rendering import asks_for_date
from latxa_cli.evaluation import contamination, perplexity, records
from latxa_cli.evaluation import model as models
from latxa_cli.evaluation.answering.beginning import prove_beginning
from latxa_cli.evaluation.answering.estimate import tell_cost
from latxa_cli.evaluation.answering.outcomes import Accounts
from latxa_cli.evaluation.asking.tasks import asked_as, how_asked
from latxa_cli.evaluation.harness import places_of, run, seeds_of
from latxa_cli.evaluation.kept import Kept
from latxa_cli.evaluation.libraries import Console, quiet_libraries, unmuted
from latxa_cli.evaluation.perplexity import TextSet
from latxa_cli.evaluation.settings import Settings
from latxa_cli.evaluation.tasks.items import check_items
from latxa_cli.evaluation.tasks.loading import LoadedTask, TaskSource, count_requests, files_of, load
from latxa_cli.model import weights_id
from latxa_cli.stream.errors import LatxaError, UsageError
from latxa_cli.stream.records import JsonObject, Record

if TYPE_CHECKING:
    from lm_eval.api.task import ConfigurableTask
    from lm_eval.models.huggingface import HFLM

    from latxa_cli.stream.writer import Writer


class Pair(NamedTuple):
    """One unit of work: a model (its path or hub name) and a task (as given to `--task`), or a set of texts."""

    model: str
    task: str


class Evaluation(NamedTuple):
    """The results of one pair, and its answers, one an item."""

    pair: Pair
    results: list[Record]
    answers: list[Record]


def pairs(models_given: Sequence[str], tasks: Iterable[str]) -> list[Pair]:
    """Return the units of work in order: all tasks of the first model, then all of the second, and so on."""
    tasks = list(tasks)
    return [Pair(model, task) for model in models_given for task in tasks]


def load_tasks(
    sources: dict[str, TaskSource], units: Iterable[Pair], settings: Settings, console: Console
) -> dict[str, LoadedTask]:
    """Load the tasks of `units`, before any model: a fault of a task then shows before hours of work."""
    needed = [name for name in dict.fromkeys(unit.task for unit in units) if name in sources]
    own = settings.suite_shots if settings.few_shot is None else {}
    loaded, heard = {}, replace(console, say=unmuted(console.say))
    for name in needed:
        few_shot = own.get(name, settings.few_shot)
        task = load(sources[name], few_shot=few_shot, seed=settings.seed, console=console)
        with quiet_libraries(console):
            check_items(task.tasks, own=bool(files_of([sources[name]])), console=heard)
            loaded[name] = asked_as(task, settings.format, paper=settings.paper)
    return loaded


def preview(
    loaded: Mapping[str, LoadedTask | TextSet], names: dict[str, str], settings: Settings, console: Console
) -> None:
    """Tell the user the models, tasks, items, texts and requests of a run, without running it."""
    total = 0
    for task in loaded.values():
        if isinstance(task, TextSet):
            console.say(f"`{task.name}`: {len(task.records):,} texts")
            total += len(task.records)
            continue
        times = len(seeds_of(task, settings))
        for name, (items, requests) in count_requests(task, places_of(task, settings)).items():
            shots = task.tasks[name].get_config("num_fewshot")
            draws = f", drawn {times} times" if times > 1 else ""
            console.say(f"`{name}`: {items:,} items, {requests * times:,} requests, {shots} shots{draws}")
            total += requests * times
    console.say(f"models: {', '.join(names.values())}; {total * len(names):,} requests in all; nothing was run")
    if settings.engine is not None and settings.engine.engine == "openai":
        tasks = [task for task in loaded.values() if isinstance(task, LoadedTask)]
        for model in names:
            tell_cost(tasks, model, settings, console)


def evaluate(
    units: Iterable[Pair],
    loaded: Mapping[str, LoadedTask | TextSet],
    names: dict[str, str],
    settings: Settings,
    console: Console,
    work: Path | None = None,
) -> Iterator[Evaluation]:
    """Yield one Evaluation for each pair of `units`, in order; a model stays loaded for consecutive pairs.

    Args:
        units: the pairs.
        loaded: the tasks, by the name given to `--task`, and the sets of texts.
        names: the name of each model in records.
        settings: as for all pairs.
        console: the way to a person.
        work: the folder for answers to single requests, which are kept until their pair has been taken.

    Raises:
        LatxaError: a model cannot be loaded, or a task cannot be run.
    """
    harness_model, holder = None, ""
    warned: set[str] = set()
    for pair in units:
        if harness_model is None or pair.model != holder:
            harness_model = None  # two models at once may not fit into memory
            console.detail(f"loading `{pair.model}`")
            with quiet_libraries(console):
                harness_model = models.open_model(pair.model, settings, console)
            holder = pair.model
            if settings.paper:
                models.begin_bare(harness_model)
            if models.is_server(harness_model):
                prove_beginning(harness_model, console.say, chat=models.asks_as_chat(harness_model, settings))
        kept = Kept(work, _circumstances(pair, harness_model, settings)) if work else Kept()
        models.keep(harness_model, kept)
        try:
            name, task = names[pair.model], loaded[pair.task]
            if isinstance(task, TextSet):
                yield _evaluate_texts(pair, harness_model, task, name, console)
            else:
                yield _evaluate_pair(pair, harness_model, task, name, settings, console, warned)
            kept.forget()
        finally:
            kept.close()


def with_answers(evaluations: Iterable[Evaluation], answers: Writer | None) -> Iterator[list[Record]]:
    """Yield the results of each pair after its answers are written, so that one checkpoint holds both."""
    for evaluation in evaluations:
        if answers is not None:
            for answer in evaluation.answers:
                answers.write(answer)
        yield list(evaluation.results)


def _circumstances(pair: Pair, harness_model: HFLM, settings: Settings) -> JsonObject:
    """Return what every answer of a pair depends on beside its request."""
    return {
        "model": pair.model,
        "weights": weights_id(pair.model),
        "task": pair.task,
        **models.circumstances(harness_model, settings),
        "seed": settings.seed,
        "paper": settings.paper,
        "versions": {**versions(), "latxa": __version__},
    }


def _evaluate_pair(
    pair: Pair,
    harness_model: HFLM,
    loaded: LoadedTask,
    name: str,
    settings: Settings,
    console: Console,
    warned: set[str],
) -> Evaluation:
    chat = models.asks_as_chat(harness_model, settings)
    if chat and settings.chat is None and pair.model not in warned:
        warned.add(pair.model)
        console.say(f"`{name}` is asked through its chat template; `--no-chat` asks without it")
    template = _template(pair.model, harness_model, chat)
    accounts = Accounts(harness_model)
    with quiet_libraries(console) as notices, accounts.of(loaded.tasks):
        report = run(loaded, harness_model, pair.model, settings, chat=chat)
    if cut := notices.cut + models.cut(harness_model):
        console.say(
            f"`{loaded.name}`, `{name}`: {cut} {'prompt is' if cut == 1 else 'prompts are'} longer than the model's "
            "context; their beginnings were cut off"
        )
    circumstances = {"versions": versions(), "chat template": template, "seed": settings.seed}
    circumstances |= accounts.manner
    how: Record = {name: value for name, value in _asked(loaded, settings).items() if value not in (None, False)}
    circumstances |= how
    if chat and harness_model.tokenizer and asks_for_date(harness_model.tokenizer):
        circumstances["date"] = str(settings.day)
    fingerprints: dict[str, str] = {}
    answers: list[Record] = []
    model = {"model": name, "path": pair.model, "weights": weights_id(pair.model), "chat": chat, **how}
    asked = how_asked(loaded.tasks, chat=chat)
    beside = records.beside_answers(model, report, asked, loaded.aggregation)
    for task_name, samples in report["samples"].items():
        task = loaded.tasks[task_name]
        records.check_finite(pair.model, samples)
        _warn(task, samples, console, warned)
        fingerprints[task_name] = records.fingerprint(task, samples, circumstances)
        own = accounts.answers(task_name, records.answers(name, task, samples))
        answers += (answer | beside[task_name] for answer in own)
    for group in report["group_subtasks"]:
        _fingerprint_group(group, report, loaded, fingerprints)
    results = list(records.results(model, report, fingerprints, asked))
    results = list(accounts.results(results, report))
    if loaded.found:
        results = [result | contamination.figures(result, report, loaded.found) for result in results]
    told = accounts.summary(loaded.name, name)
    if told:
        console.say(told if results else f"{told}; there is no result")
    if not results and not told:
        raise LatxaError(
            f"the task `{loaded.name}` gives no metric", hint="does its `metric_list` name metrics of the harness?"
        )
    return Evaluation(pair, results, answers)


def _asked(loaded: LoadedTask, settings: Settings) -> Record:
    """Return what results say of a run that is not the usual one."""
    seeds = seeds_of(loaded, settings)
    return {"paper": settings.paper, "shot_seeds": seeds if len(seeds) > 1 else None}


def _evaluate_texts(pair: Pair, harness_model: HFLM, texts: TextSet, name: str, console: Console) -> Evaluation:
    with quiet_libraries(console):
        found = perplexity.score(texts, models.scorer_of(harness_model))
    scored = [(record, one) for record, one in zip(texts.records, found, strict=True) if one]
    if refused := len(found) - len(scored):
        console.say(f"`{texts.name}`, `{name}`: {refused:,} conversations are left out, refused by the chat template")
    if not scored:
        raise LatxaError(f"`{texts.name}`, `{name}`: no text is left")
    scores = [one for _, one in scored]
    if unknown := sum(one.unknown for one in scores):
        console.say(
            f"`{texts.name}`, `{name}`: {unknown:,} of {sum(one.tokens for one in scores):,} tokens stand for what the "
            "tokenizer does not know; the figures flatter the model"
        )
    model = {"path": pair.model, "weights": weights_id(pair.model)}
    own = {key: value for key, value in model.items() if value is not None}
    results = [
        {
            "model": name,
            "task": texts.name,
            **figure,
            "n": len(scores),
            "tokens": sum(one.tokens for one in scores),
            "bytes": sum(one.size for one in scores),
            **own,
            "fingerprint": perplexity.fingerprint(str(figure["metric"]), texts, scores, harness_model, versions()),
        }
        for figure in perplexity.figures(scores)
    ]
    return Evaluation(pair, results, [answer | own for answer in perplexity.answers(texts.name, scored, name)])


def _fingerprint_group(group: str, report: JsonObject, loaded: LoadedTask, fingerprints: dict[str, str]) -> str:
    """Add the fingerprint of a group, and of those in it, to `fingerprints`, and return it."""
    if group not in fingerprints:
        members = [
            _fingerprint_group(member, report, loaded, fingerprints)
            for member in report["group_subtasks"].get(group, [])
        ]
        fingerprints[group] = records.group_fingerprint(members, loaded.aggregation(group))
    return fingerprints[group]


def _template(model: str, harness_model: HFLM, chat: bool) -> str | None:
    """Return a hash of the chat template, or None without `chat`; raises UsageError for a model without a template."""
    if not chat:
        return None
    if harness_model.tokenizer is None:
        return "the server's own"
    template = harness_model.tokenizer.chat_template
    if not template:
        raise UsageError(f"the tokenizer of `{model}` has no chat template", hint="leave `--chat` out")
    return sha256(str(template).encode()).hexdigest()[:16]


def _warn(task: ConfigurableTask, samples: list[records.Sample], console: Console, warned: set[str]) -> None:
    """Warn once of each task whose figures are doubtful, and tell why."""
    if task.task_name in warned:
        return
    warned.add(task.task_name)
    if count := records.leaked(task, samples):
        console.say(
            f"`{task.task_name}`: {count} of {len(samples)} items stand, with their answers, among their own shots; "
            f"a `fewshot_split` in the task file keeps them out"
        )


def versions() -> dict[str, str]:
    """Return the versions of the libraries on which figures depend."""
    from importlib.metadata import version

    return {name: version(name) for name in ("lm_eval", "transformers", "torch")}
