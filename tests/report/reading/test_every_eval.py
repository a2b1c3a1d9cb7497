"""Results in the format of Every Eval Ever, read and written; what is written is checked with its published schema."""

import json
import math
from datetime import date
from pathlib import Path

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as some

from latxa_cli.report.reading import every_eval
from latxa_cli.report.reading.files import ResultInput
from latxa_cli.report.reading.shipped import PUBLISHED
from latxa_cli.report.reading.values import parts
from latxa_cli.stream.checks import checker

SCHEMA = json.loads((Path(__file__).parent / "every_eval_ever" / "eval.schema.json").read_text())
VALID = jsonschema.Draft7Validator(SCHEMA)
DAY = date(2026, 3, 19)
RESULT = {
    "model": "m", "task": "arc_eu_easy", "metric": "acc", "value": 0.612345678901, "stderr": 0.01, "n": 2376,
    "num_fewshot": 5, "filter": "none", "chat": True, "format": "mcqa", "language": "eu", "fingerprint": "5f5f",
    "path": "org/m@step_500", "weights": "0e9e39f249a16976", "variant": "exp_2_101", "higher_is_better": True,
}  # fmt: skip
THEIRS = {
    "schema_version": "0.2.0",
    "evaluation_timestamp": "1761001924.0",
    "source_metadata": {"source_organization_name": "unknown", "evaluator_relationship": "third_party"},
    "model_info": {"name": "ollama/qwen2.5:0.5b", "id": "ollama/qwen2.5-0.5b"},
    "evaluation_results": [{
        "evaluation_name": "choice",
        "source_data": {"source_type": "hf_dataset", "dataset_name": "ai2_arc", "hf_repo": "allenai/ai2_arc"},
        "metric_config": {"evaluation_description": "accuracy", "lower_is_better": False},
        "score_details": {"score": 0.25},
    }],
}  # fmt: skip


def written(*results, organization=None):
    evaluations = json.loads(json.dumps(list(every_eval.evaluations(results, DAY, organization))))
    for evaluation in evaluations:
        VALID.validate(evaluation)
    return evaluations


def read(*evaluations):
    found = [parts(json.dumps(evaluation).encode()) for evaluation in evaluations]
    return [record for one in found if every_eval.is_evaluation(one) for record in every_eval.records(one, "f")]


def back(record):
    (same,) = read(*written(record))
    return {name: value for name, value in same.items() if name not in ("source", "metadata")}


# --- writing


def test_the_schema_of_these_tests_finds_faults():
    (evaluation,) = written(RESULT)
    del evaluation["evaluation_results"][0]["metric_config"]["min_score"]
    assert not VALID.is_valid(evaluation)


def test_all_published_results_are_valid_and_read_again_as_they_were(shared_reference):
    results = [json.loads(line) for line in PUBLISHED.read_text().splitlines()]
    evaluations = written(*results, organization="HiTZ")
    assert len({evaluation["evaluation_id"] for evaluation in evaluations}) == len(evaluations) >= 20
    again = read(*evaluations)
    left_out = ("source", "metadata")
    assert sorted(json.dumps({k: v for k, v in sorted(r.items()) if k not in left_out}) for r in again) == sorted(
        json.dumps({k: v for k, v in sorted(r.items()) if k not in left_out}) for r in results
    )


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"metric": "bits_per_byte", "value": 1.5, "higher_is_better": False},
        {"metric": "bias", "value": -4.7, "stderr": None},
        {"target_delimiter": " "},
        {"target_delimiter": None},
        {"outcomes": {"answered": 90, "refused": 10}, "asked": 100, "paper": True, "shot_seeds": [1, 2]},
        {"path": "/home/me/out/step 500"},
        {"value": 1, "n": 10.0},
    ],
)
def test_records_that_are_written_and_read_again_are_the_same(changed):
    record = RESULT | changed
    assert back(record) == record


def test_a_direction_that_is_not_known_stays_so():
    record = {name: value for name, value in RESULT.items() if name != "higher_is_better"}
    assert back(record) == record
    (evaluation,) = written(record | {"metric": "perplexity"})
    assert evaluation["evaluation_results"][0]["metric_config"]["lower_is_better"] is True


def test_checkpoints_of_one_name_are_evaluations_of_their_own():
    first, second = written(RESULT, RESULT | {"path": "org/m@step_900"}, RESULT | {"task": "piqa_eu"})
    assert (first["model_info"]["id"], len(first["evaluation_results"])) == ("org/m", 2)
    assert first["model_info"]["additional_details"]["revision"] == "step_500"
    assert first["evaluation_id"] != second["evaluation_id"]


def test_who_evaluated_is_told():
    def source(organization):
        told = written(RESULT, organization=organization)[0]["source_metadata"]
        return told["source_organization_name"], told["evaluator_relationship"]

    assert source(None) == ("unknown", "other")
    assert source("org") == ("org", "first_party")
    assert source("HiTZ") == ("HiTZ", "third_party")


def test_published_figures_are_no_runs():
    told = written(RESULT | {"metadata": {"precision": 0.0001}})[0]["source_metadata"]
    assert told["source_type"] == "documentation"


