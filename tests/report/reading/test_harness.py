"""Results files of lm-evaluation-harness, read as our records; and `latxa report` on files and folders of them."""

import copy
import json
import math
import os

import pytest
from hypothesis import given
from hypothesis import strategies as some

from latxa_cli.report.reading import harness
from latxa_cli.report.reading.files import ResultInput, expand
from latxa_cli.report.reading.values import parts
from latxa_cli.stream.checks import checker
from latxa_cli.stream.errors import LatxaError
from latxa_cli.stream.inputs import EntryError

CHOICES = {
    "task": "t", "dataset_path": "org/data", "dataset_name": "eu", "test_split": "test", "doc_to_text": "{{q}}",
    "doc_to_target": "a", "doc_to_choice": ["A", "B"], "target_delimiter": " ", "output_type": "multiple_choice",
    "num_fewshot": 5, "metric_list": [{"metric": "acc"}], "metadata": {"version": 1.0},
}  # fmt: skip
RUN = {
    "results": {"t": {"alias": "t", "acc,none": 0.612345678901, "acc_stderr,none": 0.0125}},
    "group_subtasks": {"t": []},
    "configs": {"t": CHOICES},
    "versions": {"t": 1.0},
    "n-shot": {"t": 5},
    "higher_is_better": {"t": {"acc": True}},
    "n-samples": {"t": {"original": 100, "effective": 90}},
    "config": {"model": "hf", "model_args": "pretrained=org/model,dtype=bfloat16", "model_sha": "", "limit": None},
    "git_hash": "abc1234",
    "date": 1740535943.5,
    "lm_eval_version": "0.4.8",
    "task_hashes": {"t": "5f"},
    "model_name": "org/model",
    "model_name_sanitized": "org__model",
    "chat_template": None,
    "chat_template_sha": None,
    "fewshot_as_multiturn": False,
}
OLD = {
    "results": {"arc_easy": {"acc": 0.5, "acc_stderr": 0.01, "acc_norm": 0.25, "acc_norm_stderr": 0.02}},
    "versions": {"arc_easy": 0},
    "config": {"model": "hf-causal", "model_args": "pretrained=old/model", "num_fewshot": 3, "batch_size": "8"},
}


def run(**changed):
    return copy.deepcopy(RUN) | changed


def read(document, file="out/results_1.json"):
    found = parts(json.dumps(document).encode())
    return list(harness.records(found, file)) if found is not None and harness.is_results(found) else []


def one(document, file="out/results_1.json"):
    (record,) = read(document, file)
    return record


def chat(**changed):
    return run(chat_template="{{x}}", chat_template_sha="c1", fewshot_as_multiturn=True, **changed)


# --- fields


def test_a_result_says_what_its_file_says():
    assert one(run()) == {
        "model": "model", "task": "t", "metric": "acc", "value": 0.612345678901, "stderr": 0.0125, "path": "org/model",
        "chat": False, "source": "out/results_1.json", "num_fewshot": 5, "format": "mcqa", "filter": "none", "n": 90,
        "higher_is_better": True, "fingerprint": one(run())["fingerprint"],
        "metadata": {
            "date": "2025-02-26T02:12:23+00:00", "harness": "lm_eval 0.4.8", "git_hash": "abc1234", "bos": False,
            "dataset": "org/data", "subset": "eu", "split": "test",
        },
    }  # fmt: skip


def test_version_0_3_has_flat_metrics():
    acc, acc_norm = read(OLD)
    assert (acc["metric"], acc["value"], acc["stderr"]) == ("acc", 0.5, 0.01)
    assert (acc_norm["metric"], acc_norm["value"]) == ("acc_norm", 0.25)
    assert (acc["model"], acc["path"], acc["num_fewshot"], acc["chat"]) == ("model", "old/model", 3, False)
    assert acc["language"] == "en" and "filter" not in acc and "n" not in acc


@pytest.mark.parametrize("stderr, expected", [(0.0, 0.0), (None, None), ("N/A", None), (math.inf, None), (True, None)])
def test_a_standard_error_is_a_number_or_nothing(stderr, expected):
    assert one(run(results={"t": {"acc,none": 1.0, "acc_stderr,none": stderr}}))["stderr"] == expected


