"""Results files of lm-evaluation-harness (`results_2025-02-24T15-27-39.913145.json`), of any version, as our records.

- 0.3: `{"results": {"arc_easy": {"acc": 0.61, "acc_stderr": 0.01}}, "config": {…}}`
- 0.4: `{"results": {"arc_easy": {"acc,none": 0.61, "acc_stderr,none": "N/A"}}, "configs": {…}, "n-samples": {…}, …}`

A group without a figure of its own yields no record: none is made up from its parts.

What a file says of its tasks is most of it, and the same in many files: it stays bytes, and is read when it is new.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import lru_cache
from hashlib import sha256
from typing import NamedTuple

import orjson

from latxa_cli.report.reading.circumstances import ADDRESS, SPACE, circumstances
from latxa_cli.report.reading.shipped import benchmarks
from latxa_cli.report.reading.values import Parts, member, members, number, raw_members, text
from latxa_cli.stream.records import JsonObject, Record

# Entries beside the metrics of a task.
NO_METRICS = frozenset(("alias", "name", "samples", "sample_len", "sample_count", " "))
# The parts of a task's configuration that change its figures. Others only name the task or differ by version.
MATTERS = (
    "output_type", "dataset_path", "dataset_name", "training_split", "validation_split", "test_split", "process_docs",
    "doc_to_text", "doc_to_target", "doc_to_choice", "process_results", "description", "target_delimiter",
    "fewshot_delimiter", "fewshot_split", "fewshot_config", "gen_prefix", "metric_list", "generation_kwargs",
    "filter_list", "repeats",
)  # fmt: skip
LETTERS = [chr(place) for place in range(ord("A"), ord("Z") + 1)]
# The parts of a file that say something of its tasks, besides their results.
OF_TASKS = ("configs", "n-shot", "n-samples", "task_hashes", "versions", "higher_is_better", "group_subtasks")
FILES, KEPT = 32, 4096  # how many of these parts, and how many configurations of tasks, are remembered
NOTHING = b"null"


def is_results(document: Parts) -> bool:
    """Whether a document is the content of a results file."""
    return document.get("results", b"")[:1] == b"{" and any(
        key in document for key in ("config", "configs", "versions")
    )


def records(document: Parts, file: str) -> Iterator[Record]:
    """Yield one result record for each task, metric and filter of the results file `file`, values as they stand there.

    A metric that is not a number has the value NaN. Raises ValueError for a configuration that is nested too deep.
    """
    run = circumstances(document, file)
    model, common = run.record["model"], run.record
    shots = number(members(document.get("config", NOTHING)).get("num_fewshot"))  # 0.3
    tasks = _tasks(*(document.get(part, NOTHING) for part in OF_TASKS), _Run(run.unlike, run.chat, run.bare, shots))
    for task, figures in members(document["results"]).items():
        said: Record | None = None
        for key, value in figures.items() if type(figures) is dict else ():
            if key in NO_METRICS or ("_stderr" in key and key.partition(",")[0].endswith("_stderr")):
                continue
            metric, comma, name = key.partition(",")
            if said is None:
                about = tasks.about(task)
                said = {**common, **about.fields, "metadata": {**run.metadata, **about.data}}
                counts = member(figures, "sample_count")
                if "n" not in said and (count := number(figures.get("sample_len"))) is not None:
                    said["n"] = count
            stderr = figures.get(f"{metric}_stderr{comma}{name}")
            record = {
                "model": model, "task": task, "metric": metric,
                "value": value if value.__class__ is float else math.nan if number(value) is None else value,
                "stderr": stderr if stderr.__class__ in (float, int) else None,
                **said,
            }  # fmt: skip
            if comma:
                record["filter"] = name
            if counts and (count := number(counts.get(key))) is not None:
                record["n"] = count
            if about.better.get(metric).__class__ is bool:
                record["higher_is_better"] = about.better[metric]
            yield record


class _Task(NamedTuple):
    """What the records of a task say: fields, where its items come from, and which metrics are better when higher."""

    fields: Record
    data: Record
    better: JsonObject = {}  # noqa: RUF012  # never changed


class _Run(NamedTuple):
    """What a file says of all its tasks; the first three are those of `Circumstances`."""

    unlike: bytes
    chat: bool
    bare: bool | None
    shots: float | None


class _Tasks:
    """What the records of each task and group say of it, in all results files that have these parts in common."""

    def __init__(
        self, configs: bytes, shots: bytes, samples: bytes, hashes: bytes, versions: bytes, better: bytes,
        groups: bytes, run: _Run,
    ) -> None:  # fmt: skip
        self.run, self.configs, self.groups = run, raw_members(configs), _groups(members(groups))
        self.shots, self.samples, self.better = members(shots), members(samples), members(better)
        self.hashes, self.versions = members(hashes), members(versions)
        self.known: dict[str, _Task] = {}

    def about(self, task: str) -> _Task:
        if (found := self.known.get(task)) is None:
            leaves = self.groups.leaves.get(task)
            found = self._leaf(task) if leaves is None else self._group(task, leaves)
            found = self.known[task] = found._replace(better=member(self.better, task))
        return found

    def _leaf(self, leaf: str) -> _Task:
        return _task(
            leaf, bytes(self.configs.get(leaf, NOTHING)), number(self.shots.get(leaf, self.run.shots)),
            number(member(self.samples, leaf).get("effective")), str(self.versions.get(leaf)),
            str(self.hashes.get(leaf)), self.run, self.groups.languages.get(leaf, ""),
        )  # fmt: skip

    def _group(self, task: str, leaves: Sequence[str]) -> _Task:
        """Return what all tasks of a group have in common; their number of items is the sum."""
        inside = [self._leaf(leaf) for leaf in leaves]
        first = inside[0].fields
        fields = {name: first[name] for name in first if all(one.fields.get(name) == first[name] for one in inside)}
        fields["fingerprint"] = _short_hash("".join(one.fields["fingerprint"] for one in inside).encode())
        fields.pop("n", None)
        counts = [one.fields["n"] for one in inside if "n" in one.fields]
        if len(counts) == len(inside):
            fields["n"] = sum(counts)
        if any("target_delimiter" in one.fields for one in inside):
            fields.setdefault("target_delimiter", None)  # not the same in all
        if language := self.groups.languages.get(task):
            fields["language"] = language
        dataset = text(benchmarks().get(task, {}), "dataset") or text(inside[0].data, "dataset")
        return _Task(fields, {"dataset": dataset} if dataset else {})


_tasks = lru_cache(FILES)(_Tasks)


# --- groups ----------------------------------------------------------------------------------------------------------


class _Groups(NamedTuple):
    """The tasks of each group at any depth, and the language of the paper's benchmarks and of their parts."""

    leaves: dict[str, tuple[str, ...]]
    languages: dict[str, str]


