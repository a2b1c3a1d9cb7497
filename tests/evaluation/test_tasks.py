"""Finding and loading tasks: where data files are looked for, and one line for everything that can be wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from lm_eval.tasks import manager

from latxa_cli import hub
from latxa_cli.evaluation.asking.tasks import asked_as
from latxa_cli.evaluation.libraries import Console
from latxa_cli.evaluation.tasks.loading import LoadedTask, count_requests, files_of, find, load
from latxa_cli.stream.errors import LatxaError, UsageError

QUIET = Console()


def loaded(name: str, folder: Path | None = None, few_shot: int | None = None) -> LoadedTask:
    return load(find([name], folder, QUIET)[name], few_shot=few_shot, seed=1, console=QUIET)


def rewrite(folder: Path, old: str, new: str) -> None:
    path = folder / "towns.yaml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_data_are_looked_for_beside_the_task_file(
    task_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    by_name = loaded("towns", Path("../tasks"))
    by_file = loaded("../tasks/towns.yaml")
    assert [len(one.tasks["towns"].eval_docs) for one in (by_name, by_file)] == [12, 12]
    assert files_of(find(["towns"], Path("../tasks"), QUIET).values()) == [task_folder / "towns.jsonl"]


def test_lists_and_single_paths_of_data_files(task_folder: Path) -> None:
    rewrite(task_folder, "    test: towns.jsonl", "    test: [towns.jsonl, towns.jsonl]")
    assert len(loaded("towns", task_folder).tasks["towns"].eval_docs) == 24
    rewrite(task_folder, "data_files:\n    test: [towns.jsonl, towns.jsonl]", "data_files: towns.jsonl")
    rewrite(task_folder, "test_split: test", "test_split: train")
    assert len(loaded("towns", task_folder).tasks["towns"].eval_docs) == 12


def test_a_group_finds_its_members_in_its_folder(task_folder: Path) -> None:
    (task_folder / "villages.yaml").write_text(
        (task_folder / "towns.yaml").read_text().replace("task: towns", "task: villages")
    )
    (task_folder / "places.yaml").write_text("group: places\ntask: [towns, villages]\n")
    for name, folder in (("places", task_folder), (str(task_folder / "places.yaml"), None)):
        assert set(loaded(name, folder).tasks) == {"towns", "villages"}


def test_requests_are_counted_without_a_model(task_folder: Path) -> None:
    assert count_requests(loaded("towns", task_folder), None) == {"towns": (12, 48)}
    some = asked_as(loaded("towns", task_folder), None)
    assert count_requests(some, {"towns": [1, 3, 4, 7, 9]}) == {"towns": (5, 20)}


def test_an_unknown_name_is_answered_with_the_nearest(monkeypatch: pytest.MonkeyPatch) -> None:
    """Among those of the harness, of which one folder is enough: all of them take a quarter of a minute."""
    monkeypatch.setattr(manager, "__file__", str(Path(manager.__file__).parent / "arc" / "manager.py"))
    assert manager.TaskManager(include_defaults=True).all_tasks
    with pytest.raises(UsageError, match="no task `arc_eazy`") as caught:
        find(["arc_eazy"], None, QUIET)
    assert "`arc_easy`" in caught.value.hint


@pytest.mark.parametrize(
    ("names", "folder", "message"),
    [
        (["nowhere.yaml"], None, "no such task file"),
        (["towns", "towns"], None, "given twice"),
        (["towns"], Path("nowhere"), "no such folder"),
    ],
)
def test_wrong_usage(names: list[str], folder: Path | None, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        find(names, folder, QUIET)


GOOD = json.dumps({"question": "a", "choices": ["x", "y"], "answer": 1}) + "\n"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (GOOD + "{broken\n" + GOOD, r"towns\.jsonl:2: is not JSON$"),
        (GOOD + GOOD + "[1, 2]\n", r"towns\.jsonl:3: is not a JSON object"),
        ("", r"towns\.jsonl: is empty"),
        (
            '{"question": "a", "choices": ["x", "y"]}\n',
            "needs the column `answer`, which its data lack",
        ),
        ('{"question": "a", "choices": 3, "answer": 0}\n', "`towns` cannot be loaded"),
        (None, r"towns\.jsonl: no such file"),
    ],
)
def test_broken_data(task_folder: Path, data: str | None, message: str) -> None:
    path = task_folder / "towns.jsonl"
    path.unlink()
    if data is not None:
        path.write_text(data)
    with pytest.raises(LatxaError, match=message) as caught:
        loaded("towns", task_folder)
    assert "\n" not in caught.value.message


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("test_split: test", "test_split: dev", "there is no 'dev'"),
        ("output_type: multiple_choice", "output_type: guess", "invalid output_type 'guess'"),
        ("test_split: test", "test_split: test\nfoo: 1", "has an unknown key `foo`"),
        ("task: towns", "tusk: towns", "names no `task`|Unknown config shape"),
        ("metric_list:", "metric_list: [", "cannot be read as a task"),
        ('doc_to_choice: "{{choices}}"', "doc_to_choice: !function nowhere.choices", "cannot be read as a task"),
    ],
)
def test_broken_task_files(task_folder: Path, old: str, new: str, message: str) -> None:
    rewrite(task_folder, old, new)
    with pytest.raises(LatxaError, match=message) as caught:
        loaded(str(task_folder / "towns.yaml"))
    assert "\n" not in caught.value.message


def test_data_on_a_hub_out_of_reach(task_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "can_be_reached", lambda: False)
    rewrite(task_folder, "dataset_path: json", "dataset_path: nobody/nothing")
    with pytest.raises(LatxaError, match="`nobody/nothing`, and the hub cannot be reached"):
        loaded("towns", task_folder)


def test_a_metric_that_the_harness_lacks(task_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "can_be_reached", lambda: False)
    rewrite(task_folder, "metric: acc", "metric: acc_nrm")
    with pytest.raises(LatxaError, match="the metric `acc_nrm`, which the harness lacks") as caught:
        loaded("towns", task_folder)
    assert "`acc_norm`" in caught.value.hint


def test_an_aggregation_that_the_harness_lacks(task_folder: Path) -> None:
    rewrite(task_folder, "aggregation: mean", "aggregation: meen")
    with pytest.raises(LatxaError, match="the aggregation `meen` for `acc`, which the harness lacks"):
        loaded("towns", task_folder)


def test_more_shots_than_examples(task_folder: Path) -> None:
    with pytest.raises(LatxaError, match="has 12 examples to draw shots from, not 13"):
        loaded("towns", task_folder, few_shot=13)


def test_shots_come_from_the_flag_then_from_the_file(task_folder: Path) -> None:
    assert loaded("towns", task_folder).tasks["towns"].get_config("num_fewshot") == 0
    rewrite(task_folder, "test_split: test", "test_split: test\nnum_fewshot: 2")
    assert loaded("towns", task_folder).tasks["towns"].get_config("num_fewshot") == 2
    assert loaded("towns", task_folder, few_shot=4).tasks["towns"].get_config("num_fewshot") == 4


def test_a_task_that_fixes_zero_shots_keeps_them_and_says_so(task_folder: Path) -> None:
    rewrite(task_folder, "test_split: test", "test_split: test\nnum_fewshot: 0")
    said: list[str] = []
    found = find(["towns"], task_folder, QUIET)["towns"]
    task = load(found, few_shot=3, seed=1, console=Console(say=said.append)).tasks["towns"]
    assert task.get_config("num_fewshot") == 0
    assert "`--few-shot` has no effect" in said[0]