@pytest.mark.parametrize("value", [None, "N/A", " ", [0.5], True])
def test_a_metric_that_is_no_number_is_kept_as_such(value):
    assert math.isnan(one(run(results={"t": {"acc,none": value}}))["value"])


def test_a_group_without_a_figure_yields_nothing():
    results = {"g": {"alias": "g", " ": " "}, "t": {"alias": " - t", "acc,none": 0.5, "acc_stderr,none": 0.1}}
    assert [record["task"] for record in read(run(results=results, group_subtasks={"g": ["t"]}))] == ["t"]


def test_a_group_has_what_its_tasks_have_in_common():
    results = {"g": {"acc,none": 0.5}, "h": {"acc,none": 0.5}}
    second = CHOICES | {"num_fewshot": 4, "metadata": {"language": "eu"}}
    group = one(run(
        results={"g": results["g"]}, group_subtasks={"g": ["h"], "h": ["t", "u"]},
        configs={"t": CHOICES | {"metadata": {"language": "eu"}}, "u": second},
        **{"n-samples": {"t": {"effective": 90}, "u": {"effective": 10}}, "n-shot": {"t": 5, "u": 4}},
    ))  # fmt: skip
    assert (group["n"], group["language"], group["format"]) == (100, "eu", "mcqa")
    assert "num_fewshot" not in group


def test_groups_that_hold_each_other_end():
    assert one(run(group_subtasks={"t": ["g"], "g": ["t"]}))["task"] == "t"


def test_tasks_of_the_paper_have_their_language():
    assert one(run(results={"arc_eu_easy": {"acc,none": 0.5}}))["language"] == "eu"
    exam = run(results={"exam": {"acc,none": 0.5}}, group_subtasks={"eus_exams_eu": ["inner"], "inner": ["exam"]})
    assert one(exam)["language"] == "eu"


@pytest.mark.parametrize(
    "folder, name, expected",
    [
        ("org__model", "org/model", "model"),
        ("org__model__step_500", "org/model", "step_500"),
        ("gpt-4o", "gpt-4o", "gpt-4o"),
        ("results", "/home/me/out/checkpoint-500/", "checkpoint-500"),
        ("", "org/model", "model"),
    ],
)
def test_a_model_is_called_as_its_folder_or_its_name_ends(folder, name, expected):
    assert one(run(model_name=name), f"{folder}/results_1.json")["model"] == expected


def test_checkpoints_of_one_name_have_paths_of_their_own():
    def path(arguments):
        return one(run(config={"model": "hf", "model_args": arguments}))["path"]

    assert path("pretrained=org/model,revision=exp_2_101") == "org/model@exp_2_101"
    assert path({"pretrained": "org/model", "revision": "main"}) == "org/model"
    assert path({"pretrained": "org/model", "peft": "me/adapter"}) == "org/model+me/adapter"
    assert one(run(config={"model_args": "", "model_sha": "0e9e39f249a16976918f6564"}))["weights"] == "0e9e39f249a16976"


# --- what the model saw


@pytest.mark.parametrize(
    "document, expected",
    [
        (run(), "usual"),
        (run(configs={"t": CHOICES | {"target_delimiter": ""}}), ""),
        (chat(), "usual"),  # 0.4.8
        (chat(lm_eval_version="0.4.4"), " "),
        (chat(lm_eval_version=None, date=1.73e9), " "),  # October 2024
        (chat(lm_eval_version="0.4.5"), None),  # also the number of what came next
        (chat(lm_eval_version=None), None),
        (chat(lm_eval_version="0.4.5", configs={"t": CHOICES | {"unsafe_code": False}}), "usual"),
        (chat(lm_eval_version=None, date=1.73e9, configs={"t": CHOICES | {"target_delimiter": ""}}), "usual"),
        (chat(configs={"t": CHOICES | {"gen_prefix": "Answer:"}}), " "),
    ],
)
def test_the_delimiter_is_what_stood_there(document, expected):
    assert one(document).get("target_delimiter", "usual") == expected


