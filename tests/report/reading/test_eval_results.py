"""`latxa report --format eval-results`: results for a model's page on the hub, as the hub's own library reads them."""

import json

import pytest
import yaml
from huggingface_hub import parse_eval_result_entries

RESULT = {
    "model": "m", "task": "arc_eu_easy", "metric": "acc", "value": 0.612345678901, "stderr": 0.01, "n": 2376,
    "num_fewshot": 5, "filter": "none", "chat": True,
}  # fmt: skip
FLEXIBLE = RESULT | {"task": "mgsm_native_cot_eu", "metric": "exact_match", "filter": "flexible-extract", "value": 0.5}


@pytest.fixture
def write(latxa, tmp_path):
    def write(*records):
        (tmp_path / "results.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
        return latxa("report", "results.jsonl", "--format", "eval-results", cwd=tmp_path)

    return write


def test_the_hub_reads_what_is_written(write):
    told = {"date": "2025-02-24T14:22:44+00:00", "dataset": "org/data"}
    done = write(RESULT, FLEXIBLE, RESULT | {"task": "own", "metadata": told, "source": "https://hitz.eus/m"})
    assert done.returncode == 0, done.stderr
    first, second, third = parse_eval_result_entries(yaml.safe_load(done.stdout))
    assert (first.dataset_id, first.task_id, first.value) == ("HiTZ/ARC-eu", "arc_eu_easy", 0.612345678901)
    assert first.notes == "acc, 5-shot, chat template" and first.date is None
    assert second.notes == "exact_match, flexible-extract, 5-shot, chat template"
    assert (third.dataset_id, third.date, third.source_url) == ("org/data", told["date"], "https://hitz.eus/m")


def test_results_without_a_dataset_are_counted(write):
    done = write(RESULT, RESULT | {"task": "own"})
    assert len(yaml.safe_load(done.stdout)) == 1 and b"1 unknown dataset" in done.stderr


def test_a_file_is_of_one_model(write):
    done = write(RESULT, RESULT | {"model": "n"})
    assert (done.returncode, done.stdout) == (2, b"") and b"is for one model" in done.stderr


def test_nothing_is_an_empty_list(write):
    assert yaml.safe_load(write().stdout) == []
