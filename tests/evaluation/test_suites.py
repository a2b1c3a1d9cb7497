"""The task files that come with latxa: prompts, shots and figures of the harness, where it has the task."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import small_hub
from lm_eval import tasks as harness_tasks
from tiny import Latxa

from latxa_cli.evaluation import records
from latxa_cli.evaluation.libraries import Console
from latxa_cli.evaluation.run import Pair, evaluate, load_tasks
from latxa_cli.evaluation.settings import Settings
from latxa_cli.evaluation.tasks.loading import LoadedTask, find, load
from latxa_cli.evaluation.tasks.suites import SHIPPED, shipped, shots_of, suites, tasks_of
from latxa_cli.stream.errors import UsageError

QUIET = Console()
PAPER = tasks_of(["paper"])
UPSTREAM = {  # the harness's files of tasks that are ours too
    "arc_eu_challenge": "basque_bench", "arc_eu_easy": "basque_bench", "piqa_eu": "basque_bench",
    "belebele_eus_Latn": "belebele", "belebele_eng_Latn": "belebele", "belebele_spa_Latn": "belebele",
    "eus_proficiency": "eus_proficiency", "eus_reading": "eus_reading", "eus_trivia": "eus_trivia",
    "xstorycloze_eu": "xstorycloze/default_eu", "xstorycloze_en": "xstorycloze/default_en",
    "xstorycloze_es": "xstorycloze/default_es", "arc_challenge": "arc", "arc_easy": "arc", "piqa": "piqa",
    "mgsm_native_cot_en": "mgsm/native_cot", "mgsm_native_cot_es": "mgsm/native_cot",
}  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The small datasets, where `datasets` finds them."""
    with small_hub.current(tmp_path_factory.mktemp("hub")) as folder:
        yield folder


@cache
def task_of(name: str) -> LoadedTask:
    """Return a task with five shots, or as many as its file says where it is one of ours."""
    (source,) = find([name], None, QUIET).values()
    return load(source, few_shot=None if name in PAPER else 5, seed=1234, console=QUIET)


def upstream(task: str) -> str:
    folder = Path(harness_tasks.__file__).parent
    path = folder / UPSTREAM[task]
    return str(path.with_suffix(".yaml") if path.with_suffix(".yaml").exists() else path / f"{task}.yaml")


def requests(task: str) -> list[tuple[str, Any]]:
    """Return the arguments of a task's requests: the prompts as they are sent, and the choices."""
    (only,) = task_of(task).tasks.values()
    only.build_all_requests()
    return [request.args for request in only.instances]


def test_the_paper_has_29_benchmarks_and_each_is_shipped() -> None:
    assert len(PAPER) == 29
    assert all(map(shipped, PAPER))
    assert {path.stem for path in SHIPPED.glob("*.yaml")} == {*PAPER, "gaokao_bench"}
    assert PAPER[-2:] == ["basqbbq", "latxa_bbq"], "what is in no table comes last"
    assert [len(tasks_of([name])) for name in ("basque", "english", "spanish")] == [14, 9, 4]
    assert tasks_of(["basque", "basque"]) == tasks_of(["basque"])
    assert all(suites().values())


def test_the_guide_names_every_suite() -> None:
    guide = (Path(__file__).parents[2] / "recipes" / "evaluation.md").read_text(encoding="utf-8")
    assert [name for name in suites() if f"`{name}`" not in guide] == []


def test_beyond_english_has_the_shots_of_its_publication(hub: Path, model: Path) -> None:
    tasks = tasks_of(["beyond-english"])
    assert shots_of(["beyond-english", "paper"]) == {"ceval-valid": 5, "mmlu": 5, "agieval": 0}
    folder = Path(harness_tasks.__file__).parent
    files = ["ceval/_ceval-valid.yaml", "mmlu/default/_mmlu.yaml", "agieval/agieval.yaml"]
    groups = [re.findall(r"^group: (.+)$", (folder / file).read_text(), re.MULTILINE)[0] for file in files]
    assert [*groups, "gaokao_bench"] == tasks, "the names of the harness"
    loaded = task_of("gaokao_bench")
    assert len(loaded.tasks) == 7
    assert {len(task.eval_docs) for task in loaded.tasks.values()} == {11}, "an item with two answers is left out"
    task = next(one for name, one in loaded.tasks.items() if name.endswith("math_arts"))
    task.build_all_requests()
    assert task.instances[3].args == ("0. 2010-2022_Math_II_MCQs?\nA. a B. b C. c D. d\n答案：", "D")
    units = [Pair(str(model), "gaokao_bench")]
    (found,) = evaluate(units, {"gaokao_bench": loaded}, {str(model): "t"}, Settings(), QUIET)
    assert next(one for one in found.results if one["task"] == "gaokao_bench")["n"] == 77


def test_shots_of_a_suite_are_those_of_its_tasks_unless_others_are_given(hub: Path) -> None:
    (source,) = find(["mmlu_eu"], None, QUIET).values()
    for few_shot, shots in ((None, 3), (2, 2)):
        settings = Settings(few_shot=few_shot, suite_shots={"mmlu_eu": 3})
        loaded = load_tasks({"mmlu_eu": source}, [Pair("m", "mmlu_eu")], settings, QUIET)
        assert loaded["mmlu_eu"].tasks["mmlu_eu"].get_config("num_fewshot") == shots


def test_an_unknown_suite_is_answered_with_the_nearest() -> None:
    with pytest.raises(UsageError, match="no suite `basq`") as caught:
        tasks_of(["basq"])
    assert "`basque`" in caught.value.hint


@pytest.mark.parametrize("name", ["../tasks/piqa", "", "_mgsm", "bbq"])
def test_only_names_of_tasks_are_shipped(name: str) -> None:
    assert shipped(name) is None