@pytest.mark.parametrize(
    "changed, expected",
    [
        ({}, False),
        ({"lm_eval_version": "0.4.13"}, None),  # as the tokenizer has it
        ({"lm_eval_version": None}, False),  # by its date
        ({"lm_eval_version": None, "date": None}, None),
        ({"config": {"model": "hf", "model_args": "pretrained=m,add_bos_token=True"}}, True),
        ({"config": {"model": "hf", "model_args": "pretrained=google/gemma-2b"}}, None),
        ({"config": {"model": "vllm", "model_args": "pretrained=m"}}, None),
        ({"chat_template": "{{x}}"}, None),
    ],
)
def test_a_bos_before_plain_prompts_is_told_where_it_is_known(changed, expected):
    assert one(run(**changed))["metadata"].get("bos") == expected


@pytest.mark.parametrize(
    "changed",
    [
        {"n-shot": {"t": 0}},
        {"configs": {"t": CHOICES | {"doc_to_text": "{{q}}?"}}},
        {"configs": {"t": CHOICES | {"metric_list": [{"metric": "acc", "ignore_case": True}]}}},
        {"task_hashes": {"t": "60"}},
        {"n-samples": {"t": {"effective": 10}}},
        {"chat_template": "{{x}}"},
        {"system_instruction": "Answer."},
        {"lm_eval_version": "0.4.13"},
    ],
)
def test_unlike_runs_have_unlike_fingerprints(changed):
    assert one(run(**changed))["fingerprint"] != one(run())["fingerprint"]


@pytest.mark.parametrize(
    "changed",
    [
        {"model_name": "other/model", "date": 1.74e9, "git_hash": "0"},
        {"configs": {"t": CHOICES | {"unsafe_code": False, "metadata": {"version": 1.0, "pretrained": "x"}}}},
        {"lm_eval_version": "0.4.7"},
    ],
)
def test_like_runs_have_one_fingerprint(changed):
    assert one(run(**changed))["fingerprint"] == one(run())["fingerprint"]


def test_the_address_of_a_function_is_no_part_of_a_fingerprint():
    first, second = (
        one(run(configs={"t": CHOICES | {"process_docs": f"<function f at {address}>"}}))["fingerprint"]
        for address in ("0x7f01", "0x7f02")
    )
    assert first == second


# --- odd documents

odd_values = some.recursive(
    some.none() | some.booleans() | some.integers(-(2**70), 2**70) | some.floats() | some.text(max_size=9),
    lambda inner: some.lists(inner, max_size=2) | some.dictionaries(some.text(max_size=5), inner, max_size=2),
    max_leaves=5,
)


@given(odd_values, some.sampled_from([*RUN, "group_subtasks"]))
def test_odd_fields_give_right_records_or_none(value, place):
    for record in read(run(**{place: value})):
        checker("result")(record)


@given(odd_values, some.sampled_from([name for name, value in RUN.items() if isinstance(value, dict)]), some.data())
def test_odd_values_inside_give_right_records_or_none(value, place, data):
    document = run()
    document[place][data.draw(some.sampled_from([*document[place]]))] = value
    for record in read(document):
        checker("result")(record)


@given(odd_values, some.sampled_from([*CHOICES]))
def test_odd_configurations_give_right_records_or_none(value, place):
    for record in read(run(configs={"t": CHOICES | {place: value}})):
        checker("result")(record)


def test_a_configuration_that_is_nested_too_deep_is_refused():
    deep = json.loads("[" * 300 + "]" * 300)
    with pytest.raises(ValueError, match="what JSON cannot"):
        read(run(configs={"t": CHOICES | {"metric_list": deep}}))


# --- files


def entries(path):
    """Return what a file holds: the records of documents one by one, and other entries as they are."""
    found = []
    for _, entry in ResultInput(str(path)).entries():
        found += entry if isinstance(entry, list) else [entry]
    return found


