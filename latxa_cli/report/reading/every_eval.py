"""Results in the format of Every Eval Ever (https://evalevalai.com), schema 0.3, read and written.

An evaluation is one JSON object: who evaluated (`source_metadata`), which model (`model_info`), and a list of
`evaluation_results`, each with its data, metric and score. Such objects also come as lines of a file.

What the schema has no field for stands in its additional details, whose values are strings: a field of our records
under its own name, as JSON where it is no string. So records that are written and read again are the same.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime
from hashlib import sha256

import orjson

from latxa_cli.report.reading.shipped import benchmarks
from latxa_cli.report.reading.values import Parts, iso_date, member, number, text
from latxa_cli.stream.kinds import KINDS, SHARES
from latxa_cli.stream.records import JsonObject, Record

SCHEMA = "0.3.0"
HUB_NAME = re.compile(r"([\w.-]+/[\w.-]+)(?:@([\w./-]+))?")
# The registry's names of metrics, and ours.
OUR_METRICS = {"accuracy": "acc", "exact-match": "exact_match"}
THEIR_METRICS = {ours: theirs for theirs, ours in OUR_METRICS.items()}
KINDS_OF_METRICS = {"acc": "accuracy", "acc_norm": "accuracy", "exact_match": "accuracy", "win_rate": "win_rate"}
# Metrics of which less is better, where a record does not say so.
LESS_IS_BETTER = frozenset((
    "bits_per_byte", "brier_score", "byte_perplexity", "cer", "loss", "perplexity", "ter", "wer", "word_perplexity",
))  # fmt: skip
# Fields that say how items were asked, and those that have a place of their own in the schema.
ASKED = ("num_fewshot", "chat", "format", "target_delimiter", "filter", "language", "fingerprint")
PLACED = frozenset((
    "model", "path", "weights", "variant", "task", "metric", "value", "stderr", "n", "higher_is_better", "source",
    "metadata", *ASKED,
))  # fmt: skip
UNKNOWN = "unknown"
OURS = "latxa"  # the name of the source in evaluations that are written here
_TYPES = {field.name: field.type for field in KINDS["result"].fields}


def is_evaluation(document: Parts) -> bool:
    """Whether a document is an evaluation in this format, of any version."""
    return document.get("evaluation_results", b"")[:1] == b"[" and document.get("model_info", b"")[:1] == b"{"


# --- reading ---------------------------------------------------------------------------------------------------------


def records(parts: Parts, file: str) -> Iterator[Record]:
    """Yield one result record for each result of the evaluation in `file`, values as they stand there.

    A score that is not a number is NaN. Raises ValueError for a result that is no object, and for what is no JSON.
    """
    document: JsonObject = {name: orjson.loads(content) for name, content in parts.items()}
    model, library = member(document, "model_info"), member(document, "eval_library")
    details, who = member(model, "additional_details"), member(document, "source_metadata")
    about: Record = {
        "harness": " ".join(filter(None, (text(library, "name"), text(library, "version").replace(UNKNOWN, "")))),
        "organization": text(who, "source_organization_name"),
        "relationship": text(who, "evaluator_relationship"),
    }
    ours, revision = text(who, "source_name") == OURS, text(details, "revision")
    path = "" if ours else text(model, "id") + (f"@{revision}" if revision else "")
    common: Record = {"path": text(details, "path") or path}
    common |= {name: value for name in ("weights", "variant") if (value := text(details, name))}
    name = text(model, "name", "id").rstrip("/")
    for result in document["evaluation_results"]:
        if type(result) is not dict:
            raise ValueError("an entry of `evaluation_results` is no object")
        moment = _seconds(text(result, "evaluation_timestamp") or text(document, "evaluation_timestamp"))
        metadata = about | {"date": iso_date(moment), **_data_of(member(result, "source_data"))}
        yield {
            "model": name.rpartition("/")[2] or UNKNOWN,
            **_measured(result),
            **{field: value for field, value in common.items() if value},
            **_asked(result),
            **({} if ours else _told_otherwise(result)),
            "source": file,
            "metadata": {field: value for field, value in metadata.items() if value not in (None, "", UNKNOWN)},
        }


def _measured(result: JsonObject) -> Record:
    config, score = member(result, "metric_config"), member(result, "score_details")
    uncertainty = member(score, "uncertainty")
    value, stderr = number(score.get("score")), number(member(uncertainty, "standard_error").get("value"))
    told = text(config, "metric_id")
    described = text(config, "evaluation_description")
    metric = OUR_METRICS.get(told) or text(config, "metric_name") or told or (described if " " not in described else "")
    task, split = text(result, "evaluation_name") or UNKNOWN, text(result, "evaluation_result_id").partition(":")[2]
    measured: Record = {
        "task": task.removesuffix(f"/{split}") if split else task,
        "metric": metric or "score",
        "value": math.nan if value is None else value,
        "stderr": stderr,
    }
    if (count := number(uncertainty.get("num_samples"))) is not None:
        measured["n"] = count
    if type(config.get("lower_is_better")) is bool and member(config, "additional_details").get("polarity") != UNKNOWN:
        measured["higher_is_better"] = not config["lower_is_better"]
    if split and task != measured["task"]:  # as the converter of harness files writes the filter
        measured["filter"] = split
    return measured


def _asked(result: JsonObject) -> Record:
    """Return the fields of our records that stand in additional details."""
    asked = {**member(member(result, "generation_config"), "additional_details")}
    asked |= member(member(result, "score_details"), "details")
    found: Record = {}
    for name, value in asked.items():
        if type(value) is not str or name not in _TYPES or name in PLACED.difference(ASKED):
            continue
        if name == "target_delimiter" and value == UNKNOWN:
            found[name] = None
            continue
        decoded: object = value
        if str not in _TYPES[name].types:
            try:
                decoded = orjson.loads(value)
            except orjson.JSONDecodeError:
                continue
        if type(decoded) in _TYPES[name].types:
            found[name] = decoded
    return found


def _told_otherwise(result: JsonObject) -> Record:
    """Return what another tool's result does not say in words: `language`, and a `fingerprint` of how it was made."""
    unlike = [result.get(part) for part in ("evaluation_name", "source_data", "metric_config", "generation_config")]
    language = text(benchmarks().get(text(result, "evaluation_name"), {}), "language")
    return {"fingerprint": _hash(unlike)} | ({"language": language} if language else {})