def _groups(groups: JsonObject) -> _Groups:
    """Return the groups of a results file by its `group_subtasks`."""
    members = {
        group: [part for part in inside if type(part) is str]
        for group, inside in groups.items() if type(inside) is list and inside
    }  # fmt: skip
    languages = {name: text(known, "language") for name, known in benchmarks().items()}
    for name in benchmarks():
        for part in _below(name, members):
            languages.setdefault(part, languages[name])
    leaves = {group: [part for part in _below(group, members) if not members.get(part)] for group in members}
    return _Groups({group: tuple(parts) for group, parts in leaves.items() if parts}, languages)


def _below(group: str, members: dict[str, list[str]]) -> list[str]:
    """Return all parts of a group at any depth, each once; groups may hold each other."""
    found: dict[str, None] = {}
    waiting = [group]
    while waiting:
        inside = [part for part in members.get(waiting.pop(), ()) if part not in found and part != group]
        found |= dict.fromkeys(inside)
        waiting += reversed(inside)
    return list(found)


# --- one task --------------------------------------------------------------------------------------------------------


@lru_cache(KEPT)
def _task(
    leaf: str, config: bytes, shots: float | None, count: float | None, version: str, items: str, run: _Run,
    language: str,
) -> _Task:  # fmt: skip
    """Return what a task's configuration says, which many files share.

    Args:
        leaf: the task.
        config: its configuration, as JSON.
        shots, count: the numbers of examples in a prompt and of items.
        version, items: its version, and a hash of its items.
        run: what its file says of all tasks.
        language: its language, where the configuration does not say so.
    """
    read = orjson.loads(config)
    said: JsonObject = read if type(read) is dict else {}
    shots = number(said.get("num_fewshot")) if shots is None else shots
    delimiter = _delimiter(said, run.chat, run.bare)
    matters = {key: said[key] for key in MATTERS if said.get(key) not in (None, "", [], {}, False)}
    fields = {
        "num_fewshot": shots,
        "format": _format(said),
        "language": text(member(said, "metadata"), "language") or language or None,
        "n": count,
        "fingerprint": _hash([leaf, matters, shots, delimiter, count, version, items, run.unlike.decode()]),
    }
    fields = {name: value for name, value in fields.items() if value is not None}
    if delimiter != ("" if run.chat else SPACE):
        fields["target_delimiter"] = delimiter
    dataset = text(said, "dataset_path")
    data = {
        "dataset": dataset if "/" in dataset else text(benchmarks().get(leaf, {}), "dataset"),  # `json` loads files
        "subset": text(said, "dataset_name"),
        "split": text(said, "test_split", "validation_split"),
    }
    return _Task(fields, {name: value for name, value in data.items() if value})


def _format(config: JsonObject) -> str | None:
    """Return how choices were asked, where the configuration lists them; they may also be made by a template."""
    choices = config.get("doc_to_choice")
    if config.get("output_type") == "generate_until":
        return "generate" if choices else None
    if type(choices) is not list or config.get("output_type") != "multiple_choice":
        return None
    return "mcqa" if choices == LETTERS[: len(choices)] else "cloze"


def _delimiter(config: JsonObject, chat: bool, bare: bool | None) -> str | None:
    """Return what stood between a prompt and a choice; None where it cannot be known."""
    own = config.get("target_delimiter", SPACE)
    if type(own) is not str:
        return None
    if not chat:
        return own
    if config.get("output_type") != "multiple_choice" or own == "":
        return ""  # the model writes its answer after the template's own marks
    if bare is None:
        return None
    prefix = text(config, "gen_prefix")
    return "" if bare and (not prefix or prefix[-1].isspace()) else own


def _hash(content: object) -> str:
    """Return 16 hex digits of a JSON value, without addresses of functions; raises ValueError where it is too deep."""
    try:
        data = orjson.dumps(content, option=orjson.OPT_SORT_KEYS)
    except TypeError as error:
        raise ValueError(f"a task's configuration holds what JSON cannot ({error})") from None
    return _short_hash(ADDRESS.sub(b"", data) if b" at 0x" in data else data)


def _short_hash(data: bytes) -> str:
    return sha256(data).hexdigest()[:16]
