"""Results files of lm-evaluation-harness (`results_2025-02-24T15-27-39.913145.json`), of any version, as our records.

- 0.3: `{"results": {"arc_easy": {"acc": 0.61, "acc_stderr": 0.01}}, "config": {…}}`
- 0.4: `{"results": {"arc_easy": {"acc,none": 0.61, "acc_stderr,none": "N/A"}}, "configs": {…}, "n-samples": {…}, …}`

A group without a figure of its own yields no record: none is made up from its parts.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from hashlib import sha256

import orjson

from latxa_cli.report.reading.circumstances import ADDRESS, SPACE, Circumstances, circumstances
from latxa_cli.report.reading.shipped import benchmarks
from latxa_cli.report.reading.values import member, number, text
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


def is_results(document: object) -> bool:
    """Whether a JSON value is the content of a results file."""
    if type(document) is not dict or type(document.get("results")) is not dict:
        return False
    return any(key in document for key in ("config", "configs", "versions"))


def records(document: JsonObject, file: str) -> Iterator[Record]:
    """Yield one result record for each task, metric and filter of the results file `file`, values as they stand there.

    A metric that is not a number has the value NaN.
    """
    run = circumstances(document, file)
    tasks = _Tasks(document, run)
    for task in document["results"]:
        figures = member(document["results"], task)
        said: Record | None = None
        for key, value in figures.items():
            metric, _, name = key.partition(",")
            if key in NO_METRICS or metric.endswith("_stderr"):
                continue
            if said is None:
                said = tasks.of(task)
            stderr = number(figures.get(f"{metric}_stderr,{name}" if name else f"{metric}_stderr"))
            value = number(value)
            record = {
                "model": run.record["model"],
                "task": task,
                "metric": metric,
                "value": math.nan if value is None else value,
                "stderr": stderr if stderr is not None and math.isfinite(stderr) else None,
                **said,
            }
            if name:
                record["filter"] = name
            count = tasks.count(task, key)
            if count is not None:
                record["n"] = count
            better = tasks.higher(task, metric)
            if better is not None:
                record["higher_is_better"] = better
            yield record


class _Tasks:
    """The tasks and groups of one results file: what its records say of each."""

    def __init__(self, document: JsonObject, run: Circumstances) -> None:
        self.run, self.results = run, document["results"]
        self.configs, self.shots = member(document, "configs"), member(document, "n-shot")
        self.samples, self.versions = member(document, "n-samples"), member(document, "versions")
        self.hashes, self.better = member(document, "task_hashes"), member(document, "higher_is_better")
        self.groups = member(document, "group_subtasks")
        self.shots_of_all = number(member(document, "config").get("num_fewshot"))  # 0.3
        self.known = benchmarks()
        self.parents = {
            leaf: group for group, leaves in self.groups.items() if type(leaves) is list
            for leaf in leaves if type(leaf) is str
        }  # fmt: skip
        self.fingerprints: dict[str, str] = {}

    def of(self, task: str) -> Record:
        """Return the fields of a task's records beside those of its metrics."""
        leaves = self.leaves(task)
        said: Record = dict(self.run.record)
        for name, find in (("num_fewshot", self._shots), ("format", self._format), ("language", self._language)):
            if (value := self._common(leaves, find)) is not None:
                said[name] = value
        delimiters = {self._delimiter(leaf) for leaf in leaves}
        usual = "" if self.run.chat else SPACE
        if delimiters != {usual}:
            said["target_delimiter"] = delimiters.pop() if len(delimiters) == 1 else None
        said["fingerprint"] = self.fingerprint(leaves)
        said["metadata"] = self.run.metadata | self._data(task, leaves)
        return said

    def _data(self, task: str, leaves: list[str]) -> Record:
        """Return where the items of a task come from: `dataset`, and of one task `subset` and `split`."""
        config, known = member(self.configs, leaves[0]), self.known.get(task, {})
        dataset = text(config, "dataset_path")
        data = {
            "dataset": dataset if "/" in dataset else text(known, "dataset"),  # `json` is a loader of files
            "subset": text(config, "dataset_name") if len(leaves) == 1 else "",
            "split": text(config, "test_split", "validation_split") if len(leaves) == 1 else "",
        }
        return {name: value for name, value in data.items() if value}

    def leaves(self, task: str) -> list[str]:
        """Return the tasks of a group at any depth, or a task itself."""
        found: dict[str, None] = {}
        waiting, seen = [task], {task}
        while waiting:
            name = waiting.pop()
            members = self.groups.get(name)
            inside = [part for part in members if type(part) is str] if type(members) is list else []
            if not inside:
                found[name] = None
            waiting.extend(part for part in reversed(inside) if part not in seen)
            seen.update(inside)
        return list(found) or [task]  # groups that hold each other have no tasks

    def count(self, task: str, key: str) -> float | None:
        """Return the number of items of a figure: of a group, that of its tasks together."""
        figures = member(self.results, task)
        own = number(member(figures, "sample_count").get(key))
        if own is None:
            counts = [number(member(self.samples, leaf).get("effective")) for leaf in self.leaves(task)]
            known = [count for count in counts if count is not None]
            own = sum(known) if known and len(known) == len(counts) else number(figures.get("sample_len"))
        return own

    def higher(self, task: str, metric: str) -> bool | None:
        better = member(self.better, task).get(metric)
        return better if type(better) is bool else None

    def fingerprint(self, leaves: list[str]) -> str:
        """Return 16 hex digits of all that changes the figures of these tasks, besides the model."""
        if len(leaves) > 1:
            return sha256("".join(self.fingerprint([leaf]) for leaf in leaves).encode()).hexdigest()[:16]
        leaf = leaves[0]
        if leaf not in self.fingerprints:
            config = member(self.configs, leaf)
            matters = {key: config[key] for key in MATTERS if config.get(key) not in (None, "", [], {}, False)}
            self.fingerprints[leaf] = _hash([
                leaf, matters, self._shots(leaf), self._delimiter(leaf), self.versions.get(leaf),
                self.hashes.get(leaf), member(self.samples, leaf).get("effective"), self.run.unlike,
            ])  # fmt: skip
        return self.fingerprints[leaf]

    # --- what one task tells

    def _common(self, leaves: list[str], find: Callable[[str], object]) -> object:
        """Return what all these tasks have in common; None where they differ."""
        first = find(leaves[0])
        return first if all(find(leaf) == first for leaf in leaves[1:]) else None

    def _shots(self, leaf: str) -> float | None:
        for value in (self.shots.get(leaf), member(self.configs, leaf).get("num_fewshot"), self.shots_of_all):
            if (shots := number(value)) is not None:
                return shots
        return None

    def _format(self, leaf: str) -> str | None:
        """Return how choices were asked, where the configuration lists them; they may also be made by a template."""
        config = member(self.configs, leaf)
        choices = config.get("doc_to_choice")
        if config.get("output_type") == "generate_until":
            return "generate" if choices else None
        if type(choices) is not list or config.get("output_type") != "multiple_choice":
            return None
        return "mcqa" if choices == LETTERS[: len(choices)] else "cloze"

    def _language(self, leaf: str) -> str | None:
        name: str | None = leaf
        own = text(member(member(self.configs, leaf), "metadata"), "language")
        for _ in range(len(self.parents) + 1):
            if own or name is None:
                break
            own = text(self.known.get(name, {}), "language")
            name = self.parents.get(name)
        return own or None

    def _delimiter(self, leaf: str) -> str | None:
        """Return what stood between a prompt and a choice; None where it cannot be known."""
        config = member(self.configs, leaf)
        own = config.get("target_delimiter", SPACE)
        if type(own) is not str:
            return None
        if not self.run.chat:
            return own
        if config.get("output_type") != "multiple_choice" or own == "":
            return ""  # the model writes its answer after the template's own marks
        if self.run.bare is None:
            return None
        prefix = text(config, "gen_prefix")
        return "" if self.run.bare and (not prefix or prefix[-1].isspace()) else own


def _hash(content: object) -> str:
    """Return 16 hex digits of a JSON value, without addresses of functions; raises ValueError where it is too deep."""
    try:
        data = orjson.dumps(content, option=orjson.OPT_SORT_KEYS)
    except TypeError as error:
        raise ValueError(f"a task's configuration holds what JSON cannot ({error})") from None
    return sha256(ADDRESS.sub(b"", data) if b" at 0x" in data else data).hexdigest()[:16]