def _data_of(source: JsonObject) -> Record:
    split = text(source, "hf_split")
    name = text(source, "hf_repo", "dataset_name")
    subset = text(member(source, "additional_details"), "subset")
    return {"dataset": name} | ({"subset": subset} if subset else {}) | ({"split": split} if split else {})


def _hash(content: object) -> str:
    try:
        return sha256(orjson.dumps(content, option=orjson.OPT_SORT_KEYS)).hexdigest()[:16]
    except TypeError as error:
        raise ValueError(f"a result holds what JSON cannot ({error})") from None


def _seconds(moment: str) -> float | None:
    """Return the seconds since 1970 of a timestamp, which is their number or a date; None for what is none."""
    try:
        return float(moment)
    except ValueError:
        pass
    try:
        found = datetime.fromisoformat(moment)
    except ValueError:
        return None
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()


# --- writing ---------------------------------------------------------------------------------------------------------


def evaluations(results: Iterable[Record], day: date, organization: str | None) -> Iterator[JsonObject]:
    """Yield an evaluation for each model and version of a harness among `results`, in order of first appearance.

    Args:
        results: with finite values.
        day: when the evaluations are written.
        organization: who evaluated; None where that is not known.
    """
    groups: dict[tuple[object, ...], list[Record]] = {}
    for record in results:
        metadata = record.get("metadata") or {}
        key = *(record.get(name) for name in ("model", "path", "weights")), metadata.get("harness"), _is_quoted(record)
        groups.setdefault(key, []).append(record)
    written = str(int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()))
    names: dict[str, int] = {}
    for group in groups.values():
        model = _model_info(group[0])
        name = f"{OURS}/{model['id']}/{written}"
        names[name] = names.get(name, 0) + 1
        yield {
            "schema_version": SCHEMA,
            "evaluation_id": name if names[name] == 1 else f"{name}/{names[name]}",
            "retrieved_timestamp": written,
            "source_metadata": _source_metadata(group[0], model, organization),
            "eval_library": _library(group[0]),
            "model_info": model,
            "evaluation_results": list(_results(group)),
        }


def _library(record: Record) -> JsonObject:
    harness = (record.get("metadata") or {}).get("harness")
    name, _, version = harness.partition(" ") if type(harness) is str else (OURS, "", "")
    return {"name": name, "version": version or UNKNOWN}


