"""Shots: never the item itself, the same with all items as with some, and those of the paper to the byte."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import small_hub
from tiny import Latxa

from latxa_cli.evaluation import records
from latxa_cli.evaluation.asking.formats import format_of
from latxa_cli.evaluation.asking.take import give_shots_to
from latxa_cli.evaluation.asking.tasks import asked_as, check_paper
from latxa_cli.evaluation.libraries import Console
from latxa_cli.evaluation.tasks.loading import LoadedTask, find, load
from latxa_cli.evaluation.tasks.suites import tasks_of
from latxa_cli.stream.errors import LatxaError, UsageError

QUIET = Console()
PAPER = tasks_of(["paper"])
# For each benchmark, a hash of all prompts and choices on the small datasets, as lm-evaluation-harness 0.4.8 made them
# from these task files, plain and as turns of a chat.
PROMPTS = json.loads((Path(__file__).parent / "prompts_048.json").read_text())


@pytest.fixture(scope="module", autouse=True)
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with small_hub.current(tmp_path_factory.mktemp("hub")) as folder:
        yield folder


@cache
def task_of(name: str) -> LoadedTask:
    (source,) = find([name], None, QUIET).values()
    return load(source, few_shot=None, seed=1234, console=QUIET)


def requests(task: Any, *, chat: bool, places: list[int] | None = None) -> list[tuple[int, str, str]]:
    """Return (item, prompt, choice) of every request."""
    how = {"apply_chat_template": True, "fewshot_as_multiturn": True} if chat else {}
    task.set_fewshot_seed(1234)
    if places:
        give_shots_to(task, places)
    task.build_all_requests(
        chat_template=lambda turns, **_: json.dumps(turns, ensure_ascii=False), samples=places, **how
    )
    if places:
        task.sampler.take(None)
    return [(i.doc_id, i.args[0], i.args[1] if isinstance(i.args[1], str) else "") for i in task.instances]


def digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()[:16]


@pytest.mark.parametrize("chat", [False, True])
@pytest.mark.parametrize("name", PAPER)
def test_prompts_of_the_paper_are_those_of_the_harness_of_its_time_to_the_byte(name: str, chat: bool) -> None:
    task_of.cache_clear()
    loaded = asked_as(task_of(name), None, paper=True)
    hashes = []
    for task in loaded.tasks.values():
        found = [[prompt, choice] for _, prompt, choice in requests(task, chat=chat)]
        hashes.append(digest(json.dumps(found, ensure_ascii=False)))
    assert digest("".join(hashes)) == PROMPTS[name]["chat" if chat else "plain"]


@pytest.mark.parametrize("name", PAPER)
def test_no_item_of_the_29_is_among_its_own_shots(name: str) -> None:
    task_of.cache_clear()
    for task in asked_as(task_of(name), None).tasks.values():
        task.set_fewshot_seed(1234)
        task.build_all_requests()
        seen: dict[int, dict[str, Any]] = {}
        for request in task.instances:
            seen.setdefault(request.doc_id, {"doc": request.doc, "arguments": [request.args]})
        assert len(seen) == len(task.eval_docs)
        assert not records.leaked(task, list(seen.values()))


@pytest.mark.parametrize("name", ["mmlu_eu", "arc_easy", "belebele_eus_Latn", "bl2mp"])
@pytest.mark.parametrize("paper", [False, True])
def test_items_that_are_taken_have_the_shots_of_a_whole_run(name: str, paper: bool) -> None:
    task_of.cache_clear()
    (task,) = asked_as(task_of(name), None, paper=paper).tasks.values()
    whole = requests(task, chat=False)
    places = [2, 3, 7, 11]
    some = requests(task, chat=False, places=places)
    expected = [(prompt, choice) for place, prompt, choice in whole if place in places]
    assert [(prompt, choice) for _, prompt, choice in some] == expected
    assert requests(task, chat=False) == whole


def test_the_paper_drops_an_item_that_was_drawn_for_itself() -> None:
    task_of.cache_clear()
    (task,) = asked_as(task_of("mmlu_en"), None, paper=True).tasks.values()
    shots = {prompt.count("Answer:") - 1 for _, prompt, _ in requests(task, chat=False)}
    assert shots == {4, 5}


def test_only_its_benchmarks_are_asked_as_in_the_paper(model: Path, latxa: Latxa, hub: Path) -> None:
    check_paper(PAPER)
    with pytest.raises(UsageError, match="`mmlu` is no benchmark of the paper"):
        check_paper(["piqa", "mmlu"])
    for words, error in (
        (("--task", "piqa", "--few-shot", "0"), "`--paper` and `--few-shot` do not go together"),
        (("--task", "piqa", "--format", "cloze"), "`--paper` and `--format cloze` do not go together"),
        (("--task", "piqa", "--seed", "1"), "`--paper` and `--seed` do not go together"),
    ):
        done = latxa("eval", str(model), "--paper", *words, cwd=hub)
        assert done.returncode == 2 and error in done.stderr.decode()


def test_more_shots_than_there_are_is_one_line(model: Path, latxa: Latxa, hub: Path) -> None:
    done = latxa("eval", str(model), "--task", "mmlu_eu", "--few-shot", "12", cwd=hub)
    assert (done.returncode, done.stdout) == (1, b"")
    assert done.stderr.decode() == (
        "latxa: `mmlu_eu` has 12 examples to draw shots from, the item itself among them: too few for 12 shots\n"
        "hint: give fewer with `--few-shot`\n"
    )
    with pytest.raises(LatxaError, match="has 8 examples to draw shots from, not 9"):
        (source,) = find(["mgsm_native_cot_eu"], None, QUIET).values()
        load(source, few_shot=9, seed=1, console=QUIET)


@pytest.mark.parametrize("name", [name for name in PAPER if not name.startswith("mgsm")])
def test_every_multiple_choice_task_of_the_paper_can_be_asked_in_every_format(name: str) -> None:
    answers = []
    for form in ("mcqa", "cloze", "generate", "cot"):
        task_of.cache_clear()
        task = next(iter(asked_as(task_of(name), form).tasks.values()))
        assert format_of(task) == form
        item = task.eval_docs[1]
        prompt, target = task.doc_to_text(item), task.doc_to_target(item)
        if form == "cloze":
            choices = task.doc_to_choice(item)
            assert len(set(choices)) == len(choices) >= 2 and choices[target] not in prompt
        else:
            choices = [
                line[3:] for line in prompt.splitlines() if line[:2] in ("A.", "B.", "C.", "D.", "A:", "B:", "C:", "D:")
            ]
            answers.append(choices["ABCD".index(target) if isinstance(target, str) else target])
            if name.startswith("belebele"):  # its own prompt has P, Q and A to D
                continue
            assert form == "cot" or prompt.splitlines()[-1].endswith(":")
    assert len(set(answers)) == 1 or name.startswith("belebele"), answers


def test_groups_are_aggregated_over_items_and_draws(model: Path, latxa: Latxa, hub: Path, tmp_path: Path) -> None:
    words = ("eval", str(model), "--task", "eus_exams_eu", "--no-chat", "--shot-seeds", "2", "--few-shot", "1")
    done = latxa(*words, "--take", "40", "--answers", str(tmp_path / "answers.jsonl"), cwd=hub)
    assert done.returncode == 0, done.stderr.decode()
    results = [json.loads(line) for line in done.stdout.splitlines()]
    (group,) = (one for one in results if (one["task"], one["metric"]) == ("eus_exams_eu", "acc"))
    leaves = [one for one in results if one["task"] != "eus_exams_eu" and one["metric"] == "acc"]
    answers = [json.loads(line) for line in (tmp_path / "answers.jsonl").read_text().splitlines()]
    assert len(answers) == 80 and {answer["shot_seed"] for answer in answers} == {1234, 1235}
    assert group["shot_seeds"] == [1234, 1235] and group["format"] == "mcqa"
    assert (group["n"], len(leaves)) == (40, 29)
    assert group["value"] == pytest.approx(sum(answer["correct"] for answer in answers) / 80)
    assert group["value"] == pytest.approx(sum(one["value"] * one["n"] for one in leaves) / group["n"])


def test_groups_of_written_letters_aggregate_exact_matches() -> None:
    task_of.cache_clear()
    loaded = asked_as(task_of("eus_exams_eu"), "generate")
    assert [(one["metric"], one["weight_by_size"]) for one in loaded.aggregation("eus_exams_eu")] == [
        ("acc", True), ("exact_match", True),
    ]  # fmt: skip
