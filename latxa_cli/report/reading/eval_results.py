"""Results for a model's page on the Hugging Face hub: a file `.eval_results/NAME.yaml` of the model's repository.

A file is a list of entries {`dataset`: {`id`, `task_id`}, `value`, `date`, `source`, `notes`}, as the documentation of
the hub has them (https://huggingface.co/docs/hub/eval-results). The hub shows those whose dataset is a benchmark there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from latxa_cli.report.reading.shipped import benchmarks
from latxa_cli.stream.errors import UsageError
from latxa_cli.stream.records import JsonObject, Record, Reject


def entry(record: Record) -> JsonObject | None:
    """Return the entry of a result; None where no dataset of the hub is known for its task.

    `task_id` is the task's name, and `value` the value as it was measured.
    """
    metadata = record.get("metadata") or {}
    dataset = metadata.get("dataset") or benchmarks().get(record["task"], {}).get("dataset")
    if type(dataset) is not str or dataset.count("/") != 1:
        return None
    found: JsonObject = {"dataset": {"id": dataset, "task_id": record["task"]}, "value": record["value"]}
    if type(metadata.get("date")) is str:
        found["date"] = metadata["date"]
    source = record.get("source") or ""
    if source.startswith("https://"):
        found["source"] = {"url": source}
    return found | {"notes": _notes(record)}


def _notes(record: Record) -> str:
    """Return how a value was measured, in words: `acc, 5-shot, chat template`."""
    chat, shots, name = record.get("chat"), record.get("num_fewshot"), record.get("filter")
    words = [
        record["metric"],
        name if name not in (None, "", "none") else "",
        f"{shots}-shot" if shots is not None else "",
        record.get("format") or "",
        "" if chat is None else "chat template" if chat else "plain prompt",
    ]
    return ", ".join(filter(None, words))


def entries(results: Iterable[Record]) -> Iterator[JsonObject | Reject]:
    """Yield the entry of each result, and a Reject for one whose dataset is not known.

    Raises UsageError for results of several models, since a file is of one.
    """
    model: tuple[object, ...] | None = None
    for record in results:
        identity = record["model"], record.get("path"), record.get("weights")
        model = model or identity
        if identity != model:
            raise UsageError(
                f"`--format eval-results` is for one model, and there are `{model[0]}` and `{identity[0]}`",
                hint="name the files of one model",
            )
        yield entry(record) or Reject(record, "unknown dataset", "which dataset of the hub is the task's?")


def as_yaml(entries: list[JsonObject]) -> str:
    """Return entries as the text of a file."""
    import yaml

    return str(yaml.safe_dump(entries, sort_keys=False, allow_unicode=True))
