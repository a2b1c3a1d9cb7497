"""Answers to single requests outlive a kill: none is asked twice, and none is taken for another's."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from latxa_cli.evaluation.kept import Kept, take_over
from latxa_cli.evaluation.libraries import Console
from latxa_cli.evaluation.run import Evaluation, evaluate, load_tasks, pairs
from latxa_cli.evaluation.settings import Settings
from latxa_cli.evaluation.tasks.loading import find
from latxa_cli.stream.errors import UsageError

QUIET = Console()


class KilledError(Exception):
    """What stands for a kill in these tests."""


def run(
    model: Path, folder: Path, work: Path | None, *, take: int | None = None, batch_size: int | None = None
) -> list[Evaluation]:
    settings = Settings(few_shot=1, take=take, batch_size=batch_size)
    units = pairs([str(model)], ["towns"])
    loaded = load_tasks(find(["towns"], folder, QUIET), units, settings, QUIET)
    return list(evaluate(units, loaded, {str(model): "tiny"}, settings, QUIET, work))


@pytest.fixture
def passes(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """The number of rows of each pass through a network; a pass beyond the number in `passes.most` is a kill."""
    from latxa_cli.evaluation.scoring.forward import Network

    class Passes(list[int]):
        most = 999

    done, logits = Passes(), Network._logits

    def counted(self: Network, rows: Any, before: Any, places: Any) -> Any:
        if len(done) >= done.most:
            raise KilledError
        done.append(len(rows))
        return logits(self, rows, before, places)

    monkeypatch.setattr(Network, "_try", lambda self: "")
    monkeypatch.setattr(Network, "_logits", counted)
    yield done


@pytest.mark.parametrize("kind", ["choices", "answers", "perplexity"])
def test_a_killed_run_asks_no_request_again(
    model: Path, task_folder: Path, tmp_path: Path, passes: Any, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lm_eval.models.huggingface import HFLM

    change_task(task_folder / "towns.yaml", kind)
    written, generate = [], HFLM._model_generate

    def counted(self: HFLM, context: Any, *given: Any, **how: Any) -> Any:
        if len(written) + len(passes) >= passes.most:
            raise KilledError
        written.append(len(context))
        return generate(self, context, *given, **how)

    monkeypatch.setattr(HFLM, "_model_generate", counted)
    expected = run(model, task_folder, None, batch_size=2)
    whole = [*passes, *written]
    assert len(whole) == 6
    work = tmp_path / "out.work"
    for passes.most in (1, 2, 1):
        passes.clear()
        written.clear()
        with pytest.raises(KilledError):
            run(model, task_folder, work, batch_size=2)
    passes.clear()
    written.clear()
    passes.most = 999
    assert run(model, task_folder, work, batch_size=2) == expected
    assert len(passes) + len(written) == 2, "four of six passes had been made"
    assert [path.name for path in work.iterdir()] == ["latxa.lock"], "answers of a pair that was taken are forgotten"


def change_task(path: Path, kind: str) -> None:
    text = path.read_text().replace("{{question}}", "{{question}} {{choices[answer]}}")
    if kind == "answers":
        text = text.replace("output_type: multiple_choice", "output_type: generate_until")
        text = text.replace('doc_to_choice: "{{choices}}"\n', "generation_kwargs: {max_gen_toks: 4, until: [END]}\n")
        text = text.replace("metric: acc", "metric: exact_match")
    if kind == "perplexity":
        text = text.replace("output_type: multiple_choice", "output_type: loglikelihood_rolling")
        text = text[: text.index("metric_list")].replace("{{answer}}", "{{question}}")
        text = text.replace('doc_to_choice: "{{choices}}"\n', "")
    path.write_text(text)


def test_other_weights_prompts_or_settings_are_other_requests() -> None:
    keys = {Kept(None, {"weights": "a"}).key("x", b"12", b"3"), Kept(None, {"weights": "b"}).key("x", b"12", b"3")}
    one = Kept(None, {"weights": "a"})
    keys |= {one.key("y", b"12", b"3"), one.key("x", b"1", b"23"), one.key("x", b"12", b"4")}
    assert len(keys) == 5 and Kept(None, {"weights": "a"}).key("x", b"12", b"3") in keys


def test_the_line_of_a_kill_and_damaged_lines_are_asked_again(tmp_path: Path) -> None:
    work = tmp_path / "work"
    first = Kept(work, {"model": "m"})
    assert not work.exists(), "a run that fails before its first answer leaves nothing"
    first.add([("a", (-1.5, True)), ("b", "text"), ("c", (-2.25, False))])
    first.close()
    lines = first.path.read_bytes().splitlines(keepends=True)
    first.path.write_bytes(lines[0] + b"\0\0\0\n" + lines[1] + lines[2][:-9])
    second = Kept(work, {"model": "m"})
    assert second.answers == {"a": (-1.5, True), "b": "text"}
    assert second.of(["a", "b"]) == [(-1.5, True), "text"] and second.of(["a", "c"]) is None
    second.add([("c", (-2.25, False))])
    second.close()
    assert Kept(work, {"model": "m"}).answers == {"a": (-1.5, True), "b": "text", "c": (-2.25, False)}
    assert json.loads(second.path.read_bytes().splitlines()[-1])["key"] == "c"


def test_a_run_that_is_not_resumed_begins_anew(tmp_path: Path) -> None:
    work = tmp_path / "work"
    kept = Kept(work, {})
    kept.add([("a", "text")])
    kept.close()
    take_over(work, resume=True)
    assert Kept(work, {}).answers
    take_over(work, resume=False)
    assert not work.exists()
    work.mkdir()
    (work / "mine.txt").write_text("")
    with pytest.raises(UsageError, match="is not of an interrupted run"):
        take_over(work, resume=True)