json_values = some.recursive(
    some.none() | some.booleans() | some.integers(-9, 2**53) | some.floats(allow_nan=False) | some.text(max_size=9),
    lambda inner: some.lists(inner, max_size=2) | some.dictionaries(some.text(max_size=5), inner, max_size=2),
    max_leaves=5,
)


@given(
    some.dictionaries(some.sampled_from([*RESULT, "metadata", "source", "outcomes", "shot_seeds", "x"]), json_values)
)
def test_whatever_is_a_result_is_written_as_the_schema_says(changed):
    record = RESULT | changed
    try:
        checker("result")(record)
    except ValueError:
        return
    for evaluation in every_eval.evaluations([record] if math.isfinite(record["value"]) else [], DAY, None):
        VALID.validate(json.loads(json.dumps(evaluation)))


# --- reading


def test_an_older_version_of_another_tool_is_read():
    (record,) = read(THEIRS)
    checker("result")(record)
    assert record == {
        "model": "qwen2.5:0.5b", "task": "choice", "metric": "accuracy", "value": 0.25, "stderr": None,
        "path": "ollama/qwen2.5-0.5b", "higher_is_better": True, "source": "f", "fingerprint": record["fingerprint"],
        "metadata": {"relationship": "third_party", "date": "2025-10-20T23:12:04+00:00", "dataset": "allenai/ai2_arc"},
    }  # fmt: skip


def test_results_that_a_converter_made_of_harness_files_meet_those_of_the_files():
    result = {
        "evaluation_result_id": "exact_match:flexible-extract",
        "evaluation_name": "mgsm_native_cot_eu/flexible-extract",
        "metric_config": {"metric_id": "exact-match", "metric_name": "exact_match", "lower_is_better": False},
        "score_details": {"score": 0.5, "uncertainty": {"standard_error": {"value": 0.03}, "num_samples": 250}},
    }
    (record,) = read(THEIRS | {"evaluation_results": [result], "eval_library": {"name": "lm_eval", "version": "0.4.8"}})
    fields = ("task", "metric", "filter", "stderr", "n", "language")
    assert [record.get(field) for field in fields][:5] == [
        "mgsm_native_cot_eu", "exact_match", "flexible-extract", 0.03, 250,
    ]  # fmt: skip
    assert record["metadata"]["harness"] == "lm_eval 0.4.8"


def test_unlike_results_have_unlike_fingerprints():
    other = json.loads(json.dumps(THEIRS))
    other["evaluation_results"][0]["generation_config"] = {"generation_args": {"temperature": 1.0}}
    assert read(THEIRS)[0]["fingerprint"] != read(other)[0]["fingerprint"]


@pytest.mark.parametrize("score", [None, "0.5", True, [1]])
def test_a_score_that_is_no_number_is_kept_as_such(score):
    result = THEIRS["evaluation_results"][0] | {"score_details": {"score": score}}
    assert math.isnan(read(THEIRS | {"evaluation_results": [result]})[0]["value"])


@given(json_values, some.sampled_from(["model_info", "source_metadata", "evaluation_timestamp", "eval_library"]))
def test_odd_documents_are_read_or_refused(value, place):
    for record in read(THEIRS | {place: value}):
        checker("result")(record)


@given(json_values, some.sampled_from([*THEIRS["evaluation_results"][0], "generation_config", "evaluation_timestamp"]))
def test_odd_results_are_read_or_refused(value, place):
    document = THEIRS | {"evaluation_results": [THEIRS["evaluation_results"][0] | {place: value}]}
    for record in read(document):
        checker("result")(record)


# --- the command


def test_report_writes_and_reads_evaluations(latxa, tmp_path):
    (tmp_path / "mine.jsonl").write_text(json.dumps(RESULT) + "\n" + json.dumps(RESULT) + "\n")
    done = latxa("report", "mine.jsonl", "--format", "eee", "--organization", "HiTZ", "-o", "eee.jsonl", cwd=tmp_path)
    assert done.returncode == 0 and b"1 repeated result" in done.stderr
    (evaluation,) = map(json.loads, (tmp_path / "eee.jsonl").read_text().splitlines())
    VALID.validate(evaluation)
    table = latxa("report", "eee.jsonl", "--format", "csv", cwd=tmp_path)
    assert table.returncode == 0 and b"m,0.612345678901,0.01" in table.stdout
    name = "0d03a117-82c9-4823-a256-439a728d0ead.json"
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / name).write_text(json.dumps(evaluation, indent=2))
    (tmp_path / "data" / name.replace(".json", "_samples.jsonl")).write_text("{}\n")
    assert latxa("report", "data", "--format", "csv", cwd=tmp_path).stdout == table.stdout


def test_organizations_are_for_evaluations_alone(latxa, tmp_path):
    (tmp_path / "mine.jsonl").write_text(json.dumps(RESULT) + "\n")
    done = latxa("report", "mine.jsonl", "--organization", "HiTZ", cwd=tmp_path)
    assert done.returncode == 2 and b"`--organization` needs `--format eee`" in done.stderr


def test_an_array_of_evaluations_is_read(tmp_path):
    path = tmp_path / "all.json"
    path.write_text(json.dumps([THEIRS, THEIRS], indent=1))
    found = [entry for _, entry in ResultInput(str(path)).entries() if entry]
    assert [record["value"] for (record,) in found] == [0.25, 0.25]