@pytest.mark.parametrize("task", UPSTREAM)
def test_prompts_are_those_of_the_harness_to_the_byte(task: str) -> None:
    ours, theirs = requests(task), requests(upstream(task))
    assert len(ours) >= 4
    assert [arguments[:1] for arguments in ours] == [arguments[:1] for arguments in theirs]
    if not task.startswith("mgsm"):
        assert ours == theirs
    else:
        assert ours[0][1]["until"] == theirs[0][1]["until"]


def test_figures_are_those_of_the_harness(model: Path) -> None:
    tasks = [task for task in UPSTREAM if not task.startswith("mgsm")]
    files = {task: upstream(task) for task in tasks}
    figures = {}
    for names in (tasks, list(files.values())):
        settings = Settings(few_shot=5)
        loaded = {name: task_of(name) for name in names}
        units = [Pair(str(model), name) for name in names]
        for evaluation in evaluate(units, loaded, {str(model): "tiny"}, settings, QUIET):
            for result in evaluation.results:
                key = result["task"], result["metric"], names is tasks
                figures[key] = result["value"], result["n"], result["stderr"]
    compared = {key[:2] for key in figures}
    assert {task for task, _ in compared} == set(tasks)
    for task, metric in compared:
        assert figures[task, metric, True] == pytest.approx(figures[task, metric, False], abs=1e-6), task


@pytest.mark.parametrize("task", PAPER)
def test_every_task_loads_and_no_item_is_among_its_own_shots(task: str) -> None:
    loaded = task_of(task)
    shots = {one.get_config("num_fewshot") for one in loaded.tasks.values()}
    assert shots == ({4} if task.endswith("bbq") else {5})
    for one in loaded.tasks.values():
        one.build_all_requests()
        seen: dict[int, dict[str, Any]] = {}
        for request in one.instances:
            seen.setdefault(request.doc_id, {"doc": request.doc, "arguments": [request.args]})
        assert not records.leaked(one, list(seen.values()))
        assert len(seen) == len(one.eval_docs) >= 4


def test_exams_leave_out_what_cannot_be_scored_and_count_all_items_alike(model: Path) -> None:
    loaded = task_of("eus_exams_eu")
    assert len(loaded.tasks) == 29
    assert {len(one.eval_docs) for one in loaded.tasks.values()} == {6}
    (found,) = evaluate(
        [Pair(str(model), "eus_exams_eu")], {"eus_exams_eu": loaded}, {str(model): "tiny"}, Settings(few_shot=0), QUIET
    )
    figures = {(one["task"], one["metric"]): one for one in found.results}
    whole = figures["eus_exams_eu", "acc"]
    leaves = [one for (task, metric), one in figures.items() if metric == "acc" and task != "eus_exams_eu"]
    assert whole["n"] == sum(one["n"] for one in leaves) == 29 * 6
    assert whole["value"] == pytest.approx(sum(one["value"] * one["n"] for one in leaves) / whole["n"])
    assert whole["language"] == "eu"


def test_bias_scores() -> None:
    from latxa_cli.evaluation.tasks.files import read

    members = {one["task"]: one for one in read(SHIPPED / "latxa_bbq.yaml")["task"]}
    item = {
        "label": 2, "question_polarity": "neg", "additional_metadata": {"stereotyped_groups": ["old"]},
        "answer_info": {"ans0": ["a", "old"], "ans1": ["b", "nonOld"], "ans2": ["c", "unknown"]},
    }  # fmt: skip

    def scored(kind: str, answer: int, **changes: Any) -> Any:
        likelihoods = [(-1.0 if choice == answer else -2.0, False) for choice in range(3)]
        return members[f"Age_{kind}"]["process_results"]({**item, **changes}, likelihoods)

    assert scored("ambig", 2) == {"acc": 1, "bias": 0}
    assert scored("ambig", 0) == {"acc": 0, "bias": -100}, "a stereotyped group in a negative question"
    assert scored("ambig", 1) == {"acc": 0, "bias": 100}
    assert scored("ambig", 0, question_polarity="nonneg") == {"acc": 0, "bias": 100}
    assert scored("ambig", 1, question_polarity="nonneg") == {"acc": 0, "bias": -100}
    along = [scored("disambig", answer, label=0)["bias"] for answer in (0, 0, 0, 1)]
    against = [scored("disambig", answer, label=1)["bias"] for answer in (1, 0)]
    difference = members["Age_disambig"]["metric_list"][1]["aggregation"]
    assert difference(along + against) == 100 * (1 / 2 - 3 / 4)
    assert difference(along) == -75 and difference(against) == 50, "an empty side is 0"
    assert {
        name for name, one in members.items() if one["process_results"] is members["Age_ambig"]["process_results"]
    } == {name for name in members if name.endswith("_ambig")}


def test_a_suite_and_a_task_by_the_command(hub: Path, model: Path, latxa: Latxa) -> None:
    words = ("eval", str(model), "--suite", "spanish", "--task", "mmlu_es", "--task", "piqa", "--few-shot", "0")
    done = latxa(*words, "--take", "2", cwd=hub)
    assert done.returncode == 0, done.stderr.decode()
    results = [json.loads(line) for line in done.stdout.splitlines()]
    found = list(dict.fromkeys(result["task"] for result in results))
    assert found == ["mmlu_es", "piqa", "belebele_spa_Latn", "mgsm_native_cot_es", "xstorycloze_es"]
    assert {result["language"] for result in results} == {"es", "en"}
    nothing = latxa("eval", str(model), cwd=hub)
    assert nothing.returncode == 2 and nothing.stderr.decode() == (
        "latxa: there is nothing to evaluate models on\nhint: name it with `--task`, `--suite` or `--perplexity`\n"
    )
