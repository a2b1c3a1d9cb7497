"""The records of a finished evaluation: results, answers, and fingerprints that tell comparable runs from others."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from hashlib import sha256
from typing import TYPE_CHECKING

import orjson

from latxa_cli.evaluation.asking.letters import NO_LETTER
from latxa_cli.evaluation.seeds import SEED
from latxa_cli.stream.errors import LatxaError
from latxa_cli.stream.records import JsonObject, Record

if TYPE_CHECKING:
    from lm_eval.api.task import ConfigurableTask

Sample = JsonObject  # the harness's record of one item: document, requests, responses, metrics

# Metrics whose value for one item says whether its answer is correct.
RIGHT_OR_WRONG = ("acc", "exact_match", "em")


def results(
    model: Record, report: JsonObject, fingerprints: dict[str, str], asked: Mapping[str, Record]
) -> Iterator[Record]:
    """Yield one result record for each task, metric and filter of the harness's report.

    Args:
        model: what all records say: `model`, its name, `path`, `weights`, `chat`, and how the run is not the usual one.
        report: the harness's.
        fingerprints: by task and group.
        asked: what the records of each task say of its prompts; those of a group say what all in it have in common.

    Raises:
        LatxaError: a metric is not a number.
    """
    for task, figures in report["results"].items():
        for key, value in figures.items():
            metric, comma, name = key.partition(",")
            if not comma or metric.endswith("_stderr") or not isinstance(value, (int, float)):
                continue
            if math.isnan(value):
                raise LatxaError(
                    f"`{task}`, `{model['model']}`: the metric `{metric}` is not a number (NaN)",
                    hint="does the task's data hold both right and wrong answers, and the model finite weights?",
                )
            stderr = figures.get(f"{metric}_stderr,{name}")
            yield {
                "model": model["model"],
                "task": task,
                "metric": metric,
                "value": float(value),
                "stderr": float(stderr) if isinstance(stderr, (int, float)) and math.isfinite(stderr) else None,
                "n": figures.get("sample_count", {}).get(key, figures.get("sample_len", 0)),
                "filter": name,
                "num_fewshot": report["n-shot"].get(task),
                **_language(task, report),
                **_common([asked.get(leaf, {}) for leaf in leaves(task, report)]),
                **{name: value for name, value in model.items() if name != "model" and value is not None},
                "fingerprint": fingerprints[task],
            }


def _language(task: str, report: JsonObject) -> Record:
    """Return {`language`} where the task's file, or every file of a group, names the same one under `metadata`."""
    languages = {(report["configs"][leaf].get("metadata") or {}).get("language") for leaf in leaves(task, report)}
    return {"language": languages.pop()} if len(languages) == 1 and languages != {None} else {}


def _common(said: Sequence[Record]) -> Record:
    return {key: value for key, value in said[0].items() if all(one.get(key) == value for one in said)} if said else {}


def beside_answers(
    model: Record,
    report: JsonObject,
    asked: Mapping[str, Record],
    aggregation: Callable[[str], Sequence[JsonObject]],
) -> dict[str, Record]:
    """Return by task what its answers say of who was asked and how, and of the group whose figure they are part of.

    Args:
        model: as for `results`.
        report: the harness's.
        asked: by task what its records say of its prompts.
        aggregation: gives, for a group, how it makes one figure of those of its tasks.
    """
    own = {name: value for name, value in model.items() if name in ("path", "weights", "chat") and value is not None}
    return {
        task: {
            **own,
            "num_fewshot": report["n-shot"].get(task),
            **asked.get(task, {}),
            **_language(task, report),
            **_group(task, report, aggregation),
        }
        for task in report["configs"]
    }


def _group(task: str, report: JsonObject, aggregation: Callable[[str], Sequence[JsonObject]]) -> Record:
    """Return {`group`, `group_mean`} of the largest group with a figure that a task is in, if there is one."""
    groups = {name: set(leaves(name, report)) for name in report["group_subtasks"] if aggregation(name)}
    around = {name: members for name, members in groups.items() if task in members and members != {task}}
    if not around:
        return {}
    group = max(around, key=lambda name: len(around[name]))
    by_size = all(metric.get("weight_by_size", True) for metric in aggregation(group))
    return {"group": group, "group_mean": "items" if by_size else "tasks"}


def leaves(task: str, report: JsonObject) -> Iterator[str]:
    """Yield the tasks of a task or group in the report, in order; a task yields itself."""
    if task in report["configs"]:
        yield task
    for member in report["group_subtasks"].get(task, []):
        yield from leaves(member, report)


def answers(model: str, task: ConfigurableTask, samples: Iterable[Sample]) -> Iterator[Record]:
    """Yield one answer record for each item and filter.

    - `id`: the item's own, or the first 16 hex digits of the SHA-256 of its content.
    - `answer` and `target`: places in `choices` for multiple choice, texts for generation; null where a filter found
      no answer in the text, which is `response`.
    """
    seen: dict[tuple[str, str, int | None], int] = {}
    for sample in samples:
        own = sample["doc"].get("id") if isinstance(sample["doc"], dict) else None
        name = str(own) if own not in (None, "") else sample["doc_hash"][:16]
        seed = sample.get(SEED)
        count = seen[name, sample["filter"], seed] = seen.get((name, sample["filter"], seed), 0) + 1
        yield {
            "id": name if count == 1 else f"{name}-{count}",
            "task": task.task_name,
            "model": model,
            **_score(sample),
            "filter": sample["filter"],
            **({SEED: seed} if seed is not None else {}),
            **_prompt_and_answer(task, sample),
        }


