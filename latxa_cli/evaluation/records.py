"""What a finished evaluation says, as records: results, answers, the fingerprint that tells like from unlike runs."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from hashlib import sha256
from typing import Any

import orjson

from latxa_cli.stream.errors import LatxaError
from latxa_cli.stream.records import Record

# Metrics that say of one item whether it was answered correctly.
RIGHT_OR_WRONG = ("acc", "exact_match", "em")


def results(model: str, report: dict[str, Any], fingerprints: dict[str, str]) -> Iterator[Record]:
    """Yield one result record for each task, metric and filter of the harness's report.

    Raises LatxaError when a metric is not a number.
    """
    for task, figures in report["results"].items():
        for key, value in figures.items():
            metric, comma, name = key.partition(",")
            if not comma or metric.endswith("_stderr") or not isinstance(value, (int, float)):
                continue
            if math.isnan(value):
                raise LatxaError(
                    f"`{task}`, `{model}`: the metric `{metric}` is not a number (NaN)",
                    hint="does the task's data hold both right and wrong answers, and the model finite weights?",
                )
            stderr = figures.get(f"{metric}_stderr,{name}")
            yield {
                "model": model,
                "task": task,
                "metric": metric,
                "value": float(value),
                "stderr": float(stderr) if isinstance(stderr, (int, float)) and math.isfinite(stderr) else None,
                "n": figures.get("sample_count", {}).get(key, figures.get("sample_len", 0)),
                "filter": name,
                "num_fewshot": report["n-shot"].get(task),
                **_language(task, report),
                "fingerprint": fingerprints[task],
            }


def _language(task: str, report: dict[str, Any]) -> Record:
    """Return {`language`} where the task's file, or all those of a group, name one under `metadata`."""
    found = {(report["configs"][leaf].get("metadata") or {}).get("language") for leaf in leaves(task, report)}
    return {"language": found.pop()} if len(found) == 1 and found != {None} else {}


def leaves(task: str, report: dict[str, Any]) -> Iterator[str]:
    """Yield the tasks that a task or group of the report consists of, in order."""
    if task in report["configs"]:
        yield task
    for member in report["group_subtasks"].get(task, []):
        yield from leaves(member, report)


def answers(model: str, task: Any, samples: Iterable[dict[str, Any]]) -> Iterator[Record]:
    """Yield one answer record for each item and filter.

    `id` is the item's own, or the first 16 hex digits of the SHA-256 of its content; `answer` and `target` are places
    in `choices` for multiple choice, text for generation.
    """
    seen: dict[tuple[str, str], int] = {}
    for sample in samples:
        own = sample["doc"].get("id") if isinstance(sample["doc"], dict) else None
        name = str(own) if own not in (None, "") else sample["doc_hash"][:16]
        count = seen[name, sample["filter"]] = seen.get((name, sample["filter"]), 0) + 1
        yield {
            "id": name if count == 1 else f"{name}-{count}",
            "task": task.task_name,
            "model": model,
            **_score(sample),
            "filter": sample["filter"],
            **_said(task, sample),
        }


def _score(sample: dict[str, Any]) -> Record:
    """Return `correct` where a metric of the item says right or wrong, else `value`; and all its plain metrics."""
    metrics = {name: sample[name] for name in sample["metrics"] if isinstance(sample[name], (int, float))}
    for name in RIGHT_OR_WRONG:
        if metrics.get(name) in (0, 1):
            return {"correct": metrics[name] == 1, "metrics": metrics}
    if metrics:
        return {"value": next(iter(metrics.values())), "metrics": metrics}
    first = sample[sample["metrics"][0]] if sample["metrics"] else None  # perplexities: (log-likelihood, length)
    return {"value": first[0] if isinstance(first, (tuple, list)) and first else None}


def _said(task: Any, sample: dict[str, Any]) -> Record:
    prompt = sample["arguments"][0][0]
    if task.OUTPUT_TYPE != "multiple_choice":
        response = sample["filtered_resps"][0]
        answer = list(response) if isinstance(response, tuple) else response
        return {"prompt": prompt, "answer": answer, "target": sample["target"]}
    choices = task.doc_to_choice(sample["doc"])
    # Beyond the choices lie the requests of the mutual-information metric.
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


def check_finite(model: str, samples: Iterable[dict[str, Any]]) -> None:
    """Raise LatxaError when a log-likelihood is NaN: the first choice would seem to win."""
    for sample in samples:
        for responses in sample["resps"]:
            for response in responses:
                if isinstance(response, tuple) and math.isnan(response[0]):
                    raise LatxaError(
                        f"`{model}` gives log-likelihoods that are not numbers (NaN)",
                        hint="its weights are damaged, or overflow in this number type",
                    )


def without_target(task: Any, samples: Iterable[dict[str, Any]]) -> int:
    """Return how many multiple-choice items name a right answer that is none of the choices: nothing can be right."""
    if task.OUTPUT_TYPE != "multiple_choice" or task.multiple_input or task.config.process_results is not None:
        return 0
    return sum(not _has_target(sample["target"], task.doc_to_choice(sample["doc"])) for sample in samples)


def _has_target(target: Any, choices: Any) -> bool:
    targets = target if isinstance(target, list) else [target]
    return isinstance(choices, list) and any(
        0 <= one < len(choices) if isinstance(one, int) else one in choices for one in targets
    )


def leaked(task: Any, samples: Iterable[dict[str, Any]]) -> int:
    """Return how many items are found, with their answer, among the shots of their own prompt.

    The harness (0.4.10 to 0.4.13) does not exclude an item from its shots where only a test split exists and
    `fewshot_split` is not set.
    """
    if not task.get_config("num_fewshot") or not hasattr(task, "build_qa_turn") or task.multiple_input:
        return 0
    return sum(_is_shown(task, sample) for sample in samples)


def _is_shown(task: Any, sample: dict[str, Any]) -> bool:
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


def fingerprint(task: Any, samples: Iterable[dict[str, Any]], circumstances: dict[str, Any]) -> str:
    """Return 16 hex digits that are equal only for runs whose figures can be compared.

    Hashed are the task's configuration (prompt, delimiters, shots, metrics, filters), its items, and the
    `circumstances`: seed, versions, chat template. Where the data lie is left out.
    """
    configuration = task.dump_config()
    for place in ("dataset_kwargs", "metadata"):
        configuration.pop(place, None)
    items = sha256("".join(sample["doc_hash"] for sample in samples).encode()).hexdigest()
    content = orjson.dumps(
        [configuration, items, circumstances], default=_source, option=orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS
    )
    return sha256(content).hexdigest()[:16]


def joint_fingerprint(parts: Iterable[str]) -> str:
    """Return the fingerprint of a group from those of its tasks."""
    return sha256("".join(parts).encode()).hexdigest()[:16]


def _source(value: Any) -> str:
    """A function stands for itself by its text: its default rendering holds an address that changes with each run."""
    from inspect import getsource

    if isinstance(value, Callable):  # type: ignore[arg-type]
        try:
            return getsource(value)
        except (TypeError, OSError):
            return getattr(value, "__qualname__", type(value).__qualname__)
    return repr(value)
