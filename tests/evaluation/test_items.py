"""Faults of items are one line before a model is loaded: an error in the user's own data, else said."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tiny import Latxa

from latxa_cli.evaluation.libraries import Console
from latxa_cli.evaluation.tasks.items import check_items
from latxa_cli.stream.errors import LatxaError


def change(folder: Path, place: int, **fields: Any) -> None:
    path = folder / "towns.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    lines[place] |= fields
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"answer": 7}, "`towns`: item 4 (`town-3`) names an answer that is none of its choices"),
        ({"answer": -1}, "`towns`: item 4 (`town-3`) names an answer that is none of its choices"),
        ({"choices": []}, "`towns`: item 4 (`town-3`) has no choices"),
        ({"choices": ["a", " ", "b", "c"]}, "`towns`: item 4 (`town-3`) has an empty choice"),
    ],
)
def test_an_item_that_cannot_be_scored_ends_the_run_before_the_model(
    model: Path, task_folder: Path, latxa: Latxa, fields: dict[str, Any], said: str
) -> None:
    change(task_folder, 3, **fields)
    (task_folder / "model").mkdir()
    for name in ("config.json", "tokenizer.json", "model.safetensors"):
        (task_folder / "model" / name).write_text("{}")  # no model could be loaded from these
    done = latxa("eval", "model", "--task", "towns", "--task-folder", ".", "--no-chat", cwd=task_folder)
    assert (done.returncode, done.stdout) == (1, b"")
    assert done.stderr.decode() == f"latxa: {said}\nhint: mend the data that the task reads\n"


def test_equal_choices_are_said_and_scored(model: Path, task_folder: Path, latxa: Latxa) -> None:
    for place in (3, 5):
        change(task_folder, place, choices=["a", "b", "b", "c"])
    done = latxa("eval", str(model), "--task", "towns", "--task-folder", ".", "--no-chat", cwd=task_folder)
    assert done.returncode == 0
    assert "`towns`: item 4 (`town-3`), and 1 more have two equal choices\n" in done.stderr.decode()


@pytest.mark.parametrize("place", [0, 3])
def test_a_first_item_that_cannot_be_scored_is_told_too(
    model: Path, task_folder: Path, latxa: Latxa, place: int
) -> None:
    change(task_folder, place, answer=9)
    done = latxa("eval", str(model), "--task", "towns", "--task-folder", ".", cwd=task_folder)
    assert done.returncode == 1 and done.stderr.count(b"\n") == 2
    assert b"cannot be scored" in done.stderr or b"none of its choices" in done.stderr


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("{{question}}", "{{questoin}}", "needs the column `questoin`, which its data lack"),
        (
            '"Question: {{question}}\\nAnswer:"',
            "query",
            "needs the column `query`, which its data lack",
        ),
        ('"{{choices}}"', "options", "needs the column `options`, which its data lack"),
        ('"{{answer}}"', '"{{label}}"', "needs the column `label`, which its data lack"),
    ],
)
def test_a_column_that_is_not_there_is_named(
    model: Path, task_folder: Path, latxa: Latxa, old: str, new: str, message: str
) -> None:
    path = task_folder / "towns.yaml"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    done = latxa("eval", str(model), "--task", "towns", "--task-folder", ".", cwd=task_folder)
    assert (done.returncode, done.stdout) == (1, b"")
    first, hint = done.stderr.decode().splitlines()
    assert first == f"latxa: the task `towns` {message}"
    assert ("`question`" in hint) if new != "options" else hint.startswith("hint: ")


def task(target: Any, choices: Any = ("x", "y"), **config: Any) -> Any:
    values = {"doc_to_choice": "{{choices}}", "process_results": None, **config}
    return SimpleNamespace(
        config=SimpleNamespace(**values), features=["choices"], multiple_input=0, eval_docs=[{"id": ""}],
        doc_to_choice=lambda item: [*choices], doc_to_target=lambda item: target,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("target", "faults"),
    [(0, 0), (1, 0), (2, 1), (-100, 1), ("y", 0), ("z", 1), ([5, 1], 0), ([5, 6], 1), ([], 1), (["z", "x"], 0)],
)
def test_right_answers_are_places_texts_or_several(target: Any, faults: int) -> None:
    said: list[str] = []
    check_items({"t": task(target)}, own=False, console=Console(say=said.append))
    assert len(said) == faults
    if faults:
        assert said == ["`t`: item 1 names an answer that is none of its choices"]
        with pytest.raises(LatxaError):
            check_items({"t": task(target)}, own=True, console=Console())


def test_tasks_that_score_in_their_own_way_are_not_looked_at() -> None:
    said: list[str] = []
    for one in (task(9, process_results=len), task(9, doc_to_choice=None)):
        check_items({"t": one}, own=True, console=Console(say=said.append))
    assert said == []