def test_numbers_that_are_none_are_read(tmp_path):
    path = tmp_path / "results.json"
    path.write_text(
        json.dumps(run(results={"t": {"acc,none": math.nan, "f1,none": -math.inf, "em,none": 0.5}}), indent=2)
    )
    assert [math.isnan(record["value"]) for record in entries(path)] == [True, True, False]


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("name", ["results.json", "r.jsonl", "results.json.gz"])
def test_a_document_is_found_under_any_name(tmp_path, indent, name):
    import gzip

    text = json.dumps(RUN, indent=indent).encode()
    (tmp_path / name).write_bytes(gzip.compress(text) if name.endswith("gz") else b"\xef\xbb\xbf" + text)
    assert [record["value"] for record in entries(tmp_path / name)] == [0.612345678901]


def test_several_documents_and_records_share_a_file(tmp_path):
    path = tmp_path / "all.json"
    ours = {"model": "m", "task": "t", "metric": "acc", "value": 1}
    path.write_text("".join(json.dumps(line) + "\n" for line in (RUN, ours, OLD)))
    assert [type(entry) for entry in entries(path)] == [dict, bytes, dict, dict]


@pytest.mark.parametrize("length", [0, 1, 2, 40, 300, -3])
@pytest.mark.parametrize("indent", [None, 2])
def test_a_half_written_file_is_one_malformed_entry(tmp_path, latxa, length, indent):
    path = tmp_path / "results_1.json"
    path.write_text(json.dumps(RUN, indent=indent)[:length])
    done = latxa("report", path, "--rejects", tmp_path / "rejects.jsonl")
    assert (done.returncode, b"Traceback" in done.stderr) == (1, False)
    (entry,) = map(json.loads, (tmp_path / "rejects.jsonl").read_text().splitlines())
    assert entry["reason"] == "malformed" and entry["where"].startswith(str(path))


def test_a_document_without_figures_is_malformed(tmp_path):
    path = tmp_path / "results.json"
    path.write_text(json.dumps(run(results={"t": {"alias": "t"}})))
    (entry,) = entries(path)
    assert isinstance(entry, EntryError) and "it holds no result" in str(entry)


def test_our_own_tables_are_not_taken_for_results_of_the_harness(tmp_path, latxa):
    path = tmp_path / "results.json"
    path.write_text(json.dumps(RUN))
    table = latxa("report", path, "--format", "jsonl").stdout
    (tmp_path / "table.jsonl").write_bytes(table)
    done = latxa("report", tmp_path / "table.jsonl")
    assert done.returncode == 1 and done.stderr.count(b"\n") == 2 and b"is there" in done.stderr


# --- folders


@pytest.fixture
def tree(tmp_path):
    """A folder of two models with three results files, answers, and other things."""
    for folder, value in (("org__a", 0.25), ("org__b/later", 0.5)):
        (tmp_path / "out" / folder).mkdir(parents=True)
        document = run(results={"t": {"acc,none": value, "acc_stderr,none": 0.01}}, model_name=folder[:6])
        (tmp_path / "out" / folder / "results_2025.json").write_text(json.dumps(document, indent=2))
    (tmp_path / "out/org__a/samples_t_2025.jsonl").write_text('{"doc_id": 0}\n')
    (tmp_path / "out/org__a/config.json").write_text("{}")
    (tmp_path / "out/.hidden").mkdir()
    (tmp_path / "out/.hidden/results_0.json").write_text("{")
    return tmp_path / "out"


def test_a_folder_stands_for_the_results_in_it(tree, latxa):
    done = latxa("report", tree, "--format", "csv", "-o", tree.parent / "table.csv")
    assert done.returncode == 0, done.stderr
    assert (tree.parent / "table.csv").read_text().splitlines()[1:] == ["a,0.25,0.01", "org__b,0.5,0.01"]
    said = done.stderr.decode()
    assert "2 files left unread: `org__a/config.json`, `org__a/samples_t_2025.jsonl`" in said
    assert "`latxa compare` reads `samples_*.jsonl`" in said
    manifest = json.loads((tree.parent / "table.csv.manifest.json").read_text())
    files = [tree / "org__a/results_2025.json", tree / "org__b/later/results_2025.json"]
    assert [entry["path"] for entry in manifest["inputs"]] == [str(file) for file in files]
    assert [entry["bytes"] for entry in manifest["inputs"]] == [file.stat().st_size for file in files]
    assert all(entry["xxh3_128"] for entry in manifest["inputs"])


