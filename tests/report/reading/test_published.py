"""The published results that come with `report`, and how they were made.

`python tests/report/reading/test_published.py FOLDER` makes them anew from a folder with

    eval/native/MODEL/results_*.json               results files of five models, as published
    arena/ebaluatoia_benchmark_correlation.json    the paper's figures on benchmarks and the arena, in percent to two
                                                   decimals: 18 models, 29 tasks

both from the repository hitz-zentroa/latxa-instruct. Where a model has results files, its figures are theirs, in full.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from latxa_cli.report.reading.files import ResultInput, expand
from latxa_cli.report.reading.shipped import PUBLISHED, benchmarks
from latxa_cli.stream.checks import checker
from latxa_cli.variants import grid

Record = dict[str, Any]
SOURCE = {"source": "https://github.com/hitz-zentroa/latxa-instruct"}
LICENCE = "MIT"
EXACT, ROUNDED = 0, 0.0001  # to which step values were rounded: percentages have two decimals
ASKED = ("chat", "num_fewshot", "format", "language", "filter", "n", "higher_is_better")
BACKBONES = {"Latxa-Llama-3.1-8B": "exp_1_000", "Llama-3.1-8B-Instruct": "exp_2_000"}


def native(folder: Path) -> Iterator[Record]:
    """Yield the results of the paper's benchmarks in published results files, without those of their parts."""
    for file in expand([str(folder / "eval/native")], lambda _: None):
        ((_, records),) = ResultInput(file).entries()
        for record in records:
            if record["task"] in benchmarks():
                variant = BACKBONES.get(record["model"], record["model"])
                place = f"{Path(file).parent.name}/{Path(file).name}"
                metadata = record["metadata"] | {"precision": EXACT, "file": place, "licence": LICENCE}
                yield record | ({"variant": variant} if variant in grid() else {}) | SOURCE | {"metadata": metadata}


def rounded(folder: Path, like: dict[str, Record]) -> Iterator[Record]:
    """Yield the results of the paper's figures; `like` holds a result of each task that was asked in the same way."""
    place = "arena/ebaluatoia_benchmark_correlation.json"
    codes = {variant.name: code for code, variant in grid().items()}
    for label, model in json.loads((folder / place).read_text())["models"].items():
        code = codes[re.sub(r"\\textsubscript\{\\,([A-Z+]+)\}", r"_\1", label).replace("\\,", " ")]
        for name, percent in model["tasks"].items():
            task = name.partition("/")[2]
            said = like[task]
            yield {
                "model": code, "variant": code, "task": task, "metric": said["metric"],
                "value": round(percent / 100, 6), "stderr": None,
                **{field: said[field] for field in ASKED if field in said},
                **SOURCE,
                "metadata": {"precision": ROUNDED, "file": Path(place).name, "licence": LICENCE},
            }  # fmt: skip


def published(folder: Path) -> list[Record]:
    """Return all records, variants first by their codes."""
    exact = list(native(folder))
    like = {
        record["task"]: record for record in exact
        if record.get("variant") == "exp_2_101" and (record["metric"], record.get("filter")) in (
            ("acc", "none"), ("exact_match", "flexible-extract"),
        )
    }  # fmt: skip
    known = {record.get("variant") for record in exact}
    records = exact + [record for record in rounded(folder, like) if record["variant"] not in known]
    return sorted(records, key=lambda record: (record.get("variant", "~"), record["model"], record["task"]))


def lines(records: list[Record]) -> str:
    return "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records)


def shipped() -> list[Record]:
    return [json.loads(line) for line in PUBLISHED.read_text(encoding="utf-8").splitlines()]


# --- tests


def test_they_are_what_is_made_of_the_sources(shared_reference):
    assert PUBLISHED.read_text(encoding="utf-8") == lines(published(shared_reference))


def test_they_are_result_records_with_source_and_precision():
    for record in shipped():
        checker("result")(record)
        assert record["source"].startswith("https://") and record["metadata"]["licence"] == LICENCE
        assert record["metadata"]["precision"] == (
            ROUNDED if record["stderr"] is None and record["metric"] != "bias" else 0
        )


def test_twenty_models_are_there_and_eighteen_have_all_benchmarks():
    tasks: dict[str, set[str]] = {}
    for record in shipped():
        tasks.setdefault(record["model"], set()).add(record["task"])
    paper = set(benchmarks()) - {"latxa_bbq"}
    assert len(tasks) == 20 and len(paper) == 29
    kept = {code for code, variant in grid().items() if variant.kept}
    assert {record["variant"] for record in shipped() if "variant" in record} == kept | {"exp_1_000"}
    assert {model for model in tasks if tasks[model] == paper} == set(tasks) - {"gpt-4o-2024-11-20"}
    assert "eus_exams_eu" not in tasks["gpt-4o-2024-11-20"], "there is no figure of the whole, and none is made up"


def test_the_two_sources_agree(shared_reference):
    """The models that both sources have: their figures are equal to a hundredth of a point."""
    exact = {(r.get("variant"), r["task"], r["metric"], r.get("filter")): r["value"] for r in native(shared_reference)}
    like = {record["task"]: record for record in shipped() if record["model"] == "exp_2_111"}
    both = 0
    for record in rounded(shared_reference, like):
        value = exact.get((record["variant"], record["task"], record["metric"], record.get("filter")))
        if value is not None:
            assert record["value"] == pytest.approx(value, abs=0.50001e-4)
            both += 1
    assert both == 3 * 29


if __name__ == "__main__":
    PUBLISHED.write_text(lines(published(Path(sys.argv[1]))), encoding="utf-8")
