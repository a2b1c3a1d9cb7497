"""The file of answers: whole after an interruption, none lost, none twice, no half line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from latxa_cli.evaluation.answers import Answers
from latxa_cli.evaluation.run import Evaluation, Pair
from latxa_cli.evaluation.tasks import LoadedTask
from latxa_cli.stream.errors import UsageError

PAIRS = [Pair(model, task) for model in ("a", "b") for task in ("one", "two")]
NAMES = {"a": "a", "b": "b"}
LOADED = {task: LoadedTask(task, {"tasks": {task: None}}) for task in ("one", "two")}


def evaluation(pair: Pair) -> Evaluation:
    answers = [{"id": str(index), "model": pair.model, "task": pair.task} for index in range(3)]
    return Evaluation(pair, [{"model": pair.model, "task": pair.task}], answers)


def write(path: Path, to_do: list[Pair], *, resume: bool, stop_after: int | None = None) -> None:
    with Answers(path, to_do, LOADED, NAMES, resume=resume) as answers:
        for number, pair in enumerate(to_do):
            if number == stop_after:
                raise KeyboardInterrupt
            assert answers.keep(evaluation(pair)) == evaluation(pair).results


@pytest.mark.parametrize("done", range(4))
@pytest.mark.parametrize("extra", [0, 1])
@pytest.mark.parametrize("tail", [b"", b'{"id": "0", "mod'])
def test_resumed_answers_are_those_of_one_run(tmp_path: Path, done: int, extra: int, tail: bytes) -> None:
    """The interrupted run had written `extra` pairs more than its checkpoint knew of, and perhaps half a line."""
    write(tmp_path / "whole.jsonl", PAIRS, resume=False)
    path = tmp_path / "answers.jsonl"
    if done + extra < len(PAIRS):
        with pytest.raises(KeyboardInterrupt):
            write(path, PAIRS, resume=False, stop_after=done + extra)
        assert not path.exists()
        with (tmp_path / "answers.jsonl.part").open("ab") as part:
            part.write(tail)
    else:
        write(path, PAIRS, resume=False)
    write(path, PAIRS[done:], resume=True)
    assert path.read_bytes() == (tmp_path / "whole.jsonl").read_bytes()
    assert len([json.loads(line) for line in path.read_text().splitlines()]) == 12


def test_no_file_is_made_where_none_is_asked_for(tmp_path: Path) -> None:
    with Answers(None, PAIRS, LOADED, NAMES, resume=False) as answers:
        assert answers.keep(evaluation(PAIRS[0])) == [{"model": "a", "task": "one"}]
    assert list(tmp_path.iterdir()) == []


def test_compressed_answers_cannot_be_resumed(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="compressed"):
        Answers(tmp_path / "answers.jsonl.gz", PAIRS, LOADED, NAMES, resume=True)