def _is_quoted(record: Record) -> bool:
    """Whether a record holds a published figure, and not one of a run."""
    return "precision" in (record.get("metadata") or {})


def _source_metadata(record: Record, model: JsonObject, organization: str | None) -> JsonObject:
    own = "first_party" if organization == model.get("developer") else "third_party"
    source = record.get("source") or ""
    return {
        "source_name": OURS,
        "source_type": "documentation" if _is_quoted(record) else "evaluation_run",
        "source_organization_name": organization or UNKNOWN,
        "evaluator_relationship": own if organization else "other",
    } | ({"source_organization_url": source} if source.startswith("https://") else {})


def _model_info(record: Record) -> JsonObject:
    path = str(record.get("path") or "")
    hub = HUB_NAME.fullmatch(path)
    details = {"deployment_type": UNKNOWN, "model_availability": UNKNOWN}
    details |= {name: str(record[name]) for name in ("path", "weights", "variant") if record.get(name)}
    info: JsonObject = {"name": record["model"], "id": hub[1] if hub else record["model"]}
    if hub:
        info["developer"] = hub[1].partition("/")[0]
        details |= {"revision": hub[2]} if hub[2] else {}
    return info | {"additional_details": details}


def _results(group: Iterable[Record]) -> Iterator[JsonObject]:
    names: dict[str, int] = {}
    for record in group:
        metadata = record.get("metadata") or {}
        name = f"{record['task']}/{record['metric']}:{record.get('filter') or 'none'}"
        names[name] = names.get(name, 0) + 1
        moment = _seconds(str(metadata.get("date", "")))
        yield {
            "evaluation_result_id": name if names[name] == 1 else f"{name}#{names[name]}",
            "evaluation_name": record["task"],
            "source_data": _source_data(record["task"], metadata),
            **({"evaluation_timestamp": str(int(moment))} if moment is not None and math.isfinite(moment) else {}),
            "metric_config": _metric_config(record),
            "score_details": _score_details(record),
            "generation_config": {"additional_details": _details(record, [name for name in ASKED if name in record])},
        }


def _source_data(task: str, metadata: Record) -> JsonObject:
    known = benchmarks().get(task, {})
    dataset = metadata.get("dataset") or known.get("dataset")
    if type(dataset) is not str or "/" not in dataset:
        return {"dataset_name": task, "source_type": "other"}
    data: JsonObject = {"dataset_name": task, "source_type": "hf_dataset", "hf_repo": dataset}
    if type(split := metadata.get("split")) is str:
        data["hf_split"] = split
    subset = metadata.get("subset") or known.get("subset")
    return data | ({"additional_details": {"subset": subset}} if type(subset) is str else {})


def _metric_config(record: Record) -> JsonObject:
    metric, higher = record["metric"], record.get("higher_is_better")
    less = metric in LESS_IS_BETTER if higher is None else not higher
    config: JsonObject = {
        "metric_id": THEIR_METRICS.get(metric, f"lm-evaluation-harness.{metric}"),
        "metric_name": metric,
        "lower_is_better": less,
    }
    if metric in SHARES:
        config |= {"metric_kind": KINDS_OF_METRICS[metric], "metric_unit": "proportion"}
        config |= {"score_type": "continuous", "min_score": 0.0, "max_score": 1.0}
    if higher is None and metric not in LESS_IS_BETTER:
        config["additional_details"] = {"polarity": UNKNOWN}  # the field is required, whether or not it is known
    return config


def _score_details(record: Record) -> JsonObject:
    stderr, count = number(record.get("stderr")), number(record.get("n"))
    uncertainty: JsonObject = {}
    if stderr is not None and math.isfinite(stderr):
        uncertainty["standard_error"] = {"value": stderr}
    if count is not None and count == int(count):
        uncertainty["num_samples"] = int(count)
    details = _details(record, [name for name in record if name not in PLACED and record[name] is not None])
    return (
        {"score": record["value"]}
        | ({"uncertainty": uncertainty} if uncertainty else {})
        | ({"details": details} if details else {})
    )


def _details(record: Record, names: Iterable[str]) -> JsonObject:
    """Return fields of a record as additional details, whose values are strings."""
    return {
        name: value if type(value) is str else UNKNOWN if value is None else orjson.dumps(value).decode()
        for name in names
        if (value := record[name]) is not None or name == "target_delimiter"
    }
