"""`latxa eval`: which flags reach the evaluation, what the manifest remembers, and what `--resume` does again."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from latxa_cli.cli import load
from latxa_cli.evaluation import wiring
from latxa_cli.evaluation.run import Evaluation, Pair
from latxa_cli.evaluation.settings import Settings
from latxa_cli.stream.errors import LatxaError, UsageError

TODAY = date.today()
Eval = Callable[..., None]


class StopError(Exception):
    """What interrupts a run in these tests."""


class Calls:
    """What the evaluation was called with, by call; it gives one result and two answers a pair."""

    def __init__(self) -> None:
        self.settings: list[Settings] = []
        self.units: list[list[Pair]] = []
        self.names: list[dict[str, str]] = []
        self.shots: list[int] = []
        self.stop_before: Pair | None = None

    def evaluate(
        self,
        units: Iterable[Pair],
        loaded: dict[str, Any],
        names: dict[str, str],
        settings: Settings,
        console: Any,
        work: Path | None = None,
    ) -> Iterator[Evaluation]:
        units = list(units)
        self.settings.append(replace(settings, engine=None))
        self.units.append(units)
        self.names.append(names)
        self.shots += [task.tasks["towns"].get_config("num_fewshot") for task in loaded.values()]
        for pair in units:
            if pair == self.stop_before:
                raise StopError
            model = names[pair.model]
            answers = [{"id": str(n), "model": model, "task": "towns", "correct": True} for n in range(2)]
            yield Evaluation(pair, [{"model": model, "task": "towns", "metric": "acc", "value": 1.0}], answers)


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch, task_folder: Path, tmp_path: Path) -> Calls:
    made = Calls()
    monkeypatch.setattr(wiring, "evaluate", made.evaluate)
    monkeypatch.chdir(tmp_path)
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for file in ("config.json", "tokenizer.json", "model.safetensors"):
            (tmp_path / name / file).write_text("{}")
    return made


def run(*arguments: str) -> None:
    load("eval").main(["--task-folder", "tasks", "-o", "out.jsonl", *arguments], standalone_mode=False)


def lines(name: str = "out.jsonl") -> list[Any]:
    return [json.loads(line) for line in Path(name).read_text().splitlines()]


def test_every_flag_reaches_the_evaluation(calls: Calls) -> None:
    run("a", "--task", "towns")
    assert calls.settings[-1] == Settings(None, None, None, None, 1234, None, False, TODAY) and calls.shots == [0]
    flags = "--few-shot 3 --no-chat --take 7 --batch-size 5 --seed 99 --device cpu --trust-remote-code --format cloze "
    flags += "--shot-seeds 2"
    run("a", "--task", "towns", *flags.split())
    assert calls.settings[-1] == Settings(
        3, False, 7, 5, 99, "cpu", True, None, "cloze", shot_seeds=2
    ) and calls.shots == [0, 3]
    assert calls.names[-1] == {"a": "a"}


def test_the_manifest_names_models_data_and_libraries(calls: Calls) -> None:
    run("a", "b", "--task", "towns")
    manifest = json.loads(Path("out.jsonl.manifest.json").read_text())
    assert [Path(entry["path"]).name for entry in manifest["inputs"]] == ["a", "b", "towns.jsonl"]
    assert set(manifest["libraries"]) == {"lm_eval", "transformers", "torch"}


@pytest.mark.parametrize("changed", ["a/model.safetensors", "tasks/towns.jsonl"])
def test_a_run_does_not_go_on_with_another_model_or_other_data(calls: Calls, changed: str) -> None:
    calls.stop_before = Pair("b", "towns")
    with pytest.raises(StopError):
        run("a", "b", "--task", "towns")
    with Path(changed).open("a") as file:
        file.write("\n")
    with pytest.raises(UsageError, match="has changed since"):
        run("a", "b", "--task", "towns", "--resume")


def test_a_resumed_run_does_what_is_left_and_keeps_each_answer_once(calls: Calls) -> None:
    calls.stop_before = Pair("b", "towns")
    with pytest.raises(StopError):
        run("a", "b", "--task", "towns", "--answers", "answers.jsonl")
    assert not Path("answers.jsonl").exists()
    calls.stop_before = None
    run("a", "b", "--task", "towns", "--answers", "answers.jsonl", "--resume")
    assert calls.units == [[("a", "towns"), ("b", "towns")], [("b", "towns")]]
    assert [result["model"] for result in lines()] == ["a", "b"]
    assert [(answer["model"], answer["id"]) for answer in lines("answers.jsonl")] == [
        ("a", "0"), ("a", "1"), ("b", "0"), ("b", "1"),
    ]  # fmt: skip


def test_results_of_a_pair_are_safe_before_the_next_pair_is_run(calls: Calls, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each pair may take an hour: a kill, which nothing can answer, must not lose those before it."""
    safe: list[int] = []

    def evaluate(units: Iterable[Pair], *more: Any) -> Iterator[Evaluation]:
        for one in calls.evaluate(units, *more):
            safe.append(len(lines("out.jsonl.part")))
            safe.append(len(lines("answers.jsonl.part")))
            yield one

    monkeypatch.setattr(wiring, "evaluate", evaluate)
    run("a", "b", "--task", "towns", "--answers", "answers.jsonl")
    assert safe == [0, 0, 1, 2]


def test_shards_share_the_pairs(calls: Calls) -> None:
    for index in (0, 1):
        run("a", "b", "--task", "towns", "--shard", f"{index}/2", "-o", f"out{index}.jsonl")
    assert calls.units == [[("a", "towns")], [("b", "towns")]]


def test_a_dry_run_evaluates_and_writes_nothing(calls: Calls, capfd: pytest.CaptureFixture[str]) -> None:
    run("a", "--task", "towns", "--take", "3", "--dry-run")
    assert "12 requests in all; nothing was run" in capfd.readouterr().err
    assert calls.units == [] and not list(Path().glob("out*"))


def test_a_directory_that_is_no_model_is_told_before_any_task_is_looked_for(calls: Calls) -> None:
    Path("b/config.json").unlink()
    with pytest.raises(LatxaError, match="has no `config"):
        run("a", "b", "--task", "nothing")