def test_a_file_is_read_once_and_loops_end(tree):
    (tree / "org__a/loop").symlink_to(tree)
    (tree / "again.json").symlink_to(tree / "org__a/results_2025.json")
    (tree / "results_again.json").symlink_to(tree / "org__a/results_2025.json")
    said = []
    assert len(expand([str(tree)], said.append)) == 2 and len(said) == 1
    assert len(expand([str(tree), str(tree)], said.append)) == 2


def test_folders_without_results_are_refused(tmp_path):
    (tmp_path / "samples_t.jsonl").write_text("{}\n")
    with pytest.raises(LatxaError, match="no results file"):
        expand([str(tmp_path)], print)


def test_a_folder_that_cannot_be_read_is_named(tree, latxa):
    if os.geteuid() == 0:
        pytest.skip("root reads everything")
    (tree / "org__a").chmod(0)
    done = latxa("report", tree)
    (tree / "org__a").chmod(0o755)
    assert (done.returncode, done.stderr.count(b"\n")) == (1, 1) and b"org__a: cannot be read" in done.stderr


def test_one_half_written_file_among_many(tree, latxa):
    (tree / "results_broken.json").write_text(json.dumps(RUN, indent=2)[:-30])
    done = latxa("report", tree)
    assert done.returncode == 1 and b"results_broken.json:" in done.stderr and b"in the middle of" in done.stderr
    assert b"hint: `--rejects FILE`" in done.stderr
    done = latxa("report", tree, "--format", "csv", "--rejects", tree / "rejects.jsonl")
    assert done.returncode == 0 and done.stdout.count(b"\n") == 3 and b"1 rejected" in done.stderr


def test_repeated_results_of_two_files_are_counted(tree, latxa):
    (tree / "org__a/results_2026.json").write_bytes((tree / "org__a/results_2025.json").read_bytes())
    done = latxa("report", tree, "--format", "csv")
    assert done.returncode == 0 and b"repeated result" in done.stderr


# --- published files


def test_published_files_keep_their_values(shared_reference):
    """Each number in a file of results is the value of a record."""
    files = expand([str(shared_reference / "eval" / "native")], lambda _: None)
    assert len(files) == 123
    for file in files:
        document = json.loads(open(file).read())  # noqa: SIM115, PTH123
        figures = sorted(
            value
            for task in document["results"].values()
            for key, value in task.items()
            if isinstance(value, float) and "_stderr" not in key
        )
        records = read(document, file)
        assert sorted(record["value"] for record in records) == figures
        assert all(record["language"] and record["n"] for record in records)
    models = {os.path.basename(os.path.dirname(file)).split("__")[-1] for file in files}  # noqa: PTH119, PTH120
    assert len(models) == 5


def test_baselines_of_before_and_after_the_delimiter_went_differ(shared_reference):
    """Of the paper's instructed Llama, 16 tasks were run before; see the cells with the old delimiter."""
    folder = shared_reference / "eval/native/meta-llama__Llama-3.1-8B-Instruct"
    records = [record for file in expand([str(folder)], print) for record in entries(file)]
    old = {
        record["task"]
        for record in records
        if record.get("target_delimiter") == " " and "exams_eu_" not in record["task"]
    }
    assert old == {
        "eus_proficiency", "eus_reading", "eus_trivia", "xstorycloze_eu", "arc_eu_challenge", "piqa_eu",
        "belebele_eus_Latn", "arc_challenge", "belebele_eng_Latn", "xstorycloze_en", "piqa",
        "bertaqa_eu_global", "bertaqa_eu_local", "bertaqa_en_global", "bertaqa_en_local", "eus_exams_eu",
    }  # fmt: skip