def _score(sample: Sample) -> Record:
    """Return `correct` where a metric says right or wrong, else `value`; and `metrics`, all that are numbers."""
    metrics = {name: sample[name] for name in sample["metrics"] if isinstance(sample[name], (int, float))}
    for name in RIGHT_OR_WRONG:
        if metrics.get(name) in (0, 1):
            return {"correct": metrics[name] == 1, "metrics": metrics}
    if metrics:
        return {"value": next(iter(metrics.values())), "metrics": metrics}
    first = sample[sample["metrics"][0]] if sample["metrics"] else None  # perplexities: (log-likelihood, length)
    return {"value": first[0] if isinstance(first, (tuple, list)) and first else None}


def _prompt_and_answer(task: ConfigurableTask, sample: Sample) -> Record:
    prompt = sample["arguments"][0][0]
    if task.OUTPUT_TYPE != "multiple_choice":
        response, whole = sample["filtered_resps"][0], sample["resps"][0][0]
        answer = list(response) if isinstance(response, tuple) else None if response == NO_LETTER else response
        text = {"response": whole} if isinstance(whole, str) and whole != answer else {}
        return {"prompt": prompt, "answer": answer, **text, "target": sample["target"]}
    choices = task.doc_to_choice(sample["doc"])
    # The requests after those of the choices belong to the mutual-information metric.
    likelihoods = [float(responses[0][0]) for responses in sample["resps"][: len(choices)]]
    answer = max(range(len(likelihoods)), key=likelihoods.__getitem__)
    return {
        "prompt": prompt,
        "choices": choices,
        "loglikelihoods": likelihoods,
        "answer": answer,
        "target": sample["target"],
    }


# --- checks


def check_finite(model: str, samples: Iterable[Sample]) -> None:
    """Raise LatxaError for a log-likelihood that is NaN, with which the first choice would seem to win."""
    for sample in samples:
        for responses in sample["resps"]:
            for response in responses:
                if isinstance(response, tuple) and math.isnan(response[0]):
                    raise LatxaError(
                        f"`{model}` gives log-likelihoods that are not numbers (NaN)",
                        hint="its weights are damaged, or overflow in this number type",
                    )


def leaked(task: ConfigurableTask, samples: Iterable[Sample]) -> int:
    """Return the number of items that stand, with their answer, among the shots of their own prompt.

    The harness (0.4.10 to 0.4.13) does not exclude an item from its shots where only a test split exists and
    `fewshot_split` is not set.
    """
    if not task.get_config("num_fewshot") or not hasattr(task, "build_qa_turn") or task.multiple_input:
        return 0
    return sum(_is_shown(task, sample) for sample in samples)


def _is_shown(task: ConfigurableTask, sample: Sample) -> bool:
    doc, prompt, style = sample["doc"], sample["arguments"][0][0], task.fewshot_cfg
    question = task.doc_to_text(doc, style.doc_to_text)
    target = task.doc_to_target(doc, style.doc_to_target)
    turns = task.build_qa_turn(
        q=question,
        c=task.doc_to_choice(doc, style.doc_to_choice) if style.doc_to_choice else None,
        a=target,
        gen_prefix=task.resolve_field(doc, style.gen_prefix),
        tgt_delim=style.target_delimiter,
        few_delim=style.fewshot_delimiter,
    )
    if "".join(turn.to_text() for turn in turns) in prompt:
        return True
    # A chat template sets its own marks between the turns, and may trim them: look for the question a second time.
    return bool(question.strip()) and prompt.count(question.strip()) > 1


# --- fingerprints


def fingerprint(task: ConfigurableTask, samples: Iterable[Sample], circumstances: Record) -> str:
    """Return 16 hex digits that are equal only for runs whose figures can be compared.

    - Hashed: the task's configuration (prompt, delimiters, shots, metrics, filters), its items with their prompts as
      sent (shots and template included) and their answers, and the `circumstances` (seed, versions, chat template).
    - Left out: the place of the data, which differs from machine to machine.
    """
    configuration = task.dump_config()
    for place in ("dataset_kwargs", "metadata"):
        configuration.pop(place, None)
    hashes = (sample[name] for sample in samples for name in ("doc_hash", "prompt_hash", "target_hash"))
    items = sha256("".join(hashes).encode()).hexdigest()
    content = orjson.dumps(
        [configuration, items, circumstances], default=_source, option=orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS
    )
    return sha256(content).hexdigest()[:16]


def group_fingerprint(members: Sequence[str], aggregation: object) -> str:
    """Return the fingerprint of a group from those of its members, and from how their metrics become one."""
    content = orjson.dumps([members, aggregation], default=_source, option=orjson.OPT_SORT_KEYS)
    return sha256(content).hexdigest()[:16]


def _source(value: object) -> str:
    """Return the source of a function, whose `repr` holds an address that changes with each run; else the `repr`."""
    from inspect import getsource

    if callable(value):
        try:
            return getsource(value)
        except (TypeError, OSError):
            return getattr(value, "__qualname__", type(value).__qualname__)
    return repr(value)
